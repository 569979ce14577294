/**
 * A log without a thread, for simulations: requests are carried out one after another on a given disk, and each is
 * answered `delayMs` of the given clock later, so that on a virtual clock groups form as they do while a real disk syncs.
 */
import type { Clock } from '../clock.ts'
import { KeelsonError } from '../errors.ts'
import type { Disk } from './disk.ts'
import { createLog } from './log.ts'
import type { LogHost, LogProtocol, LogRequestKind } from './log-host.ts'

/** What an inline host runs on. */
export type InlineLogHostOptions = {
  readonly disk: Disk
  readonly clock: Clock
  /** From a request's being carried out to its answer, in ms; 0, the default, is a later turn. */
  readonly delayMs?: number
  /** How long `end` takes, as when a thread waits for its disk; 0 by default. */
  readonly endMs?: number
}

type Pending = { readonly carryOut: () => void; readonly refuse: (error: KeelsonError) => void }

/** Makes a host. A request is carried out when the one before it has been answered. */
export const inlineLogHost = ({
  disk,
  clock,
  delayMs = 0,
  endMs = 0,
}: InlineLogHostOptions): LogHost => {
  const log = createLog(disk, clock)
  let waiting: Pending[] = []
  let current: Pending | undefined
  let isEnded = false

  const later = (action: () => void): void => {
    if (delayMs > 0) clock.after(delayMs, action)
    else clock.soon(action)
  }

  const proceed = (): void => {
    current = waiting.shift()
    current?.carryOut()
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
      log.abandon()
      for (const pending of current ? [current, ...waiting] : waiting) pending.refuse(closed())
      waiting = []
    },
  }
}

const closed = (): KeelsonError => new KeelsonError('CLOSED', 'The log was ended')
