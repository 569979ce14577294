/** `keelson observe` as a process: its address, its end, and the end of the instance. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { start } from '../../../dist/index.js'
import { silentLogger } from '../../../src/testing/kit/captured-log.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn } from '../../support/commands/command-project.ts'
import { program, running } from '../../support/commands/keelson-command.ts'
import { observing } from '../../support/commands/observe-command.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** An instance in this process, in the folder `d` of a new one. `left` resolves when an observer has left. */
const instance = async () => {
  const dir = tempFolder()
  let leave: () => void = () => undefined
  const left = new Promise<void>((resolve) => (leave = resolve))
  const info = (message: string) => message.endsWith('has left') && leave()
  const app = await start({
    dir: join(dir, 'd'),
    attach: true,
    logger: { ...silentLogger, info },
  })
  onTestFinished(() => app.close().then(() => undefined))
  return { dir, app, left }
}

/** Whether nothing listens at an address any more. */
const isClosed = (url: string): Promise<boolean> =>
  fetch(url).then(
    () => false,
    () => true,
  )

describe('keelson observe (needs the build)', () => {
  test('prints an address that is good once, for a page on this machine alone', async () => {
    const { dir } = await instance()
    const { command, url, get, exchange } = await observing(dir)
    const { port } = new URL(url)
    const others = Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)

    expect(command.printed()).toContain(`Observes ${join(dir, 'd')}, read only.`)
    expect(await (await get('')).text()).toContain('<!doctype html>')
    expect(await (await get('api/header')).json()).toMatchObject({
      header: { instance: 'default' },
    })
    expect((await exchange()).status).toBe(401)
    expect((await get('api/header', 'Bearer x')).status).toBe(401)
    expect(await isClosed(`http://[::1]:${port}/`)).toBe(true)
    for (const { address } of others)
      expect([address, await isClosed(`http://${address}:${port}/`)]).toEqual([address, true])
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends at %s with open streams, and leaves nothing', async (signal, status) => {
    const { dir, left } = await instance()
    const before = readdirSync(dir, { recursive: true }).sort()
    const { command, url, get } = await observing(dir)
    const stream = await get('api/stream?view=overview')

    command.process.kill(signal)
    expect(await command.ended).toMatchObject({ status, signal: null })
    await expect(stream.text()).rejects.toThrow()
    expect(await isClosed(url)).toBe(true)
    await left
    expect(readdirSync(dir, { recursive: true }).sort()).toEqual(before)
  })

  test('that is killed leaves nothing, and the instance goes on', async () => {
    const { dir, left, app } = await instance()
    const before = readdirSync(dir, { recursive: true }).sort()
    const { command, url } = await observing(dir)

    command.process.kill('SIGKILL')
    await command.ended
    expect(await isClosed(url)).toBe(true)
    await left
    expect(readdirSync(dir, { recursive: true }).sort()).toEqual(before)
    expect(app.system.processes().filter(({ kind }) => kind === 'prompt')).toEqual([])
  })

  test('may run twice: each has its own port and token, and the end of one ends no other', async () => {
    const { dir } = await instance()
    const [first, second] = await Promise.all([observing(dir), observing(dir, '--write')])
    expect((await first.get('api/header', `Bearer ${second.token}`)).status).toBe(401)

    first.command.process.kill('SIGTERM')
    await first.command.ended
    expect(await (await second.get('api/header')).json()).toMatchObject({
      header: { isWriting: true },
    })
  })

  test('refuses where nothing runs, and a port that is taken', async () => {
    const { dir } = await instance()
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo

    const none = await commandHere(['observe', '--dir', 'none'], dir)
    expect([none.status, none.output, codeIn(none.errors)]).toEqual([1, '', 'NO_PROCESS'])
    const refused = await commandHere(['observe', '--dir', 'd', '--port', `${port}`], dir)
    expect([refused.status, refused.output, codeIn(refused.errors)]).toEqual([1, '', 'CONFIG'])
    expect(refused.errors).toContain(String(port))
  })
})

const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups']
const notRoot =
  process.platform === 'linux' && process.getuid?.() === 0
    ? undefined
    : 'only root on Linux can become another user'

describe.skipIf(lacks(notRoot))('another user of the machine (needs the build)', () => {
  /** Runs a program as another user. */
  const asNobody = (cwd: string, ...words: string[]) =>
    running(spawn('setpriv', [...nobody, process.execPath, ...words], { cwd, env: {} })).ended

  test('reaches no instance, although the folder may be entered', async () => {
    const { dir } = await instance()
    chmodSync(dir, 0o755)
    chmodSync(join(dir, 'd'), 0o755)
    mkdirSync(join(dir, 'other'))

    const observed = await asNobody(dir, program, 'observe', '--dir', 'd')
    expect([observed.status, observed.output, codeIn(observed.errors)]).toEqual([
      1,
      '',
      'READ_ONLY',
    ])
    const script = `require('net').connect('d/attach.sock').on('error', ({ code }) => console.log(code))`
    expect((await asNobody(dir, '-e', script)).output).toBe('EACCES\n')
  })

  test('finds no token in what the system shows of the process', async () => {
    const { dir } = await instance()
    chmodSync(dir, 0o755)
    const { command, url } = await observing(dir)
    const script = `const { readFileSync } = require('fs')
      for (const name of ['cmdline', 'status', 'environ'])
        try { console.log(readFileSync('/proc/${command.process.pid}/' + name, 'utf8')) } catch ({ code }) { console.log(code) }
      for (const path of ['', 'api/header', 'api/stream?view=header'])
        fetch('${url}' + path).then(({ status }) => console.log(path, status))`
    const { output } = await asNobody(dir, '-e', script)

    expect(output).toContain('observe')
    expect(output).toContain('EACCES')
    expect(output).toMatch(/^ 200$/m)
    expect(output).toMatch(/^api\/header 401$/m)
    expect(output).toMatch(/^api\/stream\?view=header 401$/m)
    expect(output).not.toContain('code=')
  })
})
