/** What somebody needs who carries the repository on: nothing left open in silence, and commands that exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const read = (path: string): string => readFileSync(path, 'utf8')

/** The files of the root and of these folders, but for what a build makes. */
const filesOf = (...folders: readonly string[]): string[] => [
  ...readdirSync('.', { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name),
  ...folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
      .map((entry) => join(entry.parentPath, entry.name)),
  ),
]

test('docs/publishing.md names each file in which an owner is still to be filled in', () => {
  const files = filesOf('.github', 'docs', 'examples', 'src').filter(
    (path) => path !== 'docs/publishing.md' && read(path).includes('github.com/OWNER'),
  )
  const row = read('docs/publishing.md')
    .split('\n')
    .find((line) => line.startsWith('| `OWNER`'))
  const named = [...(row?.split('|')[2] ?? '').matchAll(/`([^`]+)`/g)]
    .map(([, name = '']) => name)
    .filter((name) => existsSync(name))
  expect(files.sort()).toEqual(named.sort())
})

test('the changelog has the form of Keep a Changelog, with one list for what is not released', () => {
  const headings = read('CHANGELOG.md').match(/^#+ .*$/gm) ?? []
  expect(headings.slice(0, 3)).toEqual(['# Changelog', '## [Unreleased]', '### Added'])
  const form =
    /^## \[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$|^### (Added|Changed|Deprecated|Removed|Fixed|Security)$/
  expect(headings.slice(2).filter((heading) => !form.test(heading))).toEqual([])
})

test('each script that a page or a workflow names is one of package.json', () => {
  const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: object }
  const pages = filesOf('.github', 'docs').filter((path) => /\.(md|yml)$/.test(path))
  // `keelson init` writes a package with scripts of its own, which these pages name.
  const ofServices = ['check', 'dev', 'service']
  const missing = pages.flatMap((path) =>
    [...read(path).matchAll(/\bnpm run ([a-z][\w:-]*)/g)]
      .map(([, name = '']) => name)
      .filter((name) => !Object.hasOwn(scripts, name) && !ofServices.includes(name))
      .map((name) => `${path}: ${name}`),
  )
  expect(missing).toEqual([])
})

test('the workflows run what is run here: `.ci/run`', () => {
  for (const name of ['ci', 'release'])
    expect(read(`.github/workflows/${name}.yml`)).toMatch(/^ +- run: \.ci\/run$/m)
})

test('each Node of docs/versions.md is tried: by CI in a clone, from the packed package, and by `.ci/run`', () => {
  const listed = [...read('docs/versions.md').matchAll(/^\| (\d\d)[ ,]/gm)].map(([, node]) => node)
  const [oldest, ...later] = listed
  expect(read('.github/workflows/ci.yml')).toContain(`node: [${listed.join(', ')}]`)
  for (const name of ['packed', 'installs'])
    expect(read(`test/${name}.long.test.ts`)).toContain(`[${listed.join(', ')}].map`)
  expect(read('.ci/run')).toContain(`for version in ${later.join(' ')}; do`)
  expect(JSON.parse(read('package.json')).engines.node).toMatch(`>=${oldest}.`)
})
