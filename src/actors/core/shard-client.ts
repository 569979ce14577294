/**
 * The port to shards that other members have, and to those members. Members are processes that have
 * the shards of an instance between them. Every shard has the same `ShardClient` (`shard.way`), or
 * none where there are no others: `src/members` implements it. So this room and those above it know
 * no links. `at-owner.ts` does work here, or at the owner.
 *
 * - `write`, `load`, `streamOut` and `streamIn` are the store's. They keep the order of writes.
 * - `ask` is for everything that may be asked twice: looks, control, watches (`watch.next`) and holds
 *   of suspensions (`suspend`). The owner answers with what its parts have registered (`answer`).
 * - Messages to durable actors are no part of it: those go by refs (`Elsewhere` in `entities.ts`), and
 *   a message that must not be handled twice cannot be asked for again.
 *
 * There is no object for the way to a shard that is here. A write would pass it each time, and the
 * shard may leave between its call and its gate, which `takes` says in one look.
 */
import type { Readable } from 'node:stream'
import { KeelsonError } from '../../errors.ts'
import type { ChildSpec, Name, Ref } from '../../runtime/index.ts'
import type { Command, FrameUnits, Row, StoredValue, UnitAnswer } from '../../storage/index.ts'

/** Answers a question of another member. Its argument comes from a peer, and may be wrong. */
export type Answerer = (payload: unknown) => unknown

/** Checked options of a write, with defaults. */
export type CheckedWrite = {
  readonly ack: 'applied' | 'projected' | 'replicated'
  readonly deadlineMs: number
  readonly whenFull: 'wait' | 'refuse'
  /** `undefined`: the window of the namespace. */
  readonly windowMs?: number | undefined
}

/** A write at another member. `removed`: the keys of a `clear`, which has no other answer. */
export type RoutedWrite = {
  readonly position: { readonly shard: number; readonly lsn: number }
  readonly answers: readonly UnitAnswer[]
  readonly removed: number | undefined
}

/**
 * A source of bytes, or of text that is stored as UTF-8: a Node `Readable`, a web `ReadableStream`,
 * any iterable.
 */
export type ByteSource = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>

/** The result of an incoming stream: its length, and the SHA-256 of its bytes in hex. */
export type StreamedIn = { readonly length: number; readonly sha256: string }

/** A put of a stream at another member: `terms` are all of the put but its value. */
export type StreamTo = {
  readonly source: ByteSource
  readonly size: number | undefined
  readonly options: CheckedWrite
  readonly terms: Omit<Extract<Command, { readonly kind: 'put' }>, 'kind' | 'value'>
}

/** A put of a stream that is done. */
export type RoutedStream = StreamedIn & Pick<RoutedWrite, 'position'>

/** A row of a copy; `lsn` says up to which frame the copy has its log. */
export type CopiedRow = { readonly row: Row | undefined; readonly lsn: number }

/** The copies of shards of other members at this one. */
export interface CopiedRows {
  /**
   * A row of a copy that shows `least` or a later frame, for which it waits. `undefined` if no copy
   * of the shard is here.
   * @throws KeelsonError `TIMEOUT` after `withinMs`; `CORRUPT` for a damaged row
   */
  read(shard: number, key: string, least: number, withinMs: number): Promise<CopiedRow | undefined>
}

/** The way to the owners of shards, and to members. */
export interface ShardClient {
  /** The name of this member. */
  readonly member: string
  /** The names of the other members, whether they run or not. */
  readonly others: readonly string[]
  /** The copies at this member; absent where members keep none. */
  readonly copies?: CopiedRows | undefined
  /** The member that has the shard, as far as it is known. */
  ownerOf(shard: number): string | undefined
  /** Whether there is a link to the member. */
  isLinked(member: string): boolean
  /** The ref of a process of another member. */
  at<M>(member: string, name: Name<M>): Ref<M>
  /** Calls `listener` with each shard that has another owner, or none. */
  onMoved(listener: (shard: number) => void): () => void
  /** Calls `listener` with each member whose link has ended. */
  onUnlinked(listener: (member: string) => void): () => void

