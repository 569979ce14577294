/**
 * A replica in memory that answers on the virtual clock and fails as it is told. It keeps what PostgreSQL would keep, under
 * the same rules: those of `replica.contract.ts`.
 */
import type { Clock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import {
  type BlobSpot,
  isSameSnapshot,
  namespaceOf,
  type ProjectedPosition,
  type ReadableChange,
  type ReadableEntity,
  type ReadableKey,
  type Replica,
  type ReplicaChunk,
  type ReplicaLease,
  type ReplicaPiece,
  type ReplicaProgress,
  type ReplicaReading,
  type ReplicaSession,
  type ReplicaSides,
  type ReplicatedEntry,
  type ReplicatedFrame,
  type ReplicatedLog,
  type SnapshotRecord,
} from '../../../src/storage/index.ts'

/** What it has of one log. */
export type Kept = {
  log: ReplicatedLog
  progress: ReplicaProgress
  /** The snapshot that the frames follow. */
  base?: ProjectedPosition
  readonly frames: Map<number, ReplicatedFrame>
  readonly entries: ReplicatedEntry[]
  readonly keys: Map<string, ReadableKey>
  readonly entities: Map<string, ReadableEntity & { readonly asOf: number }>
  /** The LSN that a key was sent with. */
  readonly asOf: Map<string, number>
  readonly blobs: Map<string, Uint8Array>
  rows: SnapshotRecord[]
}

type Claim = {
  readonly log: ReplicatedLog
  readonly lease: ReplicaLease
  readonly seen: ReplicaProgress | undefined
  readonly needsSnapshot: boolean | undefined
}

/** A replica in memory, for one test. */
export class MemoryReplica implements Replica {
  readonly description = 'memory'
  readonly logs = new Map<string, Kept>()
  readonly #clock: Clock
  /** No session opens, and those that are open fail. */
  isAway = false
  /** Ms from a call to its answer. */
  answerMs = 1
  /** Ms until a session that is closed has ended. */
  endMs = 0
  /** Fails the next commit: before it happens, or behind it, so that its answer is lost. */
  failing: 'before' | 'behind' | undefined
  /** Every commit is refused with it. */
  refusal: KeelsonError | undefined
  /** What a client makes of the progress that it reads. */
  looks = (progress: ReplicaProgress | undefined): ReplicaProgress | undefined => progress
  /** Throws whatever a client may throw. */
  fails: (() => void) | undefined
  /** Sessions that were opened, and commits that were asked for. */
  opened = 0
  /** Sessions that are open. */
  sessions = 0
  readonly chunks: (ReplicaChunk & { readonly entries: readonly ReplicatedEntry[] })[] = []
  readonly pieces: ReplicaPiece[] = []
  atOnce = 0
  atOnceMax = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What it has of the only log. */
  get kept(): Kept {
    const [kept] = this.logs.values()
    if (!kept) throw new Error('nothing is replicated')
    return kept
  }

  async open(): Promise<ReplicaSession> {
    this.opened += 1
    await this.#answer()
    if (this.isAway) throw new Error('connection refused')
    this.sessions += 1
    let isClosed = false
    const guarded = async <T>(work: () => T): Promise<T> => {
      this.atOnce += 1
      this.atOnceMax = Math.max(this.atOnceMax, this.atOnce)
      await this.#answer()
      this.atOnce -= 1
      if (isClosed || this.isAway) throw new Error('the connection is lost')
      return work()
    }
    return {
      look: ({ walId }) => guarded(() => this.looks(this.logs.get(walId)?.progress)),
      claim: (log, lease, seen, needsSnapshot) =>
        guarded(() => this.#claim({ log, lease, seen, needsSnapshot })),
      commit: (chunk) => guarded(() => this.#failable(() => this.#commit(chunk))),
      load: (piece) => guarded(() => this.#failable(() => this.#load(piece))),
      close: async () => {
        if (isClosed) return
        isClosed = true
        await this.#pause(this.endMs)
        this.sessions -= 1
      },
    }
  }

  async read(): Promise<ReplicaReading> {
    const logs = [...this.logs.values()].filter(({ progress }) => !progress.load)
    const keptOf = ({ walId }: ReplicatedLog): Kept => this.logs.get(walId) as Kept
    return {
      logs: async () =>
        logs.map(({ log, base, blobs, progress: { lsn, lease, mark } }) => ({
          ...{ ...log, lsn, epoch: lease.epoch, time: mark?.time ?? 0, sums: { base: 0, end: 0 } },
          ...(base && { base }),
          nextSegment: Math.max(0, ...[...blobs.keys()].map((place) => segmentOf(place) + 1)),
        })),
      async *rows(log) {
        yield* keptOf(log).rows
      },
      async *frames(log) {
        for (const frame of keptOf(log).frames.values())
          if (frame.lsn > (log.base?.lsn ?? 0)) yield frame
      },
      async *blob(log, ref) {
        const bytes = keptOf(log).blobs.get(placeOf(ref))
        if (!bytes) throw new KeelsonError('CORRUPT', 'the replica has not all of a large value')
        if (bytes.length > 0) yield bytes
      },
      close: async () => undefined,
    }
  }

  #answer(): Promise<void> {
    return this.#pause(this.answerMs)
  }

  async #pause(ms: number): Promise<void> {
    if (ms === 0) return
    await new Promise<void>((resolve) => this.#clock.after(ms, resolve))
  }

  #failable(work: () => void): void {
    const { failing } = this
    this.failing = undefined
    if (this.refusal) throw this.refusal
    this.fails?.()
    if (failing === 'before') throw new Error('the connection is lost')
    work()
    if (failing === 'behind') throw new Error('the connection is lost')
  }

  #claim({ log, lease, seen, needsSnapshot }: Claim): void {
    const kept = this.logs.get(log.walId)
    const present = kept?.progress
    if (present?.lsn !== seen?.lsn || present?.lease.holder !== seen?.lease.holder)
      throw new KeelsonError('CONFLICT', 'changed meanwhile')
    const load = needsSnapshot && !seen?.lsn && !seen?.load ? ({ load: 'due' } as const) : {}
    if (!kept) {
      const [frames, keys, asOf, blobs] = [new Map(), new Map(), new Map(), new Map()]
      const none = { frames, keys, asOf, blobs, entities: new Map(), entries: [], rows: [] }
      this.logs.set(log.walId, { log, progress: { lsn: 0, lease, ...load }, ...none })
      return
    }
    const { epoch, holder } = kept.progress.lease
    if (lease.epoch < epoch || (lease.epoch === epoch && lease.holder !== holder))
      throw new KeelsonError('FENCED', 'a later life is replicated')
    kept.progress = { ...kept.progress, ...load, lease }
  }

  #held({ walId }: ReplicatedLog, lease: ReplicaLease): Kept {
    const kept = this.logs.get(walId)
    if (!kept) throw new KeelsonError('CONFLICT', 'it was removed')
    const { epoch, holder } = kept.progress.lease
    if (lease.epoch !== epoch || lease.holder !== holder)
      throw new KeelsonError('FENCED', 'a later life is replicated')
    return kept
  }

  #commit(chunk: ReplicaChunk): void {
    const entries = [...chunk.entries]
    this.chunks.push({ ...chunk, entries })
    const kept = this.#held(chunk.log, chunk.lease)
    if (kept.progress.lsn === chunk.lsn) return
    if (kept.progress.lsn !== chunk.after || kept.progress.load) throw misplaced()
    takeSides(kept, chunk)
    for (const frame of chunk.frames) {
      if (kept.frames.has(frame.lsn)) throw new Error(`the frame ${frame.lsn} comes twice`)
      kept.frames.set(frame.lsn, { ...frame, payload: frame.payload.slice() })
    }
    kept.entries.push(...entries)
    kept.progress = { lease: chunk.lease, lsn: chunk.lsn, mark: chunk.mark }
  }

  #load(piece: ReplicaPiece): void {
    this.pieces.push(piece)
    const { snapshot, next, lease, rows, records } = piece
    const kept = this.#held(piece.log, lease)
    const { load, lsn, mark } = kept.progress
    const begun = load === 'due' ? undefined : load
    const isThis = begun !== undefined && isSameSnapshot(begun.snapshot, snapshot)
    const end = rows + records.length
    if (isThis && begun.rows === end && next.kind === 'more') return
    if (!begun && lsn === snapshot.lsn && next.kind === 'complete') return
    if (rows > 0 && !(isThis && begun.rows === rows)) throw misplaced()
    takeSides(kept, piece)
    if (rows === 0) kept.rows = []
    kept.rows.push(
      ...records.map(({ key, record }) => ({ key: key.slice(), record: record.slice() })),
    )
    if (next.kind === 'more') {
      const reached = { snapshot, offset: next.offset, rows: end }
      kept.progress = { lease, lsn, ...(mark && { mark }), load: reached }
      return
    }
    // What is gone was in no piece.
    for (const [key, asOf] of kept.asOf) if (asOf < snapshot.lsn) removeKey(kept, key)
    for (const [entity, { asOf }] of kept.entities)
      if (asOf < snapshot.lsn) kept.entities.delete(entity)
    const { frame } = next.position
    kept.progress = { lease, lsn: snapshot.lsn, ...(frame && { mark: frame }) }
    kept.base = next.position
  }
}

