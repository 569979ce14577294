/**
 * `call`, `cast` and `send` for users. In a handler they have no sender: the message is not ordered
 * with the others of the process, and is not cut off with it. Outside of production the first such
 * message of each handler is logged, with the line. Keelson's own code uses those of
 * `messaging.ts`.
 */
import { Address, type Ref } from '../words/address.ts'
import { describeMessage, Envelope, kinds } from '../words/envelope.ts'
import * as messaging from './messaging.ts'
import { direct } from './outputs.ts'
import type { Process } from './process.ts'

/**
 * Calls a process and waits for its answer. In a handler use `context.call`. Rejects with
 * `NO_PROCESS` (no such process; `waitForName` waits for a name), `EXITED` (it ended first;
 * `details.reason`), `TIMEOUT` (the message may still be handled), `MAILBOX_FULL`,
 * `INVALID_ARGUMENT` (a wrong timeout or option), or the error of the handler.
 */
export const call: typeof messaging.call = (ref, name, payload?, options?) => {
  look('call', ref, name)
  return messaging.request(ref, kinds.call, name, payload, options)
}

/**
 * Sends a cast. In a handler use `context.cast`. False: the mailbox is full, or there is no such
 * process.
 */
export const cast: typeof messaging.cast = (ref, name, payload?) => {
  look('cast', ref, name)
  return messaging.castMessage(ref, new Envelope(kinds.cast, name, payload))
}

/**
 * Sends an info. In a handler use `context.send`. False: the mailbox is full, or the process is
 * dead. Throws `NO_PROCESS` for a name that no process has.
 */
export const send: typeof messaging.send = (ref, name, payload?) => {
  look('send', ref, name)
  return messaging.sendInfo(ref, name, payload)
}

type Sent = 'call' | 'cast' | 'send'

/** Handlers whose plain messages are logged, each message once. */
const notesMax = 100

/** Looks whether a message without a sender leaves within a turn, before the first `await`. */
const look = (sent: Sent, ref: Ref<unknown>, name: string): void => {
  if (!(ref instanceof Address) || ref.sender !== undefined) return
  const target = ref.resolve()
  if (target?.kernel.plainSends === undefined) return
  const { plainSends, runQueue } = target.kernel
  const process = runQueue.running
  if (process !== undefined && isHandling(process, target))
    note(process, plainSends, sent, ref, name)
}

/**
 * Whether `process` runs code of the user's. A start function has no context to send with, and
 * Keelson's own processes in an instance have no `app`. A message to oneself needs no sender where
 * nothing is held back.
 */
const isHandling = (process: Process, target: Process): boolean =>
  !process.kind.endsWith('supervisor') &&
  (process.instance === undefined || process.app !== undefined) &&
  (process !== target || process.outputs !== direct)

const note = (
  process: Process,
  noted: Set<string>,
  sent: Sent,
  ref: Ref<unknown>,
  name: string,
): void => {
  const handler = process.current === undefined ? 'init' : describeMessage(process.current)
  const place = `${process.kind} ${handler} ${sent} ${name}`
  if (noted.has(place) || noted.size >= notesMax) return
  noted.add(place)
  const at = linesOf(sent === 'call' ? call : sent === 'cast' ? cast : send)
  process.kernel.logger.warn(
    `${process}: ${sent}(${ref}, '${name}') in its handler of ${handler} has no sender: ` +
      `it is not ordered with the other messages of the process, nor cut off with it. Use ` +
      `context.${sent}, or context.to(ref). ${at[0] ?? ''}`.trimEnd(),
    { code: 'NO_SENDER', at },
  )
}

/** The code that called `top`, innermost first. */
const linesOf = (top: (...given: never[]) => unknown): readonly string[] => {
  const made: { stack?: string } = {}
  Error.captureStackTrace(made, top)
  const frames = (made.stack ?? '').split('\n').slice(1, 6)
  return frames.map((frame) => frame.trim())
}
