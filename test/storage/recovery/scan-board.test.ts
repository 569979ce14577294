/** The board on which two threads share out the segments of a log: each is taken once, and only what was read is believed. */
import { describe, expect, test } from 'vitest'
import { boardMemory, noAssistant, ScanBoard } from '../../../src/storage/recovery/scan-board.ts'
import type { SegmentReading } from '../../../src/storage/recovery/segment-reading.ts'

/** Both sides of one board. */
const boardOf = (segments: number) => {
  const memory = boardMemory(segments)
  return { asker: new ScanBoard(memory), assistant: new ScanBoard(memory) }
}

const reading = (number: number): SegmentReading => ({
  end: { offset: 2 ** 31 + number, lsn: Number.MAX_SAFE_INTEGER - number, crc: 0xffff_ffff },
  sums: { lastTime: 1_700_000_000_123.5, checkpointLsn: number, provenLsn: 2 ** 52, mark: 'seal' },
})

describe('a segment on the board', () => {
  test('is taken once, from the front by one, from the back by the other, until they meet', () => {
    const { asker, assistant } = boardOf(5)

    expect(assistant.assist()).toBe(4)
    expect([asker.take(0), asker.take(1)]).toEqual([true, true])
    expect(assistant.assist()).toBe(3)
    expect([asker.take(2), asker.take(3), asker.take(4)]).toEqual([true, false, false])
    expect(assistant.assist()).toBeUndefined()
  })

  test('has no answer before it is read, and then the one that was written, exactly', () => {
    const { asker, assistant } = boardOf(3)
    for (const index of [2, 1]) {
      expect(assistant.assist()).toBe(index)
      expect(asker.answer(index)).toBeUndefined()
      assistant.write(index, reading(index))
    }

    expect(asker.answer(2)).toEqual(reading(2))
    expect(asker.answer(1)).toEqual(reading(1))
    expect(asker.answer(0)).toBeUndefined()
  })

  test.each(['none', 'seal', 'closed'] as const)(
    'may end with the mark %s, and with a frame of a newer version',
    (mark) => {
      const { asker, assistant } = boardOf(1)
      const { end, sums } = reading(7)
      const found = {
        end,
        sums: { ...sums, mark },
        unreadable: { lsn: 2 ** 53 - 1, type: 99, typeVersion: 255 },
      }
      assistant.assist()
      assistant.write(0, found)

      expect(asker.answer(0)).toEqual(found)
    },
  )

  test('is over for the assistant when the other side has ended, and what it writes then is not there', () => {
    const { asker, assistant } = boardOf(4)
    const at = assistant.assist() ?? -1
    expect(assistant.isOver(at)).toBe(false)

    asker.end()

    expect(assistant.isOver(at)).toBe(true)
    assistant.write(at, reading(at))
    expect(asker.answer(at)).toBeUndefined()
    expect(assistant.assist()).toBeUndefined()
  })
})

test('where there is no assistant every segment is there to be taken', () => {
  const help = noAssistant('anywhere', [])

  expect([help.take(0), help.take(1)]).toEqual([true, true])
  expect(help.answer(0)).toBeUndefined()
})
