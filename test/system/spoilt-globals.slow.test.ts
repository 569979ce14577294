/** An application that has spoilt all state that it shares with the packages that Keelson uses. */
import { expect, test } from 'vitest'
import { childProgram } from '../support/commands/child-program.ts'
import { tempFolder } from '../support/temp-folder.ts'

test('what it puts before a kill is read by it, and by an application that has spoilt nothing', async () => {
  const dir = tempFolder()
  const lines: string[] = []
  let errors = ''
  const live = async (...words: readonly string[]): Promise<void> => {
    const child = childProgram('spoilt-globals.mjs', [dir, ...words], (line) => lines.push(line))
    await child.ended
    errors += child.stderr()
  }

  await live('spoilt', 'dies')
  await live('spoilt', 'closes')
  await live('plain', 'closes')

  expect(lines, errors).toEqual(['the same', 'the same', 'the same'])
})
