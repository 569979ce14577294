/** The removal of the rows of a durable worker that is out of the tree. */
import { expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  KeelsonError,
  name,
  reply,
  supervisor,
  terminateChild,
  worker,
} from '../../../src/index.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { add: (by: number) => number; note: (row: string) => void } }

const counter: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    add: (count, by) => reply(count + by, count + by),
    note: (count, row, context) => {
      context.rows.put(row, 'x')
      return reply(undefined, count)
    },
  },
}

/** An instance without the worker `gone`, which has left rows. */
const left = async (): Promise<Simulation> => {
  const part = worker('gone', counter, { durable: true })
  const s = await simulated({ app: supervisor('app', {}, [part]) })
  const ref = s.app.system.to(name<Messages>('gone'))
  await s.during(call(ref, 'add', 1))
  await s.during(call(ref, 'note', 'own'))
  await s.close()
  await s.start({ app: supervisor('app', {}, []) })
  return s
}

/** How often the worker was called in the life that its rows are of. */
const turnsOf = async (s: Simulation): Promise<number> =>
  (await s.during(s.app.workerHistory('gone'))).turns.filter(({ cause }) => cause.kind !== 'end')
    .length

test('is refused with NO_SPACE on a full disk, and leaves the rows', async () => {
  const s = await left()
  await fillDisk(s)
  expect(await s.during(codeOf(s.app.deleteWorker('gone')))).toBe('NO_SPACE')
  freeDisk(s)
  await s.advance(1_000)
  expect(await turnsOf(s)).toBe(2)
  expect(await s.during(s.app.deleteWorker('gone'))).toBe(true)
})

test('has an unknown outcome if its sync fails, which a second one settles', async () => {
  const s = await left()
  failNextSync(s.disk)
  expect(await s.during(codeOf(s.app.deleteWorker('gone')))).toBe('UNKNOWN_OUTCOME')
  expect(await s.during(codeOf(s.app.deleteWorker('gone')))).toBe('SHARD_DOWN')

  await s.during(s.app.control.reopen(0))
  await s.during(s.app.deleteWorker('gone'))
  expect(await s.during(s.app.deleteWorker('gone'))).toBe(false)
})

test('of two at once is done by one, and the other says so', async () => {
  const s = await left()
  const both = [s.app.deleteWorker('gone'), s.app.deleteWorker('gone')].map(codeOf)
  expect(await s.during(Promise.all(both))).toEqual(['ok', 'CONFLICT'])
  expect(await s.during(s.app.deleteWorker('gone'))).toBe(false)
})

test('of a worker that was blocked, or has failed, leaves nothing of it in the health', async () => {
  let isRefused = false
  const failing: DurableServer<
    { calls: { begin: () => void }; continues: { work: () => void } },
    number
  > = {
    init: () => 0,
    wake: () => {
      if (isRefused) throw new KeelsonError('BLOCKED', 'not this one')
    },
    calls: { begin: (count) => reply(undefined, count, { continue: ['work'] }) },
    continues: {
      work: () => {
        throw new Error('the bank is away')
      },
    },
  }
  const part = worker('gone', failing, { durable: true })
  const s = await simulated({ app: supervisor('app', { name: 'tree' }, [part]) })
  const { actors: none } = s.app.health()
  await s.during(call(s.system.to(name('gone')) as never, 'begin' as never))
  isRefused = true
  s.system.kill(name('gone'))
  await s.advance(1_000)
  const { blocked, failing: failed } = s.app.health().actors
  expect([blocked.count, failed.count]).toEqual([1, 1])

  await s.during(terminateChild(s.system.to(name('tree')), 'gone'))
  expect(s.app.health().actors.blocked.count).toBe(0)
  expect(await s.during(s.app.deleteWorker('gone'))).toBe(true)
  expect(s.app.health().actors).toEqual(none)
})
