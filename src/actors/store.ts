/**
 * The store: keys and values over all shards. It checks, encodes once, picks the shard and enters its gate; a write resolves
 * when its frame is durable and visible. Reads are synchronous: overlay first, then the projection, so that a caller sees
 * its own acknowledged writes and everybody else's.
 */
import { isKeelsonError, KeelsonError } from '../errors.ts'
import type { System } from '../runtime/index.ts'
import {
  type Command,
  checkKey,
  decodeValue,
  type Expiry,
  encodeValue,
  noExpiry,
  type PutCommand,
  type Row,
  shardOf,
  type Unit,
  type UnitAnswer,
} from '../storage/index.ts'
import * as Applier from './applier.ts'
import { cursorAt, type RangeOptions, type RangeQuery, rangeQuery } from './range-query.ts'
import { type KeyRow, mergedRows } from './read-view.ts'
import { levelOf } from './settings.ts'
import type { Shard } from './shard.ts'
import type * as WalWriter from './wal-writer.ts'
import {
  type CheckedWrite,
  checkPut,
  checkWrite,
  type PutOptions,
  type WriteOptions,
} from './write-options.ts'
import { submit } from './write-path.ts'

/** What every write answers. `level` is there only where the instance is not durable: the write is written, not synced. */
export type Written = { readonly position: WalWriter.Position; readonly level?: 'written' }

/** A key with its value; without values asked for, `undefined`. */
export type StoreEntry = readonly [key: string, value: unknown]

/** A page of a range. `cursor` goes on behind it, absent when `exhausted`; `positions` say what each shard showed. */
export type RangePage = {
  readonly entries: readonly StoreEntry[]
  readonly cursor: string | undefined
  readonly exhausted: boolean
  readonly positions: readonly WalWriter.Position[]
}

/** Keys and values, in one instance. */
export class Store {
  readonly #system: System
  readonly #shards: readonly Shard[]

  constructor(system: System, shards: readonly Shard[]) {
    this.#system = system
    this.#shards = shards
  }

