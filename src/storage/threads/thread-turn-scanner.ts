/**
 * Searches for the turns of durable actors on a separate thread: the host, and the thread's entry.
 * The thread stays for the next page: its start takes 44 ms of a processor at the usual priority,
 * which writes feel. Searches take their turns, so that many cost writes no more than one.
 */
import { SerialQueue } from '../../bytes/serial-queue.ts'
import { type Cancel, type Clock, systemClock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import type { TurnScan, TurnScannerFactory, TurnScanRequest } from '../examination/logged-turn.ts'
import { scanningTurns } from '../examination/turn-scan.ts'
import { refusing } from '../ports/disk-failure.ts'
import {
  isThread,
  runInBackground,
  serve,
  startThread,
  type ThreadClient,
  threadClient,
} from './worker-thread.ts'

/** The longest rest, in ms. Work that waited for a processor seems longer than it was. */
const restMax = 100

/**
 * Takes all steps. After every `workMs` of them it rests `factor` times as long as it worked.
 * @throws KeelsonError for a failure of the disk
 */
const atLeisure = async <T>(
  clock: Clock,
  steps: Generator<unknown, T>,
  { workMs, factor }: { readonly workMs: number; readonly factor: number },
): Promise<T> => {
  let began = clock.monotonic()
  for (;;) {
    const step = refusing(() => steps.next())
    if (step.done) return step.value
    const worked = clock.monotonic() - began
    if (worked < workMs) continue
    await new Promise<void>((resolve) => clock.after(Math.min(factor * worked, restMax), resolve))
    began = clock.monotonic()
  }
}

/** After which time a search gives what it has, in ms. */
const scanMs = 2_000

/** For how long a thread without a search stays, in ms. */
const idleMs = 10_000

/**
 * A twentieth of the time. At the lowest priority alone, and with a tenth of the time, one put in a
 * hundred took twice as long or longer beside a search (`npm run bench -- history`).
 */
const pace = { workMs: 1, factor: 19 }

/** Searches on a thread, which is started for a search and ends when there was none for a while. */
export const threadTurnScanner: TurnScannerFactory = (signal) => {
  const clock = systemClock()
  let thread: ThreadClient | undefined
  let searches = 0
  let cancelEnd: Cancel | undefined

  const end = (): void => {
    void thread?.end()
    thread = undefined
  }
  signal.addEventListener('abort', end, { once: true })

  return async (request) => {
    if (signal.aborted) throw new KeelsonError('CLOSED', 'the history was ended')
    cancelEnd?.()
    searches++
    try {
      thread ??= threadClient(startThread(import.meta.url, 'history'), 'history')
      return (await thread.ask('history', request)) as TurnScan
    } catch (error) {
      // The thread may have died. The next search starts another one.
      if (isKeelsonError(error, 'SHARD_DOWN')) end()
      throw error
    } finally {
      if (--searches === 0) cancelEnd = clock.after(idleMs, end, { holdsProcess: false })
    }
  }
}

if (isThread('history')) {
  const clock = systemClock()
  runInBackground()
  const turns = new SerialQueue()
  const search = (request: TurnScanRequest): Promise<TurnScan> => {
    const late = clock.monotonic() + scanMs
    const isLate = (): boolean => clock.monotonic() >= late
    return atLeisure(clock, scanningTurns(nodeDisk(), request, isLate), pace)
  }
  serve((_, request) => turns.run(() => search(request as TurnScanRequest)))
}
