/**
 * An instance that has ended leaves nothing in the heap. Each kind is measured after full collections, in a process of its own
 * that interprets: machine code and its notes grow with what V8 chooses to compile, by some kB a start in the first hundreds.
 */
import { expect, test } from 'vitest'
import { childProgram } from '../support/commands/child-program.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { thorough } from '../support/tier.ts'

const flags = ['--no-opt', '--no-sparkplug', '--no-flush-bytecode']
const countOfEach = thorough(30, 200)
/** A forgotten process takes more. A power cut leaves the lines of its log, and what was written is on a disk in memory. */
const bytesMax = (kind: string) => (kind.includes('power cut') ? 20_000 : 2_000)

test('instances that were closed or lost their power leave the heap where it was', {
  timeout: 600_000,
}, async () => {
  const kinds: { kind: string; bytesEach: number }[] = []
  const program = childProgram(
    'instance-leaks.mjs',
    [tempFolder(), String(countOfEach)],
    (line) => kinds.push(JSON.parse(line)),
    flags,
  )

  expect(await program.ended, program.stderr()).toEqual({ code: 0, signal: null })
  expect(kinds).toHaveLength(4)
  expect(kinds.filter(({ kind, bytesEach }) => bytesEach > bytesMax(kind))).toEqual([])
})
