/** Prompts attached to a running instance, over real sockets: what they share, what they may not do, and how they end. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer, connect as netConnect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type App,
  cast,
  createSystem,
  type GenServer,
  name,
  noReply,
  type StartOptions,
  type StartProgress,
  start,
  supervisor,
  worker,
} from '../../../dist/index.js'
import { RemoteSession } from '../../../src/inspect/attach/remote-session.ts'
import { startSimulated } from '../../../src/testing/index.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const asRoot = process.getuid?.() === 0 ? 'root may use every socket' : undefined

const instance = async ({ dir = tempFolder(), ...more }: Partial<StartOptions> = {}) => {
  const log = capturedLog()
  const app = await start({ dir, attach: true, logger: log, ...more })
  onTestFinished(() => app.close().then(() => undefined))
  return { app, log }
}

const attached = async ({ dir }: Pick<App, 'dir'>, log = false) => {
  const { session } = await RemoteSession.open({ dir }, { colours: false, verbose: false, log })
  onTestFinished(() => session.close())
  const ask = async (source: string) => (await session.run(source)).text
  return { session, ask, ended: session.ended.catch((error) => error) }
}

/** A connection without the manners of a prompt. `heard` is the next line from the instance. */
const connected = ({ dir }: App) => {
  const socket = netConnect(join(dir, 'attach.sock'))
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  const heard = async () => JSON.parse((await lines.next()).value ?? 'null')
  const say = (message: unknown) => socket.write(`${JSON.stringify(message)}\n`)
  return { socket, heard, say }
}

const opening = { protocol: 1, version: '0', colours: false, verbose: false }

/** A line whose value prints so many characters. */
const textOf = (length: number): string =>
  `({ [Symbol.for('nodejs.util.inspect.custom')]: () => 'x'.repeat(${length}) })`

/** A line that logs so many millions of characters. */
const logs = (count: number): string =>
  `for (let at = 0; at < ${count}; at++) console.log('x'.repeat(1e6))`

/** The messages of a process that has much to do. */
type Busy = { casts: { work: () => void } }

/** Keeps the thread busy for about a tenth of a millisecond. */
const burnt = (): number => {
  let sum = 0
  for (let at = 0; at < 100_000; at++) sum += at
  return sum
}

/** The process of an attached prompt, and its end. */
const promptOf = ({ system }: App, label: string) => {
  const prompt = system.processes().find((process) => process.label === label)
  if (!prompt) throw new Error(`there is no ${label}`)
  const gone = new Promise((resolve) => system.monitor(prompt.ref, resolve))
  return { gone, kill: () => system.kill(prompt.ref) }
}

describe('the socket (needs the build)', () => {
  test('is only for the user of the instance, in a folder that has nothing else of it', async () => {
    const umask = process.umask(0)
    onTestFinished(() => void process.umask(umask))
    const dir = tempFolder()
    // What a process leaves that is killed while it makes the socket.
    mkdirSync(join(dir, 'attach.sock.new'))
    writeFileSync(join(dir, 'attach.sock.new/attach.sock'), '')
    await instance({ dir })

    expect(statSync(join(dir, 'attach.sock')).mode & 0o777).toBe(0o600)
    expect(readdirSync(dir).sort()).toEqual(['LOCK', 'attach.sock', 'keelson.json', 'shard-0'])
  })

  test('is not there unless the options ask for it, and a simulation has none', async () => {
    const { app } = await instance({ attach: false })

    expect(readdirSync(app.dir)).not.toContain('attach.sock')
    expect(await codeOf(attached(app))).toBe('NO_PROCESS')
    expect(await codeOf(startSimulated({ attach: true } as object))).toBe('CONFIG')
    expect(await codeOf(start({ dir: tempFolder(), attach: 'yes' as never }))).toBe('CONFIG')
  })

  test('is there when the instance has started, whatever else waits for a turn', async () => {
    const dir = tempFolder()
    const system = createSystem()
    const busyName = name<Busy>('busy')
    const busy: GenServer<Busy, number> = {
      init: () => 0,
      casts: { work: (done) => noReply(burnt() + done) },
    }
    const load = supervisor('load', {}, [worker('busy', busy, { name: busyName })])
    const onProgress = ({ step }: StartProgress): void => {
      for (let at = 0; step === 'open' && at < 1_000; at++) cast(system.to(busyName), 'work')
    }

    const app = await start({ dir, attach: true, system, app: load, onProgress })
    onTestFinished(() => app.close().then(() => undefined))

    expect(readdirSync(dir)).toContain('attach.sock')
  })

  test('may be in a folder whose path is too long for a socket', async () => {
    const temporary = tempFolder()
    const before = process.env.TMPDIR
    process.env.TMPDIR = temporary
    onTestFinished(() => {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
    })
    const dir = join(temporary, 'd'.repeat(120), 'e'.repeat(120))
    const { ask } = await attached((await instance({ dir })).app)

    expect(await ask('1 + 1')).toBe('2')
    expect(readdirSync(temporary)).toEqual(['d'.repeat(120)])
  })

  test('that cannot be made leaves the instance running, and the log says why', async () => {
    const dir = tempFolder()
    mkdirSync(join(dir, 'attach.sock'))
    const { app, log } = await instance({ dir })
    await app.store.put('a', 1)

    expect(log.messages('warn')).toEqual([expect.stringContaining('no prompt can be attached')])
    expect(await codeOf(attached(app))).toBe('NO_PROCESS')
  })

  test.skipIf(lacks(asRoot))('refuses a user who may not write to it', async () => {
    const { app } = await instance()
    chmodSync(join(app.dir, 'attach.sock'), 0)

    expect(await codeOf(attached(app))).toBe('READ_ONLY')
  })
})

