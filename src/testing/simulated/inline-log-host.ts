/**
 * A log without a thread, for simulations, on a given disk. A spare segment is made in the
 * background, step by step.
 */
import { noMore } from '../../check.ts'
import type { Cancel } from '../../clock.ts'
import {
  createLog,
  type Disk,
  type LogHost,
  type LogRequestKind,
  sparePreparation,
} from '../../storage/index.ts'
import { type AnswerDelay, InlineRequests } from './inline-host.ts'

/** The disk and the delays of an inline host. */
export type InlineLogHostOptions = AnswerDelay & {
  readonly disk: Disk
  /** How long `end` takes, as when a thread waits for its disk; 0 by default. */
  readonly endMs?: number
  /**
   * The time between two calls to the disk that make a spare in the background, in ms. Absent: a
   * spare is made when it is needed.
   */
  readonly spareStepMs?: number
}

/** Makes a host. It handles a request when the request before it has been answered. */
export const inlineLogHost = (
  { disk, endMs = 0, spareStepMs, ...delay }: InlineLogHostOptions,
  ...surplus: []
): LogHost => {
  noMore(surplus, 'inlineLogHost({ disk, … })')
  const { clock } = delay
  const log = createLog(disk, clock)
  let spare: Generator<void> | undefined
  let cancelStep: Cancel | undefined

  const makeSpare = (): void => {
    if (spareStepMs === undefined || spare) return
    const task = log.beginSpare()
    spare = task && sparePreparation(disk, task)
    if (spare) cancelStep = clock.after(spareStepMs, stepSpare)
  }

  const stepSpare = (): void => {
    if (!spare || spareStepMs === undefined) return
    if (stepOf(spare, (error) => log.settleSpare(error)))
      cancelStep = clock.after(spareStepMs, stepSpare)
    else {
      spare = undefined
      requests.proceed()
    }
  }

  const handle = (kind: LogRequestKind, request: never) => log.handle(kind, request)
  const mustWait = (kind: LogRequestKind, request: never) => log.waitsForSpare(kind, request)
  const work = { name: 'The log was', handle, mustWait, proceeded: makeSpare }
  const requests = new InlineRequests(work, delay)
  return {
    run: (kind, request) => requests.run(kind, request as never) as Promise<never>,
    async end() {
      if (requests.isEnded) return
      requests.isEnded = true
      if (endMs > 0) await new Promise<void>((resolve) => clock.after(endMs, resolve))
      cancelStep?.()
      log.abandon()
      requests.refuse()
    },
  }
}

/** Takes one step of a preparation. False when it has ended; `settled` gets its error, if any. */
const stepOf = (spare: Generator<void>, settled: (error?: unknown) => void): boolean => {
  try {
    if (!spare.next().done) return true
    settled()
  } catch (error) {
    settled(error)
  }
  return false
}
