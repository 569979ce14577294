/**
 * What becomes of a data folder whose snapshots or projection were damaged, alone or together, while nothing ran: right rows,
 * rebuilt rows, or a refusal as `CORRUPT` that changes nothing. Never a wrong row, a hang or the end of the process. Real
 * files, the built package, in a process of its own.
 */
import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type StartOptions, start } from 'keelson'
import { expect, test } from 'vitest'
import { childProgram } from '../support/commands/child-program.ts'
import {
  bitAt,
  bitsAnywhere,
  copiedOver,
  cutTo,
  DataFolder,
  type Edit,
  edit,
  garbled,
  gone,
  longer,
  noiseAt,
  numberAt,
  onPage,
  pageBytes,
  replacedBy,
  zerosAt,
} from '../support/harm/damaged-folder.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { sampled } from '../support/tier.ts'

const KiB = 1024

/**
 * The stores that are damaged. `released`: the log begins behind the first frames, and a snapshot has their rows. `whole`: a
 * snapshot beside a log with every frame. `two`: two snapshots, and the log from the older one on.
 */
const stores = {
  released: { wal: { maxFileSize: 256 * KiB } },
  whole: { wal: { maxFileSize: 256 * KiB }, retention: { log: 1_000_000 * KiB } },
  two: { wal: { maxFileSize: 256 * KiB }, snapshot: { keep: 2 } },
} as const satisfies Record<string, Partial<StartOptions>>

type StoreName = keyof typeof stores

/** How a start may come out: `rebuilt` with a new file of the projection. */
type Outcome = 'right' | 'rebuilt' | 'CORRUPT'

type Harm = (folder: DataFolder) => void
type Harms = Readonly<Record<string, Harm>>

type Case = {
  readonly what: string
  readonly store: StoreName
  readonly harm: Harm
  readonly allowed: Outcome
}

const casesOf = (store: StoreName, allowed: Outcome, harms: Harms): Case[] =>
  Object.entries(harms).map(([what, harm]) => ({ what, store, harm, allowed }))

/** Each of the harms together with another one. */
const along = (harms: Harms, about: string, other: Harm): Harms =>
  Object.fromEntries(
    Object.entries(harms).map(([what, harm]) => [
      `${what} ${about}`,
      (folder: DataFolder) => {
        harm(folder)
        other(folder)
      },
    ]),
  )

const lost: Harm = ({ lmdb }) => gone(lmdb)

/** As if the last life had not closed its projection. */
const killed: Harm = ({ lmdb }) => gone(join(lmdb, 'CLEAN'))

/** Nor the one before it. */
const killedTwice: Harm = (folder) => {
  killed(folder)
  writeFileSync(join(folder.lmdb, 'UNPROVEN'), '')
}

const nothing: Harm = () => undefined

const onSnapshot =
  (...edits: readonly Edit[]): Harm =>
  ({ snapshot }) =>
    edit(snapshot, ...edits)

const onData =
  (...edits: readonly Edit[]): Harm =>
  ({ data }) =>
    edit(data, ...edits)

/** Where the index of a snapshot begins. */
const indexIn = (bytes: Buffer): number => bytes.readUIntLE(bytes.length - 24, 6)

const harmsOfSnapshot: Harms = {
  'a bit in the header of the snapshot': onSnapshot(bitAt(34)),
  'a bit in a row of the snapshot': onSnapshot(bitAt(5_000)),
  'a bit in its last row': onSnapshot((bytes) => bitAt(indexIn(bytes) - 9)(bytes)),
  'a bit in its index': onSnapshot((bytes) => bitAt(indexIn(bytes) + 1)(bytes)),
  'a bit in its footer': onSnapshot(bitAt(-30)),
  'a block of the snapshot with a huge length': onSnapshot(numberAt(64 + 4, 0xffff_fff0)),
  'zeros over a sector of the snapshot': onSnapshot(zerosAt(8_192, 512)),
  'noise over a sector of the snapshot': onSnapshot(noiseAt(8_192, 512)),
  'a part of the snapshot over another': onSnapshot(copiedOver(20_480, 40_960, 4_096)),
  'a snapshot without a byte': onSnapshot(cutTo(0)),
  'a snapshot cut in its middle': onSnapshot(cutTo(0.5)),
  'a snapshot without its last byte': onSnapshot(cutTo(-1)),
  'a byte behind the snapshot': onSnapshot(longer),
  'a missing snapshot': ({ snapshot }) => gone(snapshot),
  'a folder in the place of the snapshot': ({ snapshot }) => replacedBy('a folder', snapshot),
  'a missing folder of snapshots': (folder) => gone(folder.at('snapshot')),
}

