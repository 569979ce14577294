/** The bounds of a shard's alarms, with rows and an actor made up: nobody answers until told to. */
import { expect, test, vi } from 'vitest'
import { ShardTime } from '../../../src/actors/core/shard-time.ts'
import * as Alarms from '../../../src/actors/entities/alarms.ts'
import { virtualClock } from '../../../src/clock.ts'
import { call, type DurableServer, entity, reply, supervisor, sys } from '../../../src/index.ts'
import { createSystem, type From, type GenServer, noReply } from '../../../src/runtime/index.ts'
import { dueRowKey } from '../../../src/storage/index.ts'
import type { Shard } from '../../../src/supervisors/tree/shard.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Due = { calls: { $due: () => boolean } }

/** The alarms of a shard with `count` rows that are due, one of each actor, after so many `seconds`. */
const asked = async (count: number, seconds: number) => {
  const clock = virtualClock()
  const system = createSystem({ clock })
  const calls: From<boolean>[] = []
  const mute: GenServer<Due, undefined> = {
    init: () => undefined,
    calls: {
      $due: (state, _, { from }) => {
        calls.push(from)
        return noReply(state)
      },
    },
  }
  const ref = await system.start(mute, undefined)
  const id = (at: number): string => `id${String(at).padStart(6, '0')}`
  const keys = Array.from({ length: count }, (_, at) => dueRowKey(1, `kind/${id(at)}`, 'due'))
  const present = new Set(keys)
  const world = { walks: 0, sooner: (): void => undefined, opened: (): void => undefined }
  const shard = {
    phase: { kind: 'open' },
    now: () => clock.now(),
    time: new ShardTime(clock),
    changed: () =>
      new Promise<void>((resolve) => {
        world.opened = resolve
      }),
    due: {
      listen: (sooner: () => void) => {
        world.sooner = sooner
      },
      begin: (from: number) => {
        if (from === Number.POSITIVE_INFINITY) world.walks++
      },
      soonest: 0,
    },
    view: () => {
      if (shard.phase.kind !== 'open') throw new Error('the shard is down')
      return {
        row: (key: string) => (present.has(key) ? {} : undefined),
        *rows({ gt = '', lt = '' }) {
          for (const key of keys)
            if (key > gt && key < lt && present.has(key)) yield [key, {}] as const
        },
      }
    },
  }
  const entities = {
    onRuns: () => () => undefined,
    kind: () => ({ blocked: new Map() }),
    ref: () => ref,
  }
  const alarms = await system.start(Alarms.server, { shard, entities } as never)
  await clock.advance(seconds * 1_000)
  /** Another row, which is due in so many ms. */
  const add = (inMs: number): void => {
    const key = dueRowKey(clock.now() + inMs, `kind/in${inMs}`, 'due')
    keys.push(key)
    keys.sort()
    present.add(key)
    world.sooner()
  }
  /** The actor of row `at` has served it. */
  const answer = (at: number): void => {
    present.delete(keys[at] as string)
    calls[at]?.reply(false)
  }
  return { clock, system, world, shard, calls, answer, add, alarms }
}

test('beyond 10,000 slow actors others wait until one of them answers', {
  tags: ['slow'],
}, async () => {
  const { clock, calls, answer } = await asked(10_200, 30)
  expect(calls).toHaveLength(10_000 + 64)

  answer(0)
  await clock.advance(1_000)
  expect(calls).toHaveLength(10_000 + 65)

  for (const at of [1, 2]) answer(at)
  await clock.advance(1_000)
  expect(calls).toHaveLength(10_000 + 67)
})

test('an actor that answers while the shard is down lets it be: no row is read', async () => {
  const { clock, system, shard, calls, answer, alarms } = await asked(3, 1)
  expect(calls).toHaveLength(3)
  shard.phase.kind = 'down'
  answer(0)
  await clock.advance(1_000)

  expect(system.info(alarms)).toBeDefined()
})

test('a walk that its shard goes down under goes on once it is open again, and asks nobody twice', async () => {
  const { clock, system, world, shard, calls, answer, alarms } = await asked(100, 0.05)
  expect(calls).toHaveLength(64)
  shard.phase.kind = 'down'
  for (let at = 0; at < 40; at++) answer(at)
  await clock.advance(1_000)
  expect([calls.length, system.info(alarms) === undefined]).toEqual([64, false])

  shard.phase.kind = 'open'
  world.opened()
  await clock.advance(50)
  expect(calls).toHaveLength(100)
})

test('a row that is due sooner than the next one takes its timer: each is one walk', async () => {
  const { clock, world, calls, answer, add } = await asked(0, 1)
  add(10_000)
  await clock.advance(1_000)
  add(2_000)
  await clock.advance(1_000)
  const before = world.walks
  await clock.advance(1_000)
  expect([calls.length, world.walks - before]).toEqual([1, 1])
  answer(0)
  await clock.advance(6_900)
  expect(world.walks - before).toBe(1)
  await clock.advance(100)
  expect([calls.length, world.walks - before]).toEqual([2, 2])
})

test('a row that its actor did not serve is asked for again after a second, and not sooner', async () => {
  const { clock, calls } = await asked(1, 1)
  for (let times = 1; times < 4; times++) {
    expect(calls).toHaveLength(times)
    calls[times - 1]?.reply(false)
    await clock.advance(999)
    expect(calls).toHaveLength(times)
    await clock.advance(1)
  }
})

test('of rows that were not served it notes 10,000 at most, and no longer than a second', {
  tags: ['slow'],
}, async () => {
  const { clock, system, calls, alarms } = await asked(10_050, 30)
  expect(calls).toHaveLength(10_050)
  for (const from of calls) from.reply(false)
  await clock.advance(100)
  const noted = async () => ((await sys.getState(alarms)) as { later: { size: number } }).later.size
  const known = noted()
  await clock.advance(1)
  expect(await known).toBe(10_000)
  expect(system.info(alarms)).toBeDefined()
})

test('an alarm that comes due while a walk reads the rows fires, although no later one is set', async () => {
  type Ringing = { calls: { set: (at: number) => void }; alarms: { ring: () => void } }
  const rung: string[] = []
  const server: DurableServer<Ringing, null> = {
    init: () => null,
    calls: {
      set: (state, at, context) => {
        context.setAlarm('ring', { at })
        return reply(undefined, state)
      },
    },
    alarms: {
      ring: (state, _, { id }) => {
        rung.push(id)
        return noReply(state)
      },
    },
  }
  const s = await simulated({ app: supervisor('app', {}, [entity('bell', server)]), shards: 1 })
  const [shard] = s.app.shards as [Shard]
  const [now, view] = [shard.now.bind(shard), shard.view.bind(shard)]
  const at = now() + 1_000
  const handle = s.app.entity<Ringing>('bell')
  await s.during(call(handle.ref('first'), 'set', at))
  await s.during(call(handle.ref('second'), 'set', at + 5))
  await s.advance(at - now() - 1)
  // The next read of rows, which is that of the walk, takes 10 ms.
  let passedMs = 0
  vi.spyOn(shard, 'now').mockImplementation(() => now() + passedMs)
  vi.spyOn(shard, 'view').mockImplementation(() => {
    passedMs = 10
    return view()
  })
  await s.advance(60_000)
  expect(rung).toEqual(['first', 'second'])
})
