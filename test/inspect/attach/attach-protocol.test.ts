import { expect, test } from 'vitest'
import { lineOf, MessageReader } from '../../../src/inspect/attach/attach-protocol.ts'

const sent = [{ id: 1, run: "'ä\n\u2028'" }, { id: 2, complete: '' }, { line: 'x'.repeat(200) }]
const bytes = Buffer.from(sent.map(lineOf).join(''))

test.each([1, 2, 3, 7, 100, 1_000])('messages are read in pieces of %i bytes', (size) => {
  const reader = new MessageReader(300)
  const read: unknown[] = []
  for (let at = 0; at < bytes.length; at += size)
    read.push(...reader.read(bytes.subarray(at, at + size)))

  expect(read).toEqual(sent)
})

test('a line is refused at its first byte too many, before it ends', () => {
  const reader = new MessageReader(300)
  expect([...reader.read(Buffer.alloc(300, ' '))]).toEqual([])

  expect(() => [...reader.read(Buffer.from(' '))]).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE' }),
  )
})
