/**
 * The command line: unknown words are refused with the way to the help, and stacks are printed on request.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { start } from 'keelson'
import { describe, expect, onTestFinished, test } from 'vitest'
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

  test.each([
    ['observe', ['--dir', 'd']],
    ['backup', ['d', '--to', 'to']],
  ])(
    'ends %s at the first signal while its instance is too busy to greet',
    { tags: ['slow'] },
    async (word, given) => {
      const cwd = tempFolder()
      const app = await start({ dir: join(cwd, 'd') })
      onTestFinished(() => app.close().then(() => undefined))
      const server = createServer().listen(join(cwd, 'd/attach.sock'))
      onTestFinished(() => void server.close())
      const connected = once(server, 'connection')
      const onSignal = (listener: (signal: 'SIGINT') => void) => {
        void connected.then(() => listener('SIGINT'))
        return () => undefined
      }

      const { status } = await commandHere([word, ...given], cwd, { onSignal })

      expect(status).toBe(130)
      const [socket] = await connected
      await once(socket.resume(), 'close')
    },
  )

  test('shows a stack only when asked to', async () => {
    const words = ['start', '--config', 'no.ts']

    expect((await commandHere(words, tempFolder())).errors).not.toMatch(/^\s+at /m)
    expect((await commandHere([...words, '--verbose'], tempFolder())).errors).toMatch(/^\s+at /m)
    const debug = await commandHere(words, tempFolder(), { variables: { KEELSON_DEBUG: '1' } })
    expect(debug.errors).toMatch(/^\s+at /m)
  })
})
