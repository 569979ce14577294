/**
 * Lives of an instance that makes snapshots all the time, from one seed: writes, blobs, sweeps, killed actors, power cuts at any
 * call to the disk, lost and damaged projections. After each, what is acknowledged is there. At the end the projection that grew
 * by commits has the same rows as one that is built from a snapshot and the log.
 */
import { expect } from 'vitest'
import { Applier, LmdbWriter, Snapshotter } from '../../../src/actors/index.ts'
import type { KeelsonError } from '../../../src/errors.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { loggedBlobRows, recordOfLogged } from '../../../src/storage/index.ts'
import type { StartOptions } from '../../../src/supervisors/index.ts'
import { folders } from '../worlds/snapshot-instance.ts'
import { InstanceLife } from './instance-life.ts'

const KiB = 1024

/** What happened in a life, so that a test can see that something did. */
export type SnapshotStory = {
  snapshots: number
  released: number
  crashes: number
  crashesInStart: number
  loads: number
  freed: number
}

/** Refusals that say that nothing was written, and nothing ever will be. */
const neverWritten = ['NOT_SUBMITTED', 'BUSY', 'NO_SPACE', 'CLOSED', 'SHARD_DOWN']

/** Writes of one key of which each may be the last that took effect, in the order of their issue. */
type Possible = { readonly value: string | undefined }[]

