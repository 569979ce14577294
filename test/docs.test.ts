/** The rules for Markdown: lines that fit, tables that a change of one row leaves alone, and links that lead somewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { errorCodes } from '../src/errors.ts'
import { rooms } from './rooms.ts'
import { cellsOf } from './support/evidence-table.ts'
import { sourceFiles } from './support/source-files.ts'

const inFolder = (dir: string): string[] =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(dir, name))

const forUsers = [
  'README.md',
  'ARCHITECTURE.md',
  'SECURITY.md',
  ...inFolder('docs'),
  ...inFolder('docs/cli'),
  ...inFolder('docs/evidence'),
  ...inFolder('docs/moving'),
]
const pages = [
  ...forUsers,
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'bench/NOTES.md',
  'src/storage/FORMAT.md',
  ...inFolder('test/evidence'),
]

/** The lines of a page outside of its examples. */
const linesOf = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .replace(/^( *)```[\s\S]*?^\1```$/gm, '')
    .split('\n')

const isRow = (line: string): boolean => line.startsWith('|')

/** The places that the headings of a page are linked by. */
const anchorsOf = (path: string): string[] =>
  linesOf(path).flatMap((line) => {
    const heading = /^#+ (.*)$/.exec(line)?.[1]
    return heading
      ? [
          heading
            .toLowerCase()
            .replace(/[^\p{L}\p{N} _-]/gu, '')
            .replaceAll(' ', '-'),
        ]
      : []
  })

describe.each(pages)('%s', (path) => {
  test('has prose of at most 100 columns', () => {
    const long = linesOf(path).filter((line) => !isRow(line) && [...line].length > 100)
    expect(long).toEqual([])
  })

  test('has tables without padding', () => {
    const padded = linesOf(path).filter(
      (line) =>
        isRow(line) && line.split(/(?<!\\)\|/).some((cell) => /^ {2}\S|\S {2}$|-{4}/.test(cell)),
    )
    expect(padded).toEqual([])
  })

  test('has no table within a paragraph', () => {
    expect(linesOf(path).filter((line) => /\| ---/.test(line) && !isRow(line.trim()))).toEqual([])
  })

  test('links to pages and headings that exist', () => {
    const links = [
      ...linesOf(path)
        .join('\n')
        .matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)/g),
    ]
    const broken = links
      .map(([, file = '', anchor]) => {
        const target = file === '' ? path : join(dirname(path), file)
        const found = existsSync(target) && (!anchor || anchorsOf(target).includes(anchor))
        return found ? '' : `${file}#${anchor ?? ''}`
      })
      .filter((link) => link !== '')
    expect(broken).toEqual([])
  })

  test('names files of the project that exist', () => {
    // A note in a laboratory book, or a change, may name a file of its day.
    if (path === 'bench/NOTES.md' || path === 'CHANGELOG.md') return
    const text = readFileSync(path, 'utf8')
    const named = [
      ...text.matchAll(/(?<![\w/.-])((?:src|test|docs|bench|examples)\/[\w./-]*[\w/])/g),
    ].map(([, file = '']) => file)
    // ARCHITECTURE.md names rooms and files below `src`.
    const below = /`((?:runtime|storage|actors|supervisors|inspect|testing)\/[^`]+)`/g
    for (const [, file = ''] of text.matchAll(below)) named.push(`src/${file}`)
    expect([...new Set(named)].filter((file) => !existsSync(file))).toEqual([])
  })
})

/** Whether a page may send its reader there: to pages, to sources, and to the files of the root. */
const isForReaders = (path: string): boolean =>
  /^(docs|src(?!\/testing))\/|^[A-Z]+(\.md)?$/.test(path)

test.each([...forUsers, 'CHANGELOG.md', 'CONTRIBUTING.md'])(
  '%s links to no test, bench or example',
  (path) => {
    const links = [...readFileSync(path, 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
    const others = links
      .map(([, file = '']) => join(dirname(path), file))
      .filter((to) => !isForReaders(to))
    expect(others).toEqual([])
  },
)

test.each(forUsers)('%s gives no time of day', (path) => {
  const times = linesOf(path).filter((line) => /(?<![\w:])[012]?\d:[0-5]\d(?![\d:])/.test(line))
  expect(times).toEqual([])
})

test('docs/README.md has every page once', () => {
  const all = readdirSync('docs', { recursive: true, encoding: 'utf8' })
  const listed = linesOf('docs/README.md').flatMap(
    (line) => /^- \[[^\]]+\]\(([^)]+)\)/.exec(line)?.[1] ?? [],
  )
  const within = listed.filter((path) => !path.startsWith('../'))
  expect(within.sort()).toEqual(
    all.filter((path) => path.endsWith('.md') && path !== 'README.md').sort(),
  )
})

test('docs/errors.md names every code once, and no other', () => {
  const named = linesOf('docs/errors.md').flatMap((line) => {
    const code = /^`([A-Z_]+)`$/.exec(cellsOf(line)[0] ?? '')?.[1]
    return code ? [code] : []
  })
  expect(named.sort()).toEqual([...errorCodes].sort())
})

test.each(Object.entries(rooms))(
  'src/%s/index.ts names its rooms in their order',
  (layer, table) => {
    const header = readFileSync(`src/${layer}/index.ts`, 'utf8').split('*/')[0] ?? ''
    const named = [...header.matchAll(/^ \* - ([a-z-]+):/gm)].map(([, room]) => room)
    expect(named).toEqual(Object.keys(table))
  },
)

test('ARCHITECTURE.md names every room', () => {
  const text = linesOf('ARCHITECTURE.md').join('\n')
  const missing = Object.entries(rooms).flatMap(([layer, table]) =>
    Object.keys(table)
      .map((room) => `${layer}/${room}`)
      .filter((room) => !text.includes(`\`${room}\``)),
  )
  expect(missing).toEqual([])
})

