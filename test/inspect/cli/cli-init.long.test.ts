/** What `keelson init` writes, in each form and beside a package: its types hold, its tests pass, it runs, and a kill loses nothing. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { write } from '../../support/commands/command-project.ts'
import {
  program,
  type RunningCommand,
  runKeelson,
  startKeelson,
} from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** Links what `npm install` would put into the folder. */
const install = (dir: string): void => {
  const modules = join(dir, 'node_modules')
  mkdirSync(join(modules, '.bin'), { recursive: true })
  for (const [name, path] of [
    ['keelson', '.'],
    ['jiti', 'node_modules/jiti'],
    ['@types', 'node_modules/@types'],
    ['.bin/tsc', 'node_modules/.bin/tsc'],
    ['.bin/keelson', 'dist/inspect/cli/cli.js'],
  ] as const)
    symlinkSync(resolve(path), join(modules, name))
}

/** A new folder with a service. */
const service = async (...words: string[]): Promise<string> => {
  const dir = realpathSync(tempFolder())
  expect((await commandHere(['init', '.', ...words], dir)).status).toBe(0)
  install(dir)
  return dir
}

const npm = (dir: string, ...words: string[]): string =>
  execFileSync('npm', words, { cwd: dir, encoding: 'utf8', stdio: 'pipe' })

/** A running service: what is done before it is killed, and after. */
type Service = {
  readonly before: () => Promise<unknown>
  readonly after: () => Promise<unknown>
  readonly kill: (signal: NodeJS.Signals) => Promise<number | null>
}

/** `keelson run` in the folder, and its actors by the prompt. */
const byPrompt = async (dir: string): Promise<Service> => {
  const service = startKeelson(['run'], dir, {}, 'ignore')
  await service.says('ready: ')
  const stock = async (call: string) =>
    (await runKeelson(['attach'], dir, `call(app.entity('stock').ref('tea'), ${call})\n`)).output
  return {
    before: () => stock("'add', 5"),
    after: () => stock("'take', 2"),
    kill: (signal) => ended(service, signal),
  }
}

/** The paths that the manifests of the docs have Kubernetes ask. */
const probes = [
  ...readFileSync('docs/cli/kubernetes.md', 'utf8').matchAll(/httpGet: \{ path: (\S+),/g),
].map(([, path]) => path ?? '')

/** The same with its HTTP server, at a free port, by the command of its Dockerfile. */
const byHttp = async (dir: string): Promise<Service> => {
  const [, command = ''] = /^CMD (.*)$/m.exec(readFileSync(join(dir, 'Dockerfile'), 'utf8')) ?? []
  const [node, file, ...words] = JSON.parse(command)
  expect([node, realpathSync(join(dir, file))]).toEqual(['node', resolve(program)])
  const folder = words.map((word: string) => (word === '/data' ? join(dir, 'data') : word))
  const service = startKeelson(folder, dir, { PORT: '0' }, 'ignore')
  await service.says('ready: ')
  const [host = ''] = /http:\S+/.exec(service.printed()) ?? []
  expect(
    await Promise.all(probes.map(async (path) => (await fetch(`${host}${path}`)).status)),
  ).toEqual(probes.map(() => 200))
  const post = async (path: string, body: object) => {
    const response = await fetch(`${host}${path}`, { method: 'POST', body: JSON.stringify(body) })
    return [response.status, await response.json()]
  }
  return {
    before: async () => {
      await post('/stock/tea', { count: 5 })
      await post('/orders/7', { item: 'tea', count: 2 })
      return post('/orders/7', { item: 'tea', count: 2 })
    },
    after: async () => {
      await post('/orders/7/payment', { by: 'card' })
      const other = await post('/orders/7', { item: 'tea', count: 3 })
      return [other[0], await (await fetch(`${host}/stock/tea`)).json()]
    },
    kill: (signal) => ended(service, signal),
  }
}

const ended = async (service: RunningCommand, signal: NodeJS.Signals): Promise<number | null> => {
  service.process.kill(signal)
  return (await service.ended).status
}

/** Checks, tests, runs and kills the service of the folder. */
const lives = async (
  dir: string,
  start: () => Promise<Service>,
  before: unknown,
  after: unknown,
): Promise<void> => {
  expect(npm(dir, 'run', 'check')).toContain('$flow-order')
  expect(npm(dir, 'test')).toMatch(/^. pass 2$/m)
  const first = await start()
  expect(await first.before()).toEqual(before)
  await first.kill('SIGKILL')
  const second = await start()
  expect(await second.after()).toEqual(after)
  expect(await second.kill('SIGTERM')).toBe(0)
}

test('docs/cli/kubernetes.md has three probes', () => expect(probes).toHaveLength(3))

describe('a service of keelson init (needs the build)', () => {
  test.each(['--js', '--ts'])(
    '%s is sound in its types, passes its tests, runs, and survives kill -9',
    async (language) => {
      const dir = await service(language)
      await lives(dir, () => byPrompt(dir), '5\n', 'true\n')
    },
  )

  test.each(['--js', '--ts'])(
    'so does %s --http, where a repeated request counts once',
    async (language) => {
      const dir = await service(language, '--http', '--docker')
      await lives(dir, () => byHttp(dir), [201, { id: '7' }], [409, { left: 3 }])
    },
  )

  test('so does TypeScript beside a package whose type is commonjs, as npm init writes it', async () => {
    const dir = realpathSync(tempFolder())
    npm(dir, 'init', '-y')
    npm(dir, 'pkg', 'set', 'type=commonjs')
    install(dir)
    expect((await commandHere(['init', '.', '--ts'], dir)).status).toBe(0)
    await lives(dir, () => byPrompt(dir), '5\n', 'true\n')
  })

  test('in JavaScript passes a strict check of its types', async () => {
    const dir = await service('--js', '--http')
    const { compilerOptions } = JSON.parse(readFileSync('examples/new/ts/tsconfig.json', 'utf8'))
    const settings = { ...compilerOptions, allowJs: true, checkJs: true }
    write(dir, 'tsconfig.json', JSON.stringify({ compilerOptions: settings, include: ['*.mjs'] }))
    const check = () => execFileSync('node_modules/.bin/tsc', ['-p', dir], { encoding: 'utf8' })
    expect(check).not.toThrow()
  })
})