/** Those that a start finds whatever the last end was. */
const harmsOfProjection: Harms = {
  'a missing projection': lost,
  'a file in the place of the projection': ({ lmdb }) => replacedBy('a file', lmdb),
  'a projection without a byte': onData(cutTo(0)),
  'a projection cut in its first page': onData(cutTo(0.0001)),
  'a projection cut to a tenth': onData(cutTo(0.1)),
  'a projection cut in its middle': onData(cutTo(0.5)),
  'noise over the first meta page': onData(noiseAt(0, pageBytes)),
  'zeros over the second meta page': onData(zerosAt(pageBytes, pageBytes)),
  'zeros over both meta pages': onData(zerosAt(0, 2 * pageBytes)),
  'zeros over the root': onData(onPage('root', (at) => zerosAt(at, pageBytes))),
  'a projection as it was before the log begins': ({ dir, data, lmdb }) => {
    copyFileSync(join(dir, '..', 'released.early'), data)
    gone(join(lmdb, 'CLEAN'))
  },
  'the projection of another store': ({ dir, data, lmdb }) => {
    copyFileSync(join(dir, '..', 'whole', 'shard-0', 'lmdb', 'data.mdb'), data)
    gone(join(lmdb, 'CLEAN'))
  },
}

/** Those in its pages: a row in the middle, or all that a page has. */
const harmsOfPages: Harms = {
  'a changed row': onData(garbled('0701 ')),
  'zeros over a leaf page': onData(onPage('leaf', (at) => zerosAt(at, pageBytes))),
  'noise over a leaf page': onData(onPage('leaf', (at) => noiseAt(at, pageBytes))),
  'noise over a large row': onData(onPage('overflow', (at) => noiseAt(at, pageBytes))),
  'noise over an inner page': onData(onPage('branch', (at) => noiseAt(at, pageBytes))),
}

/** With a log that begins behind the first frames, each is right, rebuilt from the snapshot, or refused. */
const cases: Case[] = [
  ...casesOf('released', 'right', along(harmsOfSnapshot, 'beside a projection', nothing)),
  ...casesOf('released', 'CORRUPT', along(harmsOfSnapshot, 'without a projection', lost)),
  ...casesOf('released', 'rebuilt', harmsOfProjection),
  ...casesOf('released', 'rebuilt', along(harmsOfPages, 'after a clean close', nothing)),
  ...casesOf('released', 'rebuilt', along(harmsOfPages, 'after a kill', killed)),
  ...casesOf('released', 'rebuilt', along(harmsOfPages, 'after two kills', killedTwice)),
  ...casesOf('released', 'rebuilt', {
    'fifty bits anywhere in the projection after two kills': (folder) => {
      killedTwice(folder)
      edit(folder.data, bitsAnywhere(50))
    },
    'noise over the free list after a kill': (folder) => {
      killed(folder)
      edit(
        folder.data,
        onPage('free', (at) => noiseAt(at, pageBytes)),
      )
    },
  }),
  ...casesOf('released', 'right', {
    'noise in the mark of a clean close': ({ lmdb }) => edit(join(lmdb, 'CLEAN'), noiseAt(0, 24)),
    'noise in the lock file of LMDB': ({ lmdb }) => edit(join(lmdb, 'lock.mdb'), noiseAt(0, 512)),
    'a snapshot that nothing names': (folder) =>
      cpSync(folder.snapshot, folder.at('snapshot', '00000000000fffff.snap')),
    'a snapshot that was cut off while it was made': (folder) =>
      writeFileSync(folder.at('snapshot', 'snapshot.tmp'), 'KEELSNP'),
  }),
  ...casesOf('released', 'CORRUPT', {
    'a changed row and a changed snapshot': (folder) => {
      harmsOfPages['a changed row']?.(folder)
      edit(folder.snapshot, bitAt(5_000))
    },
    'both slots of the MANIFEST, and a missing projection': (folder) => {
      edit(folder.manifest, noiseAt(0, 512), noiseAt(4_096, 512))
      lost(folder)
    },
    'the segment behind the snapshot, and a missing projection': (folder) => {
      gone(folder.segments[0] ?? '')
      lost(folder)
    },
  }),
  ...casesOf('released', 'rebuilt', {
    'one slot of the MANIFEST, and a missing projection': (folder) => {
      edit(folder.manifest, noiseAt(0, 512))
      lost(folder)
    },
  }),
  ...casesOf('whole', 'rebuilt', {
    'snapshot and projection, with all of the log': (folder) => {
      gone(folder.snapshot)
      lost(folder)
    },
    'a changed snapshot and a cut projection, with all of the log': (folder) => {
      edit(folder.snapshot, bitAt(5_000))
      edit(folder.data, cutTo(0.5))
    },
    'a changed row and a changed snapshot, with all of the log': (folder) => {
      harmsOfPages['a changed row']?.(folder)
      edit(folder.snapshot, bitAt(5_000))
    },
    'both slots of the MANIFEST, and a missing projection, with all of the log': (folder) => {
      edit(folder.manifest, noiseAt(0, 512), noiseAt(4_096, 512))
      lost(folder)
    },
  }),
  ...casesOf('two', 'rebuilt', {
    'the newer snapshot, and a missing projection': (folder) => {
      edit(folder.snapshot, bitAt(5_000))
      lost(folder)
    },
    'the older snapshot, and a missing projection': (folder) => {
      edit(folder.snapshots[0] ?? '', bitAt(5_000))
      lost(folder)
    },
    'the older snapshot in the place of the newer one, and a missing projection': (folder) => {
      copyFileSync(folder.snapshots[0] ?? '', folder.snapshot)
      lost(folder)
    },
    'a missing newer snapshot, one slot of the MANIFEST, and a cut projection': (folder) => {
      gone(folder.snapshot)
      edit(folder.manifest, noiseAt(4_096, 512))
      edit(folder.data, cutTo(0.3))
    },
  }),
  ...casesOf('two', 'CORRUPT', {
    'both snapshots, and a missing projection': (folder) => {
      for (const path of folder.snapshots) edit(path, bitAt(5_000))
      lost(folder)
    },
  }),
]

