/**
 * `keelson start` runs piped lines in order, and ends in order: at the end of its input, at a
 * signal, and with its tree.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn, hangingWorker, treeWith, write } from '../../support/commands/command-project.ts'
import { program, runKeelson, startKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { sampled } from '../../support/tier.ts'

/**
 * A program that says `it stays` when the process that loads it has not ended by itself meanwhile.
 */
const stays = pathToFileURL(join(import.meta.dirname, '../../support/programs/stays.mjs'))

/** What `keelson doctor` says of the log that a command left. */
const verdictOf = async (dir: string): Promise<string | undefined> => {
  const { output } = await commandHere(['doctor', 'keelson-data'], dir)
  return /^shard 0 {2}(.*?): /m.exec(output)?.[1]
}

describe('keelson start (needs the build)', () => {
  test('runs piped lines in order, awaiting each, and ends in order with status 0', async () => {
    const dir = tempFolder()
    const lines = [
      "await store.put('a', { n: 1 })",
      "store.put('b', [1, 2])",
      "store.get('a')",
      "const both = await Promise.all([store.delete('a'), store.get('b')])",
      'both[0].existed',
      'both[1]',
      'nobody',
      "store.put('', 1)",
      "[store.has('a'), store.has('b')]",
    ]

    const { status, output } = await runKeelson(['start'], dir, lines.join('\n'))

    const answers = output.split('\n').filter((line) => !line.startsWith('  '))
    expect(answers).toEqual([
      '{ position: { shard: 0, lsn: 1 } }',
      '{ position: { shard: 0, lsn: 2 } }',
      '{ n: 1 }',
      'undefined',
      'true',
      '[ 1, 2 ]',
      'ReferenceError: nobody is not defined',
      expect.stringMatching(/^INVALID_ARGUMENT: /),
      '[ false, true ]',
      '',
    ])
    expect(status).toBe(0)
    expect(readdirSync(dir)).toEqual(['keelson-data'])
  })

  test('shows of the crash of a server in a thread as much as its formatStatus does', async () => {
    const dir = tempFolder()
    const vault = join(import.meta.dirname, '../../support/programs/thread-vault.mjs')
    const keelson = join(program, '../../../index.js')
    const lines = [
      `const { threadServer } = await import(${JSON.stringify(keelson)})`,
      `const vault = await app.system.start(threadServer(${JSON.stringify(vault)}), undefined)`,
      'const ended = new Promise((resolve) => app.system.monitor(vault, resolve))',
      "const one = await call(vault, 'login', 'hunter3').catch(String)",
      'void await ended',
      "one.includes('wrong password')",
      'crashes()',
      'log()',
      'health()',
    ]

    const { output, errors } = await runKeelson(['start'], dir, lines.join('\n'))

    expect(output).toMatch(/^true$/m)
    expect(output).toMatch(/error thread <\d+> ended: wrong password/)
    expect(output + errors).not.toContain('hunter')
  })

  test('finds its acknowledged writes again, and says that it was closed in order', async () => {
    const dir = tempFolder()
    const words = ['start', '--dir', 'd']
    await commandHere(words, dir, { input: "store.put('a', 1)" })

    const { output } = await commandHere(words, dir, { input: "store.get('a')\nwal()" })

    expect(output).toMatch(/^1\ndisk .*\n(?:.+\n)+\nshard 0 {2}open\n/)
    expect(output).toContain('closed cleanly')
  })

  test('loses nothing that it acknowledged to kill -9', async () => {
    const dir = tempFolder()
    const lines = [
      'var puts = Array.from({ length: 500 }, (_, i) => store.put("k" + i, i))',
      '(await Promise.all(puts)).length',
      "process.kill(process.pid, 'SIGKILL')",
    ]
    const killed = await runKeelson(['start'], dir, lines.join('\n'))
    expect([killed.signal, killed.output]).toEqual(['SIGKILL', 'undefined\n500\n'])

    const again = await commandHere(['start'], dir, {
      input:
        'store.getMany(Array.from({ length: 500 }, (_, i) => "k" + i)).every((v, i) => v === i)',
    })

    expect([again.status, again.output]).toEqual([0, 'true\n'])
  })

  test.each(sampled(['SIGINT', 'SIGTERM'] as const, 1))(
    'closes in order at %s, and says so',
    async (signal) => {
      const dir = tempFolder()
      const command = startKeelson(['start'], dir)
      await command.write("await store.put('a', 1)\n")
      await command.says('lsn: 1')

      command.process.kill(signal)
      const { status, errors } = await command.ended

      expect(status).toBe(0)
      expect(errors).toContain(`${signal}: ending in order`)
      expect(await verdictOf(dir)).toBe('clean, closed')
    },
  )

  test('stays with a line that never settles, and closes in order at a signal', async () => {
    const dir = tempFolder()
    const command = startKeelson(['start'], dir)
    const never = `void import('${stays}'), await new Promise(() => {})`
    command.process.stdin?.end(`await store.put('a', 1)\n${never}`)
    await command.says('it stays', 'errors')

    command.process.kill('SIGTERM')
    const { status, errors } = await command.ended

    expect([status, errors.includes('SIGTERM: ending in order')]).toEqual([0, true])
    expect(await verdictOf(dir)).toBe('clean, closed')
  })

  test('whose tree never gets ready is ended in order by a signal', async () => {
    const dir = tempFolder()
    write(
      dir,
      'slow.mjs',
      `export const server = {
        init: () => {
          void import('${stays}')
          return new Promise(() => {})
        },
        calls: {}, casts: {},
      }`,
    )
    write(dir, 'keelson.config.json', treeWith('./slow.mjs'))
    const command = startKeelson(['start', '--dir', 'd'], dir)
    await command.says('it stays', 'errors')

    command.process.kill('SIGTERM')
    const { status, errors } = await command.ended

    expect([status, errors.includes('SIGTERM: ending in order')]).toEqual([143, true])
    // The start made the folder, and was refused by the signal.
    expect(readdirSync(dir).sort()).toEqual(['keelson.config.json', 'slow.mjs'])
  })

  test('whose configuration never loads is ended by a signal, with nothing on disk', async () => {
    const dir = tempFolder()
    write(dir, 'keelson.config.mjs', `import '${stays}'\nawait new Promise(() => {})`)
    const command = startKeelson(['start'], dir)
    await command.says('it stays', 'errors')

    command.process.kill('SIGINT')

    expect((await command.ended).status).toBe(130)
    expect(readdirSync(dir)).toEqual(['keelson.config.mjs'])
  })

  test('ends at once at the second signal', async () => {
    const dir = tempFolder()
    write(dir, 'stuck.mjs', hangingWorker)
    write(dir, 'keelson.config.json', treeWith('./stuck.mjs'))
    const command = startKeelson(['start'], dir)
    await command.write('1\n')
    await command.says('1')

    command.process.kill('SIGINT')
    await command.says('hanging', 'errors')
    command.process.kill('SIGTERM')

    expect((await command.ended).status).toBe(143)
  })

  test('ends with status 1 and the reason when the root supervisor gives up', async () => {
    const dir = tempFolder()
    // It is back after a few turns of the event loop; a kill before that would not count.
    const kills = Array.from({ length: 4 }, () => [
      "kill('shards')",
      'for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))',
    ]).flat()
    const command = startKeelson(['start'], dir)
    await command.write(`${kills.join('\n')}\n`)

    const { status, errors } = await command.ended

    expect([status, codeIn(errors)]).toEqual([1, 'EXITED'])
  })

  test('survives an unhandled rejection at the prompt', async () => {
    const dir = tempFolder()
    const lines = [
      "void Promise.reject(new Error('stray'))",
      'await new Promise((resolve) => setImmediate(resolve))',
      '1 + 1',
    ]

    const { status, output, errors } = await runKeelson(['start'], dir, lines.join('\n'))

    expect([status, output]).toEqual([0, 'undefined\nundefined\n2\n'])
    expect(errors).toContain('was not handled: Error: stray')
  })
})
