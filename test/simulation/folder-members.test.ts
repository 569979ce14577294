/** Lives of members that share a folder: they are killed, close and begin again under calls, from one seed each. */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import {
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  reply,
  supervisor,
} from '../../src/index.ts'
import type { App } from '../../src/supervisors/index.ts'
import { seedParts } from '../support/tier.ts'
import { FolderMembers } from '../support/worlds/folder-members.ts'

type Messages = {
  calls: { add: (label: string) => number; read: () => readonly string[] }
  casts: { note: (label: string) => void }
}

/** It has the labels of the calls and casts that took effect, in their order. */
const account: DurableServer<Messages, { readonly labels: readonly string[] }> = {
  init: () => ({ labels: [] }),
  calls: {
    add: ({ labels }, label) => reply(labels.length + 1, { labels: [...labels, label] }),
    read: (state) => reply(state.labels, state),
  },
  casts: { note: ({ labels }, label) => noReply({ labels: [...labels, label] }) },
}

type Call = {
  readonly label: string
  readonly id: string
  readonly from: string
  readonly hasId: boolean
  outcome: unknown
}

type Write = {
  readonly key: string
  readonly value: number
  readonly from: string
  outcome: unknown
}

const names = ['a', 'b', 'c']
const ids = ['u', 'v', 'w', 'x', 'y', 'z']

/** What a call may end with whose owner was killed. */
const lost = {
  withId: ['TIMEOUT', 'UNKNOWN_OUTCOME'],
  plain: ['TIMEOUT', 'UNKNOWN_OUTCOME', 'NOT_SUBMITTED', 'SHARD_DOWN'],
}

const live = async (seed: number): Promise<void> => {
  const random = seededRandom(seed)
  // Without kills no call of a member that stays fails.
  const hasKills = seed % 2 === 0
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const world = new FolderMembers(names, { seed, delayMs: 5 })
  const apps = new Map<string, App>()
  const begin = async (of: readonly string[]): Promise<void> => {
    const app = () => supervisor('app', {}, [entity('account', account, { idleMs: 50 })])
    const started = await world.start(of, () => ({ app: app() }))
    for (const [at, each] of of.entries()) apps.set(each, started[at] as App)
  }
  const calls: Call[] = []
  const ask = (): void => {
    const [from, app] = pick([...apps])
    const hasId = random() < 0.6
    const made: Call = { label: `${calls.length}`, id: pick(ids), from, hasId, outcome: 'pending' }
    calls.push(made)
    const ref = app.entity<Messages>('account').ref(made.id)
    const options = { timeoutMs: 20_000, ...(hasId && { id: `r-${made.label}` }) }
    call(ref, 'add', made.label, options).then(
      (value) => {
        made.outcome = value
      },
      (error) => {
        made.outcome = error.code ?? error
      },
    )
  }
  /** A cast is `sent`, unless it was refused at once. */
  const note = (): void => {
    const [from, app] = pick([...apps])
    const made: Call = { label: `${calls.length}`, id: pick(ids), from, hasId: false, outcome: '' }
    calls.push(made)
    const isSent = cast(app.entity<Messages>('account').ref(made.id), 'note', made.label)
    made.outcome = isSent ? 'sent' : 'refused'
  }
  const writes: Write[] = []
  /** Each key has one writer, which writes one number after another. */
  const put = (): void => {
    const [from, app] = pick([...apps])
    const key = `${from}:${pick(ids)}`
    const value = writes.length
    const made: Write = { key, value, from, outcome: 'pending' }
    writes.push(made)
    app.store.put(key, value, { deadlineMs: 20_000 }).then(
      () => {
        made.outcome = 'done'
      },
      (error) => {
        made.outcome = error.code ?? error
      },
    )
  }
  const work = (count: number): void => {
    for (let each = 0; each < count; each++) {
      ask()
      put()
      note()
      // It must not overtake the cast.
      ask()
    }
  }
  // In every third life one of them begins later: shards move to it.
  /** The others go on while one closes. */
  const closed = async (closing: Promise<unknown>): Promise<void> => {
    for (let each = 0; each < 5; each++) {
      work(2)
      await world.clock.advance(Math.floor(random() * 4))
    }
    await world.during(closing)
  }
  await begin(seed % 3 === 0 ? names.slice(0, 2) : names)
  const ended = new Set<string>()
  for (let act = 0; act < 60; act++) {
    const roll = random()
    const gone = names.filter((each) => !apps.has(each))
    if (roll < 0.7) work(4)
    else if (roll < 0.8 && gone.length > 0) await begin([pick(gone)])
    else if (roll < 0.9 && apps.size > 1) {
      // They are under way.
      work(8)
      await world.clock.advance(Math.floor(random() * 8))
      const [name, app] = pick([...apps])
      apps.delete(name)
      ended.add(name)
      if (hasKills && random() < 0.5) await world.kill(name)
      else await closed(app.close())
    }
    // Shards move to a member that has been there for two seconds.
    await world.clock.advance(Math.floor(random() * (random() < 0.1 ? 3_000 : 60)))
  }
  await world.clock.advance(30_000)

  for (const { key, value, from, outcome } of writes)
    if (!hasKills && !ended.has(from)) expect(outcome, `seed ${seed}, ${key}=${value}`).toBe('done')
  const [[, reader]] = [...apps] as [[string, App]]
  for (const key of new Set(writes.map((each) => each.key))) {
    const own = writes.filter((each) => each.key === key)
    const last = own.findLastIndex(({ outcome }) => outcome === 'done')
    // Later ones may have taken effect, too.
    const may = last < 0 ? [undefined, ...own] : own.slice(last)
    const found = await world.during(reader.store.load(key))
    expect(
      may.map((each) => each?.value),
      `seed ${seed}, ${key}`,
    ).toContain(found)
  }
  for (const id of ids) {
    const ref = reader.entity<Messages>('account').ref(id)
    const labels = await world.during(call(ref, 'read'))
    const own = calls.filter((each) => each.id === id)
    const where = `seed ${seed}, ${id}`
    expect(new Set(labels).size, where).toBe(labels.length)
    for (const { label, hasId, from, outcome } of own) {
      const at = labels.indexOf(label) + 1
      // A call of a member that has ended is nobody's.
      if (typeof outcome === 'number') expect(outcome, `${where}: ${label}`).toBe(at)
      else if (outcome === 'sent') {
        if (!hasKills && !ended.has(from)) expect(at, `${where}: cast ${label}`).toBeGreaterThan(0)
      } else if (!ended.has(from)) {
        const may = hasId ? lost.withId : lost.plain
        expect(hasKills ? may : [], `${where}: ${label}`).toContain(outcome)
      }
      if (outcome === 'NOT_SUBMITTED') expect(at, `${where}: ${label}`).toBe(0)
    }
    for (const sender of names) {
      const found = own.filter(
        ({ from, outcome, label }) =>
          from === sender &&
          (typeof outcome === 'number' || (outcome === 'sent' && labels.includes(label))),
      )
      const order = found.map(({ label }) => labels.indexOf(label))
      expect(order, `${where}, from ${sender}`).toEqual(
        [...order].sort((one, other) => one - other),
      )
    }
  }
}

describe('members of a folder', () => {
  test.each(seedParts(2, 2_000))(
    'take calls once, in the order of each sender, in the lives from $from to $to',
    async ({ seeds }) => {
      for (const seed of seeds) await live(seed)
    },
    600_000,
  )
})
