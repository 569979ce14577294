/**
 * Locks: leases with an owner. A write to a locked key must name the owner of the lock. Reads are
 * never blocked. An expired lease is free, even before its row is removed. A lock belongs to a key
 * and not to its value: it can be taken on an absent key, and it stays when the value is removed.
 */

import { readUtf8 } from '../../bytes/utf8.ts'
import type { Command } from '../commands/command.ts'
import { type CommandAnswer, type Refusal, refused } from '../commands/command-answer.ts'
import { type Row, rowTags } from '../ports/projection-store.ts'
import { lockRowKey } from '../values/row-key.ts'
import { type ChangedRows, living, momentAfter } from './rows.ts'

type Of<K extends Command['kind']> = Extract<Command, { kind: K }>

/** The owner of a lock, by its row. */
export const lockOwner = (lock: Row): string => readUtf8(lock.value.bytes)

/** The lock that holds a key at `time`. */
const lockOf = (rows: ChangedRows, key: string, time: number): Row | undefined =>
  rows.hints.locks ? living(rows.get(lockRowKey(key)), time) : undefined

/** The refusal that a lock gives to `owner`; `undefined` for its own owner, and without a lock. */
export const refusalOf = (
  lock: Row | undefined,
  key: string,
  owner: string | undefined,
): Refusal | undefined => {
  if (!lock) return undefined
  const holder = lockOwner(lock)
  return holder === owner
    ? undefined
    : refused({ code: 'LOCKED', owner: holder, until: lock.expiresAt }, key)
}

/** The refusal of a write of `key` by `owner` at `time`; `undefined` if the write is allowed. */
export const lockRefusal = (
  rows: ChangedRows,
  key: string,
  owner: string | undefined,
  time: number,
): Refusal | undefined =>
  rows.hints.locks ? refusalOf(lockOf(rows, key, time), key, owner) : undefined

/**
 * `lock`: takes free keys and renews those of the owner. `extend`: the owner must hold all of them.
 */
export const applyLock = (
  rows: ChangedRows,
  { kind, keys, owner, leaseMs }: Of<'lock' | 'extend'>,
  time: number,
): CommandAnswer | Refusal => {
  const until = momentAfter(time, leaseMs)
  const bytes = new TextEncoder().encode(owner)
  const row: Row = { value: { tag: rowTags.lock, bytes }, expiresAt: until }
  for (const key of keys) {
    const lock = lockOf(rows, key, time)
    const refusal = refusalOf(lock, key, owner)
    if (refusal) return refusal
    if (!lock && kind === 'extend') return refused('CONFLICT', key)
    rows.set(lockRowKey(key), row)
  }
  return { kind, until }
}

/** `unlock`: releases the owner's locks. Free keys are not counted. */
export const applyUnlock = (
  rows: ChangedRows,
  { keys, owner }: Of<'unlock'>,
  time: number,
): CommandAnswer | Refusal => {
  let released = 0
  for (const key of keys) {
    const lock = lockOf(rows, key, time)
    const refusal = refusalOf(lock, key, owner)
    if (refusal) return refusal
    if (!lock) continue
    rows.set(lockRowKey(key), undefined)
    released++
  }
  return { kind: 'unlock', released }
}
