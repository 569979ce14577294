/**
 * `store.watch`: the durable changes of keys from a position on, over all shards, as an async
 * iterator that can be ended and begun again where it was.
 */
import { invalidArgument } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  checkKey,
  decodeFrame,
  type ReadAnswer,
  type Row,
  rootNamespace,
  SerialQueue,
} from '../../storage/index.ts'
import { checkOptionNames, checkSignal } from '../core/argument-check.ts'
import { type KeyChange, touchedBy } from '../core/shard-changes.ts'
import type { Position } from '../core/shard-core.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import {
  checkReached,
  logStart,
  ShardWatch,
  type Watched,
  type WatchSource,
  walkStart,
} from './shard-watch.ts'
import { listedValue } from './value-streams.ts'

/** The options of a watch. */
export type WatchOptions = {
  /** Only keys that begin with it, and removals of namespaces that may have such keys. */
  readonly prefix?: string
  /**
   * The first position to report, of one shard or of several: `next` of an earlier change. A shard
   * without one is watched from now on. `'oldest'`: everything that the log still has.
   */
  readonly from?: Position | readonly Position[] | 'oldest'
  /** Ends the watch as `return` does. An actor gives its `context.signal`. */
  readonly signal?: AbortSignal
}

/**
 * A durable change.
 * - `put`: the key has this value, as `range` lists it.
 * - `delete`: the key has no value: it was deleted, or has expired and was removed.
 * - `clear`: every key of the namespace was removed in the shard of `position`; `undefined`: every
 *   key of that shard.
 */
export type StoreChange = {
  /** Where the log has it. */
  readonly position: Position
  /**
   * `from` of a watch that goes on after this change: a position of each shard. In the middle of a
   * write of several keys it goes on with that write.
   */
  readonly next: readonly Position[]
  /** The time stamp of the write, in ms since 1970. */
  readonly time: number
  /**
   * The watch reads the log, because it began in the past or its reader was slow. Then `value` is
   * the present one, a key that changed often comes once, and a key that a refused or ineffective
   * command named may come too.
   */
  readonly catchingUp: boolean
} & (
  | { readonly kind: 'put'; readonly key: string; readonly value: unknown }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'clear'; readonly namespace: string | undefined }
)

/** The answer of a part: a change, its end, or the reason of its failure. */
type Answered = { readonly part: number } & (
  | { readonly watched: Watched<KeyChange> | undefined }
  | { readonly error: unknown }
)

/** A running watch. End it with `return`, or leave the `for await` loop. */
export class StoreWatch implements AsyncIterableIterator<StoreChange> {
  readonly #system: System
  readonly #shards: readonly WritingShard[]
  readonly #parts: readonly ShardWatch<KeyChange>[]
  /** The next change of each part, asked for and not given out. */
  readonly #asked = new Map<number, Promise<Answered>>()
  /** Calls of `next` are answered one after another. */
  readonly #turns = new SerialQueue()
  #hasEnded = false
  readonly #signal: AbortSignal | undefined
  readonly #aborted = (): void => void this.return()

  /**
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`; the reason of a
   * `signal` that has aborted
   */
  constructor(system: System, shards: readonly WritingShard[], options: WatchOptions) {
    this.#system = system
    const { prefix = '', from, signal } = checked(options, shards.length)
    const wants = filterOf(prefix)
    const begins = shards.map((shard) => beginOf(shard, from))
    this.#shards = shards
    this.#parts = shards.map(
      (shard, at) => new ShardWatch(shard, changesIn(shard, wants), { from: begins[at] as number }),
    )
    this.#signal = signal
    signal?.addEventListener('abort', this.#aborted)
  }

  /**
   * The next change.
   * @throws KeelsonError `BAD_CURSOR` if the log was released beyond the position; `SHARD_DOWN`,
   * `CLOSED`, `CORRUPT`. The watch has then ended
   */
  next(): Promise<IteratorResult<StoreChange, undefined>> {
    return this.#turns.run(() => this.#next())
  }

