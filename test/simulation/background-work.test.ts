/**
 * Random lives of durable actors with background work, each from one seed, with a crash of the
 * machine at an I/O operation, kills, stops and closes. Work begins after its turn is durable; each
 * of its changes that was acknowledged stands, once; no change of one life of an actor reaches
 * another; every change settles; a close names exactly the work that it cut off.
 *
 * `KEELSON_SEEDS=2000 npx vitest run test/simulation/background-work.test.ts`; one life:
 * `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  type KeelsonError,
  noReply,
  reply,
  supervisor,
} from '../../src/index.ts'
import { createSystem } from '../../src/runtime/index.ts'
import { silentLogger } from '../../src/testing/index.ts'
import { liveSeeds, sumOf, type Tally } from '../support/seed-lives.ts'
import { machine } from '../support/simulated-instance.ts'
import { seedsOf } from '../support/tier.ts'

type Messages = { calls: { begin: (number: number) => void; add: (number: number) => void } }

/** The numbers of the turns, in their order. */
type State = readonly number[]

const ids = ['a', 'b', 'c']
const lockedKey = (id: string): string => `{job/${id}}:locked`

/** The I/O operations of a life, about. */
const operations = 250

/** What a call or a change may be refused with. */
const refusals: readonly unknown[] = [
  ...['LOCKED', 'EXITED', 'NO_PROCESS', 'CLOSED', 'SHARD_DOWN', 'NO_SPACE'],
  ...['UNKNOWN_OUTCOME', 'TIMEOUT', 'NOT_SUBMITTED'],
]

