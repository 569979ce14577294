/**
 * A search for the turns of a durable actor on a separate thread, which lives for one search: the
 * host, and the thread's entry.
 */
import { systemClock } from '../../clock.ts'
import { refusing } from '../disk/disk-failure.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { finish } from '../disk/steps.ts'
import type { TurnScanner, TurnScanRequest } from '../history/logged-turn.ts'
import { scanningTurns } from '../history/turn-scan.ts'
import { askOnce, isThread, serve } from './worker-thread.ts'

/** After which time a search gives what it has, in ms. */
const scanMs = 2_000

/** Searches on a new thread. */
export const threadTurnScanner: TurnScanner = (request, signal) =>
  askOnce({
    ...{ entry: import.meta.url, role: 'history', request, signal },
  }) as ReturnType<TurnScanner>

if (isThread('history'))
  serve((_, request) => {
    const clock = systemClock()
    const late = clock.monotonic() + scanMs
    const isLate = (): boolean => clock.monotonic() >= late
    return refusing(() => finish(scanningTurns(nodeDisk(), request as TurnScanRequest, isLate)))
  })
