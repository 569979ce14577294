#!/usr/bin/env node
/**
 * `npm run site [-- --pictures]`: the pages of the repository and a page for each exported name as a
 * static site with search, in `.tmp/site`. It may be served from any place, at the root of a host.
 * With `--pictures` the screenshots are made anew, in Chromium, which takes three minutes.
 *
 * VitePress refuses a link to a page that is missing. TypeDoc makes the pages of names from the
 * declarations of the build; it has no release for TypeScript 7. Both are installed here, at the
 * first run, beside a TypeScript 6.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listForPrograms, sectionsOf } from './pages-list.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../../', import.meta.url))

const run = (command, args, cwd = here) => {
  const { status } = spawnSync(command, args, { cwd, stdio: 'inherit' })
  if (status !== 0) process.exit(1)
}

// One file for each entry of the package, so that its pages are named as it is imported.
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const api = join(root, '.tmp/api')
mkdirSync(api, { recursive: true })
const entries = Object.entries(exports).flatMap(([name, { types }]) => {
  if (!types) return []
  const path = join(api, `${name === '.' ? 'keelson' : name.slice(2)}.ts`)
  writeFileSync(path, `export * from '${join(root, types.replace('.d.ts', '.js'))}'\n`)
  return [path]
})
const compilerOptions = { module: 'nodenext', target: 'es2024', skipLibCheck: true, types: [] }
writeFileSync(join(api, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: entries }))

// Vue is found from pages below this folder alone.
const pages = join(here, 'pages')
const isPage = (path) => !extname(path) || /\.(?:md|png|svg)$/.test(path)
rmSync(pages, { recursive: true, force: true })
for (const path of [
  'README.md',
  'ARCHITECTURE.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'docs',
  'examples',
])
  cpSync(join(root, path), join(pages, path), { recursive: true, filter: isPage })
cpSync(join(root, 'README.md'), join(pages, 'index.md'))
cpSync(join(root, 'src/storage/FORMAT.md'), join(pages, 'src/storage/FORMAT.md'))
if (process.argv.includes('--pictures'))
  run('npm', ['run', 'pictures', '--', join(pages, 'docs/observer')], root)

if (!existsSync(join(here, 'node_modules'))) run('npm', ['ci', '--no-audit', '--no-fund'])
run('npx', [
  'typedoc',
  ...entries,
  ...['--plugin', 'typedoc-plugin-markdown', '--out', join(pages, 'api')],
  ...['--tsconfig', join(api, 'tsconfig.json'), '--name', 'Keelson', '--readme', 'none'],
  ...['--entryFileName', 'index', '--hideBreadcrumbs', 'true', '--disableSources'],
  // Peers that are not installed have no types here, and names inside of a file have no page.
  ...['--skipErrorChecking', '--logLevel', 'Error'],
])
run('npx', ['vitepress', 'build', '.'])

// For programs that read: the list of pages, and each page of it as it is written.
const site = join(root, '.tmp/site')
const index = readFileSync(join(root, 'docs/README.md'), 'utf8')
writeFileSync(join(site, 'llms.txt'), listForPrograms(index))
for (const { path } of sectionsOf(index).flatMap(({ links }) => links))
  cpSync(join(root, path), join(site, path))
console.log('.tmp/site/index.html')
