/**
 * Claims of the public surface about one process, tried again where three members of one folder run: at the owner of everything,
 * and at a member that owns nothing. What differs there is `test/evidence/members-again.json`, by name and with its reason.
 * Nothing else does. `support/members-again.ts` starts the members.
 *
 * `KEELSON_TIER=all` tries all files. Otherwise some are drawn by a hash of a seed and their names, so that a new file moves
 * no other one into the sample or out of it; `KEELSON_SEED` draws others.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { folderInside } from './support/doc-examples.ts'
import { triesAll } from './support/tier.ts'

type Differences = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

const { reasons, ...differences } = JSON.parse(
  readFileSync('test/evidence/members-again.json', 'utf8'),
) as { reasons: Record<string, string>; all: Differences; none: Differences }

const anywhere = [
  'actors/store',
  'actors/entities',
  'actors/streams',
  'flow',
  'supervisors/users-tree',
]
const atOwner = ['control', 'durable', 'journal', 'turns', 'users-projections']
const rooms = {
  all: [...anywhere, ...atOwner.map((room) => `actors/${room}`)],
  none: anywhere,
}

/** How many files are tried, unless all are. */
const drawn = 12

const filesOf = (which: keyof typeof rooms): readonly string[] => {
  const all = rooms[which].flatMap((room) =>
    readdirSync(`test/${room}`, { recursive: true }).map((file) => `test/${room}/${file}`),
  )
  const plain = all.filter((file) => /^[^.]+\.test\.ts$/.test(file)).sort()
  if (triesAll) return plain
  const seed = process.env.KEELSON_SEED ?? '1'
  const lot = (file: string): string => createHash('sha256').update(`${seed} ${file}`).digest('hex')
  return plain.sort((one, other) => (lot(one) < lot(other) ? -1 : 1)).slice(0, drawn)
}

type Result = { readonly status: string; readonly fullName: string }
type Report = { testResults: readonly { name: string; assertionResults: readonly Result[] }[] }

/** What each test of `files` comes to with members, as `file: name`. */
const results = (which: keyof typeof rooms, files: readonly string[]) => {
  const path = join(folderInside(), 'results.json')
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--tags-filter', '!slow']
  const report = ['--maxWorkers', '1', '--reporter', 'json', '--outputFile', path]
  const env = { ...process.env, KEELSON_MEMBERS: which, KEELSON_TIER: 'quick' }
  spawnSync(process.execPath, [...vitest, ...report, ...files], { env, stdio: 'ignore' })
  const { testResults } = JSON.parse(readFileSync(path, 'utf8')) as Report
  return testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ status, fullName }) => ({
      status,
      name: `${relative('.', name)}: ${fullName}`,
    })),
  )
}

const listed = (which: keyof typeof rooms): ReadonlySet<string> =>
  new Set(
    Object.entries(differences[which]).flatMap(([file, byReason]) =>
      Object.values(byReason).flatMap((names) => names.map((name) => `${file}: ${name}`)),
    ),
  )

test.each([
  ['at the owner of everything', 'all'],
  ['at a member that owns nothing', 'none'],
] as const)(
  'claims about one process hold %s, but for those that are listed',
  (_, which) => {
    const found = results(which, filesOf(which))
    const known = listed(which)
    const failed = found.filter(({ status }) => status === 'failed').map(({ name }) => name)
    const passed = found.filter(({ status }) => status === 'passed').map(({ name }) => name)

    const unlisted = failed.filter((name) => !known.has(name))
    const needless = passed.filter((name) => known.has(name))
    expect(unlisted, `failed, and is not listed:\n${unlisted.join('\n')}`).toEqual([])
    expect(needless, `holds, and is listed:\n${needless.join('\n')}`).toEqual([])
    expect(passed.length).toBeGreaterThan(triesAll ? 800 : 20)
  },
  3_600_000,
)

test('each difference has a reason that is told', () => {
  const used = new Set(
    [differences.all, differences.none].flatMap((each) =>
      Object.values(each).flatMap((byReason) => Object.keys(byReason)),
    ),
  )
  expect([...used].sort()).toEqual(Object.keys(reasons).sort())
})
