/** The package as it is published: its contents, its size, and how TypeScript and Node resolve it. */
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
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
const parts = ['http', 'keelson.config', 'order', 'shop-test', 'stock']
const begin = [
  'examples/new/Dockerfile',
  ...parts.map((part) => `examples/new/js/${part}.mjs`),
  ...parts.map((part) => `examples/new/ts/${part}.ts`),
  'examples/new/ts/tsconfig.json',
]

/** What it has to read. */
const isPage = (path: string): boolean => path.endsWith('.md') && path !== 'README.md'

test('the package has code and declarations, each once, in under 1,210 kB, and its pages in under 380 kB', () => {
  const { file, paths } = packed()
  const others = paths.filter(
    (path) => !/^dist\/[\w/-]+\.(?:js|d\.ts)$/.test(path) && !isPage(path),
  )
  expect(others.sort()).toEqual(
    [
      ...['LICENSE', 'README.md'],
      ...['dist/observe/page.html', 'dist/observe/page.json'],
      ...begin,
      'package.json',
      ...['signals/alerts.yml', 'signals/dashboard.json'],
    ].sort(),
  )
  expect(paths).toContain('dist/testing/index.js')
  expect(paths).toContain('dist/testing/index.d.ts')
  const pages = paths.filter(isPage)
  expect(pages).toContain('docs/getting-started.md')
  const pagesSize = gzipSync(pages.map((path) => readFileSync(path, 'utf8')).join('')).length
  expect(pagesSize).toBeLessThan(380_000)
  // Its page in the browser, with the libraries inside, has 65 kB of them.
  expect(statSync(file).size - pagesSize).toBeLessThan(1_210_000)
})

test('each link of its pages leads to a file of the package; its pictures are on the site', () => {
  const { paths } = packed()
  const broken = [...paths.filter(isPage), 'README.md'].flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/(?<!!)\[[^\]]*\]\((?!https?:|#)([^)#\s]+)/g)]
      .map(([, to = '']) => join(dirname(path), to))
      .filter((to) => !paths.includes(to))
      .map((to) => `${path}: ${to}`),
  )
  expect(broken).toEqual([])
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