const live = async (seed: number): Promise<Tally> => {
  const random = seededRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const world = machine({ seed, syncMs: pick([0, 1, 7]) })
  const { clock, disk, during } = world
  const tally: Tally = { lives: 1 }
  const count = (what: string): void => {
    tally[what] = (tally[what] ?? 0) + 1
  }
  const wrong: string[] = []
  /** A throw in a work would only end its actor. */
  const claim = (holds: boolean, what: string): void => {
    if (!holds) wrong.push(what)
  }
  let numbers = 0
  let changing = 0
  let aborted = 0
  /** Throws and stops, which end all work of their actor. */
  let thrown = 0
  let stopping = 0
  const lives = new Map<string, number>()
  const running = new Set<string>()
  const acknowledged = new Map<string, number[]>(ids.map((id) => [id, []]))
  const refused = new Set<number>()

  /** The durable state of an actor; `undefined` while its shard cannot be read. */
  const durable = (id: string): State | undefined => {
    try {
      return app.entity(jobs).state(id) ?? []
    } catch {
      return undefined
    }
  }
  const told = (what: string, id: string, number: number): void => {
    count(what)
    acknowledged.get(id)?.push(number)
    claim(durable(id)?.includes(number) !== false, `${what} ${number} of ${id} too soon`)
  }
  const server: DurableServer<Messages, State, never, string, unknown> = {
    init: () => [],
    wake: (_, { id }) => void lives.set(id, (lives.get(id) ?? 0) + 1),
    calls: {
      add: (state, number) => reply(undefined, [...state, number]),
      begin: (state, number, context) => {
        const { id } = context
        const born = lives.get(id)
        if (number % 5 === 0) context.writes.put(lockedKey(id), number)
        context.background(async (life) => {
          const name = `${number} of ${id}`
          claim(number % 5 !== 0, `${name} began in a refused turn`)
          told('began', id, number)
          running.add(name)
          life.signal.addEventListener('abort', () => {
            if (running.delete(name)) aborted++
          })
          for (let change = 0; change < number % 4; change++) {
            // It does not listen to the end of its life.
            await new Promise<void>((resolve) => clock.after(number % 30, resolve))
            const mine = ++numbers
            changing++
            try {
              await life.apply((now, own) => {
                claim(lives.get(id) === born, `${mine} of life ${born} in ${lives.get(id)}`)
                claim(!now.includes(mine), `${mine} of ${id} twice`)
                if (mine % 7 === 0) own.writes.put(lockedKey(id), mine)
                return noReply([...now, mine])
              })
              told('applied', id, mine)
            } catch (error) {
              const { code } = error as KeelsonError
              count(`refused.${code}`)
              claim(refusals.includes(code), `a change is refused with ${error}`)
              if (code === 'LOCKED') refused.add(mine)
            } finally {
              changing--
            }
          }
          running.delete(name)
          if (number % 11 === 0) {
            thrown++
            throw new Error('thrown')
          }
        })
        return reply(undefined, [...state, number])
      },
    },
  }
  const jobs = entity('job', server, { idleMs: pick([20, 60_000]), pipeline: pick([1, 3, 64]) })
  const start = async (): Promise<App> => {
    const system = createSystem({ clock, logger: silentLogger, seed })
    const started = await world.start({
      ...{ system, app: supervisor('app', {}, [jobs]), shards: 1 },
      lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20 },
    })
    for (const id of ids)
      await during(
        started.store.lock([lockedKey(id)], { owner: 'other', leaseMs: 10_000_000 }),
      ).catch(() => undefined)
    return started
  }
  const check = (): void => {
    for (const id of ids) {
      const state = durable(id)
      if (!state) continue
      const known = acknowledged.get(id) ?? []
      claim(new Set(state).size === state.length, `${id} applied a turn twice: ${state}`)
      claim(
        known.every((number) => state.includes(number)),
        `${id} lost one of ${known}: ${state}`,
      )
      claim(!state.some((number) => refused.has(number)), `${id} has a refused change: ${state}`)
    }
    if (wrong.length > 0) throw new Error(wrong.join('; '))
  }

  let app = await start()
  const pending: Promise<unknown>[] = []
  const ask = (name: 'begin' | 'add'): void => {
    const number = ++numbers
    const id = pick(ids)
    count(name)
    const asked = call(app.entity(jobs).ref(id), name, number, { timeoutMs: pick([40, 5_000]) })
    pending.push(
      asked.then(
        () => told('answered', id, number),
        ({ code }: KeelsonError) =>
          claim(refusals.includes(code), `${name} is refused with ${code}`),
      ),
    )
  }
  /** Ends the instance in order, and starts it again. */
  const close = async (): Promise<void> => {
    count('closed')
    aborted = 0
    thrown = stopping
    const { cutOff } = await during(app.close({ deadlineMs: pick([1, 20, 30_000]) }))
    const named = cutOff.filter(({ part }) => part === 'work').length
    if (named > 0) count('cut off')
    claim(named === aborted || thrown > 0, `${aborted} works were cut off, ${named} named`)
    claim(running.size === 0, `runs after a close: ${[...running]}`)
    await during(app.system.stop()).catch(() => undefined)
    disk.killProcess()
    app = await start()
    check()
  }
  const events: (() => unknown)[] = [
    ...Array(8).fill(() => ask('begin')),
    ...Array(6).fill(() => ask('add')),
    ...Array(8).fill(() => clock.advance(pick([0, 1, 3, 30]))),
    ...Array(3).fill(() => {
      count('killed')
      const victim = app.entities.holder(`job/${pick(ids)}`)
      if (victim) app.system.kill(victim.address as never)
    }),
    () => {
      count('stopped')
      stopping++
      const stopped = app.entity(jobs).stop(pick(ids))
      pending.push(stopped.catch(() => undefined).finally(() => stopping--))
    },
    () => check(),
  ]
  const act = async (steps: number): Promise<void> => {
    for (let step = 0; step < steps; step++) await pick(events)()
  }
  const crash = async (): Promise<void> => {
    disk.halt()
    await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
    await during(Promise.all(pending))
    disk.crash()
    disk.clearFaults()
    await during(app.system.stop()).catch(() => undefined)
    disk.killProcess()
    running.clear()
  }

  await act(15)
  await close()
  disk.inject({ at: 1 + ((seed * 7) % operations), fault: { kind: 'halt' } })
  await act(60)
  await crash()
  app = await start()
  check()
  await act(20)
  await clock.advance(1_000)
  await close()
  await during(Promise.all(pending))
  await clock.advance(10_000)
  claim(changing === 0, `${changing} changes never settled`)
  check()
  await during(app.close())
  await during(app.system.stop())
  return tally
}

const seeds = seedsOf(10, operations)

test(`background work keeps its promises over ${seeds.length} crashes`, async () => {
  const tally = sumOf(await liveSeeds(seeds, live))
  if (seeds.length < 10) return
  for (const what of ['began', 'applied', 'killed', 'stopped', 'refused.EXITED', 'refused.LOCKED'])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 10)
}, 3_600_000)
