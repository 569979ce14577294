/**
 * A model of the store, as simple as possible: Maps, without rows, frames or layers. A write is
 * applied completely at the time of its log stamp and returns the expected answer. It shares no
 * code with the store.
 */
import { isDeepStrictEqual } from 'node:util'

/** When a value ends, as a user says it. */
type Ends = { readonly ttlMs?: number; readonly expiresAt?: number }
/** Who writes. */
type Owned = { readonly owner?: string }

/** A write of a user's, as plain data. */
export type Write =
  | ({ readonly kind: 'put'; readonly key: string; readonly value: unknown } & Ends & Owned)
  | ({
      readonly kind: 'set'
      readonly key: string
      readonly value: unknown
      readonly nx?: boolean
      readonly xx?: boolean
      readonly keepTtl?: boolean
      readonly get?: boolean
    } & Ends &
      Owned)
  | ({ readonly kind: 'getSet'; readonly key: string; readonly value: unknown } & Owned)
  | ({ readonly kind: 'append'; readonly key: string; readonly suffix: string | Buffer } & Owned)
  | ({
      readonly kind: 'setRange'
      readonly key: string
      readonly offset: number
      readonly patch: string | Buffer
    } & Owned)
  | ({
      readonly kind: 'compareAndSet'
      readonly key: string
      readonly expected: unknown
      readonly value: unknown
    } & Ends &
      Owned)
  | ({ readonly kind: 'delete' | 'persist'; readonly key: string } & Owned)
  | ({ readonly kind: 'deleteMany'; readonly keys: readonly string[] } & Owned)
  | ({
      readonly kind: 'putMany'
      readonly entries: readonly (readonly [string, unknown])[]
    } & Ends &
      Owned)
  | {
      readonly kind: 'lock' | 'extend'
      readonly keys: readonly string[]
      readonly owner: string
      readonly leaseMs: number
    }
  | { readonly kind: 'unlock'; readonly keys: readonly string[]; readonly owner: string }
  | ({
      readonly kind: 'putField'
      readonly key: string
      readonly field: string
      readonly value: unknown
    } & Owned)
  | ({
      readonly kind: 'putFields'
      readonly key: string
      readonly fields: readonly (readonly [string, unknown])[]
    } & Owned)
  | ({ readonly kind: 'deleteField'; readonly key: string; readonly field: string } & Owned)
  | ({ readonly kind: 'expire'; readonly key: string; readonly ttlMs: number } & Owned)
  | ({ readonly kind: 'clear'; readonly namespace?: string } & Owned)

/** A write, or several that are to take effect as one. */
export type Transaction = Write | { readonly kind: 'batch'; readonly writes: readonly Write[] }

/** What became of it: its answer, those of a batch in order, or why nothing changed. */
export type ModelOutcome = { readonly answer: unknown } | { readonly refused: string }

type Held = { readonly ends: number } & (
  | { readonly value: unknown }
  | { readonly fields: ReadonlyMap<string, unknown> }
)
type Lock = { readonly owner: string; readonly until: number }

class Refused extends Error {}

/** The keys that a write names. */
export const keysOf = (write: Write): readonly string[] => {
  if ('key' in write) return [write.key]
  if ('keys' in write) return write.keys
  return 'entries' in write ? write.entries.map(([key]) => key) : []
}

/** All keys and values, and all locks. */
export class StoreModel {
  #held = new Map<string, Held>()
  #locks = new Map<string, Lock>()

