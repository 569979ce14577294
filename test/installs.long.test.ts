/**
 * The packed package as each package manager installs it, on each Node version that it supports: imported,
 * required, checked by TypeScript, bundled. A tool that cannot be installed is skipped with its reason.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installedNode, installedTool, packed } from './support/commands/installed-tool.ts'
import { lacks } from './support/lacks.ts'
import { triesAll } from './support/tier.ts'

const imported = `
import { call, entity, reply, start, supervisor } from 'keelson'
import { flow, flows, workflow } from 'keelson/flow'
const add = (count, by) => reply(count + by, count + by)
const counters = entity('counter', { init: () => 0, calls: { add } })
const twice = workflow('twice', (ctx, number) => ctx.step('twice', () => 2 * number))
const tree = supervisor('app', {}, [counters, flows({ workflows: [twice] })])
const app = await start({ dir: process.argv[2], app: tree })
await app.store.put('key', 1)
const sum = await call(app.entity(counters).ref('1'), 'add', 2)
const run = await flow(app).start(twice, 21, { id: '1' })
console.log(app.store.get('key'), sum, await run.result())
await app.close()`

const required = `
const { start } = require('keelson')
const { flow } = require('keelson/flow')
start({ dir: process.argv[2] }).then(async (app) => {
  await app.store.put('key', 1)
  console.log(app.store.get('key'), typeof flow)
  await app.close()
})`

/** Of the entries, those that need no package beside Keelson. */
const typed = `
import { type App, call, type DurableServer, entity, reply } from 'keelson'
import * as flow from 'keelson/flow'
import * as journal from 'keelson/journal'
import * as machine from 'keelson/state-machine'
import * as observer from 'keelson/observer'
import * as operations from 'keelson/operations'
import * as streams from 'keelson/streams'
import * as testing from 'keelson/testing'
import * as wal from 'keelson/wal'
import * as walServer from 'keelson/wal-server'
type Messages = { calls: { add: (by: number) => number } }
const add = (count: number, by: number) => reply(count + by, count + by)
const server: DurableServer<Messages, number> = { init: () => 0, calls: { add } }
const counters = entity('counter', server)
export const sum = (app: App): Promise<number> => call(app.entity(counters).ref('1'), 'add', 1)
export { flow, journal, machine, observer, operations, streams, testing, wal, walServer }`

/** What the other entries declare must not be needed. */
const typedAlone = `
import { start } from 'keelson'
const app = await start({ dir: 'data' })
await app.store.put('key', 1)
export const value: unknown = app.store.get('key')
await app.close()`

const compilerOptions = {
  ...{ strict: true, skipLibCheck: false, noEmit: true },
  ...{ module: 'nodenext', target: 'es2022', types: ['node'] },
}

const tool = (spec: string, file: string) =>
  installedTool(`managers/${spec.replace(/\W/g, '-')}`, spec, file)
type Manager = {
  readonly name: string
  readonly words: readonly string[]
  /** Of Yarn. */
  readonly settings?: string
} & ({ readonly path: string } | { readonly lack: string })

const managers: readonly Manager[] = [
  { name: 'npm', path: 'npm', words: ['install', '--no-audit', '--no-fund'] },
  { name: 'pnpm', ...tool('pnpm@10', 'pnpm/bin/pnpm.cjs'), words: ['install'] },
  { name: 'yarn 1', ...tool('yarn@1', 'yarn/bin/yarn.js'), words: ['install'] },
  {
    ...{ name: 'yarn 4', words: ['install'], settings: 'nodeLinker: node-modules' },
    ...tool('@yarnpkg/cli-dist@4', '@yarnpkg/cli-dist/bin/yarn.js'),
  },
  {
    ...{ name: "yarn 4 with Plug'n'Play", words: ['install'], settings: 'nodeLinker: pnp' },
    ...tool('@yarnpkg/cli-dist@4', '@yarnpkg/cli-dist/bin/yarn.js'),
  },
]
// Only the full tier tries all of them: the first one, and the one that has no folder of modules.
const tried = managers.filter(
  ({ name, settings }) => triesAll || name === 'npm' || settings?.endsWith('pnp'),
)
const nodes = [20, 22, 24, 26].map((version) => ({ version, ...installedNode(version) }))

const lackOf = (found: object): string | undefined =>
  'lack' in found && typeof found.lack === 'string' ? found.lack : undefined

let tarball = ''
beforeAll(() => {
  tarball = packed('installs')
})

