/**
 * The examination of a projection on a separate thread, which lives for one of them: the host, and
 * the thread's entry.
 */
import { nodeDisk } from '../disk/node-disk.ts'
import { examineProjection } from '../lmdb/lmdb-examination.ts'
import type { ProjectionExaminer } from '../lmdb/lmdb-projection-store.ts'
import type { ExaminationDepth, ProjectionExamination } from '../ports/projection-store.ts'
import { askOnce, isThread, serve } from './worker-thread.ts'

type Request = { readonly dir: string; readonly depth: ExaminationDepth }

/**
 * Examines on a new thread. If no thread can be had, a caller that waits for the answer examines
 * here.
 */
export const threadExaminer: ProjectionExaminer = async (dir, depth, signal) => {
  signal?.throwIfAborted()
  const request: Request = { dir, depth }
  try {
    const errand = { entry: import.meta.url, role: 'examination', request, signal } as const
    return (await askOnce(errand)) as ProjectionExamination
  } catch (error) {
    if (signal) throw error
    return examineProjection(nodeDisk(), dir, depth)
  }
}

if (isThread('examination'))
  serve((_, request) => {
    const { dir, depth } = request as Request
    return examineProjection(nodeDisk(), dir, depth)
  })
