/**
 * The packed package on each Node version that it supports, as a user has it: from an empty folder
 * to a service under a process manager. The versions come from the npm package `node`.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, realpathSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { installedNode, packed } from './support/commands/installed-tool.ts'
import { running } from './support/commands/keelson-command.ts'
import { lacks } from './support/lacks.ts'
import { tempFolder } from './support/temp-folder.ts'

/** Runs a program to its end, with the Node of `bin` as `node`. A failure has what it printed. */
const run = (bin: string, cwd: string, command: string, words: readonly string[], input = '') =>
  execFileSync(command, words, {
    ...{ cwd, input, encoding: 'utf8', env: environment(bin) },
    stdio: 'pipe',
  })

const environment = (bin: string) => ({
  ...process.env,
  PATH: `${bin}${delimiter}${process.env.PATH}`,
  npm_config_update_notifier: 'false',
})

/** Starts its command again when it fails, as a process manager does. */
const manager = 'until node node_modules/keelson/dist/inspect/cli/cli.js run; do :; done'

/** The workflows of the service, and its order, at a prompt. */
const orders = "(await import('keelson/flow')).flow(app)"
const orderIn = (file: string): string => `(await import('./${file}')).order`

let tarball = ''
beforeAll(() => {
  tarball = packed('packed')
})

describe.each([20, 22, 24, 26].map((version) => ({ version, ...installedNode(version) })))(
  'the package on Node $version',
  (node) => {
    const lack = 'lack' in node ? node.lack : undefined
    const bin = 'bin' in node ? node.bin : ''

    test.skipIf(lacks(lack))('goes from an empty folder to a supervised service', async () => {
      const empty = realpathSync(tempFolder())
      const shop = join(empty, 'shop')
      // Its Node runs TypeScript by itself, and the service is made beside a package.
      const isTyped = node.version >= 22
      const order = orderIn(isTyped ? 'order.mts' : 'order.mjs')
      const keelson = (words: readonly string[], input?: string): string =>
        run(bin, shop, 'npx', ['keelson', ...words], input)

      const install = ['install', '--no-audit', '--no-fund', tarball]
      if (isTyped) {
        mkdirSync(shop)
        run(bin, shop, 'npm', ['init', '-y'])
        run(bin, shop, 'npm', ['pkg', 'set', 'type=commonjs'])
        run(bin, shop, 'npm', install)
        keelson(['init', '.', '--ts', '--docker'])
        rmSync(join(shop, 'node_modules/jiti'), { recursive: true })
      } else {
        run(bin, empty, 'npx', ['--yes', '--package', tarball, 'keelson', 'init', 'shop'])
        run(bin, shop, 'npm', install)
      }
      expect(run(bin, shop, 'node', ['--version'])).toMatch(`v${node.version}.`)
      expect(run(bin, shop, 'npm', ['test'])).toMatch(/^(#|ℹ) pass 2$/m)
      expect(keelson(['check'])).toContain('$flow-order')
      const lines = "await call(app.entity('stock').ref('tea'), 'add', 5)\n"
      expect(keelson(['start'], lines)).toBe('5\n')

      const shell = spawn('sh', ['-c', manager], {
        ...{ cwd: shop, env: environment(bin) },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      })
      // A test that fails leaves no service: the shell and its Node are a group.
      onTestFinished(() => void spawnSync('kill', ['-9', '--', `-${shell.pid}`]))
      const service = running(shell)
      const pidOf = (): number => Number(keelson(['attach'], 'process.pid\n'))
      await service.says('ready: ')
      const placed = `${orders}.start(${order}, { item: 'tea', count: 2 }, { id: '7' })`
      expect(keelson(['attach'], `(await ${placed}).id\n`)).toBe("'7'\n")
      process.kill(pidOf(), 'SIGKILL')

      await service.says(/ready: [\s\S]*ready: /)
      keelson(['flow', 'signal', 'order', '7', 'paid', '{"by":"card"}'])
      expect(keelson(['attach'], `await ${orders}.handle(${order}, '7').result()\n`)).toBe(
        "'sold'\n",
      )
      expect(keelson(['attach'], "app.entity('stock').state('tea')\n")).toBe('3\n')
      process.kill(pidOf(), 'SIGTERM')
      expect((await service.ended).status).toBe(0)
    })
  },
)