  /**
   * Asks the owner of a shard, and the next one while no owner answers, within the time. The answer
   * comes from a peer.
   * @throws KeelsonError that of the owner, with `details.member`; `SHARD_DOWN` with `details.state`
   * `elsewhere`, the member and the reason, if none answered in time
   */
  ask(shard: number, question: string, payload: unknown, timeoutMs: number): Promise<unknown>
  /** Asks a member once, or this one. @throws KeelsonError that of it, with `details.member` */
  askMember(member: string, question: string, payload: unknown, timeoutMs: number): Promise<unknown>
  /** Answers a question of other members from now on. */
  answer(question: string, answerer: Answerer): void

  /**
   * Whether writes go this way: the shard is elsewhere, or came here while earlier writes have no
   * answer yet, which later ones must not overtake.
   */
  takes(shard: number): boolean
  /**
   * Whether reads that return a promise go this way, and streams: also while the shard comes here, until
   * it is open.
   */
  takesReads(shard: number): boolean
  /**
   * Writes units of one frame at the owner. Two calls for one shard get there in order.
   * @throws KeelsonError as `submit` does; `UNKNOWN_OUTCOME` also if the owner ended, or did not
   * answer in time; `SHARD_DOWN` if the shard had no owner in time
   */
  write(shard: number, units: FrameUnits, options: CheckedWrite): Promise<RoutedWrite>
  /** The whole value of a key; `undefined` without one. @throws KeelsonError as `load` of the store */
  load(shard: number, key: string): Promise<StoredValue | undefined>
  /**
   * The bytes of a value as a stream; `undefined` without one.
   * @throws KeelsonError as `getStream` of the store; `SHARD_DOWN` if the owner ends, also within it
   */
  streamOut(shard: number, key: string, from: number, to: number): Promise<Readable | undefined>
  /**
   * Puts a stream at the owner.
   * @throws KeelsonError as `putStream` of the store; `NOT_SUBMITTED` if the owner ends within it
   */
  streamIn(shard: number, write: StreamTo): Promise<RoutedStream>
  /** Resolves when every write that was called before is decided, in every shard elsewhere. */
  settled(): Promise<void>

  /** The processes that answer other members, as parts of the tree. */
  childSpecs(): readonly ChildSpec[]
}

/**
 * Things kept here for another member end with its link, and do not begin after that: a question
 * may be handled late. @throws KeelsonError `NO_PROCESS`
 */
export const checkLinked = (way: ShardClient, member: string): void => {
  if (member === way.member || way.isLinked(member)) return
  throw new KeelsonError('NO_PROCESS', `the connection to ${member} has ended`)
}

/** A message of a link has at most 8 MiB. The values in one have at most so many bytes. */
export const sentBytesMax = 6 * 1024 * 1024

/** Checks the length of a value for a message. @throws KeelsonError `TOO_LARGE` */
export const checkSent = (length: number): void => {
  if (length <= sentBytesMax) return
  const message = `a value of ${length} bytes is read at the member that has it: at most ${sentBytesMax} go to another one`
  throw new KeelsonError('TOO_LARGE', message, { details: { length, lengthMax: sentBytesMax } })
}

/** The refusal of what cannot be done here, for the shard has another owner, or none. `then`: what can be done. */
export const elsewhere = (
  shard: number,
  member: string | undefined,
  then?: string,
): KeelsonError => {
  const place = member === undefined ? 'at no member now' : `at the member ${member}`
  const rest = then === undefined ? '' : `: ${then}`
  return new KeelsonError('ELSEWHERE', `shard ${shard} is ${place}${rest}`, {
    details: { shard, state: 'elsewhere', ...(member !== undefined && { member }) },
  })
}

/** Names the forms of a handle that work at every member, in code, for the text of `elsewhere`. */
export const fromHere = (forms: string): string => `from here use ${forms}`
