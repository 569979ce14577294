/** How a group of writes ends: refused as a whole, withdrawn, committed. */
import { expect, onTestFinished, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import type { CommitRequest, LogHost } from '../../../src/storage/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/**
 * A machine with a log that refuses commits while `refusing` is set. `commits` has the memory of
 * each commit.
 */
const world = async () => {
  const log = { refusing: false, commits: [] as ArrayBufferLike[] }
  const aroundLog = (host: LogHost): LogHost => ({
    run: (kind, request) => {
      if (kind !== 'commit') return host.run(kind, request)
      if (log.refusing) return Promise.reject(new KeelsonError('TOO_LARGE', 'not today'))
      log.commits.push((request as CommitRequest).bytes.buffer)
      return host.run(kind, request)
    },
    end: () => host.end(),
  })
  const machine = new SimulatedMachine({ aroundLog })
  const { clock } = machine
  const system = createSystem({ clock, logger: silentLogger })
  const wal = { idleMarkerMs: 0, maxFileSize: 1024 * 1024 }
  const app = await machine.start({ dir: '/data', system, wal })
  onTestFinished(() => void app.close())
  const during = <T>(work: Promise<T>, withinMs?: number) => machine.during(work, { withinMs })
  return { app, during, machine, clock, log }
}

test('a group that the log refuses as a whole fails each caller with the refusal, and the log continues', async () => {
  const { app, during, log } = await world()
  log.refusing = true
  const codes = ['a', 'b'].map((key) => codeOf(app.store.put(key, 1)))
  expect(await during(Promise.all(codes))).toEqual(['TOO_LARGE', 'TOO_LARGE'])
  log.refusing = false
  await during(app.store.put('a', 2))
  expect([app.store.get('a'), app.store.get('b')]).toEqual([2, undefined])
})

test('a group abandoned by all its callers is never written, and ends', {
  tags: ['slow'],
}, async () => {
  const { app, during, machine, log, clock } = await world()
  machine.syncMs = 50
  const first = app.store.put('a', 1)
  await clock.settle()
  const codes = ['b', 'c'].map((key) => codeOf(app.store.put(key, 1, { deadlineMs: 10 })))
  await clock.advance(20)
  expect(await Promise.all(codes)).toEqual(['NOT_SUBMITTED', 'NOT_SUBMITTED'])
  await during(first)
  await during(app.store.settled(), 50)
  expect(log.commits).toHaveLength(1)
})

test('a write whose deadline is Infinity is never withdrawn', async () => {
  const { app, machine, clock } = await world()
  machine.syncMs = 31_000
  const first = codeOf(app.store.put('a', 1))
  await clock.settle()
  const second = codeOf(app.store.put('b', 1, { deadlineMs: Number.POSITIVE_INFINITY }))
  const third = codeOf(app.store.put('c', 1))
  await clock.advance(100_000)
  expect(await Promise.all([first, second, third])).toEqual([
    'UNKNOWN_OUTCOME',
    'ok',
    'NOT_SUBMITTED',
  ])
})

test('the memory of a large group is reused', async () => {
  const { app, during, log } = await world()
  for (let at = 0; at < 3; at++) await during(app.store.put('k', Buffer.alloc(100_000, at)))
  expect(log.commits).toHaveLength(3)
  // Memory that went as a message comes back as another object, here that of the first commit.
  expect(new Set(log.commits).size).toBe(2)
})