/** One machine, and the instances on it. */
export class SnapshotLife extends InstanceLife {
  readonly story: SnapshotStory = {
    snapshots: 0,
    released: 0,
    crashes: 0,
    crashesInStart: 0,
    loads: 0,
    freed: 0,
  }
  readonly #options: Partial<StartOptions>
  readonly #keys = Array.from('abcdefgh')
  readonly #model = new Map<string, Possible>(
    this.#keys.map((key) => [key, [{ value: undefined }]]),
  )
  #written = 0

  constructor(seed: number) {
    super(seed, [0, 1, 5])
    const keep = this.pick([1, 1, 2])
    const retention = this.pick([undefined, undefined, { log: 150 * KiB }, { log: '1s' }])
    this.#options = {
      deadlineMs: 500,
      wal: { maxFileSize: 128 * KiB },
      lmdb: { lagBytesMax: this.pick([64 * KiB, 256 * KiB * KiB]) },
      blobs: { threshold: 3_000, graceMs: 500, sweepMs: 0 },
      snapshot: { minLogBytes: this.pick([64 * KiB, 150 * KiB]), ratio: this.pick([0, 1]), keep },
      ...(retention && { retention }),
    }
  }

  /** Lives through `rounds` rounds, and compares all rows at the end. */
  async run(rounds: number): Promise<SnapshotStory> {
    await this.#begin()
    await this.liveThrough(rounds)
    await this.#compare()
    return this.story
  }

  protected readonly events: readonly (() => unknown)[] = [
    () => this.#control('snapshotAll'),
    () => this.#control('sweepAll'),
    () => this.running.system.kill(Snapshotter.name(0)),
    () =>
      this.running.system.kill(
        this.pick<never>([Applier, LmdbWriter].map((each) => each.name(0)) as never),
      ),
    () => this.#crashAmid(() => this.#control('snapshotAll')),
    () => this.#crashAmid(() => this.burst()),
    () => this.crash(),
    async () => {
      await this.during(this.running.close())
      await this.#begin()
    },
  ]

  async #control(request: 'snapshotAll' | 'sweepAll'): Promise<void> {
    await this.during(this.running.control[request]({ timeoutMs: 400 }).catch(() => undefined))
  }

  /** Forty writes at once. Some are blobs. */
  protected async burst(): Promise<void> {
    for (let at = 0; at < 40; at++) this.#write()
    await Promise.all([...this.pending])
  }

  #write(): void {
    const key = this.pick(this.#keys)
    const possible = this.#model.get(key) as Possible
    const length = this.pick([10, 900, 900, 900, 4_000])
    const value = this.random() < 0.15 ? undefined : `${this.#written++}:`.padEnd(length, key)
    const { store } = this.running
    const issued = { value }
    possible.push(issued)
    const work = value === undefined ? store.delete(key) : store.put(key, value)
    const done = work.then(
      () => void possible.splice(0, possible.indexOf(issued)),
      (error: KeelsonError) => {
        if (neverWritten.includes(error.code)) possible.splice(possible.indexOf(issued), 1)
        else if (error.code !== 'UNKNOWN_OUTCOME') throw error
      },
    )
    this.issue(done)
  }

  protected check(): void {
    for (const key of this.#keys) {
      const found = this.running.store.get(key)
      const possible = this.#model.get(key)?.map(({ value }) => value)
      expect(possible, key).toContain(found)
    }
  }

  async #crashAmid(act: () => Promise<unknown>): Promise<void> {
    await this.crashDuring(1 + Math.floor(this.random() ** 2 * 120), act, [5, 50, 500])
  }

  protected async crash(): Promise<void> {
    const { disk, projections } = this.world
    this.story.crashes++
    disk.halt()
    await this.during(this.running.close({ deadlineMs: 0 }).catch(() => undefined))
    await this.during(Promise.all([...this.pending]))
    disk.clearFaults()
    disk.crash()
    this.pick([
      () => undefined,
      () => projections.loseCommits(folders.lmdb, this.pick([1, 3, 40])),
      () => projections.remove(folders.lmdb),
      () => projections.damage(folders.lmdb, 'a bit flipped'),
    ])()
    await this.#begin()
  }

  /** Starts, after some starts that a power cut ends. */
  async #begin(): Promise<void> {
    const { disk } = this.world
    while (this.app && this.random() < 0.4) {
      disk.inject({ at: 1 + Math.floor(this.random() ** 2 * 150), fault: { kind: 'halt' } })
      const app = await this.world.start(this.#options).catch(() => undefined)
      this.story.crashesInStart++
      disk.halt()
      if (app) await this.during(app.close({ deadlineMs: 0 }).catch(() => undefined))
      disk.clearFaults()
      disk.crash()
    }
    const app = await this.world.start(this.#options)
    const events = telemetry(app.system) as {
      on(name: string, heard: (event: { freedBytes: number }) => void): void
    }
    events.on('snapshot.made', () => this.story.snapshots++)
    events.on('log.released', () => this.story.released++)
    events.on('blobs.swept', ({ freedBytes }) => {
      this.story.freed += freedBytes
    })
    this.app = app
    this.check()
  }

  /** Every row, those of blobs with the LSN of their frame, and where the log begins. */
  async #rows(): Promise<{
    rows: readonly (readonly [number, string, string])[]
    firstLsn: number
  }> {
    const app = this.running
    await this.during(app.control.flushAll())
    const [shard] = app.shards
    if (!shard) throw new Error('there is a shard')
    const { firstLsn } = await this.during(shard.files.log().run('state', null))
    const rows = [...shard.view().layers.projection.range({})].map(([key, row]) => {
      const isLogged = key > loggedBlobRows.gt && key < (loggedBlobRows.lt ?? '')
      const lsn = isLogged ? recordOfLogged(key, row).lsn : Number.POSITIVE_INFINITY
      const { value, expiresAt } = row
      const text = `${value.tag} ${expiresAt} ${Buffer.from(value.bytes).toString('hex')}`
      return [lsn, key, text] as const
    })
    return { rows, firstLsn }
  }

  /** The same rows by commits, by a snapshot and the log behind it, and the same values. */
  async #compare(): Promise<void> {
    await this.during(this.burst())
    const grown = await this.#rows()
    await this.during(this.running.close())
    this.world.projections.remove(folders.lmdb)
    this.app = undefined
    await this.#begin()
    this.story.loads++
    const loaded = await this.#rows()
    // Rows of blobs whose frames the log has given back may be left over.
    const isOfLog = ([lsn]: readonly [number, ...unknown[]]): boolean => lsn >= loaded.firstLsn
    expect(loaded.rows.filter(isOfLog)).toEqual(grown.rows.filter(isOfLog))
    this.check()
    await this.during(this.running.close())
  }
}