describe('attached prompts (needs the build)', () => {
  test('see the instance, complete its words, and print errors as a local prompt does', async () => {
    const { app } = await instance()
    const { session, ask } = await attached(app)

    expect(await ask('tree()')).toMatch(/attach +<\d+> +server/)
    expect(await ask("store.put('a', [1])\n")).toBe('{ position: { shard: 0, lsn: 1 } }')
    expect(app.store.get('a')).toEqual([1])
    expect(await ask('kill(applier(9))')).toMatch(/^NO_PROCESS: /)
    expect(await session.run('[1,')).toMatchObject({ isUnfinished: true })
    expect(await session.complete('control.flu')).toEqual([['flush', 'flushAll'], 'flu'])
    expect((await session.complete('kill(prom'))[0]).toEqual(['prompt(1)'])
  })

  test('have words, declarations and output of their own', async () => {
    const { app } = await instance()
    const [one, other] = [await attached(app), await attached(app)]
    const told: string[][] = [[], []]
    one.session.onLine((line) => told[0]?.push(line))
    other.session.onLine((line) => told[1]?.push(line))

    await one.ask('const mine = 1')
    await one.ask("trace('control', 1)")
    await other.ask('control.flushAll()')

    expect(await other.ask('typeof mine')).toBe("'undefined'")
    expect(await one.ask('mine')).toBe('1')
    expect(told).toEqual([[expect.stringContaining('call flush'), expect.any(String)], []])
  })

  test('show the log: of a crash loop each crash and each restart is seen or counted', {
    tags: ['O2'],
  }, async () => {
    const frail: GenServer<{ casts: { fail: () => void } }, null> = {
      init: () => null,
      casts: {
        fail: () => {
          throw new Error('no more')
        },
      },
    }
    const crashes = 78
    const app = supervisor('app', { intensity: crashes }, [worker('frail', frail)])
    const { dir, system } = (await instance({ app })).app
    const { session } = await RemoteSession.open(
      { dir },
      {
        ...{ colours: false, verbose: false, log: true },
      },
    )
    onTestFinished(() => session.close())
    const quiet = await attached({ dir })
    quiet.session.onLog(() => expect.unreachable())
    await session.run('1')
    const lines: string[] = []
    let counted = 0
    const all = new Promise<void>((resolve) => {
      session.onLog((text) => {
        const more = /^… (\d+) more lines/.exec(text)?.[1]
        if (more === undefined) lines.push(text)
        else counted += Number(more)
        if (lines.length + counted === 2 * crashes) resolve()
      })
    })

    for (let at = 0; at < crashes; at++) {
      const again = new Promise<unknown>((resolve) =>
        system.events.once('process.restarted', resolve),
      )
      cast(system.to(name<{ casts: { fail: () => void } }>('frail')), 'fail')
      await again
    }
    await all

    expect(lines[0]).toMatch(/ error frail ended: Error: no more\n {4}at /)
    expect(lines[1]).toMatch(/ warn {2}app: frail was restarted$/)
    expect(lines.join('\n').match(/ {4}at fail /g)).toHaveLength(lines.length / 2)
    expect(system.whereis(name('frail'))).toBeDefined()
  })

  test('have a console of their own, also in what a line leaves behind', async () => {
    const { app } = await instance()
    const [one, other] = [await attached(app), await attached(app)]
    const told: string[][] = [[], []]
    one.session.onLine((line) => told[0]?.push(line))
    other.session.onLine((line) => told[1]?.push(line))
    const service = vi.spyOn(process.stdout, 'write')
    onTestFinished(() => service.mockRestore())

    await one.ask(
      "console.log('a', { b: [1] }); setImmediate(() => console.error('later\\nand on'))",
    )
    await one.ask('await new Promise((resolve) => setImmediate(resolve))')
    await other.ask("console.table([{ c: 1 }]); console.log('x'.repeat(3e6))")

    expect(told[0]).toEqual(['a { b: [ 1 ] }', 'later\nand on'])
    expect(told[1]).toEqual([
      expect.stringContaining('│ 0'),
      expect.stringMatching(/characters more$/),
    ])
    expect(service).not.toHaveBeenCalled()
  })

  test('refuse a line that the instance would not read, and go on', async () => {
    const { app } = await instance()
    const { session, ask } = await attached(app)
    // With the quotes of JSON.
    const fits = `'${'x'.repeat(1024 * 1024 - 64 - '""'.length - "''.length".length)}'.length`

    expect(await ask(fits)).toMatch(/^\d+$/)
    expect(await ask(`${fits} `)).toMatch(/^TOO_LARGE: /)
    expect(await codeOf(session.complete(`${fits} `))).toBe('TOO_LARGE')
    expect(await ask('1')).toBe('1')
  })

  test('run a line while an earlier one that was left alone goes on, up to a number', async () => {
    const { app } = await instance()
    const { session, ask } = await attached(app)
    void session.run('new Promise(() => {})').catch(() => undefined)
    expect(await ask('1')).toBe('1')

    for (let at = 1; at < 256; at++)
      void session.run('new Promise(() => {})').catch(() => undefined)
    expect(await ask('1')).toMatch(/^BUSY: /)
  })

  test('release what they suspended when they end in any way, and nothing else', async () => {
    const { app } = await instance()
    const [one, other] = [await attached(app), await attached(app)]
    const holders = async () =>
      (await (await attached(app)).ask('projections()'))?.match(/held by/g)?.length
    await one.ask('control.suspend(0, { flush: false })')
    await other.ask('app.control.suspend(0, { flush: false })')
    await app.control.suspend(0, { flush: false })
    expect(await holders()).toBe(3)

    const { gone } = promptOf(app, 'prompt(1)')
    await one.ask("suspend('prompt(1)')")
    one.session.close()
    await gone
    // It has its turn behind the news of that end.
    await app.control.resume(0)
    expect(await holders()).toBe(1)

    promptOf(app, 'prompt(2)').kill()
    await app.control.resumeAll()
    expect(await holders()).toBeUndefined()
    expect(app.health().shards[0]?.suspended).toBe(false)
  })
})

