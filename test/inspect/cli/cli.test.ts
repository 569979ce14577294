/**
 * The command line: unknown words are refused with the way to the help, and stacks are printed on request.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn } from '../../support/commands/command-project.ts'
import { runKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

describe('the command line (needs the build)', () => {
  for (const words of [['stop'], ['start', '--nonsense'], ['history', 'a']])
    test(`is refused with status 2 and the reason alone: keelson ${words.join(' ')}`, async () => {
      const { status, errors, output } = await commandHere(words, tempFolder())

      expect([status, codeIn(errors), output]).toEqual([2, 'INVALID_ARGUMENT', ''])
      expect(errors.trimEnd().split('\n')).toEqual([
        expect.stringContaining('command line: '),
        'keelson help lists the commands and their options',
      ])
    })

  test('prints its version and its help on standard output', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))

    expect((await runKeelson(['--version'], tempFolder())).output).toBe(`${version}\n`)
    expect((await commandHere([], tempFolder())).output).toMatch(/^Usage:/)
  })

  test('shows a stack only when asked to', async () => {
    const words = ['start', '--config', 'no.ts']

    expect((await commandHere(words, tempFolder())).errors).not.toMatch(/^\s+at /m)
    expect((await commandHere([...words, '--verbose'], tempFolder())).errors).toMatch(/^\s+at /m)
    const debug = await commandHere(words, tempFolder(), { variables: { KEELSON_DEBUG: '1' } })
    expect(debug.errors).toMatch(/^\s+at /m)
  })
})
