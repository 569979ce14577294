/** The content of a frame of each type, for people, and of payloads that are none of them. */
import { expect, test } from 'vitest'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { encodeHeader } from '../../../src/storage/commitments/commitment-header.ts'
import { noDigest } from '../../../src/storage/commitments/digests.ts'
import { contentOf, recordContent } from '../../../src/storage/examination/frame-content.ts'
import { encodeCheckpoint, encodeEndMark } from '../../../src/storage/frames/control-payload.ts'
import { frameTypes } from '../../../src/storage/frames/frame.ts'
import { encodeLost } from '../../../src/storage/frames/lost-frame.ts'
import { entryHeaderBytes, putEntry } from '../../../src/storage/frames/wal-entry.ts'

const stamped = (bytes: Uint8Array, time = 7): Uint8Array => {
  const copy = Buffer.from(bytes)
  copy.writeBigUInt64LE(BigInt(time))
  return copy
}
const put = encodeFrame({
  ...{ kind: 'put', key: 'k', value: { tag: 2, bytes: Buffer.of(1, 2) }, expiry: { kind: 'none' } },
})
/** An entry of type 3. */
const entry = new Uint8Array(entryHeaderBytes + 2)
putEntry(entry, 0, 3, Uint8Array.of(5, 6))
const mark = { lastLsn: 5, count: 4, endOffset: 8_192 }
const checkpoint = { lsn: 9, opaque: Uint8Array.of(1, 2) }
const range = { from: 3, to: 6 }
const facts = {
  seq: 4,
  prev: noDigest,
  records: noDigest,
  count: 2,
  firstLsn: 8,
  lastLsn: 9,
  time: 7,
}
const header = encodeHeader(facts)
const none = Uint8Array.of(1, 2, 3)

test('each type has its own content', () => {
  const { data, seal, cleanClose, commitment, lost, idle } = frameTypes
  expect(contentOf(frameTypes.checkpoint, encodeCheckpoint(checkpoint))).toEqual({
    ...{ kind: 'checkpoint', checkpoint },
  })
  for (const type of [seal, cleanClose])
    expect(contentOf(type, encodeEndMark(mark))).toEqual({ kind: 'mark', mark })
  expect(contentOf(lost, encodeLost(range))).toEqual({ kind: 'lost', range })
  expect(contentOf(commitment, header.bytes)).toEqual({
    ...{ kind: 'commitment', header: { ...facts, signer: noDigest }, hash: header.hash },
  })
  expect(contentOf(data, stamped(put))).toMatchObject({
    ...{ kind: 'units', time: 7, units: [{ kind: 'put', key: 'k' }] },
  })
  expect(contentOf(data, stamped(entry))).toMatchObject({
    ...{ kind: 'entry', time: 7, type: 3, bytes: Buffer.of(5, 6) },
  })
  // The same bytes in another frame are bytes.
  for (const bytes of [encodeCheckpoint(checkpoint), encodeEndMark(mark), header.bytes, put])
    expect(contentOf(idle, bytes)).toEqual({ kind: 'bytes', bytes })
})

test('a payload that is none of its type is bytes, and of DATA says why', () => {
  const { data, seal, commitment, lost } = frameTypes
  for (const type of [frameTypes.checkpoint, seal, commitment])
    expect(contentOf(type, none)).toEqual({ kind: 'bytes', bytes: none })
  expect(contentOf(lost, none)).toEqual({ kind: 'lost', range: undefined })
  expect(contentOf(data, none)).toEqual({
    ...{ kind: 'bytes', time: 0, why: expect.any(String), bytes: none },
  })
  const bad = stamped(put)
  bad[8 + 2 + 4 + 1] = 99
  expect(contentOf(data, bad)).toEqual({
    ...{ kind: 'bytes', time: 7, why: expect.stringContaining('command 99'), bytes: bad },
  })
})

test('a record is read as the one unit that it is, or as a whole payload', () => {
  const unit = put.subarray(8 + 2 + 4)
  expect(recordContent({ time: 7, bytes: unit })).toEqual(contentOf(frameTypes.data, stamped(put)))
  expect(recordContent({ time: 7, bytes: entry.subarray(8) })).toMatchObject({
    ...{ kind: 'entry', time: 7, type: 3, bytes: Buffer.of(5, 6) },
  })
  expect(recordContent({ time: 7, bytes: none })).toMatchObject({ kind: 'bytes', time: 7 })
})