  /** Applies it at `time`, whole or not at all. */
  apply(transaction: Transaction, time: number): ModelOutcome {
    const before = [new Map(this.#held), new Map(this.#locks)] as const
    try {
      const answer =
        transaction.kind === 'batch'
          ? transaction.writes.map((write) => this.#write(write, time))
          : this.#write(transaction, time)
      return { answer }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      ;[this.#held, this.#locks] = [new Map(before[0]), new Map(before[1])]
      return { refused: error.message }
    }
  }

  /** The value of a key, the Map of a compound's fields, `undefined` for nothing. */
  get(key: string, now: number): { readonly isCompound: boolean; readonly value: unknown } {
    const held = this.#alive(key, now)
    if (!held) return { isCompound: false, value: undefined }
    return 'fields' in held
      ? { isCompound: true, value: held.fields }
      : { isCompound: false, value: held.value }
  }

  /** What `ttl` should say. */
  ttl(key: string, now: number): number | undefined {
    const held = this.#alive(key, now)
    return held && (held.ends === 0 ? Number.POSITIVE_INFINITY : held.ends - now)
  }

  #alive(key: string, now: number): Held | undefined {
    const held = this.#held.get(key)
    return held && (held.ends === 0 || held.ends > now) ? held : undefined
  }

  #checkLock(key: string, owner: string | undefined, time: number): void {
    const lock = this.#locks.get(key)
    if (lock && lock.until > time && lock.owner !== owner) throw new Refused('LOCKED')
  }

  #replace(key: string, held: Held, time: number): void {
    this.#held.set(key, held)
    if (!this.#alive(key, time)) this.#held.delete(key)
  }

  #remove(key: string, time: number): boolean {
    const existed = this.#alive(key, time) !== undefined
    this.#held.delete(key)
    return existed
  }

  /** The plain value that is there. */
  #plain(key: string, time: number): { readonly value: unknown } | undefined {
    const held = this.#alive(key, time)
    if (held && 'fields' in held) throw new Refused('WRONG_TYPE')
    return held
  }

