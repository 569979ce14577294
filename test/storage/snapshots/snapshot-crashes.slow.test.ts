/**
 * A snapshot is made, named, the log behind it released and older files removed; the power goes at every call to the
 * disk, or the call fails. Whatever is left, a start without a projection builds the rows of every acknowledged write.
 */
import { expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { noExpiry } from '../../../src/storage/commands/command.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { createLog, type Log } from '../../../src/storage/log/log.ts'
import type { LogNeeds } from '../../../src/storage/ports/log-host.ts'
import type { NamedSnapshot } from '../../../src/storage/ports/named-snapshot.ts'
import type { ProjectionStore, RowChange } from '../../../src/storage/ports/projection-store.ts'
import { applyUnits } from '../../../src/storage/rows/unit-application.ts'
import { SnapshotWork } from '../../../src/storage/snapshots/snapshot-work.ts'
import { unlistedBlobsKey } from '../../../src/storage/values/row-key.ts'
import { changingOperations, type Fault } from '../../../src/testing/simulated/simulated-faults.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { sampled, thorough } from '../../support/tier.ts'
import { name, release } from '../../support/worlds/logs.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const folders = { wal: '/data/wal', dir: '/data/snapshot', projection: '/data/lmdb' }
const options = { maxFileSize: 8 * 1024, sectorBytes: 512 }
const noLimit = {
  bytesPerSecond: Number.POSITIVE_INFINITY,
  pinnedBytesMax: Number.POSITIVE_INFINITY,
}

/** One machine, on which lives of a store with one key for each write follow one another. */
class Lives {
  readonly machine: SimulatedMachine
  /** The LSN of each acknowledged write, by its key. */
  readonly acknowledged = new Map<string, number>()
  #log: Log | undefined
  #store: ProjectionStore | undefined

  constructor(seed: number) {
    this.machine = new SimulatedMachine({ seed })
    createLog(this.machine.disk, this.machine.clock).handle('create', { dir: folders.wal, options })
  }

  get #life(): { readonly log: Log; readonly store: ProjectionStore } {
    if (!this.#log || !this.#store) throw new Error('there is no life')
    return { log: this.#log, store: this.#store }
  }

  /** Writes `count` keys, each in a frame of its own. The projection takes all frames but the last `behind`. */
  async write(count: number, behind: number): Promise<void> {
    const { log } = this.#life
    for (let at = 0; at < count; at++) {
      const key = `k${this.acknowledged.size}`
      const value = { tag: 2, bytes: Buffer.alloc(1_500, this.acknowledged.size) } as const
      const frame = encodeFrame([{ kind: 'put', key, value, expiry: noExpiry }])
      const written = { bytes: frame, lengths: [frame.length], now: 1, sync: true, projectedLsn: 0 }
      const { lsns, refused } = log.handle('commit', written)
      if (refused) throw refused
      this.acknowledged.set(key, lsns[0] ?? 0)
    }
    await this.#project(behind)
  }

  async #project(behind: number): Promise<void> {
    const { log, store } = this.#life
    const lsns = [...this.acknowledged.values()]
    const lsn = lsns[lsns.length - 1 - behind] ?? 0
    const { walId } = log.handle('describe', null)
    const rows = this.rows(lsn)
    await this.machine.during(store.commit(rows.rows, { walId, epoch: 1, lsn }))
  }

  /** Makes and names a snapshot, releases the log behind it and removes older files. */
  async snapshot(): Promise<void> {
    const { machine } = this
    const { log, store } = this.#life
    const host = new SnapshotWork(machine)
    const pin = store.pin()
    try {
      const snapshot = await machine.during(host.run('make', { ...folders, ...noLimit }))
      const { snapshots } = name(log, snapshot)
      release(log, snapshot.lsn)
      await machine.during(host.run('tidy', { dir: folders.dir, kept: snapshots }))
    } finally {
      pin.release()
      await machine.during(host.end())
    }
  }

  /** Opens log and projection. Without a sound projection a named snapshot is loaded first. */
  async start(): Promise<{ readonly base: string | undefined }> {
    const { machine } = this
    const { disk, clock, projections } = machine
    const found = await projections.examine(folders.projection)
    const shown = found.state === 'sound' ? found.position : undefined
    const needs: LogNeeds = {
      readFrom: 1,
      holdsUnits: true,
      base: { damaged: [] },
      ...(shown && { shown }),
    }
    const log = createLog(disk, clock)
    const inspection = log.handle('inspect', { dir: folders.wal, options, evidence: [], needs })
    const { base, snapshots } = inspection
    const host = new SnapshotWork(machine)
    if (base?.kind === 'snapshot') await this.#load(host, base.snapshot)
    log.handle('open', { dir: folders.wal, options, inspection })
    // Before the opening a MANIFEST may be seen that is not durable. The older one needs its files.
    await machine.during(host.run('tidy', { dir: folders.dir, kept: snapshots }))
    await machine.during(host.end())
    this.#log = log
    this.#store = projections.open(folders.projection)
    return { base: base?.kind }
  }

  async #load(host: SnapshotWork, snapshot: NamedSnapshot): Promise<void> {
    const { machine } = this
    await machine.during(host.run('load', { ...folders, snapshot }))
  }

  /** The rows: those of the projection, with the frames behind it. */
  rows(upTo = Number.MAX_SAFE_INTEGER): MapRows {
    const { log, store } = this.#life
    const rows = new MapRows(store.range({}))
    const sink = { set: (...change: RowChange) => rows.take([change]) }
    const from = (store.position()?.lsn ?? 0) + 1
    for (let next = from; ; ) {
      const answer = log.handle('read', { from: next, maxBytes: 10_000 })
      for (const { lsn, time, offset, length } of answer.frames) {
        if (lsn > upTo) return rows
        const { units } = decodeFrame(answer.bytes.subarray(offset, offset + length))
        applyUnits(units, rows, { lsn, time }, sink)
      }
      if (answer.frames.length === 0) return rows
      next = answer.next
    }
  }

  /** The process ends, and with `projection` its LMDB is lost too. */
  async end(how: 'kill' | 'power', projection: 'kept' | 'lost'): Promise<void> {
    const { disk } = this.machine
    this.#log?.abandon()
    await this.#store?.close()
    this.#log = undefined
    this.#store = undefined
    if (how === 'kill') disk.killProcess()
    else disk.crash()
    if (projection === 'lost') this.machine.projections.remove(folders.projection)
  }
}