describe.each(tried)('installed by $name', (manager) => {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'keelson-install-')))
  afterAll(() => rmSync(dir, { recursive: true }))
  const lack = lackOf(manager)
  const isPlugged = manager.settings?.endsWith('pnp') === true

  const run = (command: string, words: readonly string[], bin?: string): string =>
    execFileSync(command, words, {
      cwd: dir,
      encoding: 'utf8',
      stdio: 'pipe',
      env: {
        ...process.env,
        PATH: bin === undefined ? process.env.PATH : `${bin}${delimiter}${process.env.PATH}`,
        // In CI it refuses to write a lockfile.
        YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
      },
    })
  const path = 'path' in manager ? manager.path : ''
  const manage = (words: readonly string[], bin?: string): string =>
    path === 'npm' ? run('npm', words, bin) : run('node', [path, ...words], bin)
  /** Runs a program of the folder, on a data folder of its own. */
  const play = (file: string, bin?: string): string => {
    const words = [file, mkdtempSync(join(dir, 'data-'))]
    return isPlugged ? manage(['node', ...words], bin) : run('node', words, bin)
  }

  beforeAll(() => {
    if (lack !== undefined) return
    // One has the types of the newest Node, as who installs them today.
    const nodeTypes = manager.name === 'pnpm' ? '*' : '^20.19.43'
    const dependencies = { keelson: `file:${tarball}`, '@types/node': nodeTypes }
    const files = {
      'package.json': JSON.stringify({ name: 'shop', private: true, dependencies }),
      'imported.mjs': imported,
      'required.cjs': required,
      'typed.mts': typed,
      'tsconfig.json': JSON.stringify({ compilerOptions, files: ['typed.mts'] }),
      'typed-alone.mts': typedAlone,
      'tsconfig.alone.json': JSON.stringify({ compilerOptions, files: ['typed-alone.mts'] }),
      // They would look for a workspace in the folders above.
      'yarn.lock': '',
      '.yarnrc.yml': manager.settings ?? '',
    }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text)
    manage(manager.words)
  })

  test.skipIf(lacks(lack)).each(nodes)('is imported and required on Node $version', (node) => {
    if (lacks(lackOf(node)) || !('bin' in node)) return
    expect(run('node', ['--version'], node.bin)).toMatch(`v${node.version}.`)
    expect(play('imported.mjs', node.bin)).toBe('1 2 42\n')
    // Yarn resolves by hooks of Node, which sees no `require` of a module before Node 22.
    if (
      lacks(isPlugged && node.version < 22 ? "no require with Plug'n'Play on Node 20" : undefined)
    )
      return
    expect(play('required.cjs', node.bin)).toBe('1 function\n')
  })

  test.skipIf(lacks(lack))('passes a strict check of TypeScript, its declarations too', () => {
    // TypeScript 7 does not find packages that are in no folder.
    if (lacks(isPlugged ? "TypeScript has no Plug'n'Play" : undefined)) return
    const tsc = resolve('node_modules/.bin/tsc')
    expect(() => run(tsc, ['-p', '.'])).not.toThrow()
    expect(() => run(tsc, ['-p', 'tsconfig.alone.json'])).not.toThrow()
  })
})

const esbuild = tool('esbuild@0.28', 'esbuild/bin/esbuild')
test.skipIf(lacks(lackOf(esbuild)))(
  'a bundle of esbuild runs with the package beside it, and refuses to start with it inside',
  () => {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), 'keelson-bundle-')))
    const run = (command: string, ...words: string[]) =>
      execFileSync(command, words, { cwd: dir, encoding: 'utf8', stdio: 'pipe' })
    const bundle = (file: string, ...words: string[]) =>
      run(
        'path' in esbuild ? esbuild.path : '',
        ...['imported.mjs', '--bundle', '--platform=node', '--format=esm', `--outfile=${file}`],
        ...words,
      )
    writeFileSync(join(dir, 'package.json'), '{}')
    writeFileSync(join(dir, 'imported.mjs'), imported)
    run('npm', 'install', '--no-audit', '--no-fund', tarball)

    bundle('beside.mjs', '--packages=external')
    expect(run('node', 'beside.mjs', 'data')).toBe('1 2 42\n')
    const requires =
      "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url)"
    bundle('inside.mjs', `--banner:js=${requires}`)
    expect(() => run('node', 'inside.mjs', 'data-2')).toThrow("code: 'CONFIG'")
    rmSync(dir, { recursive: true })
  },
)
