/**
 * All processes of a System, page by page. Between two pages is a turn of the event loop, so that a
 * look at 100,000 processes holds up nobody.
 */
import type { ProcessSummary, System } from '../../runtime/index.ts'

/** The processes of one page: less than a millisecond. */
const pageSize = 200

/** The pages in the order of pids. A process that starts or ends during that may be in none. */
export async function* processPages(
  system: Pick<System, 'clock' | 'inspectProcesses'>,
): AsyncGenerator<readonly ProcessSummary[]> {
  for (let after = 0; ; ) {
    const page = system.inspectProcesses({ after, limit: pageSize })
    yield page
    const last = page.at(-1)
    if (last === undefined || page.length < pageSize) return
    after = last.pid
    await new Promise<void>((resolve) => system.clock.soon(resolve))
  }
}

/** The process with this pid. */
export const processAt = (
  system: Pick<System, 'inspectProcesses'>,
  pid: number,
): ProcessSummary | undefined => {
  const [found] = system.inspectProcesses({ after: pid - 1, limit: 1 })
  return found?.pid === pid ? found : undefined
}