const misplaced = (): KeelsonError => new KeelsonError('CONFLICT', 'at another place')

const placeOf = ({ segment, offset }: BlobSpot): string => `${segment}:${offset}`

const segmentOf = (place: string): number => Number(place.split(':')[0])

/** All of them or none: everything is read first. */
const takeSides = (kept: Kept, sides: ReplicaSides): void => {
  const changes = [...sides.changes]
  const blobs: [string, Uint8Array][] = []
  for (const { ref, read } of sides.blobs)
    if (!kept.blobs.has(placeOf(ref)))
      blobs.push([placeOf(ref), read?.(0, ref.size).slice() ?? new Uint8Array()])
  for (const [place, bytes] of blobs) kept.blobs.set(place, bytes)
  for (const change of changes) takeChange(kept, change)
}

const takeChange = (kept: Kept, change: ReadableChange): void => {
  if (change.kind === 'key') {
    kept.keys.set(change.row.key, change.row)
    kept.asOf.set(change.row.key, change.asOf)
  } else if (change.kind === 'gone') removeKey(kept, change.key)
  else if (change.kind === 'ended') kept.entities.delete(change.entity)
  else if (change.kind === 'entity')
    kept.entities.set(change.row.entity, { ...change.row, asOf: change.asOf })
  else
    for (const key of [...kept.keys.keys()])
      if (change.namespace === undefined || namespaceOf(key) === change.namespace)
        removeKey(kept, key)
}

const removeKey = (kept: Kept, key: string): void => {
  kept.keys.delete(key)
  kept.asOf.delete(key)
}

/** The values in a replica, by their keys. */
export const valuesOf = (replica: MemoryReplica): Record<string, unknown> =>
  Object.fromEntries(
    [...replica.kept.keys.values()].map(({ key, json }) => [key, JSON.parse(json ?? 'null')]),
  )
