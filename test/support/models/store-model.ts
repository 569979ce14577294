/**
 * The store as one would explain it, with Maps and whole values: no rows, no bytes of commands, no parts. Written for
 * comparison with the state machine, and from the contract alone.
 */
import { isUtf8 } from 'node:buffer'
import { isDeepStrictEqual } from 'node:util'

/** Content as the model has it. `runs` says for each byte which blob it was put with; 0 for none. */
export type Content =
  | { readonly kind: 'structured'; readonly value: unknown }
  | { readonly kind: 'text' | 'bytes'; readonly bytes: Buffer; readonly runs: readonly number[] }

/** An answer as the model gives it. */
export type ModelAnswer = Readonly<Record<string, unknown>>

type Value = { readonly kind: 'value'; content: Content; expiresAt: number }
type Compound = { readonly kind: 'compound'; fields: Map<string, Content>; expiresAt: number }
type Entry = Value | Compound
type Lock = { readonly owner: string; readonly until: number }

/** When something ends, as a command says it. */
export type Ends =
  | { readonly kind: 'none' | 'keep' }
  | { readonly kind: 'at' | 'after'; readonly ms: number }

/** A command as the model takes it. */
export type Op = { readonly kind: string; readonly owner?: string } & Readonly<
  Record<string, unknown>
>

/** What an op may have; which of it is there, its kind says. */
type Fields = {
  readonly kind: string
  readonly owner: string
  readonly key: string
  readonly keys: readonly string[]
  readonly field: string
  readonly fields: readonly (readonly [string, Content])[]
  readonly entries: readonly {
    readonly key: string
    readonly content: Content
    readonly ends: Ends
  }[]
  readonly content: Content
  readonly added: Exclude<Content, { kind: 'structured' }>
  readonly expected: Content | undefined
  readonly ends: Ends
  readonly condition: string
  readonly get: boolean
  readonly offset: number
  readonly leaseMs: number
  readonly namespace: string | undefined
}

/** Thrown by a command that is refused. */
export class Refused extends Error {
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

const same = (a: Content, b: Content): boolean => {
  if (a.kind === 'structured' || b.kind === 'structured')
    return (
      a.kind === b.kind &&
      isDeepStrictEqual((a as { value: unknown }).value, (b as { value: unknown }).value)
    )
  return a.kind === b.kind && a.bytes.equals(b.bytes)
}

const moment = (ends: Ends, now: number, kept: number): number => {
  if (ends.kind === 'none') return 0
  if (ends.kind === 'keep') return kept
  return ends.kind === 'at' ? (ends as { ms: number }).ms : now + (ends as { ms: number }).ms
}

/** Whether a character begins at `at`, as far as that is known without looking into a blob. */
const characterAt = (
  { bytes, runs }: Exclude<Content, { kind: 'structured' }>,
  at: number,
): boolean => {
  if (at === 0 || at >= bytes.length) return true
  if (runs[at] !== 0) return runs[at] !== runs[at - 1]
  return ((bytes[at] as number) & 0xc0) !== 0x80
}

/** The store, as a model. */
export class StoreModel {
  entries = new Map<string, Entry>()
  locks = new Map<string, Lock>()

  copy(): StoreModel {
    const copy = new StoreModel()
    copy.locks = new Map(this.locks)
    for (const [key, entry] of this.entries)
      copy.entries.set(
        key,
        entry.kind === 'value' ? { ...entry } : { ...entry, fields: new Map(entry.fields) },
      )
    return copy
  }

  get(key: string, now: number): Entry | undefined {
    const entry = this.entries.get(key)
    return entry && (entry.expiresAt === 0 || entry.expiresAt > now) ? entry : undefined
  }

  lock(key: string, now: number): Lock | undefined {
    const lock = this.locks.get(key)
    return lock && lock.until > now ? lock : undefined
  }

  /** All ops or none. @throws Refused */
  unit(ops: readonly Op[], now: number): ModelAnswer[] {
    const next = this.copy()
    const answers = ops.map((op) => next.#run(op, now))
    this.entries = next.entries
    this.locks = next.locks
    return answers
  }

  #mayWrite(keys: Iterable<string>, owner: string | undefined, now: number): void {
    for (const key of keys) {
      const lock = this.lock(key, now)
      if (lock && lock.owner !== owner) throw new Refused('LOCKED')
    }
  }

  #put(key: string, content: Content, expiresAt: number, now: number): void {
    if (expiresAt !== 0 && expiresAt <= now) this.entries.delete(key)
    else this.entries.set(key, { kind: 'value', content, expiresAt })
  }

