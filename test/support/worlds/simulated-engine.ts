/**
 * An engine in memory. Without faults it answers at once. With faults, requests take virtual time, are lost, come late or
 * twice, and answers are lost; members pause, and the engine can lose the tail of a log. One seed decides everything.
 * `flaw` makes it break one promise, so that the contract suite is seen to catch it.
 */
import { type Clock, seededRandom, virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import {
  appendRefusal,
  type ClusterEngine,
  type Directory,
  DirectoryEntry,
  type EngineFiles,
  type EngineGroup,
  type EngineHead,
  type EngineLog,
  type EngineSession,
  engineStart,
  isSamePosition,
  refuseBackwards,
  refuseGap,
  refuseOtherEpoch,
  refuseUncovered,
  withSnapshot,
} from '../../../src/storage/index.ts'

/** The chance of each fault, from 0 to 1, for each request. */
export type EngineFaults = {
  readonly lostRequest: number
  readonly lostAnswer: number
  /** It arrives up to `lateMs` after its sender gave it up. */
  readonly late: number
  readonly lateMs: number
  readonly repeated: number
}

/** A promise that an engine breaks. */
export type EngineFlaw =
  | 'fences by LSN alone'
  | 'takes any group at an LSN for a repeat'
  | 'knows no repeats'
  | 'acknowledges a repeat to a fenced owner'
  | 'trims without a snapshot'
  | 'lets a fenced owner trim'
  | 'forgets the mark'
  | 'keeps the revision of an equal value'
  | 'shows half a file'
  | 'reports no change'

/** How a simulated engine begins. */
export type SimulatedEngineOptions = {
  readonly clock?: Clock
  readonly seed?: number
  readonly faults?: EngineFaults
  readonly flaw?: EngineFlaw
}

type StoredLog = {
  head: EngineHead
  groups: EngineGroup[]
}

/** What happens in an engine, for those who judge it. */
export type EngineWitness = {
  /** A group takes effect. */
  appended?(log: string, group: EngineGroup): void
}

/** The state of a cluster at one moment. */
export type ClusterCopy = Pick<Cluster, 'entries' | 'files' | 'revision'> & {
  readonly logs: ReadonlyMap<string, StoredLog>
}

/** What the engine keeps for one cluster. */
class Cluster {
  readonly logs = new Map<string, StoredLog>()
  readonly entries = new Map<string, DirectoryEntry>()
  readonly files = new Map<string, Uint8Array>()
  readonly waiting = new Set<() => void>()
  revision = 0

  becomes({ logs, entries, files, revision }: ClusterCopy): void {
    for (const [mine, its] of [
      [this.logs, logs],
      [this.entries, entries],
      [this.files, files],
    ] as [Map<string, unknown>, Map<string, unknown>][]) {
      mine.clear()
      for (const [name, each] of its) mine.set(name, each)
    }
    this.revision = revision
  }

  /** Wakes those who wait for a change. */
  changed(): void {
    for (const wake of [...this.waiting]) wake()
  }
}

const noAnswer = (): KeelsonError => new KeelsonError('UNKNOWN_OUTCOME', 'no answer')

/** So many bytes of a file come at a time. */
const pieceBytes = 4_096

/** Requests and their answers take so long; an answer that has not come after `answerMs` is given up. */
const [delayMs, answerMs] = [1, 20]

/** An engine in memory. */
export class SimulatedEngine implements ClusterEngine {
  readonly description = 'simulated'
  readonly clock: Clock
  readonly faults: EngineFaults | undefined
  readonly random: () => number
  /** What is read of a file is not what was put. */
  damagesFiles = false
  /** How far its clock is ahead of the members', in ms. */
  aheadMs = 0
  witness: EngineWitness = {}
  /** How often each fault has happened. */
  readonly injected: Record<string, number> = {}
  /** Requests that did not arrive before its last restart are lost, and so are their answers. */
  restarts = 0
  upAt = 0
  /** No standby answers it: what changes is shown, acknowledged to nobody, and may be lost. */
  isAlone = false
  readonly #clusters = new Map<string, Cluster>()
  readonly #flaw: EngineFlaw | undefined

  constructor({ clock = virtualClock(), seed = 1, faults, flaw }: SimulatedEngineOptions = {}) {
    this.clock = clock
    this.faults = faults
    this.random = seededRandom(seed)
    this.#flaw = flaw
  }

  async open({ cluster }: { readonly cluster: string }): Promise<SimulatedSession> {
    return this.connect(cluster)
  }

  /** A member's connections, at once. */
  connect(cluster: string): SimulatedSession {
    return new SimulatedSession(this, this.#cluster(cluster))
  }

  /** Whether it breaks this promise. */
  has(flaw: EngineFlaw): boolean {
    return this.#flaw === flaw
  }

  /** What it keeps of a log. */
  kept(cluster: string, name: string): StoredLog {
    const log = this.#cluster(cluster).logs.get(name)
    if (!log) throw new Error(`there is no log ${name}`)
    return log
  }

  /** The log is there, as members make it before the first one begins. */
  makeLog(cluster: string, name: string): void {
    const logId = Buffer.from(this.clock.randomBytes(16)).toString('hex')
    const trimmed = { lsn: 0, mark: '' }
    const head = { logId, end: engineStart, trimmed, snapshots: [], features: 0 }
    const { logs } = this.#cluster(cluster)
    if (!logs.has(name)) logs.set(name, { head, groups: [] })
  }

  /** Loses the groups after `lsn`, as a promotion of a standby that was behind does. */
  loseTail(cluster: string, name: string, lsn: number): void {
    const log = this.kept(cluster, name)
    log.groups = log.groups.filter(({ end }) => end.lsn <= lsn)
    log.head = { ...log.head, end: log.groups.at(-1)?.end ?? engineStart }
  }

  /** It is away for `ms`. Connections end: what is on its way is lost. */
  restart(ms: number): void {
    this.restarts++
    this.upAt = this.clock.monotonic() + ms
  }

  /** What it keeps of a cluster. */
  inside(cluster: string): ClusterCopy {
    return this.#cluster(cluster)
  }

  /** The same as it is at this moment. */
  copy(cluster: string): ClusterCopy {
    const { logs, entries, files, revision } = this.#cluster(cluster)
    const copied = [...logs].map(([name, { head, groups }]) => [
      name,
      { head, groups: [...groups] },
    ]) as [string, StoredLog][]
    return {
      ...{ logs: new Map(copied), revision },
      ...{ entries: new Map(entries), files: new Map(files) },
    }
  }

  /** Goes back to a copy, as a promotion of a standby that was behind does. */
  promote(cluster: string, { logs, entries, files, revision }: ClusterCopy): void {
    const lost = new Cluster()
    for (const [name, log] of logs) lost.logs.set(name, { ...log })
    for (const [name, entry] of entries) lost.entries.set(name, entry)
    for (const [name, bytes] of files) lost.files.set(name, bytes)
    lost.revision = revision
    this.#cluster(cluster).becomes(lost)
  }

  #cluster(name: string): Cluster {
    const cluster = this.#clusters.get(name) ?? new Cluster()
    this.#clusters.set(name, cluster)
    return cluster
  }
}

/** A member's connections to a simulated engine. */
export class SimulatedSession implements EngineSession {
  /** The answer to the next request is lost; the request takes effect. */
  losesNext = false
  /** The answer to each request from now on. */
  refusal: KeelsonError | undefined
  #pausedUntil = 0
  #isClosed = false
  readonly #engine: SimulatedEngine
  readonly #cluster: Cluster

  constructor(engine: SimulatedEngine, cluster: Cluster) {
    this.#engine = engine
    this.#cluster = cluster
  }

  /** For `ms`, nothing leaves the member and nothing reaches it. */
  pause(ms: number): void {
    this.#pausedUntil = this.#engine.clock.monotonic() + ms
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cluster.changed()
  }

  async now(): Promise<number> {
    return this.#engine.clock.now() + this.#engine.aheadMs
  }

  log(name: string): EngineLog {
    const lane = { arrival: 0 }
    const { logs } = this.#cluster
    const engine = this.#engine
    const ask = <T>(work: (log: StoredLog) => T, onlyReads = false): Promise<T> =>
      this.#ask(
        lane,
        () => {
          const log = logs.get(name)
          if (!log) throw new KeelsonError('NO_SEGMENTS', `there is no log ${name}`)
          return work(log)
        },
        onlyReads,
      )
    return {
      create: (logId) =>
        this.#ask(lane, () => {
          const trimmed = { lsn: 0, mark: '' }
          const empty = { logId, end: engineStart, trimmed, snapshots: [], features: 0 }
          const log = logs.get(name) ?? { head: empty, groups: [] }
          logs.set(name, log)
          return log.head
        }),
      head: () => ask(({ head }) => head, true),
      append: (group, features = 0) =>
        ask((log) => {
          refuseBackwards(group)
          this.#append(name, log, group, features)
        }),
      read: (after, maxBytes) =>
        ask(({ head, groups }) => {
          if (after < head.trimmed.lsn) {
            const details = { trimmed: head.trimmed.lsn }
            throw new KeelsonError('BAD_CURSOR', 'frames were trimmed', { details })
          }
          const reading = groupsAfter(groups, after, maxBytes)
          refuseGap(reading.groups, after, head)
          return reading
        }, true),
      name: (epoch, snapshot) =>
        ask((log) => {
          refuseOtherEpoch(log.head, epoch)
          log.head = { ...log.head, snapshots: withSnapshot(log.head, snapshot) }
        }),
      trim: (epoch, lsn, mark) =>
        ask((log) => {
          if (!engine.has('lets a fenced owner trim')) refuseOtherEpoch(log.head, epoch)
          if (!engine.has('trims without a snapshot')) refuseUncovered(log.head, lsn)
          if (lsn <= log.head.trimmed.lsn) return
          const trimmed = { lsn, mark: engine.has('forgets the mark') ? '' : mark }
          log.groups = log.groups.filter(({ end }) => end.lsn > lsn)
          log.head = { ...log.head, trimmed }
        }),
      survey: (after) =>
        ask(({ head, groups }) => {
          if (after < head.trimmed.lsn) throw new KeelsonError('BAD_CURSOR', 'frames were trimmed')
          const reading = groupsAfter(groups, after, Number.POSITIVE_INFINITY)
          refuseGap(reading.groups, after, head)
          return reading.next
        }, true),
      salvage: (after, maxBytes) => ask(({ groups }) => groupsAfter(groups, after, maxBytes), true),
      replace: (from, to) =>
        ask((log) => {
          if (!isSamePosition(log.head.end, from.end))
            throw new KeelsonError('CONFLICT', 'the head is another one')
          log.head = to
          log.groups = log.groups.filter(
            ({ end: { lsn } }) => lsn > to.trimmed.lsn && lsn <= to.end.lsn,
          )
        }),
      rest: async () => undefined,
    }
  }

  #append(name: string, log: StoredLog, group: EngineGroup, features: number): void {
    const { head } = log
    const engine = this.#engine
    const follows = engine.has('fences by LSN alone')
      ? head.end.lsn === group.after.lsn
      : isSamePosition(head.end, group.after)
    if (follows) {
      log.groups.push({ ...group, bytes: group.bytes.slice() })
      log.head = { ...head, end: group.end, features: head.features | features }
      engine.witness.appended?.(name, group)
      this.#cluster.changed()
      return
    }
    const there = log.groups.find(({ end }) => end.lsn === group.end.lsn)
    const isThere = engine.has('takes any group at an LSN for a repeat')
      ? there !== undefined
      : !engine.has('knows no repeats') &&
        there !== undefined &&
        isSamePosition(there.end, group.end)
    if (isThere && engine.has('acknowledges a repeat to a fenced owner')) return
    const refusal = appendRefusal(group, head, isThere)
    if (refusal) throw refusal
  }

  get directory(): Directory {
    const lane = { arrival: 0 }
    const cluster = this.#cluster
    const { entries } = cluster
    const shown = () => ({ revision: cluster.revision, entries: new Map(entries) })
    return {
      view: () => this.#ask(lane, shown),
      peek: () => this.#ask(lane, shown, true),
      set: (name, revision, value) =>
        this.#ask(lane, () => {
          const present = entries.get(name)
          if ((present?.revision ?? 0) !== revision) {
            const details = { revision: present?.revision ?? 0 }
            throw new KeelsonError('CONFLICT', `the entry ${name} has changed`, { details })
          }
          const isEqual = present && present.value === value
          if (isEqual && this.#engine.has('keeps the revision of an equal value')) return revision
          cluster.revision++
          if (value === undefined) entries.delete(name)
          else entries.set(name, new DirectoryEntry(value, cluster.revision))
          cluster.changed()
          return cluster.revision
        }),
      moved: (revision, signal) => this.#moved(() => cluster.revision > revision, signal),
    }
  }

  get files(): EngineFiles {
    const lane = { arrival: 0 }
    const { files } = this.#cluster
    const engine = this.#engine
    return {
      put: async (name, pieces) => {
        const parts: Uint8Array[] = []
        for await (const piece of pieces) {
          parts.push(piece.slice())
          for (let at = 0; at < piece.length; at += pieceBytes) await this.#passes()
          if (engine.has('shows half a file')) files.set(name, Buffer.concat(parts))
        }
        return this.#ask(lane, () => {
          const [bytes, present] = [Buffer.concat(parts), files.get(name)]
          if (present && !bytes.equals(present) && !engine.has('shows half a file'))
            throw new KeelsonError('CONFLICT', `another file has the name ${name}`)
          files.set(name, bytes)
          return { size: bytes.length }
        })
      },
      size: (name) => this.#ask(lane, () => files.get(name)?.length, true),
      read: (name, from = 0, to) => this.#read(lane, name, from, to),
      list: (prefix) =>
        this.#ask(
          lane,
          () => [...files.keys()].filter((name) => name.startsWith(prefix)).sort(),
          true,
        ),
      remove: (name) => this.#ask(lane, () => void files.delete(name)),
    }
  }

  async *#read(lane: Lane, name: string, from: number, to = Infinity): AsyncGenerator<Uint8Array> {
    const { files } = this.#cluster
    let bytes = await this.#ask(lane, () => files.get(name), true)
    for (let at = from; ; at += pieceBytes) {
      if (!bytes) throw new KeelsonError('CORRUPT', `there is no file ${name}`)
      const end = Math.min(to, bytes.length)
      const piece = bytes.subarray(at, Math.min(end, at + pieceBytes))
      yield this.#engine.damagesFiles ? new Uint8Array(piece.length) : piece
      if (at + pieceBytes >= end) return
      await this.#passes()
      bytes = files.get(name)
    }
  }

  /** The next piece of a file takes its time. An engine that starts again has ended the transfer. */
  async #passes(): Promise<void> {
    const { faults, clock, restarts } = this.#engine
    if (faults) await new Promise<void>((resolve) => clock.after(delayMs, resolve))
    if (this.#isClosed || this.#engine.restarts !== restarts) throw noAnswer()
  }

  /** Nothing of it is lost: `moved` promises little. */
  async #moved(hasMoved: () => boolean, signal?: AbortSignal): Promise<void> {
    if (this.#engine.has('reports no change')) return new Promise(() => undefined)
    const { waiting } = this.#cluster
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!hasMoved() && !signal?.aborted && !this.#isClosed) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      signal?.addEventListener('abort', look, { once: true })
      look()
    })
  }

  /** `onlyReads`: the engine answers it also when it is alone. */
  async #ask<T>(lane: Lane, work: () => T, onlyReads = false): Promise<T> {
    if (this.#isClosed) throw noAnswer()
    if (this.refusal) throw this.refusal
    if (!this.#engine.faults) return this.#answeredAtOnce(work)
    return this.#answeredLater(lane, work, this.#engine.faults, onlyReads)
  }

  #answeredAtOnce<T>(work: () => T): T {
    const answer = work()
    if (!this.losesNext) return answer
    this.losesNext = false
    throw noAnswer()
  }

  #answeredLater<T>(
    lane: Lane,
    work: () => T,
    faults: EngineFaults,
    onlyReads: boolean,
  ): Promise<T> {
    const engine = this.#engine
    const { clock, random } = engine
    const draws = (fault: Exclude<keyof EngineFaults, 'lateMs'>): boolean => {
      const isDrawn = random() < faults[fault]
      if (isDrawn) engine.injected[fault] = (engine.injected[fault] ?? 0) + 1
      return isDrawn
    }
    const { restarts } = engine
    const isCut = (): boolean => engine.restarts !== restarts
    const sentAt = Math.max(clock.monotonic(), this.#pausedUntil, engine.upAt)
    const inMs = (at: number): number => at - clock.monotonic()
    const isLate = draws('late')
    // Requests of one handle keep their order, but for one whose connection was lost.
    const arrival = Math.max(lane.arrival, sentAt + delayMs * random())
    if (!isLate) lane.arrival = arrival
    const at = isLate ? sentAt + answerMs + faults.lateMs * random() : arrival
    return new Promise<T>((resolve, reject) => {
      const deliver = (settle: () => void): void => {
        const heldMs = inMs(this.#pausedUntil)
        if (heldMs > 0) clock.after(heldMs, () => deliver(settle))
        else settle()
      }
      const heard = (settle: () => void): void => {
        if (draws('lostAnswer') || (engine.isAlone && !onlyReads)) return
        clock.after(delayMs, () => {
          if (!isCut()) deliver(settle)
        })
      }
      const arrive = (): void => {
        if (isCut()) return
        try {
          const answer = work()
          heard(() => resolve(answer))
        } catch (error) {
          heard(() => reject(error))
        }
      }
      if (!draws('lostRequest')) clock.after(inMs(at), arrive)
      if (draws('repeated')) clock.after(inMs(at + faults.lateMs * random()), arrive)
      clock.after(inMs(sentAt + answerMs), () => deliver(() => reject(noAnswer())))
    })
  }
}

/** The groups after an LSN: at least one if there is any, then up to `maxBytes`. */
const groupsAfter = (groups: readonly EngineGroup[], after: number, maxBytes: number) => {
  let bytes = 0
  const found: EngineGroup[] = []
  for (const group of groups) {
    if (group.end.lsn <= after) continue
    bytes += group.bytes.length
    if (found.length > 0 && bytes > maxBytes) break
    found.push(group)
  }
  return { groups: found, next: found.at(-1)?.end.lsn ?? after }
}

/** The order of the requests of one handle. */
type Lane = { arrival: number }
