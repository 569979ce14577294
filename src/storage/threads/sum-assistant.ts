/**
 * A second thread that sums up what the blobs' thread writes: SHA-256 takes longer than all else that is done to a large value, and
 * while one thread waits for the disk the other sums. It is begun once much has been written, where another processor is
 * there to do it, and decides nothing.
 */

import { AssistedSums } from '../blobs/assisted-sums.ts'
import { type PayloadSums, PromptSums } from '../blobs/payload-sums.ts'
import type { Workbench } from '../blobs/record-writer.ts'
import { sumBoardBytes } from '../blobs/sum-board.ts'
import { pageMemory } from '../bytes/page-memory.ts'
import { SumAssistance } from './sum-assistance.ts'
import { hasSpareProcessor, isThread, sharedMemory, startThread } from './worker-thread.ts'

const role = 'keelson sums'

/** Larger writes gain little more; two pieces are written while a third is summed up. */
const pieceBytes = 2 * 1024 * 1024
const pieces = 4

/** A thread takes 50 ms of a processor to begin, which the sums of so many bytes take too. */
const worthwhileBytes = 64 * 1024 * 1024

/** From so many bytes in one put on it is faster to tell another thread. */
const sharedBytesMin = 256 * 1024

/** A bench whose payloads are summed up by a thread of its own, from when at least `leastBytes` were put in all. */
export const assistedBench = (leastBytes = worthwhileBytes): Workbench => {
  const shared = sumsMemory()
  const memory = benchIn(shared)
  const prompt = new PromptSums(memory)
  const assisted = new AssistedSums(shared)
  let bytesLeft = hasSpareProcessor() ? leastBytes : Number.POSITIVE_INFINITY
  return {
    memory,
    pieces,
    pieceBytes,
    sumsFor(bytes): PayloadSums {
      if (bytesLeft > 0) {
        bytesLeft -= bytes
        if (bytesLeft <= 0) beginSums(shared, assisted)
      }
      return bytes >= sharedBytesMin && assisted.isAssisted ? assisted : prompt
    },
  }
}

/** Memory of a board, and of the bench behind it. */
export const sumsMemory = (): SharedArrayBuffer => pageMemory(sumBoardBytes + pieces * pieceBytes)

/** Begins the thread, which keeps nobody alive; `undefined` when the system has none to give. */
export const beginSums = (shared: SharedArrayBuffer, assisted: AssistedSums) => {
  try {
    const thread = startThread(import.meta.url, role, shared)
    // What it does not do any more is done without it.
    thread.on('error', () => undefined)
    thread.on('exit', () => assisted.giveUp())
    thread.unref()
    return thread
  } catch {
    return undefined
  }
}

/** The bench in the memory. */
export const benchIn = (shared: SharedArrayBuffer): Uint8Array =>
  new Uint8Array(shared, sumBoardBytes, pieces * pieceBytes)

/** The thread's side: one job after another, until nobody needs it any more. */
const assist = (shared: SharedArrayBuffer): void => {
  const assistance = new SumAssistance(shared, benchIn(shared))
  assistance.announce()
  while (assistance.next());
}

const memory = sharedMemory()
// Whoever begins this thread gives it memory.
if (isThread(role) && memory) assist(memory)
