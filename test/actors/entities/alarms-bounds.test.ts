/** The bounds of a shard's alarms, with rows and an actor made up: nobody answers until told to. */
import { expect, test } from 'vitest'
import * as Alarms from '../../../src/actors/entities/alarms.ts'
import { virtualClock } from '../../../src/clock.ts'
import { createSystem, type From, type GenServer, noReply } from '../../../src/runtime/index.ts'
import { dueRowKey } from '../../../src/storage/index.ts'

type Due = { calls: { $due: () => boolean } }

/** The alarms of a shard with `count` rows that are due, one of each actor, after `seconds`. */
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
  const shard = {
    phase: { kind: 'open' },
    now: () => clock.now(),
    changed: () => new Promise<void>(() => undefined),
    due: { listen: () => undefined, begin: () => undefined, soonest: Number.POSITIVE_INFINITY },
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
  /** The actor of row `at` has served it. */
  const answer = (at: number): void => {
    present.delete(keys[at] as string)
    calls[at]?.reply(false)
  }
  return { clock, system, shard, calls, answer, alarms }
}

test('beyond 10,000 slow actors others wait until one of them answers', async () => {
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