  /**
   * Replaces what the key holds. Resolves once the change is synced and visible.
   * @throws KeelsonError `INVALID_ARGUMENT`, `TOO_LARGE`: refused, nothing happened. `BUSY`, `NO_SPACE`, `SHARD_DOWN`, `CLOSED`: nothing was written.
   * `NOT_SUBMITTED`: never reached the disk. `UNKNOWN_OUTCOME`: it may be there, read before repeating. `TIMEOUT`, `DEGRADED`: with `ack`
   * `projected`, the write stands at `details.position`.
   */
  async put(key: string, value: unknown, options: PutOptions = {}): Promise<Written> {
    checkKey(key)
    const checked = checkPut(options, this.#deadlineMs)
    const stored = encodeValue(value)
    const command: PutCommand = { kind: 'put', key, value: stored, expiry: expiryOf(options) }
    return (await this.#write(command, checked)).written
  }

  /** Removes the key. Resolves like `put`, and says whether there was a value. @throws as `put` does */
  async delete(
    key: string,
    options: WriteOptions = {},
  ): Promise<Written & { readonly existed: boolean }> {
    checkKey(key)
    const checked = checkWrite(options, this.#deadlineMs)
    const { written, answer } = await this.#write({ kind: 'delete', key }, checked)
    return { ...written, existed: answer?.kind === 'delete' && answer.existed }
  }

  /**
   * The key's value, `undefined` without one.
   * @throws KeelsonError `INVALID_ARGUMENT`; `CORRUPT` when what is stored is damaged; `SHARD_DOWN` with `details.state`; `CLOSED`
   */
  get(key: string): unknown {
    const row = this.#row(checkKey(key))
    return row && decodeValue(row.value)
  }

  /** Whether the key has a value. @throws as `get` does */
  has(key: string): boolean {
    return this.#row(checkKey(key)) !== undefined
  }

  /** Milliseconds that the value has left: `Infinity` without expiry, `undefined` without a value. @throws as `get` does */
  ttl(key: string): number | undefined {
    const shard = this.#shardOf(checkKey(key))
    const now = shard.now()
    const row = this.#row(key, now)
    if (!row) return undefined
    return row.expiresAt === 0 ? Number.POSITIVE_INFINITY : row.expiresAt - now
  }

  /** The values of several keys, in their order; `undefined` for those without one. @throws as `get` does; no key is left out */
  getMany(keys: readonly string[]): unknown[] {
    if (!Array.isArray(keys))
      throw new KeelsonError('INVALID_ARGUMENT', 'getMany takes an array of keys.')
    return keys.map((key) => this.get(key))
  }

  /**
   * One page of the keys in the order of their UTF-8 bytes, over all shards.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `CORRUPT`, `SHARD_DOWN` (no shard is left out), `CLOSED`
   */
  range(options: RangeOptions = {}): RangePage {
    return this.#page(rangeQuery(options))
  }

  /** All entries of a range, page by page, yielding to the event loop between pages. `limit` is the size of a page. @throws as `range` does */
  async *entries(options: RangeOptions = {}): AsyncIterableIterator<StoreEntry> {
    let cursor = options.cursor
    do {
      const page = this.range({ ...options, ...(cursor === undefined ? {} : { cursor }) })
      yield* page.entries
      cursor = page.cursor
      await new Promise<void>((resolve) => this.#system.clock.soon(resolve))
    } while (cursor !== undefined)
  }

  get #deadlineMs(): number {
    return this.#shards[0]?.parts.settings.deadlineMs ?? 0
  }

  #shardOf(key: string): Shard {
    return this.#shards[shardOf(key, this.#shards.length)] as Shard
  }

  #row(key: string, now = this.#shardOf(key).now()): Row | undefined {
    const shard = this.#shardOf(key)
    const view = shard.view()
    try {
      return view.get(key, now)
    } catch (error) {
      this.#reportDamage(shard, error)
      throw error
    }
  }

  #page(query: RangeQuery): RangePage {
    const { range, limit, values } = query
    const sources = this.#shards.map((shard) => ({ shard, view: shard.view() }))
    const walks = sources.map(({ shard, view }) =>
      this.#watched(shard, view.range(range, shard.now())),
    )
    const entries: StoreEntry[] = []
    let more = false
    for (const [key, row] of mergedRows(walks, range.reverse === true)) {
      more = entries.length === limit
      if (more) break
      entries.push([key, values ? decodeValue(row.value) : undefined])
    }
    const last = entries[entries.length - 1]?.[0]
    return {
      entries,
      cursor: more && last !== undefined ? cursorAt(query, last) : undefined,
      exhausted: !more,
      positions: sources.map(({ shard }) => ({ shard: shard.index, lsn: shard.appliedLsn })),
    }
  }

  async #write(
    command: Extract<Command, { key: string }>,
    options: CheckedWrite,
  ): Promise<{ written: Written; answer: UnitAnswer | undefined }> {
    const shard = this.#shardOf(command.key)
    const unit: Unit = { kind: 'command', command }
    const { position, answers } = await submit(this.#system, shard, {
      units: [unit],
      keys: [command.key],
      options,
    })
    const level = levelOf(shard.parts.settings)
    return {
      written: level === 'durable' ? { position } : { position, level },
      answer: answers[0],
    }
  }

  /** A walk whose damage is reported to its own shard. */
  *#watched(shard: Shard, rows: IterableIterator<KeyRow>): IterableIterator<KeyRow> {
    try {
      yield* rows
    } catch (error) {
      this.#reportDamage(shard, error)
      throw error
    }
  }

  /** A damaged row is reported, so that the projection is built anew; this reader gets `CORRUPT` all the same. */
  #reportDamage(shard: Shard, error: unknown): void {
    if (!isKeelsonError(error, 'CORRUPT')) return
    const applier = this.#system.to(Applier.name(shard.parts.instance, shard.index))
    Applier.damaged(applier, error.details)
  }
}

const expiryOf = ({ ttlMs, expiresAt }: PutOptions): Expiry => {
  if (ttlMs !== undefined) return { kind: 'after', ms: ttlMs }
  return expiresAt ? { kind: 'at', ms: expiresAt } : noExpiry
}