  #fields(key: string, time: number): Map<string, unknown> {
    const held = this.#alive(key, time)
    if (held && !('fields' in held)) throw new Refused('WRONG_TYPE')
    return new Map(held?.fields)
  }

  #write(write: Write, time: number): unknown {
    if (!('leaseMs' in write) && write.kind !== 'unlock' && write.kind !== 'clear')
      for (const key of keysOf(write)) this.#checkLock(key, write.owner, time)
    if ('key' in write) return this.#writeKey(write, time)
    switch (write.kind) {
      case 'putMany':
        for (const [key, value] of write.entries)
          this.#replace(key, { value, ends: endOf(write, time) }, time)
        return {}
      case 'deleteMany':
        return { deleted: write.keys.filter((key) => this.#remove(key, time)).length }
      case 'clear':
        return this.#clear(write, time)
      default:
        return this.#lockOrUnlock(write, time)
    }
  }

  #writeKey(write: Extract<Write, { key: string }>, time: number): unknown {
    const { key } = write
    const ends = this.#alive(key, time)?.ends ?? 0
    switch (write.kind) {
      case 'put':
        this.#replace(key, { value: write.value, ends: endOf(write, time) }, time)
        return {}
      case 'set': {
        const found = write.get ? this.#plain(key, time) : this.#alive(key, time)
        const written = write.nx ? !found : write.xx ? found !== undefined : true
        const next = { value: write.value, ends: write.keepTtl ? ends : endOf(write, time) }
        if (written) this.#replace(key, next, time)
        return write.get ? { written, previous: (found as { value: unknown })?.value } : { written }
      }
      case 'getSet': {
        const previous = this.#plain(key, time)?.value
        this.#replace(key, { value: write.value, ends: 0 }, time)
        return { previous }
      }
      case 'compareAndSet': {
        const current = this.#plain(key, time)?.value
        if (!isDeepStrictEqual(current, write.expected)) return { swapped: false, current }
        const next = { value: write.value, ends: endOf(write, time, ends) }
        this.#replace(key, next, time)
        return { swapped: true }
      }
      case 'append':
      case 'setRange': {
        const added = write.kind === 'append' ? write.suffix : write.patch
        const held = this.#plain(key, time)
        const found = held ? held.value : typeof added === 'string' ? '' : empty
        if (typeof found !== 'string' && !Buffer.isBuffer(found)) throw new Refused('WRONG_TYPE')
        const value =
          write.kind === 'append' ? appended(found, added) : patched(found, write.offset, added)
        // An empty suffix makes an empty value where nothing is; an empty patch changes nothing anywhere.
        if (write.kind === 'append' || added.length > 0) this.#replace(key, { value, ends }, time)
        return { length: Buffer.byteLength(value) }
      }
      case 'delete':
        return { existed: this.#remove(key, time) }
      case 'expire':
      case 'persist': {
        const held = this.#alive(key, time)
        if (!held) return { existed: false }
        this.#replace(
          key,
          { ...held, ends: write.kind === 'expire' ? time + write.ttlMs : 0 },
          time,
        )
        return { existed: true }
      }
      default:
        return this.#writeFields(write, time, ends)
    }
  }

  #writeFields(
    write: Extract<Write, { kind: 'putField' | 'putFields' | 'deleteField' }>,
    time: number,
    ends: number,
  ): unknown {
    const fields = this.#fields(write.key, time)
    if (write.kind === 'deleteField') {
      const existed = fields.delete(write.field)
      if (fields.size === 0) this.#held.delete(write.key)
      else this.#held.set(write.key, { fields, ends })
      return { existed }
    }
    const pairs = write.kind === 'putFields' ? write.fields : [[write.field, write.value] as const]
    const created = pairs.map(([field, value]) => {
      const isNew = !fields.has(field)
      fields.set(field, value)
      return isNew
    })
    this.#held.set(write.key, { fields, ends })
    return { created: write.kind === 'putFields' ? created : created[0] }
  }

  #clear({ namespace, owner }: Extract<Write, { kind: 'clear' }>, time: number): unknown {
    const isIn = (key: string): boolean =>
      namespace === undefined ||
      (namespace === '_root' ? !key.includes(':') : key.startsWith(`${namespace}:`))
    for (const key of this.#locks.keys()) if (isIn(key)) this.#checkLock(key, owner, time)
    const keys = [...this.#held.keys()].filter(isIn)
    return { removed: keys.filter((key) => this.#remove(key, time)).length }
  }

  #lockOrUnlock(
    write: Extract<Write, { kind: 'lock' | 'extend' | 'unlock' }>,
    time: number,
  ): unknown {
    const isHeld = (key: string) => (this.#locks.get(key)?.until ?? 0) > time
    for (const key of write.keys) {
      this.#checkLock(key, write.owner, time)
      if (write.kind === 'extend' && !isHeld(key)) throw new Refused('CONFLICT')
    }
    if (write.kind === 'unlock') {
      const own = [...new Set(write.keys)].filter(isHeld)
      for (const key of own) this.#locks.delete(key)
      return { released: own.length }
    }
    const until = time + write.leaseMs
    for (const key of write.keys) this.#locks.set(key, { owner: write.owner, until })
    return { until }
  }
}

const endOf = ({ ttlMs, expiresAt }: Ends, time: number, otherwise = 0): number =>
  ttlMs !== undefined ? time + ttlMs : (expiresAt ?? otherwise)

const empty = Buffer.alloc(0)

const appended = (left: string | Buffer, right: string | Buffer): string | Buffer =>
  typeof left === 'string' && typeof right === 'string'
    ? left + right
    : Buffer.concat([Buffer.from(left), Buffer.from(right)])

const isText = (bytes: Buffer): boolean => Buffer.from(bytes.toString()).equals(bytes)

/** Text stays text when text is put in place of whole characters. */
const patched = (
  found: string | Buffer,
  offset: number,
  patch: string | Buffer,
): string | Buffer => {
  if (patch.length === 0) return found
  const old = Buffer.from(found)
  const piece = Buffer.from(patch)
  const end = offset + piece.length
  const head = old.subarray(0, offset)
  const tail = old.subarray(end)
  const bytes = Buffer.concat([head, Buffer.alloc(Math.max(0, offset - old.length)), piece, tail])
  const staysText =
    typeof found === 'string' && typeof patch === 'string' && isText(head) && isText(tail)
  return staysText ? bytes.toString() : bytes
}
