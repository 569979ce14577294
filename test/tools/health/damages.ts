/** The damages that `keelson doctor` is tried on: each with the codes that name it, its remedy, and what the repair says. */
import {
  chmodSync,
  chownSync,
  cpSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beginSwap, nodeDisk } from '../../../src/storage/index.ts'
import { change, setFloors } from '../../support/commands/command-logs.ts'
import { keyIn } from '../../support/commands/doctor-folder.ts'
import {
  blobs,
  commit,
  exchange,
  facts,
  flip,
  killed,
  manifest,
  newest,
  pages,
  remove,
  shard,
  snapshot,
  states,
  wal,
} from './folder-harm.ts'

/** A damage, the codes that name it, its remedy, and what `--repair` does. */
export type Damage = {
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

/** All kinds of damage. */
export const damages: readonly Damage[] = [
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
    name: 'the log is older than floor.json says',
    harm: (dir) => setFloors(join(dir, 'd'), { epoch: 1, lsn: 9_999 }),
    codes: ['log.older', 'log.older'],
    remedy: /Put its newest files back.*keelson wal salvage/,
  },
  {
    name: 'floor.json of a shard has other bytes',
    harm: (dir) => writeFileSync(join(shard(dir, 0), 'floor.json'), '{"epoch":1}'),
    codes: ['log.floor'],
    remedy: repairs,
    repaired: /removed \S+floor\.json/,
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
    name: 'another folder takes the place of this one',
    harm: (dir) => {
      const disk = nodeDisk()
      const [at, next, before] = [join(dir, 'd'), join(dir, 'next'), join(dir, 'd.before')]
      beginSwap(disk, at, { next, before, instanceId: 'next', waits: false })
      remove(join(dir, 'd.swap'))
    },
    codes: ['folder.swap'],
    remedy: /keelson reshard \S+d$/,
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
    name: 'other users may enter the folder',
    harm: (dir) => chmodSync(join(dir, 'd'), 0o755),
    codes: ['folder.open'],
    remedy: /chmod -R go= \S+/,
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
    name: 'a state of the journal is damaged, and the other one is not',
    harm: (dir) => flip(states(dir)[1] as string, 50),
    codes: ['state.damaged'],
    remedy: /journal\.saveState/,
  },
  {
    name: 'the states of the journal are damaged',
    harm: (dir) => {
      for (const file of states(dir)) flip(file, 50)
    },
    codes: ['state.damaged', 'state.damaged', 'state.lost'],
    remedy: /keelson restore BACKUP.*from: 'oldest'/,
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
