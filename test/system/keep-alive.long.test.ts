/** Whether an open instance holds Node's process open, in real processes. */
import { expect, test } from 'vitest'
import { childProgram } from '../support/commands/child-program.ts'
import { tempFolder } from '../support/temp-folder.ts'

const lived = async (...calls: string[]) => {
  const lines: string[] = []
  const { ended, stderr } = childProgram('open-instance.mjs', [tempFolder(), ...calls], (line) =>
    lines.push(line),
  )
  const { code } = await ended
  return { lines, code, stderr: stderr() }
}

test.each([
  ['holds Node open until it is closed, though nothing happens in it', [], ['open', 'stays']],
  ['lets Node end after unref, whatever timers of its own are due', ['unref'], ['open']],
  ['holds Node open again after ref', ['unref', 'ref'], ['open', 'stays']],
])('an open instance %s', async (_, calls, lines) => {
  expect(await lived(...calls)).toEqual({ lines, code: 0, stderr: '' })
})
