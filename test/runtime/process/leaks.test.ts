/**
 * The runtime keeps nothing of ended processes. A million processes, links, monitors, timers,
 * names and calls are made and ended around two processes that live on, in a process of its own
 * whose heap is measured after full collections.
 *
 * The limit is 12 bytes for each. The smallest thing that can be forgotten is an entry of a set and
 * the object in it, 50 bytes and more; what a full collection leaves besides (compiled code, a
 * table that grew) does not grow with the count and is at most 4 bytes for each of so many. The
 * clock is virtual: nothing depends on how busy the machine is.
 */
import { expect, test } from 'vitest'
import { childProgram } from '../../support/child-program.ts'

const countOfEach = 60_000
const bytesMax = 12

test('a million processes, links, monitors, timers, names and calls leave the heap where it was', async () => {
  const kinds: { kind: string; count: number; bytesEach: number }[] = []
  const program = childProgram('runtime-leaks.mjs', [String(countOfEach)], (line) =>
    kinds.push(JSON.parse(line)),
  )

  expect(await program.ended, program.stderr()).toEqual({ code: 0, signal: null })
  expect(kinds.filter(({ bytesEach }) => bytesEach > bytesMax)).toEqual([])
  expect(kinds.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(1_000_000)
})