test('the first part of ARCHITECTURE.md takes ten minutes, and has twelve rooms', () => {
  const [first = ''] = readFileSync('ARCHITECTURE.md', 'utf8').split('\n# The rest\n')
  // The table after it is for looking up.
  const [read = ''] = first.split('\n## Where is what decided\n')
  expect(read.split(/\s+/).length).toBeLessThan(1_900)
  expect(first.match(/^\| `[a-z]+\/[a-z-]+` \|/gm)).toHaveLength(12)
})

test('the files that comments, ARCHITECTURE.md and SECURITY.md name exist', () => {
  const files = [...sourceFiles('src'), ...sourceFiles('test')]
  const ofUsers = 'keelson.config.ts'
  const paths = [...files.map(({ path }) => path), ofUsers].map((path) => `/${path}`)
  const own = ['ARCHITECTURE.md', 'SECURITY.md', 'src/storage/FORMAT.md']
  const texts = [...files, ...own.map((path) => ({ path, text: readFileSync(path, 'utf8') }))]
  const missing = texts.flatMap(({ path, text }) =>
    [...text.matchAll(/`([\w./-]+\.tsx?)`/g)]
      .filter(([, name]) => !paths.some((each) => each.endsWith(`/${name}`)))
      .map(([, name]) => `${path}: ${name}`),
  )
  expect(missing).toEqual([])
})

test('no example of a projection reads values before it has looked at the key: one of any key may be too large', () => {
  const texts = forUsers.map((path) => ({
    path,
    text: readFileSync(path, 'utf8'),
  }))
  const projects = /\bproject(?::\s*)?\(\s*\{([^}]*)\}/g
  const reading = [...texts, ...sourceFiles('examples')].filter(({ text }) =>
    [...text.matchAll(projects)].some(([, names]) => /\b(before|after)\b/.test(names ?? '')),
  )
  expect(reading.map(({ path }) => path)).toEqual([])
})
