/** Where a log in an engine ends, and when a copy lacks too much of it. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { EngineCalls } from '../../../src/members/engine-log/engine-calls.ts'
import { isOutdated, type LogEnd, movedEnd } from '../../../src/members/engine-log/log-end.ts'
import { ownedLogHost } from '../../../src/members/engine-log/owned-log-host.ts'
import { noUploads } from '../../support/worlds/engine-machine.ts'
import { payload, small } from '../../support/worlds/logs.ts'
import { SimulatedEngine } from '../../support/worlds/simulated-engine.ts'

const patienceMs = 5_000

test('a log has moved when it has another last group, and its bytes are those before that one', async () => {
  const clock = virtualClock()
  const engine = new SimulatedEngine({ clock })
  engine.makeLog('c', '0')
  const log = engine.connect('c').log('0')
  const calls = new EngineCalls(clock)
  expect(await movedEnd(log, calls, undefined)).toBeUndefined()

  const host = ownedLogHost({ log, clock, patienceMs, uploads: noUploads })
  const inspection = await host.run('inspect', { dir: '', options: small, evidence: [] })
  await host.run('open', { dir: '', options: small, inspection })
  const first = await movedEnd(log, calls, undefined)
  expect(first).toMatchObject({ lsn: 1, bytes: 0, trimmedLsn: 0 })
  expect(await movedEnd(log, calls, first)).toBeUndefined()

  for (const bytes of [payload(2), payload(3)]) {
    const lengths = [bytes.length]
    await host.run('commit', { bytes, lengths, now: 0, sync: true, projectedLsn: 0 })
  }
  const later = (await movedEnd(log, calls, first)) as LogEnd
  const kept = engine.kept('c', '0').groups
  const before = kept.slice(0, -1).reduce((sum, { bytes }) => sum + bytes.length, 0)
  expect(later.lsn).toBe(3)
  expect(later.bytes).toBeGreaterThan(0)
  expect(later.bytes).toBeLessThanOrEqual(before)
  // A log that was made again is another one.
  expect(await movedEnd(log, calls, { ...later, logId: 'other' })).toEqual(later)
  await host.end()
})

test('a copy is outdated when it lacks more than 1 MiB, is of another log, or lacks trimmed frames', () => {
  const copy = { logId: 'l', id: '5', lsn: 5, trimmedLsn: 0, bytes: 100 }
  const mib = 1024 * 1024
  expect(isOutdated(undefined, copy)).toBe(true)
  expect(isOutdated(copy, copy)).toBe(false)
  expect(isOutdated(copy, { ...copy, lsn: 9, bytes: 100 + mib })).toBe(false)
  expect(isOutdated(copy, { ...copy, lsn: 9, bytes: 101 + mib })).toBe(true)
  expect(isOutdated(copy, { ...copy, logId: 'm' })).toBe(true)
  expect(isOutdated(copy, { ...copy, lsn: 4, bytes: 90 })).toBe(true)
  expect(isOutdated(copy, { ...copy, lsn: 9, trimmedLsn: 5 })).toBe(false)
  expect(isOutdated(copy, { ...copy, lsn: 9, trimmedLsn: 6 })).toBe(true)
})
