/** Parts of units of streams, and what the rows of a stream say: helpers of tests about the rows. */
import type {
  ProducerNumber,
  StreamAct,
  StreamPart,
} from '../../../src/storage/commands/stream-unit.ts'
import type { Row } from '../../../src/storage/ports/projection-store.ts'
import {
  streamChunkKey,
  streamHeadKey,
  streamOwner,
} from '../../../src/storage/values/stream-key.ts'
import {
  chunkBytes,
  chunkHeadBytes,
  messageEnd,
  messageHeadBytes,
  readStreamHead,
} from '../../../src/storage/values/stream-row.ts'

/** Messages as they are in a part. */
export const packedOf = (messages: readonly string[]): Uint8Array =>
  Uint8Array.from(
    messages.flatMap((text) => {
      const head = Buffer.alloc(messageHeadBytes)
      head.writeUInt32LE(Buffer.byteLength(text))
      return [...head, ...Buffer.from(text)]
    }),
  )

/** An append to the stream `name`. */
export const appending = (
  name: string,
  messages: readonly string[],
  { closes = false, producer }: { closes?: boolean; producer?: ProducerNumber } = {},
): StreamPart => ({
  owner: streamOwner(name),
  act: 'append',
  count: messages.length,
  packed: packedOf(messages),
  closes,
  producer,
})

/** Another act on the stream `name`. */
export const acting = (name: string, act: Exclude<StreamAct, { act: 'append' }>): StreamPart => ({
  owner: streamOwner(name),
  ...act,
})

/** The head of the stream `name`, and the messages in its chunks from the floor on. */
export const streamIn = (name: string, row: (key: string) => Row | undefined) => {
  const owner = streamOwner(name)
  const found = row(streamHeadKey(owner))
  if (!found) return undefined
  const head = readStreamHead(found)
  const messages: string[] = []
  for (let number = head.firstChunk; number < head.next; ) {
    const bytes = chunkBytes(row(streamChunkKey(owner, head.birth, number)), number)
    for (let at = chunkHeadBytes; at < bytes.length; number++) {
      const end = messageEnd(bytes, at)
      if (number >= head.floor)
        messages.push(Buffer.from(bytes.subarray(at + messageHeadBytes, end)).toString())
      at = end
    }
  }
  return { head, messages }
}
