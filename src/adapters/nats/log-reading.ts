/**
 * Reads the messages of a log at the leader of its stream. Sequence numbers of a stream are not LSNs:
 * the place of an LSN is found by halving, and remembered for the next read. It is apart from
 * `nats-log.ts`, which writes.
 */
import type { EngineGroup } from '../../storage/index.ts'
import { decodeMessage, groupOf, type PlacedMessage } from './log-message.ts'
import type { StreamName } from './names.ts'
import type { NatsLink } from './nats-link.ts'

/** Messages that are asked for at once. */
const window = 16

/** Finds and reads the messages of a log. */
export class LogReading {
  /** The sequence number to read on from after an LSN. */
  #next = { lsn: -1, seq: 0 }
  readonly #link: NatsLink
  readonly #stream: string
  readonly #subjects: string

  constructor(link: NatsLink, { stream, subject }: StreamName) {
    this.#link = link
    this.#stream = stream
    this.#subjects = `${subject}.*`
  }

  /** The last message; `undefined` without a log. It may be that of a former leader. */
  async last(): Promise<PlacedMessage | undefined> {
    const stored = await this.#link.message(this.#stream, { last_by_subj: this.#subjects })
    return stored && decodeMessage(stored)
  }

  /** The message with this sequence number, if it is there. */
  async at(seq: number): Promise<PlacedMessage | undefined> {
    const stored = await this.#link.message(this.#stream, { seq })
    return stored && decodeMessage(stored)
  }

  /**
   * The first message up to `last` whose head is beyond the LSN `after`: in a sound log it is the
   * last part of the first group after it.
   */
  async firstBeyond(after: number, last: number): Promise<PlacedMessage | undefined> {
    let found: PlacedMessage | undefined
    for (let low = 1, high = last; low <= high; ) {
      const middle = Math.floor((low + high) / 2)
      const query = { seq: middle, next_by_subj: this.#subjects }
      const stored = await this.#link.message(this.#stream, query)
      const message = stored && decodeMessage(stored)
      if (!stored || stored.seq > high) high = middle - 1
      else if (message && message.head.end.lsn <= after) low = stored.seq + 1
      else [found, high] = [message, middle - 1]
    }
    return found
  }

  /** Groups after the LSN `after`, at least one if there is any, then up to `maxBytes`. */
  async groups(after: number, last: number, maxBytes: number): Promise<readonly EngineGroup[]> {
    const groups: EngineGroup[] = []
    let before: PlacedMessage[] = []
    let bytes = 0
    for (let seq = await this.#startAfter(after, last); seq <= last; seq += window) {
      const seqs = Array.from({ length: Math.min(window, last - seq + 1) }, (_, at) => seq + at)
      for (const message of await Promise.all(seqs.map((each) => this.at(each)))) {
        if (!message) continue
        const group = groupOf(message, before)
        before = message.group ? [] : [...before, message]
        if (!group || group.end.lsn <= after) continue
        bytes += group.bytes.length
        if (groups.length > 0 && bytes > maxBytes) return groups
        groups.push(group)
        this.#next = { lsn: group.end.lsn, seq: message.seq + 1 }
      }
    }
    return groups
  }

  /** The sequence number of the first part of the first group after the LSN `after`. */
  async #startAfter(after: number, last: number): Promise<number> {
    if (this.#next.lsn === after) return this.#next.seq
    const found = await this.firstBeyond(after, last)
    return found ? found.seq - (found.group?.parts ?? 0) : last + 1
  }
}
