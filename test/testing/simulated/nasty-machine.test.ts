/** What a nasty machine of the lives does that a kind one does not. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { seldomDying, unevenClock } from '../../support/worlds/nasty-machine.ts'

test('timers fire up to two ms early and a few ms late, and never before they were made', async () => {
  const clock = unevenClock(1)
  const late: number[] = []
  for (let at = 0; at < 400; at++) {
    const dueAt = clock.monotonic() + 10
    clock.after(10, () => late.push(clock.monotonic() - dueAt))
    await clock.advance(20)
  }
  const [earliest, latest] = [Math.min(...late), Math.max(...late)]
  expect(earliest).toBeGreaterThan(-2)
  expect(earliest).toBeLessThan(-1)
  expect(latest).toBeGreaterThan(0.5)
  expect(latest).toBeLessThan(3)
})

test('one thread at a time is to die, and the next one nine seconds later', async () => {
  const clock = virtualClock()
  const dying = seldomDying(1, clock)
  const calls = Array.from({ length: 50 }, () => dying('log')).filter((call) => call !== undefined)
  // The first doomed one has ended when the next log begins.
  expect(calls).toHaveLength(1)
  await clock.advance(9_000)
  const others = Array.from({ length: 50 }, (_, at) => dying(at % 2 ? 'blobs' : 'snapshots'))
  expect(others.filter((call) => call !== undefined)).toHaveLength(1)
})

test('a removed folder goes name by name, and a process that stops in between leaves the others', () => {
  const disk = simulatedDisk()
  disk.makeFolder('/d')
  for (const name of ['a', 'b', 'c']) disk.open(`/d/${name}`, 'create').close()
  disk.inject({ at: 2, operation: 'remove', fault: { kind: 'halt' } })
  expect(() => disk.remove('/d')).toThrow()
  disk.killProcess()
  expect(disk.list('/d')).toEqual(['b', 'c'])
})
