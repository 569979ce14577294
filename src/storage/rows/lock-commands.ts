/**
 * Locks: leases that name an owner. Whoever does not name the owner of a key's lock cannot write the key; reading is never
 * held up. A lease that has run out is free, whether or not its row was removed. A lock is of a key, not of its value: it
 * may be taken where nothing is, and stays when the value goes.
 */

import { readUtf8 } from '../bytes/utf8.ts'
import type { Command } from '../commands/command.ts'
import { type CommandAnswer, type Refusal, refused } from '../commands/command-answer.ts'
import { type Row, rowTags } from '../ports/projection-store.ts'
import { lockRowKey } from '../values/row-key.ts'
import { type ChangedRows, living, momentAfter } from './rows.ts'

type Of<K extends Command['kind']> = Extract<Command, { kind: K }>

const ownerOf = (lock: Row): string => readUtf8(lock.value.bytes)

/** The lock that holds a key at `time`. */
const lockOf = (rows: ChangedRows, key: string, time: number): Row | undefined =>
  rows.hints.locks ? living(rows.get(lockRowKey(key)), time) : undefined

/** The refusal of a lock for everybody but its owner; `undefined` for the owner, and without a lock. */
export const refusalOf = (
  lock: Row | undefined,
  key: string,
  owner: string | undefined,
): Refusal | undefined => {
  if (!lock) return undefined
  const holder = ownerOf(lock)
  return holder === owner
    ? undefined
    : refused({ code: 'LOCKED', owner: holder, until: lock.expiresAt }, key)
}

/** Why `owner` (nobody, without one) may not write `key` at `time`; `undefined` when it may. */
export const lockRefusal = (
  rows: ChangedRows,
  key: string,
  owner: string | undefined,
  time: number,
): Refusal | undefined =>
  rows.hints.locks ? refusalOf(lockOf(rows, key, time), key, owner) : undefined

/** `lock`: free keys are taken, the owner's are renewed. `extend`: all are to be the owner's. */
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

/** `unlock`: the owner's go, free ones do not count. */
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
