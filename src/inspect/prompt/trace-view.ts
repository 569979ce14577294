/**
 * The output of `trace(p)`: a line for each message, reply and step of a process, up to a number.
 */

import type { KeelsonError } from '../../errors.ts'
import { invalidArgument } from '../../errors.ts'
import { type ProcessSummary, type TraceEvent, trace } from '../../runtime/index.ts'
import { processTitle } from '../answers/process-finder.ts'
import { printable } from '../text/paint.ts'
import { pluralText } from '../text/quantities.ts'
import { lineText } from '../text/shown-text.ts'
import { Feed } from '../text/view.ts'

/**
 * Shows the next `count` events of a server as they happen. The bound keeps a busy server from
 * flooding the prompt, as recon's `trace` does. 0 ends an earlier `trace`. Rejects as `sys.trace`
 * does.
 * @throws KeelsonError `INVALID_ARGUMENT` for a wrong count
 */
export const traceFeed = async (process: ProcessSummary, count: unknown = 100): Promise<Feed> => {
  if (!Number.isSafeInteger(count) || (count as number) < 0) throw noCount(count)
  const title = processTitle(process)
  if (count === 0) {
    await trace(process.ref, undefined)
    return new Feed(`${title} is not traced`)
  }
  let left = count as number
  const feed = new Feed(`the next ${pluralText(left, 'event')} of ${title}; trace(p, 0) ends it`)
  await trace(process.ref, (event) => {
    if (left === 0) return
    left--
    feed.add(traceLine(title, event))
    if (left > 0) return
    feed.add(`${title}: ${pluralText(count as number, 'event')}, and no more are shown`)
    // It takes its turn in the mailbox, so it also ends a trace that was requested just before.
    trace(process.ref, undefined).catch(() => undefined)
  })
  return feed
}

/** One event in a line: the process, the direction, the message, and its payload, cut if long. */
export const traceLine = (title: string, { direction, what, payload }: TraceEvent): string => {
  const carried = payload === undefined ? '' : ` ${lineText(payload, widthMax)}`
  return printable(`${title}  ${direction.padEnd(4)}  ${what}${carried}`)
}

const widthMax = 200

const noCount = (found: unknown): KeelsonError =>
  invalidArgument('count', 'a whole number from 0', found)
