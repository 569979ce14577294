/**
 * Pages, and their cursors: each names the query that it belongs to, and the last key of its page.
 * Pure.
 */
import { createHash } from 'node:crypto'
import { plainJson } from '../../bytes/json.ts'
import { KeelsonError } from '../../errors.ts'

/** Identifies a query by its parts, for its cursors. */
export const fingerprintOf = (...parts: readonly unknown[]): string =>
  createHash('sha256').update(plainJson(parts)).digest('base64url').slice(0, 12)

/** A page. `cursor` continues after it; it is absent when `exhausted`. */
export type Page<Entry> = {
  readonly entries: readonly Entry[]
  readonly cursor: string | undefined
  readonly exhausted: boolean
}

type Asked = { readonly limit: number; readonly fingerprint: () => string }

/** The first entries of a walk, at most `limit`, each made of a key and what the walk has of it. */
export const pageFrom = <Found, Entry>(
  walk: Iterable<readonly [key: string, found: Found]>,
  { limit, fingerprint }: Asked,
  entryOf: (key: string, found: Found) => Entry,
): Page<Entry> => {
  const entries: Entry[] = []
  let last = ''
  for (const [key, found] of walk) {
    if (entries.length === limit)
      return { entries, cursor: cursorAt(fingerprint(), last), exhausted: false }
    entries.push(entryOf(key, found))
    last = key
  }
  return { entries, cursor: undefined, exhausted: true }
}

/** A page that has only some of the rows that it looks at, and its bounds. */
export type Looks = {
  /** Whether the page has the row of this key, and the bytes that were read for that. */
  readonly look: (key: string) => { readonly isWanted: boolean; readonly bytes: number }
  /** The page ends after so many rows. */
  readonly looksMax: number
  /** It ends after the row with which so many bytes were read. */
  readonly bytesMax: number
}

/**
 * As `pageFrom`, of the rows that are wanted. It may have fewer entries than `limit`, or none, and a cursor.
 * `end`: the last key that it looked at.
 */
export const chosenFrom = <Entry>(
  walk: Iterable<readonly [key: string, found: unknown]>,
  { limit, fingerprint }: Asked,
  { look, looksMax, bytesMax }: Looks,
  entryOf: (key: string) => Entry,
): Page<Entry> & { readonly end?: string } => {
  const entries: Entry[] = []
  let [looks, read, end] = [0, 0, '']
  for (const [key] of walk) {
    if (entries.length === limit || looks === looksMax || read >= bytesMax)
      return { entries, cursor: cursorAt(fingerprint(), end), exhausted: false, end }
    const { isWanted, bytes } = look(key)
    if (isWanted) entries.push(entryOf(key))
    looks++
    read += bytes
    end = key
  }
  return { entries, cursor: undefined, exhausted: true }
}

/** The cursor of a page that ended with `key`. */
export const cursorAt = (fingerprint: string, key: string): string =>
  Buffer.from(plainJson([fingerprint, key])).toString('base64url')

/**
 * The last key of the page that returned `cursor`. `checked` returns a key of this query, and throws
 * for any other. @throws KeelsonError `BAD_CURSOR`
 */
export const keyBehind = (
  cursor: unknown,
  fingerprint: string,
  checked: (key: unknown) => string,
): string => {
  try {
    const [of, key] = JSON.parse(Buffer.from(cursor as string, 'base64url').toString()) as unknown[]
    if (of === fingerprint) return checked(key)
  } catch {
    // Not a cursor of this query.
  }
  throw new KeelsonError('BAD_CURSOR', 'The cursor does not belong to this query.')
}
