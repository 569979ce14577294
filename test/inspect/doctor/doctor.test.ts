/**
 * `keelson doctor` on damage made by hand: each kind is named with its remedy, nothing is changed
 * without `--repair`, and what is repaired opens with all that it had (needs the build).
 */
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import type { ProjectedPosition, RowChange } from '../../../src/storage/index.ts'
import {
  lmdbProjections,
  loadLmdb,
  readDataFolder,
  writeDataFolder,
} from '../../../src/storage/index.ts'
import { change, everythingIn, segmentsIn } from '../../support/command-logs.ts'
import {
  doctor,
  expectWhole,
  keyIn,
  makeFolder,
  run,
  type Told,
} from '../../support/doctor-folder.ts'
import { lacks } from '../../support/lacks.ts'
import { noSmallDisk, smallDisk } from '../../support/small-disk.ts'
import { folderMadeOnce } from '../../support/temp-folder.ts'
import { sampled, triesAll } from '../../support/tier.ts'

const copied = folderMadeOnce(makeFolder)

const shard = (dir: string, at: number): string => join(dir, `d/shard-${at}`)
const wal = (dir: string, at: number): string => join(shard(dir, at), 'wal')
const newest = (dir: string, at: number): string => segmentsIn(wal(dir, at)).at(-1) ?? ''
const firstIn = (dir: string): string => join(dir, readdirSync(dir)[0] ?? '')
const snapshot = (dir: string, at: number): string => firstIn(join(shard(dir, at), 'snapshot'))
const blobs = (dir: string, at: number): string => firstIn(join(shard(dir, at), 'blobs'))
const pages = (dir: string, at: number): string => join(shard(dir, at), 'lmdb/data.mdb')
const manifest = (dir: string, at: number): string => join(wal(dir, at), 'MANIFEST')
const remove = (path: string): void => rmSync(path, { recursive: true })

const flip = (path: string, offset: number): void => {
  const byte = readFileSync(path)[offset] ?? 0
  change(path, offset, Uint8Array.of(byte ^ 1))
}

const facts = (dir: string, edit: (text: string) => string): void => {
  const path = join(dir, 'd/keelson.json')
  writeFileSync(path, edit(readFileSync(path, 'utf8')))
}

/** Commits into a projection as its writer does: sums hold, and LMDB has nothing to complain of. */
const commit = async (
  dir: string,
  changes: readonly RowChange[],
  edit: (position: ProjectedPosition) => ProjectedPosition = (position) => position,
): Promise<void> => {
  const examine = () => Promise.reject(new Error('not used'))
  const store = lmdbProjections(await loadLmdb(), nodeDisk(), examine).open(
    join(shard(dir, 0), 'lmdb'),
  )
  await store.commit(changes, edit(store.position() as ProjectedPosition))
  await store.close()
}

/** The folder as a process leaves it that was killed. */
const killed = async (dir: string): Promise<void> => {
  const app = await start({ dir: join(dir, 'd') })
  await app.store.put(keyIn(0, 'late'), 'late')
  cpSync(join(dir, 'd'), join(dir, 'killed'), { recursive: true })
  await app.close()
  remove(join(dir, 'd'))
  renameSync(join(dir, 'killed'), join(dir, 'd'))
}

const exchange = (one: string, other: string): void => {
  renameSync(one, `${one}.kept`)
  renameSync(other, one)
  renameSync(`${one}.kept`, other)
}

/** A damage, the codes that name it, its remedy, and what `--repair` does. */
type Case = {
  readonly name: string
  readonly harm: (dir: string) => unknown
  readonly codes: readonly string[]
  readonly remedy: RegExp
  /** Found with `--deep` alone. */
  readonly isDeep?: boolean
  /** What the repair says that it did; absent if it does nothing. */
  readonly repaired?: RegExp
  /** What happens to the repaired folder before it is opened, to show what the repair is good for. */
  readonly next?: (dir: string) => void
}

