/** The messages of a log in NATS: a group in parts is read whole, or not at all. */
import { expect, test } from 'vitest'
import {
  decodeMessage,
  encodeMessage,
  groupOf,
  messagesOf,
  type PlacedMessage,
} from '../../../src/adapters/nats/log-message.ts'
import { type EngineGroup, type EngineHead, engineStart } from '../../../src/storage/index.ts'

const head: EngineHead = {
  ...{ logId: 'log', end: engineStart, features: 1 },
  ...{ trimmed: { lsn: 0, mark: '' }, snapshots: [] },
}
const group: EngineGroup = {
  ...{ after: engineStart, end: { epoch: 1, lsn: 3, id: 'é\n' }, provenLsn: 0 },
  bytes: Uint8Array.from([1, 2, 10, 4, 5]),
}

/** The messages as the stream has them from a number on. */
const kept = (from: number, partBytes: number, subject = 'a'): PlacedMessage[] =>
  messagesOf(head, group, 4, partBytes).map((message, at) => {
    const stored = {
      seq: from + at,
      subject,
      bytes: Uint8Array.from(encodeMessage(message)),
      time: 0,
    }
    return decodeMessage(stored) as PlacedMessage
  })

/** The group of the last message. */
const read = (...messages: readonly PlacedMessage[]) =>
  groupOf(messages.at(-1) as PlacedMessage, messages.slice(0, -1))

test.each([1, 2, 5, 9])('a group in parts of %i bytes is read as it was written', (partBytes) => {
  const messages = kept(7, partBytes)

  expect(messages).toHaveLength(Math.ceil(5 / partBytes))
  expect(read(...messages)).toEqual(group)
  // The head moves with the last part, and has all features.
  expect(messages.slice(0, -1).every(({ head }) => head.end.lsn === 0)).toBe(true)
  expect(messages.at(-1)?.head).toEqual({ ...head, end: group.end, features: 5 })
})

test('parts of an earlier attempt, or of another writer, are left out', () => {
  const [early] = kept(5, 2) as [PlacedMessage]
  const [foreign] = kept(6, 2, 'b') as [PlacedMessage]

  expect(read(early, foreign, ...kept(7, 2))).toEqual(group)
})

test('a group whose part is missing, or another one, is none', () => {
  const [first, second, last] = kept(7, 2) as [PlacedMessage, PlacedMessage, PlacedMessage]

  expect(read(first, last)).toBeUndefined()
  expect(read(second, last)).toBeUndefined()
  expect(read({ ...first, subject: 'b' }, second, last)).toBeUndefined()
  expect(read(first, { ...second, seq: 6 }, last)).toBeUndefined()
  expect(read(first, second)).toBeUndefined()
})

test('a message that nobody here has written is none', () => {
  for (const text of ['', '{}\n', 'null\nabc', '{"head":{}}\n', 'x'])
    expect(
      decodeMessage({ seq: 1, subject: 'a', bytes: Buffer.from(text), time: 0 }),
    ).toBeUndefined()
})
