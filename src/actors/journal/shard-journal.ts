/**
 * The parts of a shard's journal that outlive its actor: its subscriptions, the states that the
 * application has saved, and whether a replay has ended. They decide how much of the log may be
 * given back: a reader holds the log from the first entry that it has not read.
 */

import { SerialQueue } from '../../bytes/serial-queue.ts'
import type { Clock } from '../../clock.ts'
import { KeelsonError, type KeptError } from '../../errors.ts'
import {
  appendedMarkerKey,
  decodeFrame,
  decodeValue,
  entityRowKey,
  entityRows,
  entryIdRows,
  type LogHost,
  positionEntity,
  positionKind,
  type RowRange,
  readEntityRow,
  readEntryRow,
  savedStateEntity,
  valueTags,
} from '../../storage/index.ts'
import type { ReadView } from '../core/read-view.ts'
import { newestRows } from '../core/read-view.ts'
import type { Settings } from '../core/settings.ts'

/** The first entry that is not handled: a frame, and a number among the entries of that frame. */
export type EntryPosition = { readonly lsn: number; readonly index: number }

/** A subscription as the journal's actor sees it. */
export interface Delivery {
  readonly health: SubscriptionHealth
  /** It has neither stopped, nor was an end asked for. */
  readonly isRunning: boolean
  /** Where the next one of its name begins; absent until an end was asked for. Never rejects. */
  readonly ended: Promise<EntryPosition | undefined> | undefined
  /** It does not need the frames up to this LSN. */
  readonly coveredLsn: number
  /** Moves `coveredLsn` as far as it can. Never rejects. */
  advance(): Promise<void>
  /** Delivers entries until the process of `signal` ends, or it has ended itself. Never rejects. */
  deliver(signal: AbortSignal): Promise<void>
  /**
   * Resolves when its handler is at no entry, and the position after the last one is saved, if it
   * could be. It is where the next one of its name begins. Never rejects.
   */
  atRest(): Promise<EntryPosition | undefined>
}

/** The state of a subscription, for people. */
export type SubscriptionHealth = {
  readonly name: string
  /**
   * `ending`: it was ended, and its handler is at its last entry. `stopped`: its handler threw, or
   * the log does not have its position.
   */
  readonly state: 'running' | 'ending' | 'stopped'
  /** The first entry that it has not handled; `undefined` before it began. */
  readonly position: EntryPosition | undefined
  /** Why it stopped. */
  readonly failure: string | undefined
  /** The record of that failure: the error, its causes, and the stack of the user's code. */
  readonly record?: KeptError | undefined
}

/** The journal of a shard, for people. */
export type JournalHealth = {
  /** `awaited`: appends are refused until one replay has ended. */
  readonly replay: 'awaited' | 'done' | 'optional'
  readonly subscriptions: readonly SubscriptionHealth[]
  /** The LSNs of the saved states, oldest first. */
  readonly states: readonly number[]
  /** The log is kept after this LSN for the journal; `undefined`: not for the journal. */
  readonly floorLsn: number | undefined
  readonly held: HeldLog
}

/** The log that is kept for the journal, and for open readers, although a snapshot replaces it. */
export type HeldLog = {
  readonly bytes: number
  /** `journal.maxHeldBytes`. */
  readonly maxBytes: number
  /** The reason that needs the oldest of it: `'states'`, `'subscription NAME'`, `'a reader'`. */
  readonly by: readonly string[]
  /** `high`: more than half of `maxBytes`. `full`: more than that, and appends are `BUSY`. */
  readonly state: 'fine' | 'high' | 'full'
}

/** The saved position of a subscription; `undefined` without one. @throws KeelsonError `CORRUPT` */
export const savedPosition = (view: ReadView, name: string): EntryPosition | undefined => {
  const row = view.row(entityRowKey(positionEntity(name)))
  return row && positionIn(readEntityRow(row).body)
}

const positionIn = (bytes: Uint8Array): EntryPosition => {
  const [lsn, index] = decodeValue({ tag: valueTags.structured, bytes }) as [number, number]
  return { lsn, index }
}

