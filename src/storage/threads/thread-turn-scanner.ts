/**
 * A search for the turns of a durable actor on a separate thread, which lives for one search: the
 * host, and the thread's entry.
 */
import { systemClock } from '../../clock.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { atLeisure } from '../disk/pace.ts'
import type { TurnScanner, TurnScanRequest } from '../history/logged-turn.ts'
import { scanningTurns } from '../history/turn-scan.ts'
import { askOnce, isThread, runInBackground, serve } from './worker-thread.ts'

/** After which time a search gives what it has, in ms. */
const scanMs = 2_000

/**
 * A twentieth of the time. At the lowest priority alone, and with a tenth of the time, one put in a
 * hundred took twice as long or longer beside a search (`npm run bench -- history`).
 */
const pace = { workMs: 1, factor: 19 }

/** Searches on a new thread. */
export const threadTurnScanner: TurnScanner = (request, signal) =>
  askOnce({
    ...{ entry: import.meta.url, role: 'history', request, signal },
  }) as ReturnType<TurnScanner>

if (isThread('history'))
  serve((_, request) => {
    runInBackground()
    const clock = systemClock()
    const late = clock.monotonic() + scanMs
    const isLate = (): boolean => clock.monotonic() >= late
    return atLeisure(clock, scanningTurns(nodeDisk(), request as TurnScanRequest, isLate), pace)
  })
