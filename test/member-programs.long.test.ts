/**
 * Each program of the docs that starts an instance, run once by itself and once as three real processes that are members of one
 * folder: it prints the same. What may differ is `test/evidence/member-programs.json`, by name and with its reason.
 * `programs/members/run.mjs` runs them.
 *
 * `KEELSON_TIER=all` runs all programs. Otherwise a seed draws some of them; `KEELSON_SEED` draws others.
 */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { seededRandom } from '../src/clock.ts'
import { examplePages, examplesOf, folderInside } from './support/doc-examples.ts'
import { noFlock } from './support/harm/folder-locks.ts'
import { lacks } from './support/lacks.ts'
import { triesAll } from './support/tier.ts'

const { reasons, programs: differing } = JSON.parse(
  readFileSync('test/evidence/member-programs.json', 'utf8'),
) as { reasons: Record<string, string>; programs: Record<string, string> }

/** How many programs are run, unless all are. */
const drawn = 14

type Program = { readonly name: string; readonly code: string }

const pages = [
  ...examplePages.map((page) => [page, 'js'] as const),
  ...['README.md', 'docs/history.md', 'docs/level.md', 'docs/snapshots.md'].map(
    (page) => [page, 'js'] as const,
  ),
  ...['akka', 'bullmq', 'dbos', 'event-store', 'inngest', 'sqlite', 'xstate'].map(
    (page) => [`docs/moving/${page}.md`, 'mjs'] as const,
  ),
]

/** Whether a program starts an instance on a real disk. */
const startsInstance = ({ code }: Program): boolean =>
  /import \{[^}]*\bstart\b[^}]*\} from 'keelson'/.test(code) && !code.includes("'keelson/testing'")

const programs: readonly Program[] = pages
  .flatMap(([page, language]) =>
    examplesOf(page, language).map((code, at) => ({ name: `${page} ${at + 1}`, code })),
  )
  .filter(startsInstance)

const some = (): readonly Program[] => {
  if (triesAll) return programs
  const random = seededRandom(Number(process.env.KEELSON_SEED ?? 1))
  const left = [...programs]
  return Array.from({ length: drawn }, () => left.splice(Math.floor(random() * left.length), 1))
    .flat()
    .filter(({ name }) => differing[name] === undefined)
}

/** What a program has said, without lines of the log, process ids and keys that are drawn. */
const saidIn = (output: string): string =>
  output
    .split('\n')
    .filter((line) => !/^\d{4}-\d\d-\d\dT\S+Z /.test(line))
    .join('\n')
    .replace(/<\d[\d.]*>/g, '<pid>')
    .replace(/\b[0-9a-f]{16}\b/g, '<key>')

const run = async (how: 'alone' | 'three', run: readonly Program[]) => {
  const files = run.map(({ code }) => {
    const file = resolve(join(folderInside(), 'program.mjs'))
    writeFileSync(file, code)
    return file
  })
  const program = 'test/support/programs/members/run.mjs'
  const { stdout } = await promisify(execFile)(process.execPath, [program, how, ...files])
  const [, ...outputs] = stdout.split(/^begins\n/m)
  return new Map(run.map(({ name }, at) => [name, saidIn(outputs[at] ?? 'nothing')]))
}

test.skipIf(lacks(noFlock))(
  'a program of the docs says as three members of one folder what it says alone',
  { timeout: 1_800_000 },
  async () => {
    const chosen = some()
    const alone = await run('alone', chosen)
    const three = await run('three', chosen)

    const same = (name: string): boolean => three.get(name) === alone.get(name)
    const unlisted = chosen.filter(({ name }) => differing[name] === undefined)
    expect(unlisted.map(({ name }) => [name, three.get(name)])).toEqual(
      unlisted.map(({ name }) => [name, alone.get(name)]),
    )
    const listed = chosen.filter(({ name }) => !['moment', undefined].includes(differing[name]))
    expect(listed.filter(({ name }) => same(name))).toEqual([])
    expect(unlisted.length).toBeGreaterThan(triesAll ? 30 : 5)
  },
)

test('each program that may say something else as three members has a reason, and is in the docs', () => {
  const names = programs.map(({ name }) => name)
  expect(Object.keys(differing).filter((name) => !names.includes(name))).toEqual([])
  expect([...new Set(Object.values(differing))].sort()).toEqual(Object.keys(reasons).sort())
})
