/**
 * Forks of streams. A fork is a copy, made in one unit. Its source notes it before that, so that the
 * name of a source that is deleted stays taken while it has forks. A note whose fork is not there is
 * taken back when the source, or a fork of it, is deleted. It is apart from `raw-streams.ts`, for
 * the deletion of a stream by its handle needs it too.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import {
  contentTypeOf,
  isJsonType,
  type StreamAnswer,
  type StreamHead,
  type StreamOrigin,
  streamNameOf,
} from '../../storage/index.ts'
import { sentBytesMax } from '../core/shard-client.ts'
import type { InstanceStreams } from './instance-streams.ts'
import type { OtherPart } from './stream-gather.ts'

/** Where to take a fork: after so many messages, and `more` messages of JSON or bytes after. */
export type ForkPoint = { readonly number: number; readonly more: number }

/** The messages of a fork, and where they are from. */
export type ForkedMessages = {
  readonly source: StreamOrigin
  readonly messages: readonly (string | Uint8Array)[]
  readonly bytes: number
}

const sent = async (streams: InstanceStreams, part: OtherPart): Promise<StreamAnswer> => {
  const { gather } = streams.of(streams.shardOf(part.owner))
  return (await gather.send(part)).answer
}

/**
 * The messages of a stream up to a point.
 * @throws KeelsonError `INVALID_ARGUMENT` for a point beyond its end; `TOO_LARGE`; as a reader
 */
export const forkedMessages = async (
  streams: InstanceStreams,
  owner: string,
  head: StreamHead,
  { number, more }: ForkPoint,
): Promise<ForkedMessages> => {
  const { birth, floor, next } = head
  const isJson = isJsonType(contentTypeOf(head))
  const upTo = isJson ? number + more : number
  if (number < floor || upTo > next)
    throw invalidArgument('offset', 'an offset of the source, and no more than it has', upTo)
  const found = await messagesUpTo(streams, owner, { birth, number: floor }, upTo)
  if (!isJson && more > 0) {
    const rest = await messagesUpTo(streams, owner, { birth, number }, next, more)
    const bytes = Buffer.concat(rest as Uint8Array[])
    if (bytes.length < more)
      throw invalidArgument('more', 'no more bytes than the source has', more)
    found.push(bytes.subarray(0, more))
  }
  const bytes = found.reduce((sum, each) => sum + Buffer.byteLength(each), 0)
  return { source: { owner, birth, from: floor, number, more }, messages: found, bytes }
}

/** The messages from a place up to a number, or up to `enough` bytes. */
const messagesUpTo = async (
  streams: InstanceStreams,
  owner: string,
  from: { readonly birth: string; readonly number: number },
  upTo: number,
  enough = Number.POSITIVE_INFINITY,
): Promise<(string | Uint8Array)[]> => {
  const shard = streams.of(streams.shardOf(owner))
  const stop = { isStopped: false, wake: () => undefined }
  const found: (string | Uint8Array)[] = []
  let bytes = 0
  for (let place: typeof from = from; place.number < upTo && bytes < enough; ) {
    const terms = { owner, place, bytesMax: 64 * 1024, waits: false }
    const reading = await shard.read(terms, stop)
    if (!reading || reading.messages.length === 0) break
    for (const message of reading.messages.slice(0, upTo - place.number)) {
      found.push(message)
      bytes += Buffer.byteLength(message)
    }
    if (bytes > sentBytesMax)
      throw new KeelsonError('TOO_LARGE', `a fork copies at most ${sentBytesMax} bytes`, {
        details: { stream: streamNameOf(owner), bytesMax: sentBytesMax },
      })
    place = reading.next as typeof from
  }
  return found
}

/**
 * Notes a fork at its source. A source with as many notes as it may have takes those back whose forks
 * are not there, once.
 */
export const notedFork = async (
  streams: InstanceStreams,
  { owner, birth }: StreamOrigin,
  fork: string,
): Promise<StreamAnswer> => {
  const part = { owner, act: 'fork', birth, fork } as const
  const answer = await sent(streams, part)
  if (answer.kind !== 'refusedPart' || answer.why !== 'forks') return answer
  await settleForks(streams, owner)
  return sent(streams, part)
}

/**
 * Takes back the notes of a stream whose forks are not there. `within`: those whose notes are being looked at.
 * Two streams may note each other: a fork whose name turned out to be taken has left its note.
 */
export const settleForks = async (
  streams: InstanceStreams,
  owner: string,
  within: readonly string[] = [],
): Promise<void> => {
  const path = [...within, owner]
  const head = await streams.head(owner)
  for (const fork of head?.terms?.forks ?? []) {
    let found = await streams.head(fork)
    if (found?.terms?.isDeleted && !path.includes(fork)) {
      await settleForks(streams, fork, path)
      found = await streams.head(fork)
    }
    const source = found?.terms?.source
    if (source?.owner === owner && source.birth === head?.birth) continue
    await sent(streams, { owner, act: 'unfork', fork })
  }
}

/** Deletes a stream. False: there was none. @throws KeelsonError as every write does */
export const deletedStream = async (streams: InstanceStreams, owner: string): Promise<boolean> => {
  const answer = await sent(streams, { owner, act: 'delete' })
  if (answer.kind !== 'removed') throw new Error(`a delete was answered like a ${answer.kind}`)
  for (const source of answer.sources ?? []) await settleForks(streams, source)
  return answer.existed
}
