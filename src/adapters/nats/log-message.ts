/**
 * The messages of a log. Each has the whole head as it is after the message, so the last message of
 * the stream is the head. A message is a line of JSON and bytes, so that a person can read it with
 * `nats stream view`. Pure.
 */
import { plainJson } from '../../bytes/json.ts'
import { realView } from '../../bytes/real-bytes.ts'
import type { EngineGroup, EngineHead } from '../../storage/index.ts'
import type { StoredMessage } from './nats-link.ts'

/** A message of a log. */
export type LogMessage = {
  readonly head: EngineHead
  /**
   * A group, whose end is that of the head. The messages directly before it have its first bytes,
   * as many as `parts` says. Without a group it is such a part, or a note of the head.
   */
  readonly group?: Pick<EngineGroup, 'after' | 'provenLsn'> & { readonly parts: number }
  /** A part has bytes; a note has none. */
  readonly bytes: Uint8Array
}

/** A message of a log, and its place in the stream. */
export type PlacedMessage = LogMessage & Pick<StoredMessage, 'seq' | 'subject'>

const lineEnd = 10

/** The bytes of a message. */
export const encodeMessage = ({ bytes, ...line }: LogMessage): Uint8Array =>
  Buffer.concat([Buffer.from(`${plainJson(line)}\n`), bytes])

/** A message of a log; `undefined` if nobody here has written it. */
export const decodeMessage = ({
  bytes,
  seq,
  subject,
}: StoredMessage): PlacedMessage | undefined => {
  const end = bytes.indexOf(lineEnd)
  try {
    const line = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString())
    if (typeof line.head?.end?.lsn !== 'number') return undefined
    return { ...line, seq, subject, bytes: bytes.subarray(end + 1) }
  } catch {
    return undefined
  }
}

/** The messages of a group that follows `head`, each with `partBytes` bytes of it at most. */
export const messagesOf = (
  head: EngineHead,
  { after, end, provenLsn, bytes }: EngineGroup,
  features: number,
  partBytes: number,
): readonly LogMessage[] => {
  const parts: LogMessage[] = []
  let from = 0
  for (; bytes.length - from > partBytes; from += partBytes)
    parts.push({ head, bytes: bytes.subarray(from, from + partBytes) })
  return [
    ...parts,
    {
      head: { ...head, end, features: head.features | features },
      group: { after, provenLsn, parts: parts.length },
      bytes: bytes.subarray(from),
    },
  ]
}

/** The group of a message and of the parts before it; `undefined` if one of them is missing. */
export const groupOf = (
  message: PlacedMessage,
  before: readonly PlacedMessage[],
): EngineGroup | undefined => {
  if (!message.group) return undefined
  const { after, provenLsn, parts } = message.group
  const own = parts === 0 ? [] : before.slice(-parts)
  const isWhole =
    own.length === parts &&
    own.every(
      ({ seq, subject, group }, index) =>
        seq === message.seq - parts + index && subject === message.subject && !group,
    )
  if (!isWhole) return undefined
  const bytes =
    parts === 0
      ? message.bytes
      : realView(Buffer.concat([...own, message].map((part) => part.bytes)))
  return { after, end: message.head.end, provenLsn, bytes }
}
