/**
 * The examination of a projection on a separate thread, which lives for one of them: the host, and
 * the thread's entry.
 */
import { nodeDisk } from '../disk/node-disk.ts'
import { examineProjection } from '../lmdb/lmdb-examination.ts'
import type { ProjectionExaminer } from '../lmdb/lmdb-projection-store.ts'
import type { ExaminationDepth, ProjectionExamination } from '../ports/projection-store.ts'
import { answer, isThread, startThread, takeQuestions, threadClient } from './worker-thread.ts'

type Request = { readonly dir: string; readonly depth: ExaminationDepth }

/**
 * Examines on a new thread. If no thread can be had, a caller that waits for the answer examines
 * here.
 */
export const threadExaminer: ProjectionExaminer = async (dir, depth, signal) => {
  signal?.throwIfAborted()
  try {
    return await onThread({ dir, depth }, signal)
  } catch (error) {
    if (signal) throw error
    return examineProjection(nodeDisk(), dir, depth)
  }
}

const onThread = async (request: Request, signal?: AbortSignal): Promise<ProjectionExamination> => {
  const thread = threadClient(startThread(import.meta.url, 'examination'), 'examination')
  const end = () => void thread.end()
  signal?.addEventListener('abort', end, { once: true })
  try {
    return (await thread.ask('examine', request)) as ProjectionExamination
  } finally {
    signal?.removeEventListener('abort', end)
    await thread.end()
  }
}

const serveExamination = (): void => {
  const disk = nodeDisk()
  takeQuestions(({ id, request }) => {
    const { dir, depth } = request as Request
    answer(id, () => examineProjection(disk, dir, depth))
  })
}

if (isThread('examination')) serveExamination()