  #plain(key: string, now: number): Value | undefined {
    const entry = this.get(key, now)
    if (entry?.kind === 'compound') throw new Refused('WRONG_TYPE')
    return entry
  }

  #run(given: Op, now: number): ModelAnswer {
    const op = given as unknown as Fields
    const { kind, key, owner } = op
    if (key !== undefined) this.#mayWrite([key], owner, now)
    switch (kind) {
      case 'put':
        this.#put(key, op.content, moment(op.ends, now, 0), now)
        return { kind }
      case 'putMany':
        this.#mayWrite(
          op.entries.map((entry: { key: string }) => entry.key),
          owner,
          now,
        )
        for (const entry of op.entries)
          this.#put(entry.key, entry.content, moment(entry.ends, now, 0), now)
        return { kind }
      case 'delete': {
        const existed = this.get(key, now) !== undefined
        this.entries.delete(key)
        return { kind, existed }
      }
      case 'deleteMany': {
        this.#mayWrite(op.keys, owner, now)
        let deleted = 0
        for (const each of op.keys as string[]) {
          if (this.get(each, now)) deleted++
          this.entries.delete(each)
        }
        return { kind, deleted }
      }
      case 'set': {
        const entry = this.get(key, now)
        if (op.get && entry?.kind === 'compound') throw new Refused('WRONG_TYPE')
        const written =
          op.condition === 'always' || (op.condition === 'absent' ? !entry : entry !== undefined)
        const previous = op.get && entry?.kind === 'value' ? entry.content : undefined
        if (written) this.#put(key, op.content, moment(op.ends, now, entry?.expiresAt ?? 0), now)
        return { kind, written, previous }
      }
      case 'getSet': {
        const previous = this.#plain(key, now)?.content
        this.#put(key, op.content, 0, now)
        return { kind, previous }
      }
      case 'compareAndSet': {
        const entry = this.#plain(key, now)
        const swapped =
          entry && op.expected ? same(entry.content, op.expected) : entry === op.expected
        if (!swapped) return { kind, swapped, current: entry?.content }
        this.#put(key, op.content, moment(op.ends, now, entry?.expiresAt ?? 0), now)
        return { kind, swapped, current: undefined }
      }
      case 'append':
      case 'setRange':
        return { kind, length: this.#bytes(op, now) }
      case 'expire':
      case 'persist': {
        const entry = this.get(key, now)
        if (!entry) return { kind, existed: false }
        const ends = kind === 'persist' ? 0 : moment(op.ends, now, 0)
        if (ends !== 0 && ends <= now) this.entries.delete(key)
        else this.entries.set(key, { ...entry, expiresAt: ends })
        return { kind, existed: true }
      }
      case 'putField':
        return { kind, created: this.#fields(key, [[op.field, op.content]], now)[0] }
      case 'putFields':
        return { kind, created: this.#fields(key, op.fields, now) }
      case 'deleteField': {
        const entry = this.get(key, now)
        if (entry?.kind === 'value') throw new Refused('WRONG_TYPE')
        const existed = entry?.fields.delete(op.field) ?? false
        if (entry?.fields.size === 0) this.entries.delete(key)
        return { kind, existed }
      }
      case 'lock':
      case 'extend':
        for (const each of op.keys) {
          this.#mayWrite([each], owner, now)
          if (kind === 'extend' && !this.lock(each, now)) throw new Refused('CONFLICT')
        }
        for (const each of op.keys) this.locks.set(each, { owner, until: now + op.leaseMs })
        return { kind, until: now + op.leaseMs }
      case 'unlock': {
        this.#mayWrite(op.keys, owner, now)
        let released = 0
        for (const each of op.keys) {
          if (this.lock(each, now)) released++
          this.locks.delete(each)
        }
        return { kind, released }
      }
      case 'clear':
        return { kind, removed: this.#clear(op.namespace, owner, now) }
      default:
        // The removal of expired rows is invisible, and the model does not know how many rows were
        // removed.
        return { kind }
    }
  }

  #bytes(
    op: {
      kind: string
      key: string
      added: Exclude<Content, { kind: 'structured' }>
      offset?: number
    },
    now: number,
  ): number {
    const entry = this.#plain(op.key, now)
    const old = entry?.content ?? { kind: op.added.kind, bytes: Buffer.alloc(0), runs: [] }
    if (old.kind === 'structured') throw new Refused('WRONG_TYPE')
    const { added } = op
    if (op.kind === 'setRange' && added.bytes.length === 0) return old.bytes.length
    const from = op.kind === 'append' ? old.bytes.length : (op.offset as number)
    const to = from + added.bytes.length
    const gap = Math.max(0, from - old.bytes.length)
    const bytes = Buffer.concat([
      old.bytes.subarray(0, from),
      Buffer.alloc(gap),
      added.bytes,
      old.bytes.subarray(to),
    ])
    const runs = [
      ...old.runs.slice(0, from),
      ...new Array<number>(gap).fill(0),
      ...added.runs,
      ...old.runs.slice(to),
    ]
    const isText =
      old.kind === 'text' && added.kind === 'text' && characterAt(old, from) && characterAt(old, to)
    if (isText && !isUtf8(bytes)) throw new Error('the model is wrong about text')
    const content: Content = { kind: isText ? 'text' : 'bytes', bytes, runs }
    this.entries.set(op.key, { kind: 'value', content, expiresAt: entry?.expiresAt ?? 0 })
    return bytes.length
  }

  #fields(key: string, fields: readonly (readonly [string, Content])[], now: number): boolean[] {
    const entry = this.get(key, now)
    if (entry?.kind === 'value') throw new Refused('WRONG_TYPE')
    const compound = entry ?? { kind: 'compound' as const, fields: new Map(), expiresAt: 0 }
    this.entries.set(key, compound)
    return fields.map(([field, content]) => {
      const created = !compound.fields.has(field)
      compound.fields.set(field, content)
      return created
    })
  }

  #clear(namespace: string | undefined, owner: string | undefined, now: number): number {
    const isIn = (key: string) => {
      if (namespace === undefined) return true
      const colon = key.indexOf(':')
      return namespace === '_root' ? colon < 0 : colon >= 0 && key.slice(0, colon) === namespace
    }
    this.#mayWrite([...this.locks.keys()].filter(isIn), owner, now)
    let removed = 0
    for (const key of [...this.entries.keys()].filter(isIn)) {
      if (this.get(key, now)) removed++
      this.entries.delete(key)
    }
    return removed
  }
}
