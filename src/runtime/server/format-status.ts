/**
 * What is shown of a server: in crash reports, by `sys.getStatus` and at the prompt. Its
 * `formatStatus` decides, so that a secret in a state or a payload reaches no log.
 */
import type { Message } from '../words/envelope.ts'
import { describeMessage } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { StatusParts } from '../words/telemetry.ts'

/** A server's own view of its parts. */
export type FormatStatus = (status: StatusParts<never>) => StatusParts

/**
 * The parts as they may be shown. A part that `formatStatus` leaves out is not shown. If it fails,
 * only the reason is.
 */
export const shownStatus = (
  formatStatus: FormatStatus | undefined,
  status: StatusParts,
): StatusParts => {
  if (formatStatus === undefined) return status
  try {
    const {
      state,
      lastMessage,
      reason = status.reason,
    } = formatStatus(status as StatusParts<never>)
    return { state, lastMessage, reason }
  } catch {
    return { state: 'formatStatus failed', lastMessage: undefined, reason: status.reason }
  }
}

/** The parts for the report of a crash, before they are formatted. */
export const crashParts = (
  state: unknown,
  message: Message | undefined,
  reason: ExitReason,
): StatusParts => ({
  state,
  lastMessage: message && { what: describeMessage(message), payload: message.payload },
  reason,
})
