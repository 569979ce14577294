/** The shop on virtual time: the bank fails, the disk is full, storage actors die, the power goes. */
import { Applier, Batcher, BlobStore, type Name, supervisor, WalWriter } from 'keelson'
import { flows } from 'keelson/flow'
import { StateMachine } from 'keelson/state-machine'
import { rehearse, startSimulated } from 'keelson/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { seedsOf } from '../../test/support/tier.ts'
import type { Charge } from '../orders/fake-bank.ts'
import { audit, unended } from './audit.ts'
import type { Mail } from './fake-mails.ts'
import { mailQueue, type Send } from './mails.ts'
import { type OrderParts, orderKind, type Placed } from './order.ts'
import { report } from './report.ts'
import { showKind } from './show.ts'

const minutes = 60_000
const storageActors: readonly Name<unknown>[] = [
  WalWriter.name(0),
  Applier.name(0),
  BlobStore.name(0),
  Batcher.name(0),
]

/** A bank and a mail provider that fail by chance, half of the time after they took effect. */
const world = (random: () => number) => {
  const ledger = new Map<string, Charge>()
  const sent = new Map<string, Mail>()
  const chance = { failing: 0.4 }
  const flaky = async (effect: () => void): Promise<void> => {
    const luck = random()
    if (luck >= chance.failing / 2) effect()
    if (luck < chance.failing) throw new Error('no answer')
  }
  const at = (key: string): Charge => {
    const charge = ledger.get(key) ?? { cents: 0, isTaken: false, isReleased: false, asked: 0 }
    ledger.set(key, charge)
    charge.asked++
    return charge
  }
  const parts: Pick<OrderParts, 'bank'> & { readonly send: Send } = {
    bank: {
      charge: (key, cents) =>
        flaky(() => {
          const charge = at(key)
          if (charge.isReleased) throw new Error('released')
          Object.assign(charge, { cents, isTaken: true })
        }),
      release: (key) => flaky(() => void Object.assign(at(key), { isReleased: true })),
    },
    send: ({ order, text }) => flaky(() => void sent.set(order, { asked: 1, text })),
  }
  return { ...parts, ledger, sent, chance }
}

const shop = async (seed: number) => {
  const random = seededRandom(seed)
  const outside = world(random)
  const shows = showKind(10 * minutes)
  const { bank } = outside
  const mails = mailQueue(outside.send, 5_000)
  const orders = orderKind({ shows, bank, mails, payWithinMs: 8 * minutes, retryMs: 5_000 })
  const build = (parts: Parameters<typeof supervisor>[2]) =>
    supervisor('app', { intensity: 100 }, parts)
  const builds = {
    present: build([shows, flows({ queues: [mails] }), orders]),
    /** Its shows are gone: somebody has renamed them. */
    bad: build([flows({ queues: [mails] }), orders]),
  }
  const simulation = await startSimulated({
    seed,
    wal: { maxFileSize: 128 * 1024 },
    projections: [report],
    app: builds.present,
  })
  onTestFinished(() => simulation.close())
  const accepted = new Map<string, Placed>()
  const handle = () => simulation.app.entity(orders)
  /**
   * Places an order, and repeats it until it is accepted. A shard whose actors die too often goes down, as its supervisor
   * says; then its operator reopens it.
   */
  const place = async (id: string, placed: Placed): Promise<void> => {
    for (let isAccepted = false; !isAccepted; ) {
      const ref = handle().ref(id)
      isAccepted = await simulation
        .during(StateMachine.call(ref, { type: 'place', ...placed }, { timeoutMs: 2_000 }))
        .then(
          () => true,
          () => false,
        )
      if (!isAccepted) {
        await simulation.during(simulation.app.control.reopen(0))
        await simulation.advance(500)
      }
    }
    accepted.set(id, placed)
  }
  const books = () => ({
    accepted,
    states: new Map(
      [...accepted.keys()].map((id) => {
        const value = handle().state(id)?.value
        return [id, typeof value === 'string' ? value : JSON.stringify(value)] as const
      }),
    ),
    shows: new Map(
      ['opera'].map((id) => [id, simulation.app.entity(shows).state(id) ?? {}] as const),
    ),
    ledger: outside.ledger,
    mails: outside.sent,
    report: Object.fromEntries(simulation.app.projection('report').range().entries),
  })
  return { simulation, place, books, random, builds, chance: outside.chance }
}

/** Twenty orders for the thirty seats of one show, two or three seats each. */
const wishes = (random: () => number): [string, Placed][] =>
  Array.from({ length: 20 }, (_, at) => {
    const first = Math.floor(random() * 27)
    const seats = Array.from({ length: 2 + (at % 2) }, (__, next) => `seat-${first + next}`)
    return [`order-${at}`, { show: 'opera', seats }]
  })

describe('the shop', () => {
  test('sells each seat once, and an order that cannot pay gives its seats back', {
    tags: ['slow'],
  }, async () => {
    const { simulation, place, books, chance } = await shop(1)
    chance.failing = 1
    await place('late', { show: 'opera', seats: ['A1', 'A2'] })
    await simulation.advance(9 * minutes)
    chance.failing = 0
    await simulation.advance(minutes)
    expect(books().states.get('late')).toBe('unpaid')
    await place('next', { show: 'opera', seats: ['A2', 'A3'] })
    await place('third', { show: 'opera', seats: ['A3'] })
    await simulation.advance(minutes)
    expect([...books().states.values()]).toEqual(['unpaid', 'sold', 'refused'])
    expect(audit(books())).toEqual([])
  })

  test('finds nothing about its own data before a deploy, and names what a bad build stops', async () => {
    const { simulation, place, builds, chance } = await shop(1)
    chance.failing = 1
    await place('waits', { show: 'opera', seats: ['A1'] })
    await simulation.advance(minutes)
    const judged = async (app: typeof builds.present) => {
      const { findings } = await simulation.during(rehearse({ from: simulation.app, app }))
      return findings.map(({ level, what, kind }) => `${level}: ${kind} ${what}`)
    }

    expect(await judged(builds.present)).toEqual([])
    expect(await judged(builds.bad)).toEqual(['blocks: entity show is not in the tree'])
  })

  test.each(seedsOf(1, 60))(
    'ends every accepted order, whatever fails on the way (seed %i)',
    { tags: ['slow'] },
    async (seed) => {
      const { simulation, place, books, random } = await shop(seed)
      const troubles = [
        async () => {
          await simulation.powerCut()
          await simulation.start()
        },
        async () => {
          const { disk } = simulation
          disk.capacityBytes = 2 ** 40
          disk.capacityBytes -= disk.freeBytes
          // The log's segment fills up; the orders under way meet the full disk.
          for (let isFull = false; !isFull; )
            isFull = await simulation
              .during(simulation.app.store.put('filler', 'x'.repeat(4_000)))
              .then(
                () => false,
                () => true,
              )
          await simulation.advance(10_000)
          disk.capacityBytes = Number.POSITIVE_INFINITY
        },
        ...storageActors.map((name) => async () => {
          simulation.app.system.kill(simulation.app.system.to(name))
          await simulation.advance(1_000)
        }),
      ]
      for (const [id, placed] of wishes(random)) {
        await place(id, placed)
        await simulation.advance(Math.floor(random() * 400))
        if (random() < 0.3) await troubles[Math.floor(random() * troubles.length)]?.()
      }
      await simulation.during(simulation.app.control.reopen(0))
      await simulation.advance(30 * minutes)
      expect(unended(books())).toEqual([])
      expect(audit(books())).toEqual([])
    },
  )
})