/** A store with a snapshot, writes behind it, and more of them in the log than in the projection. */
const begun = async (seed: number): Promise<Lives> => {
  const lives = new Lives(seed)
  await lives.start()
  await lives.write(8, 2)
  await lives.snapshot()
  await lives.write(8, 3)
  return lives
}

const changing = (operation: string): boolean =>
  (changingOperations as readonly string[]).includes(operation)

/** Runs the work of a snapshot with a fault at its call number `at`; answers how many calls it made. */
const struck = async (lives: Lives, at: number, fault: Fault): Promise<number> => {
  const { disk } = lives.machine
  const calls = disk.recordCalls()
  disk.inject({ at, operation: changingOperations, fault })
  try {
    await lives.snapshot()
    await lives.write(3, 0)
  } catch (error) {
    if (!isKeelsonError(error)) throw error
  }
  disk.clearFaults()
  return calls.filter(({ operation }) => changing(operation)).length
}

const missing = (lives: Lives): string[] => {
  const rows = lives.rows()
  return [...lives.acknowledged.keys()].filter((key) => rows.get(key) === undefined)
}

const callsInAll = await struck(await begun(1), 1e9, { kind: 'halt' })

test('a snapshot that was made, named and followed by a release gives the start everything', async () => {
  const lives = await begun(1)
  await lives.snapshot()
  await lives.write(3, 3)
  const before = lives.rows().rows
  await lives.end('power', 'lost')
  expect(await lives.start()).toEqual({ base: 'snapshot' })
  expect(missing(lives)).toEqual([])
  const rows = [...lives.rows().rows].filter(([key]) => key !== unlistedBlobsKey)
  expect(new Map(rows.sort())).toEqual(new Map([...before].sort()))
  const [file] = lives.machine.disk.list(folders.dir)
  expect(lives.machine.disk.list(folders.dir)).toEqual([file])
})

test.each([
  ['the power goes', 'power', { kind: 'halt' }],
  ['the process is killed', 'kill', { kind: 'halt' }],
  ['the call fails', 'kill', { kind: 'error' }],
  ['the disk is full', 'kill', { kind: 'error', code: 'ENOSPC' }],
] as const)(
  'at every call at which %s, a start finds every acknowledged write',
  async (_, end, fault) => {
    expect(callsInAll).toBeGreaterThan(15)
    const bases = new Set<string | undefined>()
    const calls = Array.from({ length: callsInAll }, (_, index) => index + 1)
    for (const at of sampled(calls, 6))
      for (let seed = 1; seed <= thorough(1, 4); seed++) {
        const lives = await begun(seed)
        await struck(lives, at, fault)
        await lives.end(end, at % 3 === 0 ? 'kept' : 'lost')
        const { base } = await lives.start()
        bases.add(base)
        expect(missing(lives), `${_} at call ${at} of ${callsInAll}, seed ${seed}`).toEqual([])
        // Nothing but what counts is left, and the next snapshot works.
        await lives.snapshot()
        await lives.end('power', 'lost')
        await lives.start()
        expect(missing(lives), `after ${at}, seed ${seed}`).toEqual([])
      }
    expect([...bases].sort()).toEqual(['projection', 'snapshot'])
  },
  60_000,
)
