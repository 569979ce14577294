/** Assistants without threads, and inspections as something that compares: with an assistant and without must say the same. */
import type { Disk } from '../../src/storage/ports/disk.ts'
import type { ScanAssistant } from '../../src/storage/recovery/scan-board.ts'
import { readSealed } from '../../src/storage/recovery/segment-reading.ts'

/** One who has taken all segments from `from` on before anybody else, and answers those that it can read. */
export const eager =
  (disk: Disk, from: number): ScanAssistant =>
  (dir, sealed) => {
    const answers = sealed.map((segment, index) => {
      if (index < from) return undefined
      try {
        return readSealed(disk, dir, segment)
      } catch {
        return undefined
      }
    })
    return {
      take: (index) => index < from,
      answer: (index) => answers[index],
      end: () => undefined,
    }
  }

/** One who has taken all segments from `from` on, and died. */
export const dead =
  (from: number): ScanAssistant =>
  () => ({ take: (index) => index < from, answer: () => undefined, end: () => undefined })

/** All that an inspection says, or all that it is refused with, as text. */
export const saidBy = (inspect: () => unknown): string => {
  try {
    return JSON.stringify(inspect())
  } catch (error) {
    // Not by its class: the compiled code has one of its own.
    if (error instanceof Error && 'toJSON' in error) return JSON.stringify(error)
    throw error
  }
}
