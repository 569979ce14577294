/**
 * A shared log in a stream of JetStream. The fence: each message demands that the last message of
 * the stream is the one that its writer knows, by its sequence number, and that it is on the
 * writer's own subject. The number alone would not do: a writer whose message was lost would write
 * after another one in its place. The id of the last message, which NATS can compare too, is
 * forgotten by a server that restarts (nats-server #8564). Each refusal is proven by a message, as
 * a leader that has been replaced shows an old head, and can write nothing. One message of a handle
 * is in flight. It is apart from `nats.ts`, because the safety of a log rests on that demand.
 */
import { plainJson } from '../../bytes/json.ts'
import { SerialQueue } from '../../bytes/serial-queue.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  appendRefusal,
  type EngineHead,
  type EngineLog,
  type EngineReading,
  engineStart,
  isSamePosition,
  lookPause,
  namedHead,
  refuseBackwards,
  refuseGap,
  refuseTrimmed,
  trimmedHead,
} from '../../storage/index.ts'
import { encodeMessage, type LogMessage, messagesOf, type PlacedMessage } from './log-message.ts'
import { LogReading } from './log-reading.ts'
import type { StreamName } from './names.ts'
import { noAnswer } from './nats-link.ts'
import type { Served } from './server-proof.ts'

/** Bytes of a group in one message. Its answer to a reader is in base64, and must fit, too. */
const partBytesMax = 512 * 1024

/** The bytes that one look at a log reads. */
const surveyedBytes = 8 * 1024 * 1024

/** How often a change is tried that others come before. */
const triesMax = 20

/** The parts that a log works with. */
export type LogParts = Served & {
  readonly name: StreamName
  readonly replicas: number
}

type Tail = Pick<PlacedMessage, 'seq' | 'subject' | 'head'>

/** Messages to write after a head. With a refusal they are the note that proves it. */
type Change = { readonly messages: readonly LogMessage[]; readonly refusal?: KeelsonError }

const noteOf = (head: EngineHead): LogMessage => ({ head, bytes: new Uint8Array() })

const noLog = ({ stream }: StreamName): KeelsonError =>
  new KeelsonError('NO_SEGMENTS', `there is no log in the stream ${stream}`)

/** A log of a cluster. */
export class NatsLog implements EngineLog {
  /** The last message, as this handle has written it. Others may have written since. */
  #tail: Tail | undefined
  /** The subject that nobody else writes to. Another one as soon as others have written. */
  #subject: string | undefined
  /** The changes of this handle, in their order. */
  readonly #turns = new SerialQueue()
  readonly #reading: LogReading
  readonly #parts: LogParts

  constructor(parts: LogParts) {
    this.#parts = parts
    this.#reading = new LogReading(parts.link, parts.name)
  }

