/**
 * `keelson doctor` on damage made by hand: each kind is named with its remedy, nothing is changed
 * without `--repair`, and what is repaired opens with all that it had (needs the build).
 */
import { cpSync, readdirSync, renameSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { everythingIn } from '../../support/commands/command-logs.ts'
import {
  doctor,
  expectWhole,
  keyIn,
  makeFolder,
  type Told,
} from '../../support/commands/doctor-folder.ts'
import { noSmallDisk, smallDisk } from '../../support/harm/small-disk.ts'
import { lacks } from '../../support/lacks.ts'
import { folderMadeOnce } from '../../support/temp-folder.ts'
import { sampled, triesAll } from '../../support/tier.ts'
import { damages } from './damages.ts'
import { flip, killed, remove, shard, snapshot, states } from './folder-harm.ts'

const copied = folderMadeOnce(makeFolder)

/** The files of the folder with their content, but for the locks. */
const withoutLocks = (dir: string): readonly unknown[] =>
  JSON.parse(everythingIn(join(dir, 'd'))).filter(([path]: [string]) => !path.endsWith('LOCK'))

const codesOf = (findings: readonly { readonly code: string }[]): string[] =>
  findings.map(({ code }) => code).sort()

test('a folder with everything that one can have is sound, also compared row by row', async () => {
  const dir = copied()
  const before = everythingIn(join(dir, 'd'))

  const plain = await doctor(dir)
  const deep = await doctor(dir, '--deep')

  expect([plain.findings, deep.findings]).toEqual([[], []])
  expect([plain.status, deep.status]).toEqual([0, 0])
  const text = await commandHere(['doctor', 'd', '--progress'], dir)
  expect(text.output).toMatch(/^sound {2}/)
  expect(text.errors).toMatch(/^examining the log of shard 1 {2}\d+%/m)
  expect((await commandHere(['doctor', 'd', '--progress', '--json'], dir)).errors).toBe('')
  expect(everythingIn(join(dir, 'd'))).toBe(before)
  expect(readdirSync(dir)).toEqual(['d'])
})

/** The kinds that are tried, and the repaired folders that are opened. */
const tried = sampled(damages, 4)
const opened = new Set(
  sampled(
    tried.filter(({ repaired }) => repaired),
    2,
  ),
)

test.each(tried)(
  '$name: it is named with its remedy, nothing is changed, and what is repaired is whole',
  async (damage) => {
    const { harm, codes, remedy, isDeep, repaired, next } = damage
    const words = isDeep ? ['--deep'] : []
    const dir = copied()
    await harm(dir)
    const before = everythingIn(join(dir, 'd'))
    if (isDeep && triesAll) expect((await doctor(dir)).findings).toEqual([])

    const found = await doctor(dir, ...words)

    expect(codesOf(found.findings), JSON.stringify(found, undefined, 1)).toEqual([...codes].sort())
    expect(found.findings.map((each) => each.remedy).join('\n')).toMatch(remedy)
    expect(found.findings.some(({ repairable }) => repairable)).toBe(repaired !== undefined)
    const isNote = found.findings.every(({ severity }) => severity === 'note')
    expect(found.status).toBe(isNote ? 0 : 1)
    expect(everythingIn(join(dir, 'd'))).toBe(before)

    if (!repaired && !triesAll) return
    const files = withoutLocks(dir)
    const mended = await doctor(dir, '--repair', ...words)
    expect(mended.findings).toEqual(found.findings)
    if (!repaired) {
      expect(mended.repaired).toEqual([])
      expect(withoutLocks(dir)).toEqual(files)
      return
    }
    expect(mended.repaired?.join('\n')).toMatch(repaired)
    expect(mended.left.every(({ severity }) => severity === 'note')).toBe(true)
    expect(mended.left.filter(({ repairable }) => repairable)).toEqual([])
    if (!opened.has(damage)) return
    expect((await doctor(dir, ...words)).findings).toEqual(mended.left)
    next?.(dir)
    await expectWhole(dir)
    expect((await doctor(dir, '--deep')).status).toBe(0)
  },
)

test('a damaged snapshot that the log has given way to is replaced as its remedy says', async () => {
  const dir = copied()
  flip(snapshot(dir, 0), 100)
  const app = await start({ dir: join(dir, 'd') })
  await app.control.snapshot(0)
  await app.close()

  expect((await doctor(dir)).findings).toEqual([])
  remove(join(shard(dir, 0), 'lmdb'))
  await expectWhole(dir)
})

test.skipIf(lacks(noSmallDisk))(
  'without room to replay, the rows are not compared, and the rest is examined',
  async () => {
    const dir = smallDisk('6m')
    cpSync(copied(), dir, { recursive: true })
    const left = statfsSync(dir)
    writeFileSync(join(dir, 'filler'), Buffer.alloc(left.bavail * left.bsize - 65_536))

    const { status, findings } = await doctor(dir, '--deep')

    const uncompared = ['projection.uncompared', 'projection.uncompared']
    expect([status, codesOf(findings)]).toEqual([1, ['disk.space', ...uncompared]])
    expect(findings.at(-1)?.evidence).toMatch(/^NO_SPACE: /)
    expect(readdirSync(dir)).toEqual(['d', 'filler'])
  },
)

/** Folders that look unlike one that was closed, each made beside `d`. What builds a projection is there. */
const healthy: readonly (readonly [
  string,
  (dir: string) => Promise<unknown>,
  readonly string[],
])[] = [
  [
    'restored',
    async (dir) => {
      const app = await start({ dir: join(dir, 'd') })
      await app.backup(join(dir, 'b'))
      await app.close()
      await commandHere(['restore', 'b', '--to', 'other'], dir)
    },
    ['projection.missing', 'projection.missing'],
  ],
  [
    'killed',
    async (dir) => {
      await killed(dir)
      renameSync(join(dir, 'd'), join(dir, 'other'))
    },
    [],
  ],
  [
    'salvaged',
    (dir) => commandHere(['wal', 'salvage', 'd', '--to', 'other'], dir),
    ['projection.missing', 'projection.missing'],
  ],
  ['just made', async (dir) => (await start({ dir: join(dir, 'other'), shards: 2 })).close(), []],
]

test.each(sampled(healthy, 1))('a folder that was %s is no patient', async (_, make, codes) => {
  const dir = copied()
  await make(dir)

  const { status, output } = await commandHere(['doctor', 'other', '--deep', '--json'], dir)

  const { findings } = JSON.parse(output) as { findings: readonly Told[] }
  expect(codesOf(findings).filter((code) => code !== 'disk.memory')).toEqual(codes)
  expect(status).toBe(0)
})

test('a folder that an instance has open is examined as far as that is safe, and not repaired', async () => {
  const dir = copied()
  const app = await start({ dir: join(dir, 'd') })
  await app.store.put(keyIn(0, 'k1'), 'new')

  const found = await doctor(dir)
  const refused = await doctor(dir, '--repair')
  await app.close()

  expect(codesOf(found.findings)).toEqual(['folder.held'])
  expect(found.heldBy).toContain(String(process.pid))
  expect([refused.status, refused.errors]).toEqual([1, expect.stringMatching(/^LOCKED_DIR: /)])
})

test('a journal whose states are lost is not sound if the log was given back, open or closed', async () => {
  const dir = copied()
  for (const file of states(dir)) remove(file)

  const app = await start({ dir: join(dir, 'd') })
  const open = await doctor(dir)
  await app.close()
  const closed = await doctor(dir, '--deep')

  expect(codesOf(open.findings)).toEqual(['folder.held', 'state.lost'])
  expect(codesOf(closed.findings)).toEqual(['state.lost'])
  expect(closed.findings[0]?.remedy).toMatch(/keelson restore BACKUP.*from: 'oldest'/)
})
