/**
 * The visible status of a server: in crash reports, in every line of the log, by `sys.getStatus`
 * and `sys.trace`, and at the prompt. Its `formatStatus` decides, so that a secret in a state or a
 * payload reaches no log. Without one, fields with the name of a secret are hidden.
 */
import { redacted } from '../../redaction.ts'
import type { StatusParts } from '../words/telemetry.ts'

/** A server's own view of its parts. */
export type FormatStatus = (status: StatusParts<never>) => StatusParts

/** Shown instead of the state and the reason when `formatStatus` throws. */
const failed = 'formatStatus failed'

/**
 * The parts as they may be shown. A part that `formatStatus` leaves out is not shown; of a reason the
 * fields with the name of a secret are not. If it throws, nothing is shown, nor what it threw.
 */
export const shownStatus = (
  formatStatus: FormatStatus | undefined,
  status: StatusParts,
): StatusParts => {
  if (formatStatus === undefined) return redactedParts(status)
  try {
    const {
      state,
      lastMessage,
      reason = redacted(status.reason),
    } = formatStatus(status as StatusParts<never>)
    return { state, lastMessage, reason }
  } catch {
    const reason = status.reason === undefined ? undefined : failed
    return { state: failed, lastMessage: undefined, reason }
  }
}

/** The parts without a `formatStatus`. */
export const redactedParts = ({ state, lastMessage, reason }: StatusParts): StatusParts => ({
  state: redacted(state),
  lastMessage: lastMessage && { ...lastMessage, payload: redacted(lastMessage.payload) },
  reason: redacted(reason),
})
