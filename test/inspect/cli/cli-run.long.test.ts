/** `keelson run` lives as a service: without input, driven by signals, and with a line that says ready. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn, hangingWorker, treeWith, write } from '../../support/commands/command-project.ts'
import { runKeelson, startByNpm, startKeelson } from '../../support/commands/keelson-command.ts'
import { folderInside } from '../../support/doc-examples.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { sampled } from '../../support/tier.ts'

/** A worker that writes into the file `said` when it starts and when it ends. */
const worker = `import { appendFileSync } from 'node:fs'
  export const server = {
    init: (_, context) => {
      context.trapExit(true)
      appendFileSync('said', 'begun ')
      return {}
    },
    calls: {}, casts: {},
    terminate: () => appendFileSync('said', 'ended '),
  }`

const serviceFolder = (module = worker): string => {
  const dir = tempFolder()
  write(dir, 'worker.mjs', module)
  write(dir, 'service.json', treeWith('./worker.mjs'))
  return dir
}

/** `keelson run` on the service of the folder, as a service manager starts it. */
const startService = (dir: string, command = 'run') =>
  startKeelson([command, 'service.json', '--dir', 'd'], dir, {}, 'ignore')

describe('keelson run (needs the build)', () => {
  test.each(sampled(['SIGTERM', 'SIGINT'] as const, 1))(
    'says ready on standard output, lives without input, and ends in order at %s',
    async (signal) => {
      const dir = serviceFolder()
      const service = startService(dir)
      await service.says('ready: ')
      expect(service.process.exitCode).toBeNull()

      service.process.kill(signal)
      const { status, output, errors } = await service.ended

      expect([status, output.split('\n').length]).toEqual([0, 2])
      expect(output).toMatch(/^\S+Z info {2}ready: Keelson \S+ {2}\S+\/d {2}1 shard\n$/)
      expect(errors).toContain(`${signal}: ending in order`)
      expect(readFileSync(join(dir, 'said'), 'utf8')).toBe('begun ended ')
      const after = await commandHere(['doctor', 'd'], dir)
      expect(after.output).toMatch(/^shard 0 {2}clean, closed: /m)
    },
  )

  test('is also keelson start without a terminal and without piped input', async () => {
    const dir = serviceFolder()
    const service = startService(dir, 'start')
    await service.says('ready: ')
    const prompt = await runKeelson(['attach', '--dir', 'd'], dir, 'app.health().durable')

    service.process.kill('SIGTERM')

    expect([prompt.output, (await service.ended).status]).toEqual(['true\n', 0])
  })

  test('is not ended by the end of its input, and reads none of it', async () => {
    const dir = tempFolder()
    const service = startKeelson(['run'], dir)
    service.process.stdin?.end("console.log('read')\n")
    await service.says('ready: ')

    service.process.kill('SIGTERM')
    const { status, output } = await service.ended

    expect([status, output.includes('read\n')]).toEqual([0, false])
  })

  test('is not ready before the whole tree has started; a signal then ends it with its status', async () => {
    const dir = serviceFolder(`export const server = {
      init: () => {
        process.stderr.write('beginning')
        return new Promise(() => {})
      },
      calls: {}, casts: {},
    }`)
    const service = startService(dir)
    await service.says('beginning', 'errors')

    service.process.kill('SIGTERM')
    const { status, output } = await service.ended

    expect([status, output]).toEqual([143, ''])
  })

  test.each([
    ['run', 'ignore'],
    ['start', 'pipe'],
  ] as const)(
    'as keelson %s ends at a signal while it waits for an engine',
    async (word, input) => {
      const dir = folderInside()
      write(
        dir,
        'keelson.config.mjs',
        `import { KeelsonError } from 'keelson'
      const open = async () => {
        throw new KeelsonError('UNKNOWN_OUTCOME', 'the engine is away')
      }
      const engine = { description: 'far', open }
      export default { cluster: { name: 'c', member: 'a', engine } }`,
      )
      const service = startKeelson([word], dir, {}, input)
      await service.says('waits for the engine: far: UNKNOWN_OUTCOME: the engine is away', 'errors')

      service.process.kill('SIGTERM')
      const { status, output } = await service.ended

      expect([status, output]).toEqual([143, ''])
    },
  )

  test('logs with time and level on standard error, or to the logger of its configuration', async () => {
    const dir = tempFolder()
    write(
      dir,
      'worker.mjs',
      `export const server = {
        init: (_, context) => { context.sendAfter(0, 'die'); return {} },
        calls: {}, casts: {}, infos: { die: () => { throw new Error('it dies') } },
      }`,
    )
    const app = JSON.stringify(JSON.parse(treeWith('./worker.mjs')).app)
    const file = JSON.stringify(join(dir, 'logged'))
    const own = `{ error: (text) => appendFileSync(${file}, text), warn() {}, info() {} }`
    write(dir, 'plain.mjs', `export default { app: ${app} }`)
    write(
      dir,
      'own.mjs',
      `import { appendFileSync } from 'node:fs'
       export default { app: ${app}, logger: ${own} }`,
    )

    const plain = await commandHere(['run', 'plain.mjs'], dir)
    await commandHere(['run', 'own.mjs'], dir)

    expect(plain.errors).toMatch(
      /^\d{4}-\S+Z error .* ended: Error: it dies\n {4}at .*worker\.mjs/m,
    )
    expect(plain.errors).not.toContain('server-loop')
    expect(readFileSync(join(dir, 'logged'), 'utf8')).toMatch(/ ended: Error: it dies/)
  })

  test('with --log json prints each line as JSON with time and level, failures too', async () => {
    const dir = serviceFolder(`export const server = {
      init: (_, context) => { context.sendAfter(0, 'die'); return {} },
      infos: { die: () => { throw new Error('it dies') } },
    }`)

    const { status, output, errors } = await commandHere(
      ['run', 'service.json', '--log', 'json'],
      dir,
    )

    const lines = `${output}${errors}`
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(status).toBe(1)
    for (const line of lines)
      expect(line).toMatchObject({
        time: expect.any(Number),
        level: expect.toBeOneOf([30, 40, 50]),
      })
    const messages = lines.map(({ msg }) => msg)
    for (const begun of [
      'ready: Keelson ',
      'recovering',
      'a ended: Error: it dies',
      'app: a was',
      'EXITED',
    ])
      expect(messages, begun).toContainEqual(expect.stringContaining(begun))
    expect(JSON.parse(output).msg).toMatch(/^ready: /)
    const crash = lines.find(({ msg }) => msg === 'a ended: Error: it dies')
    expect(crash).toMatchObject({ err: { stack: expect.stringContaining('worker.mjs') } })
  })

  test('with --log json has a line of an error that nobody handles and that ends the process', async () => {
    const dir = serviceFolder(`export const server = {
      init: () => { setImmediate(() => { throw new TypeError('in no process') }); return {} },
    }`)

    const { errors } = await runKeelson(['run', 'service.json', '--dir', 'd', '--log', 'json'], dir)

    const lines = errors.split('\n').flatMap((line) => (line[0] === '{' ? JSON.parse(line) : []))
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 50,
        msg: 'an error that nobody handled ends the process: TypeError: in no process',
        err: expect.objectContaining({ stack: expect.stringContaining('worker.mjs') }),
      }),
    )
  })

  test('names the command that looks at the damage when a log is damaged', async () => {
    const dir = serviceFolder()
    const put = (key: string) => `await store.put('${key}', 'v'.repeat(4_000))\n`
    await runKeelson(['start', '--dir', 'd'], dir, put('k') + put('l'))
    rmSync(join(dir, 'd', 'shard-0', 'lmdb'), { recursive: true })
    const wal = join(dir, 'd', 'shard-0', 'wal')
    const [segment = ''] = readdirSync(wal).filter((name) => name.endsWith('.wal'))
    const bytes = readFileSync(join(wal, segment))
    bytes[bytes.indexOf('v'.repeat(100)) + 7] = 0
    writeFileSync(join(wal, segment), bytes)

    const { status, errors } = await commandHere(['run', 'service.json', '--dir', 'd'], dir)

    expect(status).toBe(1)
    expect(errors).toMatch(/^CORRUPT: .* damaged at /m)
    expect(errors).toMatch(/^ {2}look: keelson doctor \S+\/d --deep$/m)
  })

  test('ends with status 1 when its tree has spent its restarts as often as giveUpAfter says', async () => {
    const dir = tempFolder()
    write(
      dir,
      'worker.mjs',
      `export const server = {
        init: (_, context) => { context.sendAfter(100, 'beat'); return {} },
        calls: {}, casts: {}, infos: { beat: () => { throw new Error('no route') } },
      }`,
    )
    const { app } = JSON.parse(treeWith('./worker.mjs'))
    write(dir, 'service.json', JSON.stringify({ app, giveUpAfter: 1 }))

    const { status, errors } = await startService(dir).ended

    expect([status, codeIn(errors)]).toEqual([1, 'EXITED'])
    expect(errors).toMatch(
      /error the instance ends: the tree app has spent its restarts 1 times within ten minutes; the last end: a: Error: no route/,
    )
    expect((await commandHere(['doctor', 'd'], dir)).output).toMatch(/^shard 0 {2}clean, closed: /m)
  })

  test('ends in order at a SIGTERM to the npm that started it, and outlives it no longer', async () => {
    const dir = serviceFolder()
    const service = startByNpm(['run', 'service.json', '--dir', 'd'], dir)
    await service.says('ready: ')

    service.process.kill('SIGTERM')
    // Its streams are at their end when the last process that has them has ended.
    const { errors } = await service.ended

    expect(errors).toContain('SIGTERM: ending in order')
    expect(readFileSync(join(dir, 'said'), 'utf8')).toBe('begun ended ')
    const after = await commandHere(['doctor', 'd'], dir)
    expect(after.output).toMatch(/^shard 0 {2}clean, closed: /m)
  })

  test('ends at once at the second signal, with that of the signal as its status', async () => {
    const dir = serviceFolder(hangingWorker)
    const service = startService(dir)
    await service.says('ready: ')

    service.process.kill('SIGTERM')
    await service.says('hanging', 'errors')
    service.process.kill('SIGINT')

    expect((await service.ended).status).toBe(130)
  })

  test('fails with status 78 for its configuration, and with 1 when its root gives up, and says why', async () => {
    const dir = serviceFolder()
    const wrong = await commandHere(['run', 'none.json'], dir)
    expect([wrong.status, codeIn(wrong.errors), wrong.output]).toEqual([78, 'CONFIG', ''])
    expect(readdirSync(dir)).not.toContain('keelson-data')

    write(
      dir,
      'service.mjs',
      `export default {
        app: {
          kind: 'supervisor', id: 'app', options: { intensity: 0 },
          children: [{ kind: 'worker', id: 'a', module: './worker.mjs', options: {} }],
        },
      }`,
    )
    write(
      dir,
      'worker.mjs',
      `export const server = {
        init: (_, context) => { context.sendAfter(context.self, 0, 'die'); return {} },
        calls: {}, casts: {}, infos: { die: () => { throw new Error('it dies') } },
      }`,
    )
    const given = await commandHere(['run', 'service.mjs'], dir)
    expect([given.status, codeIn(given.errors)]).toEqual([1, 'EXITED'])
  })
})