  create(logId: string): Promise<EngineHead> {
    return this.#turns.run(async () => {
      const { link, name, replicas } = this.#parts
      await link.stream(name.stream, `${name.subject}.*`, replicas)
      await this.#parts.proof.prove(name.stream)
      const trimmed = { lsn: 0, mark: '' }
      const empty = { logId, end: engineStart, trimmed, snapshots: [], features: 0 }
      this.#tail = await this.#reading.last()
      if (!this.#tail) await this.#put({ seq: 0, subject: '', head: empty }, [noteOf(empty)])
      return this.#head()
    })
  }

  head(): Promise<EngineHead> {
    return this.#head()
  }

  async append(...[group, features = 0]: Parameters<EngineLog['append']>): Promise<void> {
    refuseBackwards(group)
    await this.#change(async (head, last) => {
      if (isSamePosition(head.end, group.after))
        return { messages: messagesOf(head, group, features, await this.#partBytes()) }
      const there = await this.#reading.firstBeyond(group.end.lsn - 1, last)
      const isThere = there?.group !== undefined && isSamePosition(there.head.end, group.end)
      return unchanged(head, appendRefusal(group, head, isThere))
    })
  }

  async read(after: number, maxBytes: number): Promise<EngineReading> {
    const { head, seq } = await this.#shown()
    refuseTrimmed(after, head.trimmed.lsn)
    const groups = await this.#reading.groups(after, seq, maxBytes)
    try {
      refuseGap(groups, after, head)
    } catch (error) {
      // They may have been trimmed in the meantime.
      refuseTrimmed(after, (await this.#head()).trimmed.lsn)
      throw error
    }
    return { groups, next: groups.at(-1)?.end.lsn ?? after }
  }

  async name(...named: Parameters<EngineLog['name']>): Promise<void> {
    await this.#change(decided((head) => namedHead(head, ...named)))
  }

  async trim(...trim: Parameters<EngineLog['trim']>): Promise<void> {
    const { seq, head } = await this.#change(decided((before) => trimmedHead(before, ...trim)))
    await this.#purge(head.trimmed.lsn, seq)
  }

  async survey(after: number): Promise<number> {
    return (await this.read(after, surveyedBytes)).next
  }

  async salvage(after: number, maxBytes: number): Promise<EngineReading> {
    const { seq } = await this.#shown()
    const groups = await this.#reading.groups(after, seq, maxBytes)
    return { groups, next: groups.at(-1)?.end.lsn ?? after }
  }

  async replace(from: EngineHead, to: EngineHead): Promise<void> {
    const { seq } = await this.#change(async (head) =>
      isSamePosition(head.end, from.end)
        ? { messages: [noteOf(to)] }
        : unchanged(head, new KeelsonError('CONFLICT', 'another request has changed the log')),
    )
    // If the process ends before that, the log is damaged, and the operator repeats it.
    await this.#cut(to.end.lsn, seq)
    await this.#purge(to.trimmed.lsn, seq)
  }

  /** All logs of a member share its connection. */
  async rest(): Promise<void> {}

  /** The last message as the stream shows it. @throws KeelsonError `NO_SEGMENTS` */
  async #shown(): Promise<PlacedMessage> {
    const last = await this.#reading.last()
    if (!last) throw noLog(this.#parts.name)
    return last
  }

  async #head(): Promise<EngineHead> {
    return (await this.#shown()).head
  }

  async #partBytes(): Promise<number> {
    const { maxBytes } = await this.#parts.link.server()
    return Math.min(partBytesMax, Math.floor(maxBytes / 2))
  }

  /** Writes what `decide` makes of the head, when no other handle has written in between. */
  #change(decide: (head: EngineHead, seq: number) => Promise<Change>): Promise<Tail> {
    return this.#turns.run(async () => {
      const { link, proof, name, clock } = this.#parts
      await proof.prove(name.stream)
      for (let tries = 0; tries < triesMax; tries++) {
        const tail: Tail = this.#tail ?? (await this.#shown())
        const { messages, refusal } = await decide(tail.head, tail.seq)
        const written = await this.#put(tail, messages)
        if (written && refusal) throw refusal
        if (written) return written
        if (tries > 0) await lookPause(clock)
      }
      const last = (await link.info(name.stream))?.state
      throw noAnswer(`the stream ${name.stream} takes no message: ${plainJson(last)}`)
    })
  }

  /** Writes messages directly after `tail`; `undefined` if it is not the last one. */
  async #put(tail: Tail, messages: readonly LogMessage[]): Promise<Tail | undefined> {
    const { link, name, clock } = this.#parts
    // Until there is an answer, nothing is known of the end of the stream.
    this.#tail = undefined
    let [{ seq }, last] = [tail, tail]
    const isOwn = tail.subject === this.#subject
    const own = Buffer.from(clock.randomBytes(9)).toString('hex')
    const subject = isOwn ? tail.subject : `${name.subject}.${own}`
    this.#subject = subject
    for (const [at, message] of messages.entries()) {
      const lastOfSubject = isOwn || at > 0 ? seq : 0
      const bytes = encodeMessage(message)
      const made = await link.publish(subject, bytes, { last: seq, lastOfSubject })
      if (made === undefined) return undefined
      seq = made
      last = { seq, subject, head: message.head }
    }
    this.#tail = last
    return last
  }

  /** Gives back what is only of groups that end at `lsn` or before. The message `last` stays. */
  async #purge(lsn: number, last: number): Promise<void> {
    if (lsn === 0) return
    const found = await this.#reading.firstBeyond(lsn, last)
    const seq = found ? found.seq - (found.group?.parts ?? 0) : last
    await this.#parts.link.purge(this.#parts.name.stream, { seq })
  }

  /** Removes the messages between the group that ends at `lsn` and the message `last`. */
  async #cut(lsn: number, last: number): Promise<void> {
    const { link, name } = this.#parts
    const first = (await link.info(name.stream))?.state.first_seq ?? last
    for (let seq = last - 1; seq >= first; seq--) {
      const message = await this.#reading.at(seq)
      if (message?.group && message.head.end.lsn <= lsn) return
      if (message) await link.ask(`STREAM.MSG.DELETE.${name.stream}`, { seq, no_erase: true })
    }
  }
}

/** The head stays, which a note proves. */
const unchanged = (head: EngineHead, refusal?: KeelsonError): Change => ({
  messages: [noteOf(head)],
  ...(refusal && { refusal }),
})

/** A change of the head by its owner. A refusal is proven. */
const decided =
  (become: (head: EngineHead) => EngineHead) =>
  async (head: EngineHead): Promise<Change> => {
    try {
      return { messages: [noteOf(become(head))] }
    } catch (refusal) {
      if (isKeelsonError(refusal)) return unchanged(head, refusal)
      throw refusal
    }
  }