describe('an attached prompt that ends (needs the build)', () => {
  test('is told when the instance closes, which waits for none of them', async () => {
    const { app } = await instance()
    const { session, ask, ended } = await attached(app)
    const silent = connected(app)
    silent.socket.pause()
    const left = codeOf(session.run('new Promise(() => {})'))
    expect(await ask('1')).toBe('1')

    expect(await app.close()).toEqual({ cutOff: [] })

    expect(await ended).toMatchObject({ code: 'CLOSED', message: 'the instance has ended' })
    expect(await left).toBe('CLOSED')
    expect(readdirSync(app.dir).sort()).toEqual(['LOCK', 'keelson.json', 'shard-0'])
  })

  test('is told so, and takes neither the others nor their supervisor with it', async () => {
    const { app, log } = await instance()
    const [one, other] = [await attached(app, true), await attached(app, true)]
    // A command or a script asks without the log, and is not in it.
    expect(await (await attached(app)).ask('1')).toBe('1')

    expect(await codeOf(one.ask("kill('prompt(1)')"))).toBe('CLOSED')

    expect(await one.ended).toMatchObject({ message: 'the prompt was ended: killed' })
    expect(await other.ask("info('attach')")).toMatch(/restarts +0/)
    expect(log.messages('info')).toEqual([
      expect.stringMatching(/^prompt\(1\) <\d+> is attached$/),
      expect.stringMatching(/^prompt\(2\) <\d+> is attached$/),
      expect.stringMatching(/^prompt\(1\) <\d+> has left$/),
    ])
  })

  test('may attach again after the process that serves it was restarted', async () => {
    const { app } = await instance()
    const { ask, ended } = await attached(app)

    await codeOf(ask("kill('attach')"))
    await ended
    await app.store.put('a', 1)

    const again = await attached(app)
    expect(await again.ask("info('attach')")).toMatch(/restarts +1/)
    expect(readdirSync(app.dir)).toContain('attach.sock')
  })
})

