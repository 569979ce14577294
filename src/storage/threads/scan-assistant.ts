/**
 * A second thread that reads the sealed segments of a log from the back while the log's thread reads them from the front. It is begun for
 * one inspection, ends when nothing is left to take, and decides nothing: what it has not read, because it came late, died
 * or could not, the log's thread reads as if there were no assistant. Nobody waits for it.
 */
import { nodeDisk } from '../disk/node-disk.ts'
import { boardMemory, noAssistant, type ScanAssistant, ScanBoard } from '../recovery/scan-board.ts'
import { readSealed, type SealedSegment } from '../recovery/segment-reading.ts'
import {
  givenTask,
  hasSpareProcessor,
  isThread,
  sharedMemory,
  startThread,
} from './worker-thread.ts'

const role = 'keelson scan'

/** What the thread is begun with, beside the memory of the board. */
type ScanTask = { readonly dir: string; readonly sealed: readonly SealedSegment[] }

/**
 * A thread begins in 65 ms and takes as long again until its code is compiled; the log's thread reads 128 MiB in that time.
 * From twice that much on help saves more than it costs.
 */
const worthwhileBytes = 256 * 1024 * 1024

/**
 * An assistant on a thread of its own, over the real disk: where at least `leastBytes` are to be read, and another processor
 * is there to do it.
 */
export const threadAssistant =
  (leastBytes = worthwhileBytes): ScanAssistant =>
  (dir, sealed) => {
    const bytes = sealed.reduce((sum, { declared }) => sum + declared.endOffset, 0)
    const isWorthwhile = bytes >= leastBytes && sealed.length > 1 && hasSpareProcessor()
    const begun = isWorthwhile ? beginScan(dir, sealed) : undefined
    return begun?.board ?? noAssistant(dir, sealed)
  }

/** Begins the thread; `undefined` when the system has none to give. It ends by itself, and keeps nobody alive. */
export const beginScan = (dir: string, sealed: readonly SealedSegment[]) => {
  const memory = boardMemory(sealed.length)
  const task: ScanTask = { dir, sealed }
  try {
    const thread = startThread(import.meta.url, role, memory, task)
    // Its death shows in what it did not answer.
    thread.on('error', () => undefined)
    thread.unref()
    return { board: new ScanBoard(memory), thread }
  } catch {
    return undefined
  }
}

/** The thread's side: one segment after another, until none is left. */
const assist = (board: ScanBoard, { dir, sealed }: ScanTask): void => {
  const disk = nodeDisk()
  for (let index = board.assist(); index !== undefined; index = board.assist()) {
    const at = index
    const segment = sealed[at]
    try {
      const reading = segment && readSealed(disk, dir, segment, () => board.isOver(at))
      if (reading) board.write(at, reading)
    } catch {
      // What cannot be read the log's thread tries to read as well, and says what it met.
    }
  }
}

const memory = sharedMemory()
// Whoever begins this thread gives it both.
if (isThread(role) && memory) assist(new ScanBoard(memory), givenTask() as ScanTask)
