/**
 * The pages of `test/evidence` name tests for every fault, case and defect that Keelson is made for, and for every promise.
 * `npx vitest run test/evidence.test.ts -u` writes their last columns from the tags of the tests.
 */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { rooms } from '../scripts/mutants/rooms.mjs'
import { cellsOf, evidenceRows, taggedTests, withTests } from './support/evidence-table.ts'

const page = (name: string): string => readFileSync(`test/evidence/${name}`, 'utf8')
const numbersOf = (name: string): string[] => evidenceRows(page(name)).map(({ number }) => number)
const upTo = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${letter}${at + 1}`)
const tagged = taggedTests()

/** What a failure says to do. */
const again = 'write the page again with `npx vitest run test/evidence.test.ts -u`'

describe.each([
  ['log.md', { D: 35, E: 59 }],
  ['writes.md', { B: 10, S: 5, C: 5, R: 7, P: 5 }],
  ['projections.md', { L: 44, M: 67 }],
  ['flow.md', { W: 12 }],
  ['observer.md', { O: 12 }],
  ['rehearsal.md', { RE: 8 }],
  ['resharding.md', { SH: 5 }],
  ['streams.md', { ST: 14 }],
])('test/evidence/%s', (name, counts) => {
  test('has every number once', () => {
    expect(numbersOf(name)).toEqual(
      Object.entries(counts).flatMap(([letter, count]) => upTo(letter, count)),
    )
  })

  test('names the tests whose tags are its numbers', async () => {
    await expect(withTests(page(name), tagged), again).toMatchFileSnapshot(`evidence/${name}`)
  })
})

test('a number without a test says why', () => {
  const without = [...evidenceRows(page('log.md')), ...evidenceRows(page('writes.md'))].filter(
    ({ number }) => !tagged.has(number),
  )
  expect(without).toEqual([
    { number: 'D29', shown: 'cannot be seen from within; stated in `docs/guarantees.md`' },
    { number: 'E59', shown: 'measured by `npm run bench -- wal`' },
  ])
})

test('a defect of projections without a test cannot occur here', () => {
  const without = evidenceRows(page('projections.md')).filter(({ number }) => !tagged.has(number))
  expect(without.length).toBeLessThan(25)
  for (const { number, shown } of without) expect(shown, number).toMatch(/^nothing here: .{12}/)
})

describe('test/evidence/guarantees.md', () => {
  const promises = readFileSync('docs/guarantees.md', 'utf8').matchAll(/^\*\*(G\d+)\*\* [A-Z`]/gm)
  const promised = [...promises].map(([, number]) => number)
  /** Promises of what was removed. */
  const removed = ['G16']

  test('names for every promise a test that `npm test` runs', () => {
    const file = /`(?:test|examples)\/[^`]+(?:\/|(?<!\.(?:long|slow))\.test\.ts)`/
    const without = evidenceRows(page('guarantees.md')).filter(({ shown }) => !file.test(shown))
    expect(without).toEqual([])
  })

  test('has a row for every promise', () => {
    const numbers = upTo('G', promised.length + removed.length)
    expect(numbersOf('guarantees.md')).toEqual(numbers.filter((each) => !removed.includes(each)))
    expect(promised.sort()).toEqual(numbersOf('guarantees.md').sort())
  })
})

test('test/evidence/storage.md has every number once', () => {
  expect(numbersOf('storage.md')).toEqual([...upTo('A', 17), ...upTo('N', 7)])
})

test('test/evidence/findings.md has every number once', () => {
  expect(numbersOf('findings.md')).toEqual([
    ...upTo('D', 14),
    ...upTo('S', 32).slice(16),
    ...upTo('V', 13),
    ...upTo('N', 7),
    ...['Q1', 'Q2', 'J1', 'J2'],
    ...upTo('L', 13).slice(1),
    ...upTo('U', 14),
    ...upTo('X', 6),
    ...upTo('S', 40).slice(32),
    ...upTo('Z', 7),
    ...upTo('V', 16).slice(13),
    ...upTo('VY', 7),
    ...upTo('VQ', 6),
    ...upTo('VD', 8),
    ...upTo('VO', 16).filter((each) => each !== 'VO7'),
    ...upTo('VZ', 8),
  ])
})

test('a finding is shown by tests that exist, or says that it is open', () => {
  const wrong = evidenceRows(page('findings.md')).filter(({ shown }) => {
    const files = [...shown.matchAll(/`((?:test|examples)\/[^`]+)`/g)].map(([, file]) => file ?? '')
    return (
      !shown.startsWith('open') && (files.length === 0 || !files.every((file) => existsSync(file)))
    )
  })
  expect(wrong).toEqual([])
})

test.each(['guarantees.md', 'storage.md'])(
  'test/evidence/%s names tests in every row, and only files that exist',
  (name) => {
    const missing = evidenceRows(page(name)).flatMap(({ number, shown }) => {
      const files = [...shown.matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => file ?? '')
      return files.length === 0 ? [number] : files.filter((file) => !existsSync(file))
    })
    expect(missing).toEqual([])
  },
)

describe('test/evidence/mutants.md', () => {
  const scores = page('mutants.md')
    .split('\n')
    .map(cellsOf)
    .filter(([room = '']) => room in rooms)

  const [, open = ''] = page('mutants.md').split('## Open')

  test('has a row for every room that decides, or names it as open', () => {
    const listed = scores.map(([room]) => room)
    const missing = Object.keys(rooms).filter((room) => !listed.includes(room))
    expect(missing.filter((room) => !open.includes(`\`${room}\``))).toEqual([])
  })

  test.each(scores)('%s: its score is that of its counts', (_, ...cells) => {
    const counts = cells.slice(3, 9).map(Number)
    const [mutants = 0, killed = 0, , survived = 0, uncovered = 0, equivalent = 0] = counts
    const counted = killed + survived + uncovered
    expect(counted + equivalent).toBe(mutants)
    expect(cells.at(-1)).toBe(`${((100 * killed) / counted).toFixed(1)} %`)
  })

  test('has no score below 90 % but those that it names as open', () => {
    const below = scores.filter((cells) => Number.parseFloat(cells.at(-1) ?? '') < 90)
    expect(below.map(([room]) => room).filter((room) => !open.includes(`\`${room}\``))).toEqual([])
  })
})

test('the code of every mutant that is listed as equivalent exists', () => {
  const listed: readonly Record<'file' | 'from' | 'to' | 'reason', string>[] = JSON.parse(
    readFileSync('scripts/mutants/equivalent.json', 'utf8'),
  )
  const gone = listed.filter(
    ({ file, from, reason }) =>
      reason.length < 12 || !readFileSync(file, 'utf8').replace(/\s+/g, ' ').includes(from),
  )
  expect(gone).toEqual([])
})