const salvage = /keelson restore BACKUP --to DIR2.*keelson wal salvage \S+ --to DIR2/
const repairs = /keelson doctor \S+ --repair/

const cases: readonly Case[] = [
  {
    name: 'keelson.json is missing',
    harm: (dir) => remove(join(dir, 'd/keelson.json')),
    codes: ['folder.undescribed'],
    remedy: salvage,
  },
  {
    name: 'keelson.json was edited by hand',
    harm: (dir) => facts(dir, (text) => text.replace(/"created": \d/, '"created": 9')),
    codes: ['folder.facts'],
    remedy: repairs,
    repaired: /wrote keelson\.json/,
  },
  {
    name: 'keelson.json names another log, and its checksum tells which one was right',
    harm: (dir) =>
      facts(dir, (text) =>
        text.replace(/"([0-9a-f])([0-9a-f]{31})"/, (_, a, b) => `"${a === '0' ? 1 : 0}${b}"`),
      ),
    codes: ['folder.facts'],
    remedy: repairs,
    repaired: /wrote keelson\.json/,
  },
  {
    name: 'keelson.json is cut',
    harm: (dir) => truncateSync(join(dir, 'd/keelson.json'), 40),
    codes: ['folder.facts'],
    remedy: salvage,
  },
  {
    name: 'the log is older than keelson.json says',
    harm: (dir) => {
      const reading = readDataFolder(nodeDisk(), join(dir, 'd'))
      if (reading.state !== 'sound') throw new Error(reading.state)
      const floors = reading.facts.logs.map(() => ({ epoch: 1, lsn: 9_999 }))
      writeDataFolder(nodeDisk(), join(dir, 'd'), { ...reading.facts, floors })
    },
    codes: ['log.older', 'log.older'],
    remedy: /Put its newest files back.*keelson wal salvage/,
  },
  {
    name: 'a restore into the folder was cut off',
    harm: (dir) => {
      remove(join(dir, 'd/keelson.json'))
      writeFileSync(join(dir, 'd/LOCK'), '{"restoring":"/backup"}\n')
    },
    codes: ['folder.unfinished'],
    remedy: /Remove \S+, and do that again/,
  },
  {
    name: 'a shard that keelson.json does not name',
    harm: (dir) => cpSync(shard(dir, 1), shard(dir, 2), { recursive: true }),
    codes: ['folder.shards'],
    remedy: /move it away/,
  },
  {
    name: 'a file of another user, or that may not be read',
    harm: (dir) =>
      process.getuid?.() === 0
        ? chownSync(newest(dir, 0), 12_345, 12_345)
        : chmodSync(join(wal(dir, 0), 'LOCK'), 0),
    codes: ['folder.access'],
    remedy: /chown -R USER/,
  },
  {
    name: 'the log of a shard is missing',
    harm: (dir) => remove(wal(dir, 1)),
    codes: ['log.missing'],
    remedy: salvage,
  },
  {
    name: 'the logs of two shards have changed places',
    harm: (dir) => exchange(wal(dir, 0), wal(dir, 1)),
    codes: ['log.stranger', 'log.stranger'],
    remedy: /belongs into shard [01]/,
  },
  {
    name: 'bytes of a frame have changed',
    harm: (dir) => flip(newest(dir, 0), 4096 + 100),
    codes: ['log.damaged', 'log.lost'],
    remedy: salvage,
  },
  {
    name: 'the newest segment is missing',
    harm: (dir) => remove(newest(dir, 0)),
    codes: ['log.damaged', 'log.damaged', 'log.lost'],
    remedy: salvage,
  },
  {
    name: 'the last write was cut off by a crash',
    harm: async (dir) => {
      await killed(dir)
      const file = newest(dir, 0)
      change(file, statSync(file).size - 4096, Buffer.from('half a frame'))
    },
    codes: ['log.torn'],
    remedy: /the next start cuts it/,
  },
  {
    name: 'MANIFEST is missing',
    harm: (dir) => remove(manifest(dir, 0)),
    codes: ['manifest.missing'],
    remedy: repairs,
    repaired: /wrote MANIFEST in \S+: it names the snapshots of lsn \d+/,
    next: (dir) => remove(join(shard(dir, 0), 'lmdb')),
  },
  {
    name: 'both slots of MANIFEST are damaged, and the projection is lost',
    harm: (dir) => {
      change(manifest(dir, 0), 0, new Uint8Array(8192).fill(7))
      remove(join(shard(dir, 0), 'lmdb'))
    },
    codes: ['manifest.damaged', 'projection.missing'],
    remedy: repairs,
    repaired: /wrote MANIFEST/,
  },
  {
    name: 'a slot of MANIFEST is damaged',
    harm: (dir) => flip(manifest(dir, 1), 40),
    codes: ['manifest.slot'],
    remedy: repairs,
    repaired: /wrote MANIFEST/,
  },
  {
    name: 'a snapshot is damaged that the log has given way to',
    harm: (dir) => flip(snapshot(dir, 0), 100),
    codes: ['snapshot.damaged'],
    remedy: /keelson start --dir \S+, then control\.snapshot\(0\)\. Keep \S+lmdb until then/,
  },
  {
    name: 'a snapshot is damaged, and the log is whole',
    harm: (dir) => flip(snapshot(dir, 1), 100),
    codes: ['snapshot.damaged'],
    remedy: repairs,
    repaired: /it names no snapshot.*set \S+\.snap aside/s,
    next: (dir) => remove(join(shard(dir, 1), 'lmdb')),
  },
  {
    name: 'a snapshot is missing',
    harm: (dir) => remove(snapshot(dir, 1)),
    codes: ['snapshot.missing'],
    remedy: repairs,
    repaired: /it names no snapshot/,
  },
  {
    name: 'a page of the projection has changed',
    harm: (dir) => {
      const key = keyIn(0, 'k7')
      const file = readFileSync(pages(dir, 0))
      for (let at = file.indexOf(key); at >= 0; at = file.indexOf(key, at + 1))
        flip(pages(dir, 0), at)
    },
    codes: ['projection.damaged'],
    remedy: repairs,
    repaired: /set \S+lmdb aside as \S+quarantine\/lmdb-1/,
  },
  {
    name: 'the file of the projection is cut',
    harm: (dir) => truncateSync(pages(dir, 0), 3 * 4096),
    codes: ['projection.damaged'],
    remedy: repairs,
    repaired: /aside/,
  },
  {
    name: 'the projection is missing',
    harm: (dir) => remove(join(shard(dir, 0), 'lmdb')),
    codes: ['projection.missing'],
    remedy: /the next start builds it/,
  },
  {
    name: 'the projection is that of another shard',
    harm: (dir) =>
      cpSync(join(shard(dir, 1), 'lmdb'), join(shard(dir, 0), 'lmdb'), { recursive: true }),
    codes: ['projection.stranger'],
    remedy: repairs,
    repaired: /aside/,
  },
  {
    name: 'the projection ends before the log begins',
    harm: (dir) => commit(dir, [], ({ walId, epoch }) => ({ walId, epoch, lsn: 5 })),
    codes: ['projection.behind'],
    remedy: repairs,
    repaired: /aside/,
  },
  {
    name: 'a row of the projection is another one than the log says, and nothing else tells',
    harm: (dir) =>
      commit(dir, [
        [keyIn(0, 'late'), { value: { tag: 1, bytes: Buffer.from('wrong') }, expiresAt: 0 }],
      ]),
    codes: ['projection.different'],
    isDeep: true,
    remedy: repairs,
    repaired: /aside/,
  },
  {
    name: 'the projection has lost a row',
    harm: (dir) => commit(dir, [[keyIn(0, 'k7'), undefined]]),
    codes: ['projection.different'],
    isDeep: true,
    remedy: repairs,
    repaired: /aside/,
  },
  {
    name: 'snapshot and projection are lost, and the log was given back',
    harm: (dir) => {
      remove(snapshot(dir, 0))
      remove(join(shard(dir, 0), 'lmdb'))
    },
    codes: ['projection.missing', 'rows.lost', 'snapshot.missing'],
    remedy: /keelson restore BACKUP/,
  },
  {
    name: 'a file of blobs is missing',
    harm: (dir) => remove(blobs(dir, 1)),
    codes: ['blob.missing'],
    remedy: /keelson restore BACKUP.*delete the keys/,
  },
  {
    name: 'the end of a blob has changed',
    harm: (dir) => flip(blobs(dir, 0), 200_000),
    codes: ['blob.damaged'],
    remedy: /keelson restore BACKUP/,
  },
  {
    name: 'the middle of a blob has changed',
    harm: (dir) => flip(blobs(dir, 0), 1_000),
    codes: ['blob.damaged'],
    isDeep: true,
    remedy: /keelson restore BACKUP/,
  },
  {
    name: 'leftovers of every kind',
    harm: (dir) => {
      const names = ['wal/spare-2.tmp', 'wal/MANIFEST.tmp', 'lmdb/trial.tmp', 'blobs/1.bloblog.tmp']
      for (const name of [...names, 'snapshot/snapshot.tmp', 'snapshot/00000000000000ff.snap'])
        writeFileSync(join(shard(dir, 0), name), 'x')
      writeFileSync(join(dir, 'd/keelson.json.tmp'), 'x')
    },
    codes: Array.from({ length: 7 }, () => 'leftover.temporary'),
    remedy: repairs,
    repaired: /(removed \S+\s*){7}/,
  },
]

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
  const text = await run(dir, ['doctor', 'd', '--progress'])
  expect(text.output).toMatch(/^sound {2}/)
  expect(text.errors).toMatch(/^examining the log of shard 1 {2}\d+%/m)
  expect((await run(dir, ['doctor', 'd', '--progress', '--json'])).errors).toBe('')
  expect(everythingIn(join(dir, 'd'))).toBe(before)
  expect(readdirSync(dir)).toEqual(['d'])
})

