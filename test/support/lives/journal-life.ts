/**
 * Lives of an instance whose application keeps its state in a journal, from one seed: appends, repeats and conflicts, subscribers,
 * saved states, snapshots, killed actors, failing syncs, lost projections, power cuts at any call to the disk. A model knows which
 * entries count. No acknowledgement and no event comes before the log has said that its entry is durable, and none is ever lost.
 */
import { expect } from 'vitest'
import {
  Applier,
  Batcher,
  JournalActor,
  type StoredEntry,
  WalWriter,
} from '../../../src/actors/index.ts'
import { isKeelsonError, type KeelsonError } from '../../../src/errors.ts'
import type { LogHost } from '../../../src/storage/index.ts'
import { readEventPayload } from '../../../src/storage/values/event-payload.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { failNextSync } from '../worlds/simulated-instance.ts'
import { InstanceLife, type MakeMachine } from './instance-life.ts'

const KiB = 1024

/** What happened in a life, so that a test can see that something did. */
export type JournalStory = {
  acked: number
  repeated: number
  conflicts: number
  unknown: number
  events: number
  crashes: number
  released: number
  replayed: number
}

type Place = { readonly lsn: number; readonly index: number }

const order = (one: Place, other: Place): number => one.lsn - other.lsn || one.index - other.index

/** One machine, and the instances on it. */
export class JournalLife extends InstanceLife {
  readonly story: JournalStory = {
    ...{ acked: 0, repeated: 0, conflicts: 0, unknown: 0 },
    ...{ events: 0, crashes: 0, released: 0, replayed: 0 },
  }
  readonly #options: Partial<StartOptions>
  /** What was appended under each id that may count: one content, or several of which one counts. */
  readonly #said = new Map<string, Set<number>>()
  /** The places of entries that were acknowledged or emitted. They never change. */
  readonly #known = new Map<string, Place>()
  /** The events of this process, in their order. */
  #emitted: string[] = []
  #last: Place = { lsn: 0, index: 0 }
  /** The log has said that everything up to here is durable. */
  #durableLsn = 0
  #ids = 0

