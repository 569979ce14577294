/** Durable workers of a shard that leaves: what they get goes to the next owner, and no supervisor holds them up. */
import { expect, test } from 'vitest'
import { passed } from '../../../src/clock.ts'
import {
  call,
  cast,
  type DurableServer,
  type GenServer,
  name,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = {
  calls: { wait: (ms: number) => number; read: () => number; begin: () => null }
  casts: { note: () => void }
  continues: { charge: () => void }
}

/** How long a step takes. */
let chargeMs = 0

const counter: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    wait: async (count, ms, { system }) => {
      await passed(system.clock, ms)
      return reply(count + 1, count + 1)
    },
    read: (count) => reply(count, count),
    begin: (count) => reply(null, count, { continue: ['charge'] }),
  },
  casts: { note: (count) => noReply(count + 1) },
  continues: {
    charge: async (count, _, { system }) => {
      await passed(system.clock, chargeMs)
      return noReply(count)
    },
  },
}

/** It ends late. */
const patient: DurableServer<Messages, number> = {
  ...counter,
  wake: (_, context) => context.trapExit(true),
  terminate: (_state, _reason, { system }) => passed(system.clock, 1_000),
}

const named = (prefix: string): string[] => Array.from({ length: 8 }, (_, at) => `${prefix}-${at}`)
const openAt = (member: App): readonly number[] =>
  member.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)
const workerAt = (member: App, id: string) => member.system.to(name<Messages>(id))

const started = async (tree: () => ReturnType<typeof supervisor>) => {
  const world = new FolderMembers(['a', 'b', 'c'], {}, { arrivalMs: 500 })
  const given = () => ({ app: tree() })
  const [a, b] = (await world.start(['a', 'b'], given)) as [App, App]
  await world.clock.advance(3_000)
  return { world, a, b, given, during: world.during.bind(world) }
}

test('a durable worker that leaves loses no cast and no call, also while others beside it end', async () => {
  const ids = [...named('quick'), ...named('patient')]
  const { world, a, b, given, during } = await started(() =>
    supervisor(
      'app',
      {},
      ids.map((id) => worker(id, id.startsWith('quick') ? counter : patient, { durable: true })),
    ),
  )
  const answers: Promise<unknown>[] = []
  let isOver = false
  let rounds = 0
  const load = (async () => {
    for (; !isOver; rounds++) {
      for (const member of [a, b])
        for (const id of ids) {
          expect(cast(workerAt(member, id), 'note')).toBe(true)
          answers.push(call(workerAt(member, id), 'wait', 0, { timeoutMs: 60_000 }))
        }
      await passed(world.clock, 200)
    }
  })()
  const [c] = (await world.start(['c'], given)) as [App]
  await world.clock.advance(6_000)
  isOver = true
  await during(load)
  expect(openAt(c).length).toBeGreaterThan(0)
  await during(Promise.all(answers))

  for (const id of ids) expect(await during(call(workerAt(c, id), 'read'))).toBe(4 * rounds)
})

test('the shard of a durable worker leaves soon under calls that never pause, from its member too', async () => {
  const ids = named('worker')
  const { world, a, b, given, during } = await started(() =>
    supervisor(
      'app',
      {},
      ids.map((id) => worker(id, counter, { durable: true })),
    ),
  )
  let isOver = false
  let longestMs = 0
  const callAgain = async (member: App, id: string): Promise<void> => {
    while (!isOver) {
      const since = world.clock.monotonic()
      await call(workerAt(member, id), 'wait', 20)
      longestMs = Math.max(longestMs, world.clock.monotonic() - since)
    }
  }
  const callers = [a, b].flatMap((member) => ids.map((id) => callAgain(member, id)))
  const [c] = (await world.start(['c'], given)) as [App]
  await world.clock.advance(3_000)
  isOver = true
  await during(Promise.all(callers))
  expect(openAt(c).length).toBeGreaterThan(0)
  expect(longestMs).toBeLessThan(400)
})

test('a durable worker leaves while its supervisor starts a child that waits for its answer', async () => {
  let asks = false
  const sums: unknown[] = []
  /** It asks the till before it has begun. */
  const asker: GenServer<Record<never, never>, null> = {
    init: async (_, context) => {
      if (!asks) return null
      asks = false
      const till = context.to(name<Messages>('till'))
      sums.push(await call(till, 'wait', 0, { timeoutMs: 60_000 }))
      return null
    },
  }
  const { world, a, b, during } = await started(() =>
    supervisor('app', { strategy: 'rest_for_one' }, [
      worker('till', counter, { durable: true }),
      worker('asker', asker),
    ]),
  )
  const shard = a.store.shardOf('{$worker/till}')
  const [owner, other] = openAt(a).includes(shard) ? [a, b] : [b, a]
  chargeMs = 100_000
  await during(call(workerAt(owner, 'till'), 'begin'))
  await world.clock.advance(10)
  asks = true
  owner.system.kill(name('asker'))
  await world.clock.advance(10)
  expect([asks, sums]).toEqual([false, []])
  // The step begins again at the next owner.
  chargeMs = 0
  const closing = owner.close()
  await world.clock.advance(5_000)

  expect(openAt(other)).toHaveLength(4)
  expect(sums).toEqual([1])
  await during(closing)
})
