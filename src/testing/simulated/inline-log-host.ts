/**
 * A log without a thread, for simulations. It handles requests one after another on a given disk,
 * and answers each `delayMs` later by a given clock. So groups form as they do while a real disk
 * syncs.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { Disk, LogHost, LogProtocol, LogRequestKind } from '../../storage/index.ts'
import { createLog, sparePreparation } from '../../storage/index.ts'

/** What an inline host runs on. */
export type InlineLogHostOptions = {
  readonly disk: Disk
  readonly clock: Clock
  /** From the work of a request to its answer, in ms; 0 by default: a later turn. */
  readonly delayMs?: number | (() => number)
  /** How long `end` takes, as when a thread waits for its disk; 0 by default. */
  readonly endMs?: number
  /**
   * The time between two calls to the disk that make a spare in the background, in ms. Absent: a
   * spare is made when it is needed.
   */
  readonly spareStepMs?: number
}

type Pending = {
  readonly mustWait: () => boolean
  readonly carryOut: () => void
  readonly refuse: (error: KeelsonError) => void
}

/** Makes a host. It handles a request when the request before it has been answered. */
export const inlineLogHost = ({
  disk,
  clock,
  delayMs = 0,
  endMs = 0,
  spareStepMs,
}: InlineLogHostOptions): LogHost => {
  const log = createLog(disk, clock)
  let waiting: Pending[] = []
  let current: Pending | undefined
  let isEnded = false
  let spare: Generator<void> | undefined
  let cancelStep: Cancel | undefined

  const later = (action: () => void): void => {
    const ms = typeof delayMs === 'function' ? delayMs() : delayMs
    if (ms > 0) clock.after(ms, action)
    else clock.soon(action)
  }

  const proceed = (): void => {
    const next = waiting[0]
    current = next?.mustWait() ? undefined : waiting.shift()
    current?.carryOut()
    makeSpare()
  }

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
      if (!current) proceed()
    }
  }

  const settle = (answer: () => void): void =>
    later(() => {
      if (isEnded) return
      answer()
      proceed()
    })

  const run = <K extends LogRequestKind>(
    kind: K,
    request: LogProtocol[K]['request'],
  ): Promise<LogProtocol[K]['answer']> =>
    new Promise((resolve, reject) => {
      if (isEnded) return reject(closed())
      waiting.push({
        refuse: reject,
        mustWait: () => log.waitsForSpare(kind, request),
        carryOut() {
          try {
            const answer = log.handle(kind, request)
            settle(() => resolve(answer))
          } catch (error) {
            settle(() => reject(error))
          }
        },
      })
      if (!current) proceed()
    })

  return {
    run,
    async end() {
      if (isEnded) return
      isEnded = true
      if (endMs > 0) await new Promise<void>((resolve) => clock.after(endMs, resolve))
      cancelStep?.()
      log.abandon()
      for (const pending of current ? [current, ...waiting] : waiting) pending.refuse(closed())
      waiting = []
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

const closed = (): KeelsonError => new KeelsonError('CLOSED', 'The log was ended')
