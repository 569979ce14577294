/**
 * The runtime keeps nothing of ended processes. Processes, links, monitors, timers, names and calls,
 * a million in the full tier, are made and ended around two processes that live on, in a process of
 * its own whose heap is measured after full collections.
 *
 * The limit is below 50 bytes for each: the smallest thing that can be forgotten is an entry of a
 * set and the object in it. What a full collection leaves besides (compiled code, a table that
 * grew) does not grow with the count: it is at most 16 bytes for each of 20,000, and 4 for each of
 * 60,000. The clock is virtual: nothing depends on how busy the machine is. Nor does V8 compile on a
 * thread of its own, which holds what a slice has made while it works: 700 kB at one look, none at the next.
 */
import { expect, test } from 'vitest'
import { childProgram } from '../../support/commands/child-program.ts'
import { thorough } from '../../support/tier.ts'

const countOfEach = thorough(10_000, 60_000)
const bytesMax = thorough(30, 12)

test('a great many processes, links, monitors, timers, names and calls leave the heap where it was', async () => {
  const kinds: { kind: string; count: number; bytesEach: number }[] = []
  const program = childProgram(
    'runtime-leaks.mjs',
    [String(countOfEach)],
    (line) => kinds.push(JSON.parse(line)),
    ['--no-concurrent-recompilation'],
  )

  expect(await program.ended, program.stderr()).toEqual({ code: 0, signal: null })
  expect(kinds.filter(({ bytesEach }) => bytesEach > bytesMax)).toEqual([])
  expect(kinds.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(20 * countOfEach)
})
