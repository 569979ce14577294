/**
 * Lives of an instance whose threads die, one at a time, from one seed: while they are idle, at any call to the disk, or in a
 * start. One death takes no shard down, rejects no start and spends no restart but that of the process whose thread it was. Each
 * call settles, and what is acknowledged is there.
 */
import { expect } from 'vitest'
import { Applier } from '../../../src/actors/index.ts'
import type { KeelsonError } from '../../../src/errors.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import type { ThreadRole } from '../../../src/testing/simulated/simulated-thread.ts'
import { folders } from '../worlds/snapshot-instance.ts'
import { InstanceLife } from './instance-life.ts'

const KiB = 1024

/** What happened in a life, so that a test can see that something did. */
export type ThreadStory = Record<ThreadRole | 'inStart' | 'read', number>

/** Refusals that say that nothing was written, and nothing ever will be. */
const neverWritten = ['NOT_SUBMITTED', 'BUSY', 'SHARD_DOWN']

/** How long supervisors remember a restart, in ms. */
const memoryMs = 60_000

/** Writes of one key of which each may be the last that took effect, in the order of their issue. */
type Possible = { readonly value: string | undefined }[]

/** One machine, and the instances on it. */
export class ThreadLife extends InstanceLife {
  readonly story: ThreadStory = {
    ...{ log: 0, blobs: 0, snapshots: 0 },
    ...{ inStart: 0, read: 0 },
  }
  readonly #options: Partial<StartOptions>
  readonly #keys = Array.from('abcdef')
  readonly #model = new Map<string, Possible>(
    this.#keys.map((key) => [key, [{ value: undefined }]]),
  )
  #written = 0
  #mayRefuse = true
  /** The death to come. It is of the first thread of its role that starts. */
  #doom: { readonly role: ThreadRole; readonly call: number } | undefined
  /** The processes that failed since the last death. */
  #crashed: string[] = []

  constructor(seed: number) {
    super(seed, [0, 1, 5])
    this.#options = {
      deadlineMs: 2_000,
      wal: { maxFileSize: 128 * KiB, ...this.pick([{}, {}, { syncInterval: 50 }]) },
      lmdb: { lagBytesMax: this.pick([64 * KiB, 256 * KiB * KiB]) },
      blobs: { threshold: 3_000, graceMs: 500, sweepMs: 0 },
      snapshot: { minLogBytes: 64 * KiB, ratio: 0 },
    }
  }

  /** Lives through `rounds` deaths. */
  async run(rounds: number): Promise<ThreadStory> {
    await this.#begin()
    for (let round = 0; round < rounds; round++) {
      this.#crashed = []
      const role = this.pick<ThreadRole>(['log', 'log', 'log', 'blobs', 'snapshots'])
      const busy = [this.burst(), ...this.#requests()]
      await this.pick(this.#deaths)(role)
      await this.during(Promise.all(busy))
      await this.during(Promise.all(this.running.shards.map((shard) => shard.settled())))
      await this.world.clock.advance(this.pick([1, 200]))
      this.#doom = undefined
      for (const thread of this.world.threads(role)) thread.dieAt(Number.POSITIVE_INFINITY)
      // The death is over: everything is taken again.
      this.#mayRefuse = false
      await this.during(this.burst())
      this.#mayRefuse = true
      this.check()
      await this.world.clock.advance(memoryMs)
    }
    await this.during(this.running.close())
    return this.story
  }

  protected readonly events = []

  readonly #deaths: readonly ((role: ThreadRole) => unknown)[] = [
    // Whoever asks first finds it dead.
    async (role) => {
      await this.during(Promise.all([...this.pending]))
      this.#dieNow(role)
      this.pick([
        () => this.running.system.kill(Applier.name(0)),
        () => this.#requests(),
        () => this.burst(),
      ])()
    },
    (role) => this.#dieNow(role),
    (role) => this.#dieAtACall(role, 30),
    (role) => this.#dieAtACall(role, 300),
    (role) => this.#dieInStart(role),
    (role) => this.#dieInStart(role),
  ]

  protected override dyingAt(role: ThreadRole): number | undefined {
    if (this.#doom?.role !== role) return undefined
    const { call } = this.#doom
    this.#doom = undefined
    this.story[role]++
    return call
  }

  #dieNow(role: ThreadRole): void {
    const [thread] = this.world.threads(role)
    if (!thread) return
    thread.die()
    this.story[role]++
  }

  #dieAtACall(role: ThreadRole, callsMax: number): void {
    const call = 1 + Math.floor(this.random() ** 2 * callsMax)
    const [thread] = this.world.threads(role)
    if (!thread) this.#doom = { role, call }
    else {
      thread.dieAt(call)
      void thread.died.then(() => this.story[role]++)
    }
  }

  async #dieInStart(role: ThreadRole): Promise<void> {
    await this.during(Promise.all([...this.pending]))
    if (this.random() < 0.5) await this.during(this.running.close())
    else await this.#loseProcess()
    if (this.random() < 0.4) this.world.projections.remove(folders.lmdb)
    this.#doom = { role, call: 1 + Math.floor(this.random() ** 2 * 120) }
    await this.#begin()
    if (!this.#doom) this.story.inStart++
  }

  async #loseProcess(): Promise<void> {
    this.world.disk.halt()
    await this.during(this.running.close({ deadlineMs: 0 }).catch(() => undefined))
    this.world.disk.clearFaults()
    this.world.disk.killProcess()
    this.#crashed = []
  }

  /** What else asks the parts of a shard. Each settles, with an answer or a code. */
  #requests(): Promise<unknown>[] {
    const { control, store } = this.running
    const timeoutMs = 2_000
    return [
      control.flushAll({ timeoutMs }),
      this.pick([
        () => control.snapshotAll({ timeoutMs }),
        () => control.sweepAll({ timeoutMs }),
        () => this.running.wal(0).release(),
      ])(),
      store.load(this.pick(this.#keys)),
      this.#readLog(),
    ].map((request) =>
      request.catch((error: KeelsonError) => {
        if (typeof error.code !== 'string') throw error
      }),
    )
  }

  async #readLog(): Promise<void> {
    for await (const { lsn } of this.running.wal(0).read()) if (lsn > 0) this.story.read++
  }

  protected async burst(): Promise<void> {
    for (let at = 0; at < 20; at++) this.#write()
    await Promise.all([...this.pending])
  }

  #write(): void {
    const key = this.pick(this.#keys)
    const possible = this.#model.get(key) as Possible
    const length = this.pick([10, 900, 900, 4_000])
    const value = this.random() < 0.15 ? undefined : `${this.#written++}:`.padEnd(length, key)
    const { store } = this.running
    const issued = { value }
    possible.push(issued)
    const work = value === undefined ? store.delete(key) : store.put(key, value)
    this.issue(
      work.then(
        () => void possible.splice(0, possible.indexOf(issued)),
        (error: KeelsonError) => {
          if (!this.#mayRefuse) throw error
          expect([...neverWritten, 'UNKNOWN_OUTCOME']).toContain(error.code)
          if (neverWritten.includes(error.code)) possible.splice(possible.indexOf(issued), 1)
        },
      ),
    )
  }

  protected check(): void {
    expect(this.running.shards.map(({ phase }) => phase.kind)).toEqual(['open'])
    // The death of the log costs its writer one restart, and nobody else one.
    expect(this.#crashed.filter((label) => label === 'wal_writer(0)').length).toBeLessThan(2)
    expect(this.#crashed.filter((label) => label !== 'wal_writer(0)')).toEqual([])
    for (const key of this.#keys) {
      const possible = this.#model.get(key)?.map(({ value }) => value)
      expect(possible, key).toContain(this.running.store.get(key))
    }
  }

  protected crash(): Promise<void> {
    return this.#loseProcess()
  }

  async #begin(): Promise<void> {
    const app: App = await this.world.start(this.#options)
    app.system.events.on('process.crashed', ({ label, reason }) => {
      if (reason !== 'killed') this.#crashed.push(String(label))
    })
    this.app = app
  }
}
