/** What `keelson doctor` prints, and the codes that the pages name. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseDoctor } from '../../../src/inspect/folder/doctor-command-line.ts'
import { doctorJson, doctorText } from '../../../src/inspect/folder/doctor-view.ts'
import { folderUse } from '../../../src/storage/index.ts'
import { finding, findingKinds } from '../../../src/tools/health/finding.ts'
import { codeOf } from '../../support/error-codes.ts'

test('a finding is shown with its place, what was seen and the remedy, and nothing of it moves the cursor', () => {
  const found = finding('blob.missing', {
    file: '/d/1\n\u001b[2J.bloblog',
    evidence: 'k at 48: its segment is missing',
    remedy: 'Restore it.',
  })

  const text = doctorText({
    ...{ dir: '/d', isDeep: false, logs: [] },
    findings: [{ ...found, shard: 1 }],
  })

  expect(text.split('\n')).toEqual([
    '/d: 1 finding  (without --deep)',
    `damage  blob.missing  shard 1: ${findingKinds['blob.missing'][1]}`,
    '  file    /d/1\\u{a}\\u{1b}[2J.bloblog',
    '  seen    k at 48: its segment is missing',
    '  remedy  Restore it.',
  ])
})

test('of many findings of one code twenty are shown, and the rest is counted', () => {
  const place = finding('log.damaged', {
    file: '/d/1.wal',
    evidence: 'offset 1',
    remedy: 'Restore.',
  })
  const lost = finding('log.lost', { file: '/d', evidence: 'lsn 5', remedy: 'Restore.' })

  const lines = doctorText({
    ...{ dir: '/d', logs: [], findings: [...Array.from({ length: 23 }, () => place), lost] },
  }).split('\n')

  expect(lines.filter((line) => line.startsWith('damage  log.damaged'))).toHaveLength(20)
  expect(lines.filter((line) => line.startsWith('damage  log.lost'))).toHaveLength(1)
  expect(lines.at(-1)).toBe('… and 3 more of log.damaged; --json has all')
})

test('what fills the folder is below its verdict, and whole as data', () => {
  const disk = {
    ...folderUse([{ path: 'shard-0/wal/1.wal', bytes: 2_000 }]),
    ...{ dir: '/d', freeBytes: 5_000 },
  }
  const examined = { dir: '/d', isDeep: false, findings: [], logs: [], disk }

  expect(doctorText(examined).split('\n').slice(0, 2)).toEqual([
    'sound  /d  (without --deep)',
    'disk  2.00 kB in /d, 5.00 kB free',
  ])
  expect(doctorJson(examined).disk).toEqual(disk)
})

test('a repair is told step by step, then what is left', () => {
  const examined = {
    dir: '/d',
    isDeep: true,
    findings: [],
    logs: [],
    repaired: ['removed /d/x.tmp'],
    left: [],
  }

  expect(doctorText(examined).split('\n').slice(1)).toEqual([
    'repaired',
    '  removed /d/x.tmp',
    'sound  /d  (rows of the log compared, every large value read)',
  ])
})

test('a folder in use is said to be in use, and nothing is said to be read that was not', () => {
  const examined = { dir: '/d', isDeep: true, findings: [], logs: [], heldBy: 'pid 7' }
  expect(doctorText(examined)).toBe(
    'sound  /d  (in use: only keelson.json, logs and snapshots were read)',
  )
})

test('docs/cli/doctor-and-salvage.md names every code with its severity', () => {
  const rows = readFileSync('docs/cli/doctor-and-salvage.md', 'utf8').matchAll(
    /^\| (`[a-z]+\.[a-z]+`.*?) \| (\w+) \|/gm,
  )
  const named = [...rows].flatMap(([, codes = '', severity]) =>
    [...codes.matchAll(/`([a-z]+\.[a-z]+)`/g)]
      .filter(([, code = '']) => code !== 'keelson.json')
      .map(([, code]) => [code, severity]),
  )
  const kinds = Object.entries(findingKinds).map(([code, [severity]]) => [code, severity])
  expect(named.sort()).toEqual(kinds.sort())
})

test('the command line is read', () => {
  const none = { deep: false, repair: false, json: false, progress: false, verbose: false }
  expect(parseDoctor(['d'])).toEqual({ kind: 'doctor', dir: 'd', ...none })
  expect(parseDoctor(['--deep', 'd', '--repair'])).toMatchObject({ deep: true, repair: true })
  for (const words of [[], ['a', 'b'], ['a', '--nonsense']])
    expect(codeOf(() => parseDoctor(words))).toBe('INVALID_ARGUMENT')
})
