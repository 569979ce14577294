/**
 * Commands on many keys: `putMany`, `deleteMany`, `clear` and `removeExpired`. They are apart from
 * `unit-application.ts` because each knows one command, and that file the unit around it.
 */
import { type Command, ownerIn } from '../commands/command.ts'
import { type CommandAnswer, type Refusal, refused } from '../commands/command-answer.ts'
import type { Row, RowRange } from '../ports/projection-store.ts'
import { rootNamespace } from '../values/key.ts'
import { compoundOf, firstUserKey, lockRowKey, lockRows } from '../values/row-key.ts'
import { lockRefusal, refusalOf } from './lock-commands.ts'
import { type ChangedRows, isExpired, living, type Rows } from './rows.ts'
import { applyDelete, applyPut, removeKey } from './value-commands.ts'

type Of<K extends Command['kind']> = Extract<Command, { kind: K }>

/**
 * The greatest number of rows that a unit may change. A unit is applied in one turn, while nothing
 * else runs.
 */
export const unitRowsMax = 2_000_000

/** `putMany`. */
export const applyPutMany = (
  rows: ChangedRows,
  command: Of<'putMany'>,
  time: number,
): CommandAnswer | Refusal => {
  const owner = ownerIn(command)
  for (const entry of command.entries) {
    const refusal = lockRefusal(rows, entry.key, owner, time)
    if (refusal) return refusal
    applyPut(rows, entry, time)
  }
  return { kind: 'putMany' }
}

/** `deleteMany`. */
export const applyDeleteMany = (
  rows: ChangedRows,
  command: Of<'deleteMany'>,
  time: number,
): CommandAnswer | Refusal => {
  const owner = ownerIn(command)
  let deleted = 0
  for (const key of command.keys) {
    const refusal = lockRefusal(rows, key, owner, time)
    if (refusal) return refusal
    if (applyDelete(rows, key, time)) deleted++
  }
  return { kind: 'deleteMany', deleted }
}

/**
 * `clear`. A lock of another owner on one of the keys refuses the whole command, even if that key
 * has no value.
 */
export const applyClear = (
  rows: ChangedRows,
  command: Of<'clear'>,
  time: number,
): CommandAnswer | Refusal => {
  const { namespace } = command
  const owner = ownerIn(command)
  const refusal = rows.hints.locks ? clearRefusal(rows, namespace, owner, time) : undefined
  if (refusal) return refusal
  const found: string[] = []
  let removed = 0
  for (const [rowKey, row] of rowsOf(rows, namespace)) {
    if (found.length === unitRowsMax) return refused('TOO_LARGE')
    found.push(rowKey)
    if (compoundOf(rowKey) === undefined && !isExpired(row, time)) removed++
  }
  for (const rowKey of found) rows.set(rowKey, undefined)
  return { kind: 'clear', removed }
}

/** The keys of a named namespace: all keys that begin with its name and a colon. */
const namespaceRows = (namespace: string): RowRange & { gte: string; lt: string } => ({
  gte: `${namespace}:`,
  // The character after the colon.
  lt: `${namespace};`,
})

const clearRefusal = (
  rows: ChangedRows,
  namespace: string | undefined,
  owner: string | undefined,
  time: number,
): Refusal | undefined => {
  const isNamed = namespace !== undefined && namespace !== rootNamespace
  const { gte, lt } = namespaceRows(namespace ?? '')
  const range = isNamed ? { gte: lockRowKey(gte), lt: lockRowKey(lt) } : lockRows
  for (const [rowKey, row] of rows.range(range)) {
    const key = rowKey.slice(lockRowKey('').length)
    if (namespace === rootNamespace && key.includes(':')) continue
    const refusal = refusalOf(living(row, time), key, owner)
    if (refusal) return refusal
  }
  return undefined
}

/** The rows of a namespace, field rows included; of all keys if it is `undefined`. */
const rowsOf = (
  rows: Rows,
  namespace: string | undefined,
): Iterable<readonly [rowKey: string, row: Row]> => {
  if (namespace === undefined) return rows.range({ gte: firstUserKey })
  return namespace === rootNamespace ? rootRows(rows) : rows.range(namespaceRows(namespace))
}

/**
 * The rows of keys without a colon. Each namespace in between is skipped in one step, whatever its
 * size.
 */
function* rootRows(rows: Rows): IterableIterator<readonly [rowKey: string, row: Row]> {
  for (let from: string | undefined = firstUserKey; from !== undefined; ) {
    const walk: Iterable<readonly [string, Row]> = rows.range({ gte: from })
    from = undefined
    for (const entry of walk) {
      const key = compoundOf(entry[0]) ?? entry[0]
      const colon = key.indexOf(':')
      if (colon >= 0) {
        from = namespaceRows(key.slice(0, colon)).lt
        break
      }
      yield entry
    }
  }
}

/** `removeExpired`: removes values with their fields, and locks. */
export const applyRemoveExpired = (
  rows: ChangedRows,
  { keys }: Of<'removeExpired'>,
  time: number,
): CommandAnswer => {
  let removed = 0
  for (const key of keys) {
    const row = rows.get(key)
    if (row && isExpired(row, time)) {
      removeKey(rows, key, row)
      removed++
    }
    const lock = rows.hints.locks ? rows.get(lockRowKey(key)) : undefined
    if (lock && isExpired(lock, time)) {
      rows.set(lockRowKey(key), undefined)
      removed++
    }
  }
  return { kind: 'removeExpired', removed }
}
