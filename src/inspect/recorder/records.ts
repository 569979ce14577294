/**
 * The memory of the flight recorder: the failures of a System as text, in a bounded ring for each
 * sort of event, and how often each happened since the start. Pure.
 */
import { CrashRecords } from './crash-records.ts'
import { FailureCounts } from './failure-counts.ts'

/** The sorts of events that are recorded. */
export const recordedSorts = [
  ...(['crash', 'restart', 'gave_up', 'backed_off', 'step_failed', 'blocked'] as const),
  ...(['shard_down', 'subscription_stopped', 'slow_handler', 'log'] as const),
] as const

/** A sort of events: `log` are the lines of the log from warnings up. */
export type RecordedSort = (typeof recordedSorts)[number]

/** One event, redacted. */
export type Recorded = {
  readonly sort: RecordedSort
  /** In ms since 1970. */
  readonly at: number
  /** The kind of the process, or of the entity; of a line of the log its level. */
  readonly kind: string
  /** The code of the reason, as `codeOf` has it; never a text of users. */
  readonly code: string
  /** The name of the process, the entity, the shard or the subscription. */
  readonly subject: string
  readonly pid: number | undefined
  /** The event for reading: of a crash its stack and its report too. */
  readonly text: string
  /** Of a crash: the reason in one line. */
  readonly reason?: string
  /** Of a crash: the message that was handled last, without its payload. */
  readonly lastMessage?: string
}

/** Sorts of failures that nothing repairs by itself, or that lost what was being handled. */
const errorSorts: ReadonlySet<RecordedSort> = new Set([
  ...(['crash', 'gave_up', 'blocked', 'shard_down', 'subscription_stopped'] as const),
])

/** The level of an event: of a line of the log its own, of others that of their sort. */
export const levelOf = ({ sort, kind }: Pick<Recorded, 'sort' | 'kind'>): 'error' | 'warn' =>
  errorSorts.has(sort) || (sort === 'log' && kind === 'error') ? 'error' : 'warn'

/** How many events of a sort there were since the start, of one kind and code. */
export type FailureCount = Pick<Recorded, 'sort' | 'kind' | 'code'> & { readonly count: number }

/** The bounds of each ring: events, and bytes of text. */
export const ringMax = { events: 500, bytes: 1024 * 1024 } as const

/** The most characters of one text. */
const textMax = 8_000
const shortTextMax = 300

/** The most pairs of kind and code that are counted apart, for each sort. */
const countsMax = 200

/** The failures of a System. */
export class Records {
  readonly crashes = new CrashRecords()
  readonly failures = new FailureCounts()
  /** Since when looks see a trouble, by member and by trouble, in ms since 1970. */
  troubles: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map()
  readonly #rings = new Map<RecordedSort, Ring>(recordedSorts.map((sort) => [sort, new Ring()]))
  readonly #listeners = new Set<(event: Recorded) => void>()

  /** Records an event, counts it, and calls the listeners. Returns it, cut to its bounds. */
  add(event: Recorded): Recorded {
    const { text, subject, reason, ...others } = event
    const kept: Recorded = {
      ...others,
      text: copied(text, textMax),
      subject: copied(subject, shortTextMax),
      ...(reason !== undefined && { reason: copied(reason, shortTextMax) }),
    }
    this.#rings.get(event.sort)?.add(kept)
    for (const listener of this.#listeners) listener(kept)
    return kept
  }

  /** The last events of a sort, oldest first. */
  last(sort: RecordedSort): readonly Recorded[] {
    return this.#rings.get(sort)?.events ?? []
  }

  /** How often each sort of event happened. Beyond 200 pairs of kind and code they are `other`. */
  counts(): FailureCount[] {
    return recordedSorts.flatMap((sort) => [...(this.#rings.get(sort)?.counts.values() ?? [])])
  }

  /** How many events of a sort there were since the start. */
  total(sort: RecordedSort): number {
    let total = 0
    for (const { count } of this.#rings.get(sort)?.counts.values() ?? []) total += count
    return total
  }

  /** Calls `listener` with each event from now on. Returns a function that ends this. */
  listen(listener: (event: Recorded) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

/** The last events of one sort. */
class Ring {
  readonly events: Recorded[] = []
  readonly counts = new Map<string, FailureCount>()
  #bytes = 0

  add(event: Recorded): void {
    this.#count(event)
    this.events.push(event)
    this.#bytes += bytesOf(event)
    while (this.events.length > ringMax.events || this.#bytes > ringMax.bytes)
      this.#bytes -= bytesOf(this.events.shift() as Recorded)
  }

  #count({ sort, kind, code }: Recorded): void {
    const key = `${kind} ${code}`
    const isFull = !this.counts.has(key) && this.counts.size >= countsMax
    const shown = isFull ? { kind: 'other', code: 'other' } : { kind, code }
    const shownKey = isFull ? 'other other' : key
    const count = (this.counts.get(shownKey)?.count ?? 0) + 1
    this.counts.set(shownKey, { sort, ...shown, count })
  }
}

/** The most memory that the texts may take: a character has two bytes at most. */
const bytesOf = ({ text, subject, reason = '' }: Recorded): number =>
  2 * (text.length + subject.length + reason.length)

/** A copy of at most `max` characters: a part of a text would keep the whole in memory. */
const copied = (text: string, max: number): string =>
  Buffer.from(text.length > max ? `${text.slice(0, max)}…` : text).toString()
