/** The log's writer as people look at it. */
import type { LogDescription, OpenReport } from '../storage/index.ts'

/** How a writer and its log stand. `level`: what an acknowledgement of it means. */
export type WriterDescription = {
  readonly mode: 'recovering' | 'open'
  readonly queued: number
  readonly inFlight: number
  readonly durableLsn: number
  readonly lastLsn: number
  readonly level: 'durable' | 'written'
  readonly report: OpenReport | undefined
  readonly log: LogDescription | undefined
}