const holderOf = (rowKey: string): string =>
  `subscription ${rowKey.slice(entityRowKey(positionEntity('')).length)}`

/** Whether a state was ever saved, whatever became of its file. */
export const hasSavedState = (view: ReadView): boolean =>
  view.row(entityRowKey(savedStateEntity)) !== undefined

/** Whether the journal has entries. */
const hasEntries = (view: ReadView): boolean => {
  const ids = view.rows(entryIdRows)
  const first = ids.next()
  ids.return?.()
  return first.done !== true
}

/** The rows of ids that are looked at in one turn of the event loop. */
const idsAtOnce = 4_096

/**
 * Whether an entry from `from` up to, not including, `end` counts. The ids show it, which are kept
 * for ever. The walk ends at the first one, so it passes no more ids than the log has entries.
 * @throws KeelsonError as `viewOf` does
 */
export const hadEntryWithin = async (
  viewOf: () => ReadView,
  clock: Clock,
  { from, end }: { readonly from: number; readonly end: number },
): Promise<boolean> => {
  let range: RowRange | undefined = entryIdRows
  while (range) {
    const { overlay, projection } = viewOf().layers
    let left = idsAtOnce
    let last: string | undefined
    for (const [key, row] of newestRows(overlay, projection, range)) {
      const lsn = row ? readEntryRow(row).lsn : 0
      if (lsn >= from && lsn < end) return true
      last = key
      if (--left === 0) break
    }
    range = left === 0 && last !== undefined ? { ...entryIdRows, gt: last } : undefined
    await new Promise<void>((resolve) => clock.soon(resolve))
  }
  return false
}

/** The bytes of the log that one read transfers. */
const readBytes = 256 * 1024

/** Whether an entry in the log was appended by itself. @throws as a read of the log does */
const hasAppended = async (log: LogHost): Promise<boolean> => {
  const { firstLsn, durableLsn } = await log.run('state', null)
  for (let next = firstLsn; next <= durableLsn; ) {
    const read = await log.run('read', { from: next, to: durableLsn, maxBytes: readBytes })
    for (const { offset, length } of read.frames) {
      const { units } = decodeFrame(read.bytes.subarray(offset, offset + length))
      if (units.some(({ kind }) => kind === 'entry')) return true
    }
    if (read.next <= next) return false
    next = read.next
  }
  return false
}

/** The journal of one shard. */
export class ShardJournal {
  /** The deliveries by name, the stopped ones included. */
  readonly deliveries = new Map<string, Delivery>()
  /** The LSNs of the states that the application has saved and that are kept, oldest first. */
  states: readonly number[] = []
  /** A backup copies the states saved up to this LSN. Until it ends, two of them stay; 0: none. */
  copiedLsn = 0
  replay: JournalHealth['replay']
  /** The saves and loads of states that were asked for so far. */
  readonly #turns = new SerialQueue()
  /** The last floor that was asked for, and the reason that needs the log after it. */
  #floorLsn: number | undefined
  #heldBy: readonly string[] = []
  #heldBytes = 0
  #listener: (() => void) | undefined
  /** Whether the log has entries that were appended, although no marker says so. */
  #hasUnmarked: Promise<boolean> | undefined

  readonly #retention: Settings['journal']['retention']
  readonly #maxHeldBytes: number

  constructor({ replay, retention, maxHeldBytes }: Settings['journal']) {
    this.replay = replay === 'required' ? 'awaited' : 'optional'
    this.#retention = retention
    this.#maxHeldBytes = maxHeldBytes
  }

  /**
   * Why the shard with this index takes no entry now: `BUSY` with `details.state` `'replaying'` while
   * it awaits a replay, `'held'` while it holds too much of the log. `undefined`: it takes one.
   */
  refusal(shard: number): KeelsonError | undefined {
    if (this.replay === 'awaited')
      return new KeelsonError('BUSY', `the journal of shard ${shard} waits for its replay`, {
        details: { shard, state: 'replaying' },
      })
    const { bytes, maxBytes, by, state } = this.#held
    if (state !== 'full') return undefined
    // It may need less by now. Then a later append is taken.
    this.lessens()
    return new KeelsonError(
      'BUSY',
      `the journal of shard ${shard} holds ${bytes} bytes of the log for ${by.join(', ')}`,
      { details: { shard, state: 'held', bytes, maxBytes, by } },
    )
  }

