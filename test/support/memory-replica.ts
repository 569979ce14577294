/**
 * A replica in memory that answers on the virtual clock and fails as it is told. It keeps what PostgreSQL would keep, under
 * the same rules: a chunk and the progress change together, an older life is fenced.
 */
import type { Clock } from '../../src/clock.ts'
import { KeelsonError } from '../../src/errors.ts'
import type {
  ReadableKey,
  Replica,
  ReplicaChunk,
  ReplicaLease,
  ReplicaPiece,
  ReplicaProgress,
  ReplicaSession,
  ReplicatedEntry,
  ReplicatedFrame,
  ReplicatedLog,
} from '../../src/storage/index.ts'

/** What it has of one log. */
export type Kept = {
  log: ReplicatedLog
  progress: ReplicaProgress
  readonly frames: Map<number, ReplicatedFrame>
  readonly keys: Map<string, ReadableKey>
  readonly blobs: Map<string, Uint8Array>
  rows: { readonly key: Uint8Array; readonly record: Uint8Array }[]
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
  /** Fails the next commit: before it happens, or behind it, so that its answer is lost. */
  failing: 'before' | 'behind' | undefined
  /** Every commit is refused with it. */
  refusal: KeelsonError | undefined
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
      look: ({ walId }) => guarded(() => this.logs.get(walId)?.progress),
      claim: (log, lease, seen, needsSnapshot) =>
        guarded(() => this.#claim({ log, lease, seen, needsSnapshot })),
      commit: (chunk) => guarded(() => this.#failable(() => this.#commit(chunk))),
      load: (piece) => guarded(() => this.#failable(() => this.#load(piece))),
      close: async () => {
        if (!isClosed) this.sessions -= 1
        isClosed = true
      },
    }
  }

  read(): never {
    throw new Error('it is not read')
  }

  #answer(): Promise<void> {
    return new Promise((resolve) => this.#clock.after(this.answerMs, resolve))
  }

  #failable(work: () => void): void {
    const { failing } = this
    this.failing = undefined
    if (this.refusal) throw this.refusal
    if (failing === 'before') throw new Error('the connection is lost')
    work()
    if (failing === 'behind') throw new Error('the connection is lost')
  }

  #claim({ log, lease, seen, needsSnapshot }: Claim): void {
    const load = needsSnapshot && !seen?.lsn && !seen?.load ? ({ load: 'due' } as const) : {}
    const kept = this.logs.get(log.walId)
    if (kept?.progress.lsn !== seen?.lsn) throw new KeelsonError('CONFLICT', 'changed meanwhile')
    if (!kept) {
      const progress = { lsn: 0, lease, ...load }
      const [frames, keys, blobs] = [new Map(), new Map(), new Map()]
      this.logs.set(log.walId, { log, progress, frames, keys, blobs, rows: [] })
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
    this.chunks.push({ ...chunk, entries: [...chunk.entries] })
    const kept = this.#held(chunk.log, chunk.lease)
    if (kept.progress.lsn === chunk.lsn) return
    if (kept.progress.lsn !== chunk.after) throw new KeelsonError('CONFLICT', 'at another place')
    for (const frame of chunk.frames) {
      if (kept.frames.has(frame.lsn)) throw new Error(`the frame ${frame.lsn} comes twice`)
      kept.frames.set(frame.lsn, { ...frame, payload: frame.payload.slice() })
    }
    this.#takeSides(kept, chunk)
    kept.progress = { lease: chunk.lease, lsn: chunk.lsn, mark: chunk.mark }
  }

  #load(piece: ReplicaPiece): void {
    this.pieces.push(piece)
    const kept = this.#held(piece.log, piece.lease)
    if (piece.rows === 0) kept.rows = []
    if (piece.rows !== kept.rows.length) throw new KeelsonError('CONFLICT', 'at another place')
    for (const { key, record } of piece.records)
      kept.rows.push({ key: key.slice(), record: record.slice() })
    this.#takeSides(kept, piece)
    const { snapshot, next, lease } = piece
    const { lsn, mark } = kept.progress
    kept.progress =
      next.kind === 'complete'
        ? { lease, lsn: snapshot.lsn, ...(next.position.frame && { mark: next.position.frame }) }
        : {
            ...{ lease, lsn, ...(mark && { mark }) },
            load: { snapshot, offset: next.offset, rows: kept.rows.length },
          }
  }

  #takeSides(kept: Kept, { changes, blobs }: Pick<ReplicaChunk, 'changes' | 'blobs'>): void {
    for (const { ref, read } of blobs)
      kept.blobs.set(`${ref.segment}:${ref.offset}`, read(0, ref.size).slice())
    for (const change of changes) {
      if (change.kind === 'key') kept.keys.set(change.row.key, change.row)
      else if (change.kind === 'gone') kept.keys.delete(change.key)
      else
        for (const key of [...kept.keys.keys()])
          if (change.namespace === undefined || key.startsWith(`${change.namespace}:`))
            kept.keys.delete(key)
    }
  }
}
