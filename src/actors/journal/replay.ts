/**
 * A replay of a journal: every entry that counts goes to a handler, in order, none twice. It is
 * apart from `journal.ts` because a replay has an end, and keeps the entries that wait for others.
 */

import { invalidArgument, KeelsonError } from '../../errors.ts'
import { answeredAtOnce } from '../core/argument-check.ts'
import { isElsewhere, onlyThere } from '../core/at-owner.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { EntryStream } from './entry-stream.ts'
import { entriesIn, type StoredEntry } from './stored-entry.ts'

/**
 * The handler of the entries of a replay. `shouldDefer`: an entry waits for one that comes later.
 */
export type ReplayHandler = {
  readonly from?: number | 'oldest'
  readonly handler: (entry: StoredEntry) => void | Promise<void>
  readonly shouldDefer?: (entry: StoredEntry) => boolean
}

/** How many entries were handled, and the LSN up to which. */
type Replayed = { readonly entries: number; readonly lsn: number }

/** How many ids an error names. */
const namedMax = 10

/**
 * Replays up to the last entry that is applied at the end. If the shard goes down or is closed, it
 * rejects at once: its handler may be at its last entry.
 * @throws KeelsonError `INVALID_ARGUMENT`; `CONFLICT` if entries wait for one that did not come; as
 * `EntryStream`, and what the handler throws
 */
export const replayed = async (shard: WritingShard, options: ReplayHandler): Promise<Replayed> => {
  const { handler, shouldDefer = never } = options
  for (const [name, each] of Object.entries({ handler, shouldDefer }))
    if (typeof each !== 'function') throw invalidArgument(name, 'a function', each)
  const ending = new AbortController()
  const replaying = allReplayed(shard, options, ending.signal)
  const over = replaying.then(
    () => undefined,
    () => undefined,
  )
  if (await shard.unlessStill(over)) return replaying
  const reason = isElsewhere(shard) ? onlyThere(shard, 'journal.replay') : shard.unavailable()
  ending.abort(reason)
  throw reason
}

const never = (): boolean => false

const allReplayed = async (
  shard: WritingShard,
  { from, handler, shouldDefer = never }: ReplayHandler,
  signal: AbortSignal,
): Promise<Replayed> => {
  let entries = 0
  let waiting: StoredEntry[] = []
  const take = async (entry: StoredEntry): Promise<boolean> => {
    if (answeredAtOnce(shouldDefer(entry), 'shouldDefer')) return false
    await handler(entry)
    // The stream may have read further entries before, and the shard may be open again.
    signal.throwIfAborted()
    entries++
    return true
  }
  const further = new FurtherEntries(shard)
  let next = from
  let lsn: number
  try {
    do {
      const stream = new EntryStream(shard, { ...(next !== undefined && { from: next }) })
      lsn = shard.appliedLsn
      next = lsn + 1
      for await (const entry of stream) {
        if (!(await take(entry))) waiting.push(entry)
        else if (waiting.length > 0) waiting = await afterAnother(waiting, take)
      }
    } while (further.taken())
  } finally {
    further.end()
  }
  if (waiting.length === 0) return { entries, lsn }
  throw new KeelsonError('CONFLICT', `${waiting.length} entries wait for one that did not come`, {
    details: { deferred: waiting.slice(0, namedMax).map(({ id }) => id), count: waiting.length },
  })
}

/**
 * Notes entries that are applied while a replay reads earlier ones. Other writes do not count: they
 * go on for as long as the shard is used.
 */
class FurtherEntries {
  readonly end: () => void
  #hasCome = false

  constructor(shard: WritingShard) {
    const { ofFrame } = entriesIn(shard)
    this.end = shard.changes.listen({
      applied: (shown) => {
        this.#hasCome ||= ofFrame(shown).length > 0
      },
      missed: () => {
        this.#hasCome = true
      },
    })
  }

  /** Whether there may have been one since the last call. */
  taken(): boolean {
    const hasCome = this.#hasCome
    this.#hasCome = false
    return hasCome
  }
}

/** Takes those of the waiting entries that may go on, until none may. Returns the others. */
const afterAnother = async (
  waiting: readonly StoredEntry[],
  take: (entry: StoredEntry) => Promise<boolean>,
): Promise<StoredEntry[]> => {
  const left: StoredEntry[] = []
  for (const entry of waiting) if (!(await take(entry))) left.push(entry)
  return left.length === 0 || left.length === waiting.length ? left : afterAnother(left, take)
}