  /** Resolves when no subscription is at an entry: the shard lets none begin with a further one. */
  async atRest(): Promise<void> {
    await Promise.all([...this.deliveries.values()].map((delivery) => delivery.atRest()))
  }

  /** The shard has left this process: another one may take entries, so a replay is due again. */
  left(): void {
    if (this.replay === 'done') this.replay = 'awaited'
  }

  /** The journal may need less of the log: what holds too much is looked at again. */
  lessens(): void {
    if (this.#held.state === 'full') this.#listener?.()
  }

  /** Sets the listener that looks again at how much of the log is held. */
  listen(listener: () => void): void {
    this.#listener = listener
  }

  /** So much of the log is held. Returns what is held if it has become worse than before. */
  measured(bytes: number): HeldLog | undefined {
    const before = this.#held.state
    this.#heldBytes = bytes
    const { state } = this.#held
    return state === before || state === 'fine' || before === 'full' ? undefined : this.#held
  }

  get #held(): HeldLog {
    const bytes = this.#heldBytes
    const maxBytes = this.#maxHeldBytes
    const state = bytes > maxBytes ? 'full' : bytes > maxBytes / 2 ? 'high' : 'fine'
    return { bytes, maxBytes, by: bytes > 0 ? this.#heldBy : [], state }
  }

  /**
   * Saves or loads a state, after the calls before it: two may replace the same files.
   * @throws as `work` does
   */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.run(work)
  }

  get health(): JournalHealth {
    return {
      replay: this.replay,
      subscriptions: [...this.deliveries.values()].map(({ health }) => health),
      states: this.states,
      floorLsn: this.#floorLsn,
      held: this.#held,
    }
  }

  /**
   * The LSN up to which the journal does not need the log; `Infinity` if it holds nothing: there is
   * no entry and no subscription. Subscriptions save their positions first. With the retention
   * `states`, entries after the older one of the kept states stay in the log: the newer one may be
   * damaged. Those of turns do so from the first saved state on: before, the state of their actor
   * has what they say. `logOf`: the open log.
   */
  async floor(viewOf: () => ReadView, logOf: () => LogHost): Promise<number> {
    const readers = [...this.deliveries.values()]
    await Promise.all(readers.map((reader) => reader.advance()))
    const needsStates = this.#retention === 'states' && (await this.#needsStates(viewOf(), logOf))
    const view = viewOf()
    const limits = new Map<string, number>()
    for (const [key, row] of view.rows(entityRows(positionKind)))
      limits.set(holderOf(key), positionIn(readEntityRow(row).body).lsn - 1)
    for (const { health, coveredLsn } of readers)
      limits.set(`subscription ${health.name}`, coveredLsn)
    if (needsStates) limits.set('states', this.states.length > 1 ? (this.states[0] as number) : 0)
    const floor = Math.min(...limits.values())
    this.#floorLsn = Number.isFinite(floor) ? floor : undefined
    const least = [...limits].flatMap(([by, lsn]) => (lsn === floor ? [by] : []))
    this.#heldBy = least.length > 0 ? least : ['a reader']
    return floor
  }

  async #needsStates(view: ReadView, logOf: () => LogHost): Promise<boolean> {
    if (view.row(appendedMarkerKey)) return true
    if (!hasEntries(view)) return false
    if (this.states.length > 0 || hasSavedState(view)) return true
    // Versions before the marker have left none. From here on every append sets it.
    this.#hasUnmarked ??= hasAppended(logOf())
    return this.#hasUnmarked.catch((error) => {
      this.#hasUnmarked = undefined
      throw error
    })
  }
}
