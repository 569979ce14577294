/**
 * The common part of the hosts of a log in an engine, that of its owner and that of a follower: the
 * way of each request, the end, and the answers that do not depend on who asks.
 */
import { KeelsonError } from '../../errors.ts'
import {
  knownFeatures,
  type LogDescription,
  type LogExtent,
  type LogFeatures,
  type LogHost,
  type LogProtocol,
  type LogRequestKind,
  type OpenReport,
} from '../../storage/index.ts'
import { lossShown } from './append-verdict.ts'
import type { EngineCalls } from './engine-calls.ts'

/** The answers to the requests of a host. */
export type LogHandlers = {
  readonly [K in LogRequestKind]: (
    request: LogProtocol[K]['request'],
  ) => Promise<LogProtocol[K]['answer']>
}

/**
 * A host with these answers. Every request rejects with the reason when `calls` have ended.
 * `ended`: called once the host has ended; its end waits for it.
 */
export const engineLogHost = (
  calls: EngineCalls,
  handlers: LogHandlers,
  ended: () => Promise<void> | undefined,
): LogHost => ({
  async run(kind, request) {
    if (calls.ended) throw calls.ended
    try {
      return await handlers[kind](request)
    } catch (error) {
      // A log that has lost a part has no owner, and nobody follows it.
      const loss = error === calls.ended ? undefined : lossShown(error)
      throw loss ? calls.end(loss) : error
    }
  },
  async end() {
    calls.end(closed('the host has ended'))
    await ended()?.catch(() => undefined)
  },
})

/** Those of a member that knows of no other one. */
export const ownFeatures: LogFeatures = { reads: knownFeatures, on: 0 }

/** The log, once it is open. @throws KeelsonError `CLOSED` before */
export const opened = <Log>(log: Log | undefined): Log => {
  if (log !== undefined) return log
  throw closed('the log is not open')
}

/** `CLOSED`, with this message. */
export const closed = (message: string): KeelsonError => new KeelsonError('CLOSED', message)

/** The report of an opening. Nothing is cut from a log in an engine, and it has no segments. */
export const openReport = (
  { walId, epoch, firstLsn, lastLsn }: LogExtent,
  remarks: readonly string[],
  lastTime: number,
): OpenReport => ({
  walId,
  epoch,
  firstLsn,
  lastLsn,
  lastTime,
  remarks,
  tail: 'clean',
  cutBytes: 0,
  copiedFrames: 0,
  segments: 0,
  // No version before this one reads it.
  features: knownFeatures,
})

/** The description of an open log, whose frames have so many bytes in the engine. */
export const describedLog = (extent: LogExtent, engineBytes: number): LogDescription => ({
  ...extent,
  spares: { ready: 0, making: false },
  segments: [],
  engineBytes,
})