  /** Ends the watch: calls of `next` that wait are answered with `done`. */
  async return(): Promise<IteratorResult<StoreChange, undefined>> {
    this.#hasEnded = true
    this.#signal?.removeEventListener('abort', this.#aborted)
    for (const part of this.#parts) part.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #next(): Promise<IteratorResult<StoreChange, undefined>> {
    if (this.#hasEnded) return { done: true, value: undefined }
    for (const [part, watch] of this.#parts.entries())
      if (!this.#asked.has(part))
        this.#asked.set(
          part,
          watch.next().then(
            (watched) => ({ part, watched }),
            (error: unknown) => ({ part, error }),
          ),
        )
    const answered = await Promise.race(this.#asked.values())
    this.#asked.delete(answered.part)
    if ('error' in answered) {
      await this.return()
      throw answered.error
    }
    const shard = this.#shards[answered.part]
    if (!answered.watched || !shard) return this.return()
    const { next: behind } = answered.watched
    const next = this.#parts.map((part) =>
      part === this.#parts[answered.part] ? behind : part.unread,
    )
    return { done: false, value: shown(this.#system, shard, answered.watched, next) }
  }
}

const shown = (
  system: System,
  shard: WritingShard,
  { item: change, catchingUp }: Watched<KeyChange>,
  next: readonly Position[],
): StoreChange => {
  const { lsn, time } = change
  const where = { position: { shard: shard.index, lsn }, next, time, catchingUp }
  if (change.kind === 'clear') return { kind: 'clear', namespace: change.namespace, ...where }
  const { key, row } = change
  return row
    ? { kind: 'put', key, value: listedValue(system, shard, key, row), ...where }
    : { kind: 'delete', key, ...where }
}

/** Which changes a watch wants. */
type ChangeFilter = (change: KeyChange) => boolean

/** The changes of a shard. While the watch reads the log, a key has its present value. */
const changesIn = (shard: WritingShard, wants: ChangeFilter): WatchSource<KeyChange> => ({
  ofFrame: ({ changes }) => changes.filter(wants),
  ofLog: (read, end) => namedIn(shard, read, end).filter(wants),
  bytesOf: (change) =>
    change.kind === 'key' ? change.key.length + (change.row?.value.bytes.length ?? 0) : 0,
})

/** The keys named in the frames below `end`, each once, with their present rows. */
const namedIn = (shard: WritingShard, read: ReadAnswer, end: number): readonly KeyChange[] => {
  const view = shard.view()
  const now = shard.now()
  const changes = new Map<string, KeyChange>()
  const set = (name: string, change: KeyChange): void => {
    changes.delete(name)
    changes.set(name, change)
  }
  for (const { lsn, time, offset, length } of read.frames) {
    if (lsn >= end) break
    const { units } = decodeFrame(read.bytes.slice(offset, offset + length))
    for (const touched of touchedBy(units)) {
      if (touched.kind === 'clear') {
        set(`\0${touched.namespace}`, { lsn, time, ...touched })
        continue
      }
      for (const key of touched.keys) {
        const row: Row | undefined = view.get(key, now)
        if (!row || !touched.ended) set(key, { lsn, time, kind: 'key', key, row })
      }
    }
  }
  return [...changes.values()]
}

const filterOf = (prefix: string): ChangeFilter => {
  const mayHave = ({ namespace }: { readonly namespace: string | undefined }): boolean =>
    namespace === undefined ||
    (namespace === rootNamespace
      ? !prefix.includes(':')
      : `${namespace}:`.startsWith(prefix) || prefix.startsWith(`${namespace}:`))
  return (change: KeyChange) =>
    change.kind === 'clear' ? mayHave(change) : change.key.startsWith(prefix)
}

/** The LSN that the watch of a shard begins with. */
const beginOf = (shard: WritingShard, from: WatchOptions['from']): number => {
  // Refuses where the shard has no view.
  shard.view()
  const behind = shard.appliedLsn + 1
  if (from === 'oldest') return logStart
  const positions = from === undefined ? [] : 'shard' in from ? [from] : from
  const begin = walkStart(
    positions.find(({ shard: index }) => index === shard.index)?.lsn ?? behind,
  )
  checkReached(shard, begin)
  return begin
}

const checked = (options: WatchOptions, shards: number): WatchOptions => {
  checkOptionNames(options, ['prefix', 'from', 'signal'])
  const { prefix, from, signal } = options
  checkSignal(signal)
  if (prefix !== undefined && prefix !== '') checkKey(prefix)
  if (from === undefined || from === 'oldest') return options
  const positions: unknown = Array.isArray(from) ? from : [from]
  if ((positions as unknown[]).every((position) => isPosition(position, shards))) return options
  throw invalidArgument('from', 'positions of shards, or `oldest`', from)
}

const isPosition = (position: unknown, shards: number): boolean => {
  const { shard, lsn } = (position ?? {}) as Partial<Position>
  const isWhole = (number: unknown, from: number): number is number =>
    Number.isSafeInteger(number) && (number as number) >= from
  return isWhole(lsn, 0) && isWhole(shard, 0) && shard < shards
}
