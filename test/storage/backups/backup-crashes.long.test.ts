/**
 * A backup and a restore whose copies are cut off: the power goes at every call to the disk, or the call fails. What is left is
 * never taken for more than it is, and the next try is whole.
 */
import { beforeAll, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { readBackup, writeBackup } from '../../../src/storage/backups/backup-file.ts'
import { copyingShard, tidyShard } from '../../../src/storage/backups/shard-copy.ts'
import { readDataFolder } from '../../../src/storage/disk/data-folder.ts'
import { shardFolder } from '../../../src/storage/ports/folder-layout.ts'
import { readManifest } from '../../../src/storage/segments/manifest.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { changingOperations, type Fault } from '../../../src/testing/simulated/simulated-faults.ts'
import { sampled, thorough } from '../../support/tier.ts'
import { runToEnd } from '../../support/worlds/logs.ts'
import { restore } from '../../support/worlds/restored.ts'
import { options, overwrite, startedWithSnapshots } from '../../support/worlds/snapshot-instance.ts'

const [origin, target, restored] = ['/data', '/backup', '/restored']

/** A closed store on a disk that also has an earlier backup of it. */
let disk: SimulatedDisk
/** What it has since: its last LSN. */
let lsn = 0
/** The files of a restored earlier backup, and of one of all that the store has. */
let earlier: ReadonlyMap<string, string>
let whole: ReadonlyMap<string, string>

/** Every file below a folder but locks, by its path. */
const filesIn = (at: SimulatedDisk, dir: string, found = new Map<string, string>()) => {
  for (const name of at.entry(dir) ? at.list(dir) : []) {
    const path = `${dir}/${name}`
    if (at.entry(path)?.kind === 'folder') filesIn(at, path, found)
    else if (!name.startsWith('LOCK'))
      found.set(path, Buffer.from(at.contents(path)).toString('base64'))
  }
  return found
}

/** Brings the backup up to date, in the order of `app.backup`. */
const backUp = (at: SimulatedDisk): void => {
  const folders = { from: shardFolder(origin, 0), to: shardFolder(target, 0) }
  const { manifest } = readManifest(at, folders.from.wal)
  const reading = readDataFolder(at, origin)
  if (reading.state !== 'sound' || !manifest) throw new Error('there is a store')
  at.makeFolder(target)
  at.syncFolder('/')
  const request = { ...folders, lsn, snapshots: manifest.snapshots }
  const copy = runToEnd(copyingShard(at, request))
  writeBackup(at, target, { facts: reading.facts, at: 0, consistent: false, shards: [copy] })
  tidyShard(at, folders.to, copy)
}

/** The files that a restore of the backup makes. */
const restoredFrom = (at: SimulatedDisk): ReadonlyMap<string, string> => {
  const copy = at.clone()
  restore({ disk: copy }, target, restored)
  return filesIn(copy, restored)
}

beforeAll(async () => {
  const { world, app } = await startedWithSnapshots({ wal: { ...options.wal, commitments: true } })
  const saveStates = async (...ids: readonly string[]): Promise<void> => {
    for (const id of ids) {
      const { lsn: saved } = await world.during(app.journal.append({ id, type: 'order' }))
      await world.during(app.journal.saveState(saved, id))
    }
  }
  await world.during(app.store.put('blob', 'L'.repeat(300 * 1024)))
  await overwrite(world, app, 20)
  await world.during(app.control.snapshot(0))
  await overwrite(world, app, 5, 20)
  await saveStates('a', 'b')
  await world.during(app.backup(target))
  earlier = restoredFrom(world.disk)
  await overwrite(world, app, 25, 25)
  await world.during(app.store.put('more', 'M'.repeat(300 * 1024)))
  await world.during(app.control.snapshot(0))
  await overwrite(world, app, 5, 50)
  await saveStates('c', 'd')
  lsn = app.shards[0]?.appliedLsn ?? 0
  await world.during(app.close())
  disk = world.disk
  const copy = disk.clone()
  backUp(copy)
  whole = restoredFrom(copy)
})

/** A way in which work is cut off. */
type End = readonly [name: string, fault: Fault, end: 'crash' | 'killProcess']

const ends: readonly End[] = [
  ['the power goes', { kind: 'halt' }, 'crash'],
  ['the process is killed', { kind: 'halt' }, 'killProcess'],
  ['the call fails', { kind: 'error' }, 'killProcess'],
  ['the disk is full', { kind: 'error', code: 'ENOSPC' }, 'killProcess'],
]

/** Whether the work ends with an error of the disk. */
const attempted = (work: () => void): boolean => {
  try {
    work()
    return false
  } catch (error) {
    if (!isKeelsonError(error) && !(error instanceof Error && 'code' in error)) throw error
    return true
  }
}

/** Cuts `work` off at each of its calls, on a copy of `from` each time, and looks at what is left. */
const atEachCall = (
  from: SimulatedDisk,
  [, fault, end]: End,
  work: (at: SimulatedDisk) => void,
  look: (left: SimulatedDisk, where: string) => void,
): void => {
  const counted = from.clone()
  const calls = counted.recordCalls()
  work(counted)
  const count = calls.filter(({ operation }) => changingOperations.includes(operation)).length
  expect(count).toBeGreaterThan(20)
  const places = Array.from({ length: count }, (_, index) => index + 1)
  for (const at of sampled(places, 40))
    for (let seed = 1; seed <= thorough(1, 4); seed++) {
      const copy = from.clone({ seed: 100 * at + seed })
      copy.inject({ at, operation: changingOperations, fault })
      attempted(() => work(copy))
      copy.clearFaults()
      copy[end]()
      look(copy, `at call ${at} of ${count}, seed ${seed}`)
    }
}

const checkNextBackup = (left: SimulatedDisk, where: string): void => {
  backUp(left)
  // It is durable, whatever was there before.
  left.crash({ unsynced: 'lost' })
  expect(restoredFrom(left), where).toEqual(whole)
  expect([...filesIn(left, target).keys()].filter((path) => path.endsWith('.tmp'))).toEqual([])
}

test.each(ends)(
  'a first backup at which %s is not one before its end, and the next one is whole',
  (...end) => {
    const found = new Set<boolean>()
    const empty = disk.clone()
    empty.remove(target)
    empty.syncFolder('/')
    atEachCall(empty, end, backUp, (left, where) => {
      const isBackup = readBackup(left, target) !== undefined
      found.add(isBackup)
      if (isBackup) expect(restoredFrom(left), where).toEqual(whole)
      checkNextBackup(left, where)
    })
    expect(found).toContain(false)
  },
)

test.each(ends)(
  'a later backup at which %s leaves the earlier one, or is whole, and so is the next one',
  (...end) => {
    let isLeft = 0
    atEachCall(disk, end, backUp, (left, where) => {
      const files = restoredFrom(left)
      const isEarlier = readBackup(left, target)?.shards[0]?.lsn !== lsn
      if (isEarlier) isLeft++
      expect(files, where).toEqual(isEarlier ? earlier : whole)
      checkNextBackup(left, where)
    })
    expect(isLeft).toBeGreaterThan(0)
  },
)

test.each(['a first', 'a later'])(
  '%s backup after one that was killed, and one whose disk has failed to sync large values, is whole',
  (which) => {
    const from = disk.clone()
    if (which === 'a first') {
      from.remove(target)
      from.syncFolder('/')
    }
    /** A try at whose `at`-th sync of blobs there is a fault. Answers whether it was cut off. */
    const cutOff = (on: SimulatedDisk, at: number, fault: Fault): boolean => {
      on.inject({ at, operation: 'sync', path: '.bloblog', fault })
      const ends = attempted(() => backUp(on))
      on.clearFaults()
      on.killProcess()
      return ends
    }
    let tries = 0
    for (let kill = 1; cutOff(from.clone(), kill, { kind: 'halt' }); kill++)
      for (let fail = 1; ; fail++, tries++) {
        const copy = from.clone()
        cutOff(copy, kill, { kind: 'halt' })
        if (!cutOff(copy, fail, { kind: 'error' })) break
        checkNextBackup(copy, `killed at sync ${kill}, failed at sync ${fail}`)
      }
    expect(tries).toBeGreaterThan(1)
  },
)

test.each(ends)(
  'a restore at which %s leaves no data folder, or a whole one, and the backup as it was',
  (...end) => {
    const backedUp = disk.clone()
    const before = filesIn(backedUp, target)
    let refused = 0
    atEachCall(
      backedUp,
      end,
      (at) => restore({ disk: at }, target, restored),
      (left, where) => {
        // Without a sound `keelson.json` a folder with a log is refused.
        if (readDataFolder(left, restored).state === 'sound')
          expect(filesIn(left, restored), where).toEqual(earlier)
        else refused++
        expect(filesIn(left, target), where).toEqual(before)
        left.remove(restored)
        expect(restoredFrom(left), where).toEqual(earlier)
      },
    )
    expect(refused).toBeGreaterThan(0)
  },
)