/** The kinds that are tried, and the repaired folders that are opened. */
const tried = sampled(cases, 11)
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

test('a signal ends it with its status, and leaves nothing beside the folder', async () => {
  const dir = copied()
  const interrupted = (listener: (signal: 'SIGINT') => void) => {
    setImmediate(() => listener('SIGINT'))
    return () => undefined
  }

  const { status } = await run(dir, ['doctor', 'd', '--deep'], { onSignal: interrupted })

  expect([status, readdirSync(dir)]).toEqual([130, ['d']])
})

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
      await run(dir, ['restore', 'b', '--to', 'other'])
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
    (dir) => run(dir, ['wal', 'salvage', 'd', '--to', 'other']),
    ['projection.missing', 'projection.missing'],
  ],
  ['just made', async (dir) => (await start({ dir: join(dir, 'other'), shards: 2 })).close(), []],
]

test.each(sampled(healthy, 1))('a folder that was %s is no patient', async (_, make, codes) => {
  const dir = copied()
  await make(dir)

  const { status, output } = await run(dir, ['doctor', 'other', '--deep', '--json'])

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

test('what is no data folder is refused, with the command that is for it', async () => {
  const dir = copied()
  const app = await start({ dir: join(dir, 'd') })
  await app.backup(join(dir, 'b'))
  await app.close()
  mkdirSync(join(dir, 'empty'))

  const told = async (folder: string) => (await run(dir, ['doctor', folder])).errors

  expect(await told('b')).toMatch(/^INVALID_ARGUMENT: .*keelson restore/)
  expect(await told('d/shard-0/wal')).toMatch(/^INVALID_ARGUMENT: .*keelson wal verify/)
  expect(await told('empty')).toMatch(/^INVALID_ARGUMENT: .*is not a data folder/)
  expect(await told('nowhere')).toMatch(/^INVALID_ARGUMENT: .*does not exist/)
  expect((await run(dir, ['doctor'])).status).toBe(2)
})