const rowCount = 1_400

const numberOf = (at: number): string => String(at).padStart(4, '0')

/** Long enough for more than one inner page. */
const keyOf = (at: number): string => `a row that is known by its number ${numberOf(at)}`

const textOf = (at: number, round: number): string =>
  `${numberOf(at)} ${round} `.repeat(at % 70 === 7 ? 1_200 : 50)

const sumOf = (value: string | Uint8Array): string =>
  createHash('sha1').update(value).digest('base64')

/** Makes a store in `dir`, with its expected rows and an early state of its projection beside it. */
const build = async (dir: string, options: Partial<StartOptions>): Promise<void> => {
  const large = Buffer.alloc(100 * KiB, 'l')
  const rows = new Map<string, string | Buffer>([['large', large]])
  const app = await start({ dir, blobs: { threshold: 64 * KiB }, ...options })
  const write = async (round: number): Promise<void> => {
    const puts: Promise<unknown>[] = []
    for (let at = 0; at < rowCount; at += round) {
      rows.set(keyOf(at), textOf(at, round))
      puts.push(app.store.put(keyOf(at), textOf(at, round)))
    }
    await Promise.all(puts)
  }
  await app.store.put('large', large)
  await write(1)
  await app.control.flushAll()
  copyFileSync(join(dir, 'shard-0', 'lmdb', 'data.mdb'), `${dir}.early`)
  await write(2)
  await app.control.snapshot(0)
  await write(3)
  if (options.snapshot?.keep === 2) await app.control.snapshot(0)
  await write(9)
  for (let at = 0; at < rowCount; at += 50) rows.delete(keyOf(at))
  await Promise.all(
    Array.from({ length: rowCount / 50 }, (_, at) => app.store.delete(keyOf(50 * at))),
  )
  await app.close()
  const sums = [...rows].map(([key, value]) => [key, sumOf(value)])
  writeFileSync(`${dir}.json`, JSON.stringify(sums))
}

/** Opens damaged folders in a process, and notes how each came out. A next one goes on behind a folder that killed it. */
const openAll = async (dirs: readonly string[], outcomes: Map<string, string>): Promise<void> => {
  if (dirs.length === 0) return
  let current = ''
  const child = childProgram('damaged-folders.mjs', dirs, (line) => {
    const [dir = '', ...words] = line.split(' ')
    current = dir
    outcomes.set(dir, words.join(' '))
  })
  const { code, signal } = await child.ended
  if (code === 0) return
  outcomes.set(current, `${outcomes.get(current)}, and the process ended with ${signal ?? code}`)
  await openAll(dirs.slice(dirs.indexOf(current) + 1), outcomes)
}

test('a damaged snapshot, projection, or both, is as good as before, rebuilt, or refused as CORRUPT', async () => {
  expect(cases.length).toBeGreaterThan(60)
  const root = tempFolder()
  const tried = sampled(cases, 25).map((each, at) => ({ ...each, dir: join(root, String(at)) }))
  const needed = new Set<string>(['whole', ...tried.map(({ store }) => store)])
  for (const [name, options] of Object.entries(stores))
    if (needed.has(name)) await build(join(root, name), options)
  for (const { dir, store, harm } of tried) {
    cpSync(join(root, store), dir, { recursive: true, preserveTimestamps: true })
    copyFileSync(join(root, `${store}.json`), `${dir}.json`)
    harm(new DataFolder(dir))
  }
  const outcomes = new Map<string, string>()
  await openAll(
    tried.map(({ dir }) => dir),
    outcomes,
  )

  const wrong = tried.flatMap(({ what, dir, allowed }) => {
    const outcome = outcomes.get(dir)
    return outcome === allowed ? [] : [`${what}: ${outcome} instead of ${allowed}`]
  })
  expect(wrong).toEqual([])
}, 600_000)
