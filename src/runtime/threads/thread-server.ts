/**
 * A server that runs in a separate thread, for work that would hold up all other processes. Here it
 * is a process like any other: the same messages, linked and supervised. It traps exits if the
 * server in the thread does. Its end is the thread's end, with the same reason.
 */

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { argument, noMore, readOptions } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { PendingCall } from '../process/pending-call.ts'
import { processOf } from '../process/process.ts'
import { redactedParts } from '../server/format-status.ts'
import type { CallContext, Context, GenServer, UnknownInfo } from '../server/gen-server.ts'
import { noReply } from '../server/next-step.ts'
import type { Messages } from '../words/address.ts'
import type { ExitMessage } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { StatusParts } from '../words/telemetry.ts'
import { ThreadLink, type ThreadPlan, type ThreadServerOptions } from './thread-link.ts'
import type { ServerMessage } from './thread-messages.ts'

const threadKeys = ['inFlightMax', 'transfer', 'resourceLimits']
const inFlightMaxDefault = 64

/**
 * The server that `module` exports as default, run in a thread with its own System. `module` is a
 * URL or a path, which is resolved against the working directory. Give the result to
 * `system.start`, `context.startLink` or `worker`.
 *
 * Payloads, replies and the argument of `init` cross by structured clone. A payload or reply that
 * cannot be cloned rejects its call with `INVALID_ARGUMENT`; a cast or info is logged and dropped.
 * Throws `INVALID_ARGUMENT` for wrong options.
 */
export const threadServer = <M extends Messages, Arg = undefined>(
  module: URL | string,
  given: ThreadServerOptions = noOptions,
  ...surplus: []
): GenServer<M, unknown, Arg> => {
  noMore(surplus, 'threadServer(module, { … })')
  const options = readOptions(given, threadKeys, argument('', 'a thread server'))
  const { inFlightMax = inFlightMaxDefault, transfer = () => [], resourceLimits } = options
  if (!Number.isSafeInteger(inFlightMax) || inFlightMax < 1)
    throw invalidArgument('inFlightMax', 'a whole number from 1', inFlightMax)
  if (typeof transfer !== 'function') throw invalidArgument('transfer', 'a function', transfer)
  const plan: ThreadPlan = { module: urlOf(module), inFlightMax, transfer }
  const server = {
    kind: 'thread',
    init: async (arg: unknown, context: Context) => {
      const { signal } = context
      const { startThread } = await import('./thread-door.ts')
      if (signal.aborted) return undefined
      const process = processOf(context)
      const link = new ThreadLink(process, startThread(String(process), resourceLimits), plan)
      signal.addEventListener('abort', () => void link.terminate(), { once: true })
      return link.start(arg)
    },
    ...handlers,
  }
  return server as unknown as GenServer<M, unknown, Arg>
}

/** Every message goes to the thread, whatever its name. */
const handlers = {
  call: (link: ThreadLink, payload: unknown, context: CallContext) =>
    next(link, { kind: 'call', ...currentOf(context), payload }, context.from as PendingCall),
  cast: (link: ThreadLink, payload: unknown, context: Context) =>
    next(link, { kind: 'cast', ...currentOf(context), payload }),
  info: (link: ThreadLink, { name, payload }: UnknownInfo) =>
    next(link, { kind: 'info', name, payload }),
  exit: (link: ThreadLink, { reason }: ExitMessage) => {
    link.signal(reason)
    return noReply(link)
  },
  terminate: (link: ThreadLink, reason: ExitReason) => link.end(reason),
  formatStatus: (status: StatusParts<ThreadLink | undefined>): StatusParts =>
    status.state?.shown(status) ?? redactedParts(status),
}

/** While there is no room in the thread, the process takes no further message. */
const next = (link: ThreadLink, message: ServerMessage, from?: PendingCall) => {
  const room = link.send(message, from)
  return room === undefined ? noReply(link) : room.then(() => noReply(link))
}

const currentOf = (context: Context): { readonly name: string } => ({
  name: processOf(context).current?.name ?? '',
})

const urlOf = (module: URL | string): string => {
  if (module instanceof URL) return module.href
  if (typeof module !== 'string' || module === '')
    throw invalidArgument('module', 'a URL or a path', module)
  return module.startsWith('file:') ? module : pathToFileURL(resolve(module)).href
}