  constructor(seed: number, make?: MakeMachine) {
    super(seed, [0, 1, 5, 20], make)
    this.#options = {
      deadlineMs: 400,
      wal: { maxFileSize: 128 * KiB, ...this.pick([{}, {}, {}, { syncInterval: 30 }]) },
      snapshot: { minLogBytes: this.pick([16 * KiB, 64 * KiB]), ratio: 0 },
    }
  }

  /** Lives through `rounds` rounds. */
  async run(rounds: number): Promise<JournalStory> {
    await this.#begin()
    await this.liveThrough(rounds)
    await this.crash()
    await this.#compare()
    return this.story
  }

  /** Whether acknowledgements mean durability. */
  get #isDurable(): boolean {
    return this.#options.wal?.syncInterval === undefined
  }

  protected readonly events: readonly (() => unknown)[] = [
    () => undefined,
    () => this.crash(),
    () => this.#crashAmid(() => this.burst()),
    () => this.#crashAmid(() => this.#snapshot()),
    () => this.#snapshot(),
    () => this.#save(),
    () => this.#kill(),
    async () => {
      failNextSync(this.world.disk)
      await this.during(this.running.store.put('k', 1).catch(() => undefined))
      await this.during(this.running.control.reopen(0).catch(() => undefined))
    },
    async () => {
      await this.during(this.running.close())
      if (this.random() < 0.3) this.world.projections.remove('/data/shard-0/lmdb')
      await this.#begin()
      // The subscriber has not begun yet.
      if (this.random() < 0.5) this.#kill()
    },
  ]

  #kill(): void {
    const victims = [Applier, Batcher, JournalActor, WalWriter].map((each) => each.name(0))
    this.running.system.kill(this.pick<never>(victims as never))
  }

  /** Notes what the log says to be durable. */
  protected override aroundLog(host: LogHost): LogHost {
    return {
      ...host,
      run: async (kind, request) => {
        const answer = await host.run(kind, request)
        if (answer && 'durableLsn' in answer)
          this.#durableLsn = Math.max(this.#durableLsn, answer.durableLsn)
        else if (kind === 'open')
          this.#durableLsn = Math.max(this.#durableLsn, (answer as { lastLsn: number }).lastLsn)
        return answer
      },
    }
  }

  async #begin(): Promise<void> {
    this.#emitted = []
    this.#last = { lsn: 0, index: 0 }
    this.#durableLsn = 0
    const app = await this.world.start(this.#options)
    this.app = app
    await this.#recover(app)
    app.journal.subscribe({
      name: 'audit',
      handler: async (entry) => {
        if (this.app !== app) return
        this.#take(entry)
        if (this.random() < 0.2)
          await new Promise<void>((resolve) => this.world.clock.after(2, resolve))
      },
    })
  }

  /** An event: durable, of an entry that was appended, behind the last one of this process. */
  #take(entry: Omit<StoredEntry, 'effects'>): void {
    this.story.events++
    expect(entry.lsn).toBeLessThanOrEqual(this.#durableLsn)
    expect(order(this.#last, entry)).toBeLessThan(0)
    this.#last = entry
    this.#emitted.push(entry.id)
    this.#learn(entry)
  }

  /** The place of an entry that counts. */
  #learn({ id, lsn, index, command }: Omit<StoredEntry, 'effects'>): void {
    expect(this.#said.get(id)).toContain(readEventPayload(command).value)
    const known = this.#known.get(id)
    if (known) expect({ lsn, index }).toEqual(known)
    this.#known.set(id, { lsn, index })
  }

  /** The state and a replay behind it have every known entry, each once. */
  async #recover({ journal }: App): Promise<void> {
    const state = await this.during(journal.loadState<string[]>())
    const ids = [...(state?.value ?? [])]
    const from = state ? state.lsn + 1 : 0
    const handler = (entry: StoredEntry): void => {
      this.#learn(entry)
      ids.push(entry.id)
    }
    const { entries } = await this.during(journal.replay({ from, handler }))
    this.story.replayed += entries
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of this.#known.keys()) expect(ids).toContain(id)
  }

  protected async burst(): Promise<void> {
    for (let at = 0; at < 12; at++) this.#append()
    await Promise.all([...this.pending])
  }

  #append(): void {
    const isNew = this.#ids === 0 || this.random() < 0.7
    const id = isNew ? `e${this.#ids++}` : `e${Math.floor(this.random() * this.#ids)}`
    const said = this.#said.get(id) ?? new Set()
    this.#said.set(id, said)
    const content = this.random() < 0.1 ? 2 : 1
    const isFirst = !said.has(content)
    said.add(content)
    const payload = 'v'.repeat(this.pick([5, 300, 2_000]))
    const entry = {
      id,
      type: 't',
      command: content,
      events: [{ type: 'e', payload: payload.length > 0 }],
    }
    const work = this.running.journal.append(entry).then(
      (ack) => {
        this.story.acked++
        if (ack.repeated) this.story.repeated++
        if (!this.#isDurable) return
        expect(ack.lsn).toBeLessThanOrEqual(this.#durableLsn)
        const { lsn, index } = ack
        const known = this.#known.get(id)
        if (known) expect({ lsn, index }).toEqual(known)
        this.#known.set(id, { lsn, index })
      },
      (error: KeelsonError) => {
        if (error.code === 'CONFLICT') {
          this.story.conflicts++
          expect(said.size).toBe(2)
        } else if (error.code === 'UNKNOWN_OUTCOME') this.story.unknown++
        else if (isFirst && said.size > 1) said.delete(content)
      },
    )
    this.issue(work)
  }

  async #snapshot(): Promise<void> {
    const { control, system } = this.running
    const before = await this.#firstLsn()
    await this.#fill()
    await this.during(control.snapshotAll({ timeoutMs: 400 }).catch(() => undefined))
    if (system === this.running.system && (await this.#firstLsn()) > before) this.story.released++
  }

  /** Writes more than a segment holds. */
  async #fill(): Promise<void> {
    const value = 'v'.repeat(20_000)
    for (let at = 0; at < 8; at++)
      await this.during(this.running.store.put('k', value).catch(() => undefined))
  }

  async #firstLsn(): Promise<number> {
    const described = await this.during(
      this.running
        .wal(0)
        .describe()
        .catch(() => undefined),
    )
    return described?.log?.firstLsn ?? Number.POSITIVE_INFINITY
  }

  /** Saves the ids of all entries so far, twice: then the log before them is not needed. */
  async #save(): Promise<void> {
    const { journal } = this.running
    // A segment with an entry behind the older state stays: the entries of the states get a later one.
    await this.#fill()
    await this.during(this.burst())
    const state = await this.during(journal.loadState<string[]>().catch(() => undefined))
    const ids = [...(state?.value ?? [])]
    let saved = state?.lsn ?? 0
    for (let time = 0; time < 2; time++) {
      let lsn = saved
      const read = async (): Promise<void> => {
        for await (const entry of journal.entries({ from: saved + 1 })) {
          ids.push(entry.id)
          lsn = entry.lsn
        }
      }
      const isRead = read().then(
        () => true,
        () => false,
      )
      if (!(await this.during(isRead))) return
      if (lsn > saved) await this.during(journal.saveState(lsn, ids).catch(() => undefined))
      saved = lsn
      await this.during(this.burst())
    }
    await this.#snapshot()
  }

  /** Everything is at rest: the subscriber has got every entry, in order and once. */
  async #compare(): Promise<void> {
    const { journal } = this.running
    const first = await this.#firstLsn()
    const found: StoredEntry[] = []
    const read = async (): Promise<void> => {
      for await (const entry of journal.entries({ from: 'oldest' })) found.push(entry)
    }
    await this.during(read())
    expect(found).toEqual([...found].sort(order))
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length)
    for (const entry of found) this.#learn(entry)
    const ids = new Set(found.map(({ id }) => id))
    for (const [id, { lsn }] of this.#known) if (lsn >= first) expect(ids).toContain(id)
    // A slow engine takes two rounds for the last entries.
    await this.world.clock.advance(200)
    const [begin] = this.#emitted
    const from = begin === undefined ? undefined : (this.#known.get(begin) as Place)
    const health = this.running.health().shards[0]?.journal.subscriptions[0]
    expect(health?.failure).toBe(undefined)
    const end = found.at(-1)
    if (end && from) expect(order(this.#last, end)).toBeGreaterThanOrEqual(0)
    if (end) expect(order(health?.position ?? { lsn: 0, index: 0 }, end)).toBeGreaterThan(0)
    const emitted = found.filter(
      (entry) => from && order(from, entry) <= 0 && order(entry, this.#last) <= 0,
    )
    const seen = this.#emitted.filter((id) => ids.has(id))
    expect(seen).toEqual(emitted.map(({ id }) => id))
  }

  protected async check(): Promise<void> {
    await this.#compare().catch(async (error) => {
      // A sync that it asked for may be the one that fails.
      if (!isKeelsonError(error, 'SHARD_DOWN')) throw error
      await this.crash()
    })
  }

  async #crashAmid(act: () => Promise<unknown>): Promise<void> {
    await this.crashDuring(1 + Math.floor(this.random() * 60), act, [1, 10, 60])
  }

  protected async crash(): Promise<void> {
    this.story.crashes++
    const { system } = this.running
    this.app = undefined
    this.world.disk.crash()
    await this.during(system.stop().catch(() => undefined))
    await this.during(Promise.all([...this.pending]))
    await this.#begin()
  }
}
