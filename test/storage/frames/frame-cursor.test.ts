import { describe, expect, test } from 'vitest'
import { frameTypes } from '../../../src/storage/frames/frame.ts'
import { FrameCursor, type FrameEnd } from '../../../src/storage/frames/frame-cursor.ts'
import { GroupEncoder } from '../../../src/storage/frames/group-encoder.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { payload } from '../../support/worlds/logs.ts'

const facts = { salt: { low: 3, high: 4 }, sectorBytes: 512, payloadMax: 2 ** 20 }
const start: FrameEnd = { offset: 4096, lsn: 9, crc: 77 }

/** Encodes groups of payloads behind `from`; the fifth byte from the front of each payload says nothing. */
const encode = (groups: readonly (readonly Uint8Array[])[], from = start) => {
  const encoder = new GroupEncoder()
  encoder.begin(from, { ...facts, durableLsn: 5 }, 2 ** 22)
  for (const [index, group] of groups.entries()) {
    if (index > 0) encoder.endGroup()
    for (const bytes of group) encoder.add(frameTypes.data, bytes)
  }
  const end = encoder.end
  return { bytes: encoder.finish().slice(), offset: encoder.fileOffset, end }
}

/** A file with these bytes from the start of the frames on. */
const fileWith = (...parts: { readonly bytes: Uint8Array; readonly offset: number }[]) => {
  const file = simulatedDisk().open('/segment', 'create')
  file.truncate(2 ** 21)
  for (const { bytes, offset } of parts) file.write(bytes, offset)
  return file
}

const walk = (cursor: FrameCursor): number[] => {
  const lsns: number[] = []
  for (let frame = cursor.next(); frame; frame = cursor.next()) lsns.push(frame.lsn)
  return lsns
}

const cursorOver = (file: ReturnType<typeof fileWith>, limit = 2 ** 21, from = start) =>
  new FrameCursor(file, facts, from, limit)

describe('a cursor', () => {
  test('walks over frames and groups, and stops behind the last', () => {
    const written = encode([[payload(1), payload(2, 9)], [payload(3, 2000)], [payload(4)]])
    const cursor = cursorOver(fileWith(written))

    expect(walk(cursor)).toEqual([10, 11, 12, 13])
    expect(cursor.end).toEqual(written.end)
    expect(cursor.stop).toBe('bad')
  })

  test('ends where its limit is, and takes no frame that reaches beyond', () => {
    const { bytes, offset, end } = encode([[payload(1), payload(2)]])
    const file = fileWith({ bytes, offset })

    const exact = cursorOver(file, end.offset)
    expect([walk(exact), exact.stop]).toEqual([[10, 11], 'end'])
    const short = cursorOver(file, end.offset - 1)
    expect([walk(short), short.stop]).toEqual([[10], 'bad'])
  })

  test('takes the room of a header before its limit for a frame that is not there, and less for none', () => {
    const written = encode([[payload(1)]])
    const stops = [31, 32].map((room) => {
      const cursor = cursorOver(fileWith(written), written.end.offset + room)
      walk(cursor)
      return cursor.stop
    })
    expect(stops).toEqual(['end', 'bad'])
  })

  test('yields payloads of any size, larger than what it reads at once too', () => {
    const sizes = [8, 300_000, 9, 700_000, 40]
    const cursor = cursorOver(fileWith(encode([sizes.map((size, index) => payload(index, size))])))

    for (const [index, size] of sizes.entries()) {
      const frame = cursor.next()
      if (!frame) return expect.fail(`frame ${index} is missing`)
      expect(Buffer.from(cursor.payloadBytes(frame)).equals(payload(index, size))).toBe(true)
    }
    expect(cursor.next()).toBeUndefined()
  })

  test('asked for what is in its window only, reads nothing and leaves what it passed where it stands', () => {
    const file = fileWith(encode([Array.from({ length: 60 }, (_, at) => payload(at, 900))]))
    const cursor = new FrameCursor(file, facts, start, 2 ** 21, 16 * 1024)
    const first = cursor.next()
    if (!first) return expect.fail('the first frame is missing')
    const bytes = cursor.payloadBytes(first)

    let count = 1
    while (cursor.nextInWindow()) count++

    expect(count).toBe(Math.floor((16 * 1024) / 936))
    expect(Buffer.from(bytes).equals(payload(0, 900))).toBe(true)
    expect(cursor.end.lsn).toBe(9 + count)
    expect(walk(cursor)).toHaveLength(60 - count)
  })

  test('may begin behind any frame', () => {
    const file = fileWith(encode([[payload(1), payload(2)], [payload(3)]]))
    const first = cursorOver(file)
    first.next()

    expect(walk(cursorOver(file, 2 ** 21, first.end))).toEqual([11, 12])
  })

  test('takes no frame that names another predecessor, though its number follows', () => {
    const one = encode([[payload(1)]])
    const stranger = encode([[payload(2)]], { ...one.end, crc: one.end.crc ^ 1 })

    expect(walk(cursorOver(fileWith(one, stranger)))).toEqual([10])
    expect(walk(cursorOver(fileWith(one), 2 ** 21, { ...start, crc: 78 }))).toEqual([])
  })

  test('takes no frame whose number does not follow', () => {
    const one = encode([[payload(1)]])
    const gap = encode([[payload(2)]], { ...one.end, lsn: one.end.lsn + 1 })

    expect(walk(cursorOver(fileWith(one, gap)))).toEqual([10])
  })

  test('takes no group that begins elsewhere than on a sector', () => {
    const one = encode([[payload(1)]])
    const two = encode([[payload(2)]], one.end)

    expect(walk(cursorOver(fileWith(one, two)))).toEqual([10, 11])
    expect(walk(cursorOver(fileWith(one, { ...two, offset: one.end.offset })))).toEqual([10])
  })

  test('takes no frame that goes on with a group behind the gap', () => {
    const one = encode([[payload(1), payload(2)]])
    const second = one.bytes.slice(72, 144)
    const torn = { bytes: new Uint8Array(72), offset: 4096 + 72 }

    expect(walk(cursorOver(fileWith(one, torn, { bytes: second, offset: 4608 })))).toEqual([10])
  })

  test('takes no payload that is longer than the segment allows', () => {
    const file = fileWith(encode([[payload(1, 100)]]))

    const strict = new FrameCursor(file, { ...facts, payloadMax: 99 }, start, 2 ** 21)
    expect(walk(strict)).toEqual([])
  })
})
