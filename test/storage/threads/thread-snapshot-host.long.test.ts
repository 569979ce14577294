/** The thread that makes and loads snapshots, as it is built: the contract through it, and the ends of its process. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import type * as Storage from '../../../src/storage/index.ts'
import { snapshotHostContract } from '../../contracts/snapshot-host.contract.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const built = pathToFileURL(join(import.meta.dirname, '../../../dist/storage/index.js')).href
const storage = (await import(built)) as typeof Storage
const openDatabase = await storage.loadLmdb()
const disk = storage.nodeDisk()
const makeHost = storage.threadSnapshotHosts()

snapshotHostContract('LMDB and threads for snapshots', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-snapshots-'))
  return {
    disk,
    dir,
    projections: storage.lmdbProjections(openDatabase, disk, storage.threadExaminer()),
    makeHost: () => makeHost(0),
    during: (work) => work,
    release: () => Promise.resolve(rmSync(dir, { recursive: true, force: true })),
  }
})

test('a folder without saved states, or with nothing to remove, needs no thread to see it', async () => {
  const dir = tempFolder()
  let threads = 0
  const counted = () => threads++
  process.on('worker', counted)
  try {
    const host = makeHost(0)
    const none = { state: undefined, states: [], damaged: [] }
    expect(await host.run('loadState', { dir, epoch: 0 })).toEqual(none)
    expect(await host.run('tidy', { dir, kept: [] })).toEqual({ removed: 0, removedBytes: 0 })
    expect(threads).toBe(0)
    await host.run('saveState', {
      dir,
      state: { lsn: 3, time: 5, content: Buffer.from('s') },
      epoch: 0,
    })
    expect(await host.run('loadState', { dir, epoch: 0 })).toMatchObject({ states: [3] })
    expect(threads).toBe(2)
    await host.end()
  } finally {
    process.off('worker', counted)
  }
})

/** Makes a snapshot of 100,000 rows of 600 bytes, and ends its process in the given way while it is loaded. A busy
 * machine may run the process only after a moment, in which the load must not end. */
const program = `
  import { lmdbProjections, loadLmdb, nodeDisk, threadExaminer, threadSnapshotHosts } from ${JSON.stringify(built)}
  const [root, end] = process.argv.slice(1)
  const store = lmdbProjections(await loadLmdb(), nodeDisk(), threadExaminer()).open(root + '/lmdb')
  const rows = Array.from({ length: 100_000 }, (_, at) => [
    'k' + at,
    { value: { tag: 2, bytes: Buffer.alloc(600, at) }, expiresAt: 0 },
  ])
  await store.commit(rows, { walId: '00'.repeat(16), epoch: 1, lsn: 5 })
  const host = threadSnapshotHosts()(0)
  const dir = root + '/snapshot'
  const limits = { bytesPerSecond: Infinity, pinnedBytesMax: Infinity }
  const snapshot = await host.run('make', { dir, projection: root + '/lmdb', ...limits })
  process.stdout.write(JSON.stringify(snapshot))
  await host.run('load', { dir, snapshot, projection: root + '/loaded' }, () => {
    if (end === 'exit') process.exit(7)
    process.kill(process.pid, end)
  })
`

describe('the end of a process while a snapshot is loaded', () => {
  test.each([
    ['exit', { status: 7, signal: null }],
    ['SIGKILL', { status: null, signal: 'SIGKILL' }],
  ])('by %s comes at once, and the next load goes on', async (end, expected) => {
    const root = tempFolder()
    const args = ['--input-type=module', '-e', program, root, end]
    const ended = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 })
    expect(ended, ended.stderr).toMatchObject(expected)
    const projection = join(root, 'loaded')
    expect(storage.examineProjection(disk, projection)).toMatchObject({ state: 'loading' })
    const host = makeHost(0)
    const snapshot = JSON.parse(ended.stdout) as Storage.SnapshotFacts
    await host.run('load', { dir: join(root, 'snapshot'), snapshot, projection })
    await host.end()
    expect(storage.examineProjection(disk, projection)).toMatchObject({
      state: 'sound',
      // One is the mark that rows of logged blobs are still to be made.
      rows: 100_001,
      position: { lsn: 5 },
    })
  })
})