describe('an instance (needs the build)', () => {
  test('refuses what is no message, and goes on', async () => {
    const { app } = await instance()
    const sent: [string | Uint8Array, string][] = [
      ['hello\n', 'INVALID_ARGUMENT'],
      [`${JSON.stringify(opening)}\n5\n`, 'INVALID_ARGUMENT'],
      [`${JSON.stringify(opening)}\n{"id":1,"stop":1}\n`, 'INVALID_ARGUMENT'],
      [Uint8Array.of(0xff, 0xfe, 0, 10), 'INVALID_ARGUMENT'],
      [`${'['.repeat(500_000)}\n`, 'INVALID_ARGUMENT'],
      ['x'.repeat(1024 * 1024 + 1), 'TOO_LARGE'],
      [`${JSON.stringify({ ...opening, protocol: 2 })}\n`, 'UNSUPPORTED_VERSION'],
      ['{"protocol":2,"version":{"toString":1}}\n', 'UNSUPPORTED_VERSION'],
    ]
    for (const [index, [text, code]] of sent.entries()) {
      const { socket, heard } = connected(app)
      expect(await heard()).toMatchObject({ protocol: 1, dir: app.dir, pid: process.pid })
      const { gone } = promptOf(app, `prompt(${index + 1})`)
      socket.write(text)

      expect(await heard()).toMatchObject({ end: { code } })
      expect(await gone).toBe('normal')
    }
    expect(await (await attached(app)).ask('1')).toBe('1')
  })

  test('does not run the lines of a prompt that does not read, until it reads', async () => {
    const { app } = await instance()
    const { ask } = await attached(app)
    const { socket, heard, say } = connected(app)
    await heard()
    say(opening)
    const large = `globalThis.ran = (globalThis.ran ?? 0) + 1; ${textOf(1e6)}`
    onTestFinished(() => void Reflect.deleteProperty(globalThis, 'ran'))
    socket.pause()
    say({ id: 0, run: large })
    expect(await ask('1')).toBe('1')
    for (let id = 1; id <= 20; id++) {
      say({ id, run: large })
      await ask('1')
    }
    expect(await ask('ran')).toBe('1')

    socket.resume()
    for (let id = 0; id <= 20; id++) expect(await heard()).toMatchObject({ id })
    expect(await ask('ran')).toBe('21')
  })

  test.each([
    ['that logs more than waits for a reader', [logs(34)]],
    ['for which too many answers wait', Array.from({ length: 18 }, () => textOf(2e6))],
  ])('cuts off a prompt %s', async (_, sources) => {
    const { app } = await instance()
    const { socket, heard, say } = connected(app)
    await heard()
    const { gone } = promptOf(app, 'prompt(1)')
    say(opening)
    socket.pause()
    socket.cork()
    for (const [id, run] of sources.entries()) say({ id, run })
    socket.uncork()

    expect(await gone).toBe('normal')
    expect(await (await attached(app)).ask('1')).toBe('1')
  })

  test('has at most 64 connections, and the end of one makes room', async () => {
    const { app } = await instance()
    const sockets = Array.from({ length: 65 }, () => connected(app))
    const greetings = await Promise.all(sockets.map(({ heard }) => heard()))
    expect(greetings.filter((greeting) => greeting === null)).toHaveLength(1)
    expect(await codeOf(attached(app))).toBe('CLOSED')

    const { gone } = promptOf(app, 'prompt(1)')
    sockets[0]?.socket.destroy()
    await gone
    expect(await (await attached(app)).ask('1')).toBe('1')
  })

  test('that holds nothing open ends with its process, attached prompts or not', async () => {
    const dir = tempFolder()
    const program = `import { start } from 'keelson'
      const app = (await start({ dir: ${JSON.stringify(dir)}, attach: true })).unref()
      process.stdin.once('data', () => process.stdin.destroy())
      console.log('ready')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program])
    onTestFinished(() => void child.kill('SIGKILL'))
    const exited = new Promise((resolve) => child.on('exit', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    const { ask, ended } = await attached({ dir })
    expect(await ask('1')).toBe('1')

    child.stdin.write('end')

    expect(await exited).toBe(0)
    expect(await ended).toMatchObject({ code: 'CLOSED' })
  })

  test('of another version is named, with what to do', async () => {
    const dir = tempFolder()
    const server = createServer((socket: Socket) => {
      socket.write(`${JSON.stringify({ protocol: 2, version: '9.0.0', dir, pid: 1 })}\n`)
    })
    onTestFinished(() => void server.close())
    await new Promise<void>((resolve) => server.listen(join(dir, 'attach.sock'), resolve))

    const refusal = await attached({ dir }).catch((error) => error)

    expect(refusal).toMatchObject({ code: 'UNSUPPORTED_VERSION' })
    expect(refusal.message).toContain('9.0.0')
  })
})
