/**
 * The refusals of messages between members that are not of the process they are for: its shard has
 * moved, or a link has no room. Their senders see them only if no other owner takes the message. Pure.
 */
import { KeelsonError } from '../../errors.ts'

/**
 * `details.reason` of the refusal of a member that has the shard no longer. The caller's member sends
 * the message to the next owner.
 */
const movedReason = 'moved'

/** That refusal. */
export const movedError = (shard: number): KeelsonError =>
  new KeelsonError('SHARD_DOWN', `shard ${shard} is at another member`, {
    details: { shard, state: 'elsewhere', reason: movedReason },
  })

/** Whether it is that refusal. */
export const isMoved = ({ details }: KeelsonError): boolean => details.reason === movedReason

/** `details.reason` of a call for which a link has no room now. */
const fullReason = 'link'

/** The refusal of a link without room. The owner has not heard of the call. */
export const linkFull = (
  message: string,
  details: Readonly<Record<string, unknown>>,
): KeelsonError =>
  new KeelsonError('BUSY', message, { details: { ...details, reason: fullReason } })

/** Whether a link refused it, and not the owner. */
export const isLinkFull = ({ code, details }: KeelsonError): boolean =>
  code === 'BUSY' && details.reason === fullReason
