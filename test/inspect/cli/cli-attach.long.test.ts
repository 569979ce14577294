/** `keelson attach`: the prompt of a service, from a pipe and on a terminal. The service outlives it. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn, write } from '../../support/commands/command-project.ts'
import {
  runKeelson,
  startKeelson,
  startOnTerminal,
} from '../../support/commands/keelson-command.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** `keelson run` in `dir`, which is ready. */
const service = async (dir: string) => {
  const running = startKeelson(['run', '--dir', 'd'], dir, {}, 'ignore')
  await running.says('ready: ')
  return running
}

const attach = ['attach', '--dir', 'd']

const noScript =
  process.platform === 'linux' ? undefined : 'a terminal needs the `script` of util-linux'

describe('keelson attach (needs the build)', () => {
  test('runs piped lines in the service, prints what they give, and leaves it running', async () => {
    const dir = tempFolder()
    const running = await service(dir)
    const lines = [
      'process.pid',
      "store.put('a', { b: 1 })",
      'nothing',
      'await new Promise((resolve) => setImmediate(resolve, Promise.reject(7) && 1))',
      "console.log('told', 1)",
      `'${'x'.repeat(1024 * 1024)}'`,
      "store.get('a')",
    ]

    const first = await runKeelson(attach, dir, lines.join('\n'))
    const second = await commandHere(attach, dir, { input: "store.get('a')\nexit\n1" })

    expect([first.status, first.errors]).toEqual([0, ''])
    // The slip is told when the event loop has its turn: before the answer to its line, or behind it.
    const slip = 'A rejected promise was not handled: thrown: 7'
    const printed = first.output.split('\n')
    expect([3, 4]).toContain(printed.indexOf(slip))
    expect(printed.filter((line) => line !== slip)).toEqual([
      String(running.process.pid),
      '{ position: { shard: 0, lsn: 1 } }',
      'ReferenceError: nothing is not defined',
      '1',
      'told 1',
      'undefined',
      expect.stringMatching(/^TOO_LARGE: /),
      '{ b: 1 }',
      '',
    ])
    expect([second.status, second.output]).toEqual([0, '{ b: 1 }\n'])
    await running.says('a rejected promise was not handled: thrown: 7', 'errors')
    running.process.kill('SIGTERM')
    expect((await running.ended).status).toBe(0)
  })

  test('finds the service of the configuration in its folder', async () => {
    const dir = tempFolder()
    write(dir, 'keelson.config.json', JSON.stringify({ dir: './own' }))
    const running = startKeelson(['run'], dir, {}, 'ignore')
    await running.says('ready: ')

    expect(await commandHere(['attach'], dir, { input: 'app.dir' })).toMatchObject({
      status: 0,
      output: `'${join(dir, 'own')}'\n`,
    })
  })

  test('says what to do where nothing takes prompts, with status 1', async () => {
    const dir = tempFolder()
    write(dir, 'off.json', JSON.stringify({ attach: false }))
    const off = startKeelson(['run', 'off.json', '--dir', 'd'], dir, {}, 'ignore')
    await off.says('ready: ')

    for (const folder of ['missing', 'd']) {
      const { status, output, errors } = await commandHere(['attach', '--dir', folder], dir, {
        input: '1',
      })
      expect([status, output, codeIn(errors)]).toEqual([1, '', 'NO_PROCESS'])
      expect(errors).toContain('`keelson run --dir DIR`')
    }
  })

  test('is told when the service is killed; the next one takes the place of its socket', async () => {
    const dir = tempFolder()
    const killed = await service(dir)
    const prompt = startKeelson(attach, dir)
    await prompt.write('1 + 1\n')
    await prompt.says('2\n')

    killed.process.kill('SIGKILL')
    const { status, errors } = await prompt.ended
    expect([status, codeIn(errors)]).toEqual([1, 'CLOSED'])
    expect(readdirSync(join(dir, 'd'))).toContain('attach.sock')
    expect((await commandHere(attach, dir, { input: '1' })).status).toBe(1)
    expect(await commandHere(['doctor', 'd'], dir)).toMatchObject({ status: 0 })
    expect(await commandHere(['backup', 'd', '--to', 'b'], dir)).toMatchObject({ status: 0 })

    await service(dir)
    const again = await commandHere(attach, dir, { input: '3' })
    expect(again).toMatchObject({ status: 0, output: '3\n' })
  })

  test('is told when the service ends, and ends with the status of a signal', async () => {
    const dir = tempFolder()
    const running = await service(dir)
    const [told, signalled] = [startKeelson(attach, dir), startKeelson(attach, dir)]
    for (const prompt of [told, signalled]) {
      await prompt.write('1 + 1\n')
      await prompt.says('2\n')
    }
    await signalled.write('new Promise(() => {})\n')

    signalled.process.kill('SIGTERM')
    expect((await signalled.ended).status).toBe(143)
    running.process.kill('SIGTERM')
    const { status, errors } = await told.ended
    expect([status, errors]).toEqual([1, 'CLOSED: the instance has ended\n'])
    expect((await running.ended).status).toBe(0)
  })
})

describe.skipIf(lacks(noScript))('keelson attach on a terminal (needs the build)', () => {
  test('greets, completes, leaves a line alone at Ctrl-C, and ends at Ctrl-D', async () => {
    const dir = tempFolder()
    const running = await service(dir)
    const prompt = startOnTerminal(attach, dir)
    await prompt.says(`process ${running.process.pid}`)
    await prompt.says('keelson> ')

    await prompt.write('control.flushA\t')
    await prompt.says('control.flushAll')
    await prompt.write('()\r')
    await prompt.says('outcomes')
    await prompt.write("new Promise(() => console.error('it', 'waits'))\r")
    await prompt.says('it waits')
    await prompt.write('\x03')
    await prompt.says('left alone')
    await prompt.write('40 + 2\r')
    await prompt.says('42')
    await prompt.write('\x04')

    const { status, output } = await prompt.ended
    expect(status).toBe(0)
    expect(stripVTControlCharacters(output)).toContain('keelson> control.flushAll()')
    expect(running.process.exitCode).toBeNull()
  })

  test('says in a line of its own that the service has ended', async () => {
    const dir = tempFolder()
    const running = await service(dir)
    const prompt = startOnTerminal(attach, dir)
    await prompt.says('keelson> ')

    running.process.kill('SIGTERM')

    const { status, output } = await prompt.ended
    expect(status).toBe(1)
    expect(stripVTControlCharacters(output)).toMatch(
      /keelson> \r\nCLOSED: the instance has ended\r\n$/,
    )
  })
})
