/** The package as it is published: its contents, its size, and how TypeScript and Node resolve it. */
import { execFileSync } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderInside } from './support/doc-examples.ts'
import { tempFolder } from './support/temp-folder.ts'

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })

const packed = (): { readonly file: string; readonly paths: readonly string[] } => {
  const dir = tempFolder()
  const said = run('npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', dir)
  const [{ filename, files }] = JSON.parse(said) as [
    { readonly filename: string; readonly files: readonly { readonly path: string }[] },
  ]
  return { file: join(dir, filename), paths: files.map(({ path }) => path) }
}

/** What `keelson init` writes. */
const begin = ['keelson.config.mjs', 'order.mjs', 'package.json', 'shop.test.mjs', 'stock.mjs'].map(
  (name) => `examples/new/${name}`,
)

test('the package has code and declarations, each once, in under 1,010 kB', () => {
  const { file, paths } = packed()
  const others = paths.filter((path) => !/^dist\/[\w/-]+\.(?:js|d\.ts)$/.test(path))
  expect(others).toEqual([
    ...['LICENSE', 'README.md'],
    ...['dist/observe/page.html', 'dist/observe/page.json'],
    ...begin,
    'package.json',
    ...['signals/alerts.yml', 'signals/dashboard.json'],
  ])
  expect(paths).toContain('dist/testing/index.js')
  expect(paths).toContain('dist/testing/index.d.ts')
  // Its page, with the libraries of browsers inside, has 65 kB of them.
  expect(statSync(file).size).toBeLessThan(1_010_000)
})

test('publint and arethetypeswrong find no fault in it', () => {
  const { file } = packed()
  expect(run('node_modules/.bin/publint', file, '--strict')).toContain('All good!')
  // It exits with 1 if it finds a fault.
  run('node_modules/.bin/attw', file, '--profile', 'esm-only')
})

test('its declarations pass in a program that checks those of its libraries too', () => {
  const dir = folderInside()
  writeFileSync(
    join(dir, 'program.ts'),
    `import { type AppContext, start } from 'keelson'
import { startSimulated } from 'keelson/testing'
export const starts = [start, startSimulated]
export const put = ({ store }: AppContext): Promise<unknown> => store.put('key', 1)`,
  )
  const settings = { strict: true, module: 'nodenext', target: 'es2022', types: ['node'] }
  writeFileSync(
    join(dir, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...settings, noEmit: true, skipLibCheck: false },
      files: ['program.ts'],
    }),
  )
  const check = () => execFileSync('node_modules/.bin/tsc', ['-p', dir], { encoding: 'utf8' })
  expect(check).not.toThrow()
})
