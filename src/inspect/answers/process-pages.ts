/**
 * All processes of a System, page by page. Before each page, and after the last one, comes a turn
 * of the event loop, so that a look at 100,000 processes holds up nobody.
 */
import type { Clock } from '../../clock.ts'
import type { ProcessSummary, System } from '../../runtime/index.ts'

/** The processes of one page: a millisecond, also if each is sized by code that V8 has not compiled. */
const pageSize = 50

/** The pages in the order of pids. A process that starts or ends during that may be in none. */
export async function* processPages(
  system: Pick<System, 'clock' | 'inspectProcesses'>,
): AsyncGenerator<readonly ProcessSummary[]> {
  for (let after = 0; ; ) {
    await nextTurn(system)
    const page = system.inspectProcesses({ after, limit: pageSize })
    yield page
    const last = page.at(-1)
    if (last === undefined || page.length < pageSize) return nextTurn(system)
    after = last.pid
  }
}

/** Resolves in the next turn of the event loop: others have theirs before. */
export const nextTurn = ({ clock }: { readonly clock: Clock }): Promise<void> =>
  new Promise((resolve) => clock.soon(resolve))

/** The process with this pid. */
export const processAt = (
  system: Pick<System, 'inspectProcesses'>,
  pid: number,
): ProcessSummary | undefined => {
  const [found] = system.inspectProcesses({ after: pid - 1, limit: 1 })
  return found?.pid === pid ? found : undefined
}
