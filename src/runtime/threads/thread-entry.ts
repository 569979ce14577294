/**
 * The thread of a thread server: a System in which the server runs as the child of one bare process
 * that stands for the process outside. Node loads this file as the thread.
 */

import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { call, cast, send } from '../process/messaging.ts'
import type { Process } from '../process/process.ts'
import type { BareContext, GenServer } from '../server/gen-server.ts'
import { ServerContext } from '../server/server-context.ts'
import { statistics, stop } from '../server/sys.ts'
import { ProcessSystem } from '../server/system.ts'
import { addressOf, type Ref } from '../words/address.ts'
import type { Logger } from '../words/logger.ts'
import { reasonFromWire } from '../words/wire-reason.ts'
import { hostPort, type Transferable } from './thread-door.ts'
import {
  crashToWire,
  type FromThread,
  notCloneable,
  type ServerMessage,
  type ThreadStart,
  type ToProcess,
  type ToThread,
  toWire,
} from './thread-messages.ts'

type AnyMessages = {
  calls: Record<string, (payload: unknown) => unknown>
  casts: Record<string, (payload: unknown) => void>
  infos: Record<string, (payload: unknown) => void>
}
type AnyServer = GenServer<AnyMessages, unknown, unknown, unknown>
type Transfer = (name: string, reply: unknown) => Transferable[]

const port = hostPort()
const marked = (keelson: ToProcess): FromThread => ({ keelson })
const post = (message: ToProcess, moved: readonly Transferable[] = []): void =>
  port.postMessage(marked(message), moved)

const log =
  (level: keyof Logger) =>
  (line: string, { pid, reason, report }: Readonly<Record<string, unknown>> = noOptions): void => {
    const crash = report === undefined ? undefined : { pid, report: String(report) }
    post({ kind: 'log', level, line, reason: toWire(reason), crash })
  }

const logger: Logger = { error: log('error'), warn: log('warn'), info: log('info') }
const system = new ProcessSystem({ logger })

const patiently = { timeoutMs: Number.POSITIVE_INFINITY }

/** Relays messages to the server, and notifies the host when the server has taken them. */
class Relay {
  readonly #server: Ref<AnyMessages>
  readonly #transfer: Transfer
  #unreported = 0
  #isReporting = false

  constructor(server: Ref<AnyMessages>, transfer: Transfer) {
    this.#server = server
    this.#transfer = transfer
  }

  take({ kind, name, payload, id }: ServerMessage & { readonly id: number }): void {
    if (kind === 'call') this.#call(id, name, payload)
    else if (kind === 'cast') cast(this.#server, name, payload)
    else send(this.#server, name, payload)
    this.#unreported++
    if (!this.#isReporting) void this.#report()
  }

  #call(id: number, name: string, payload: unknown): void {
    const failed = (error: unknown): void => post({ kind: 'failed', id, reason: toWire(error) })
    const replied = (value: unknown): void => {
      try {
        post({ kind: 'reply', id, value }, this.#transfer(name, value))
      } catch (error) {
        failed(notCloneable(`the reply of ${name}`, error))
      }
    }
    call(this.#server, name, payload, patiently).then(replied, failed)
  }

  /** A request of `sys` takes its turn: when it is answered, all before it were taken. */
  async #report(): Promise<void> {
    this.#isReporting = true
    try {
      while (this.#unreported > 0) {
        const count = this.#unreported
        this.#unreported = 0
        await statistics(this.#server, 'get', patiently)
        post({ kind: 'handled', count })
      }
    } catch {
      // The server has ended; the host learns that by `ended`.
    }
    this.#isReporting = false
  }
}

/** Counts each message in memory that the host sees while a handler keeps this thread. */
const countBegun = (begun: Int32Array): void => {
  system.runQueue.watch = (next) => {
    Atomics.add(begun, 0, 1)
    return next.run(1)
  }
}

/** The context of the server. The process outside traps exits when the server does. */
class ThreadContext extends ServerContext {
  override trapExit(on: boolean): void {
    super.trapExit(on)
    post({ kind: 'traps', on: Boolean(on) })
  }
}

/** The server with that context. It is no copy: its handlers may be those of a class. */
const inThread = (server: AnyServer): AnyServer =>
  Object.create(Object(server), { Context: { value: ThreadContext } })

/** The process that stands for the one outside: the parent of the server. */
const parent =
  (module: string, arg: unknown, options: ThreadStart) =>
  async (context: BareContext): Promise<void> => {
    context.trapExit(true)
    const { default: server, transfer }: { default?: AnyServer; transfer?: Transfer } =
      await import(module)
    if (server === undefined) throw invalidArgument(module, 'a default export', server)
    const { begun, ...limits } = options
    if (begun !== undefined) countBegun(begun)
    const result = await context.startLinkResult(inThread(server), arg, {
      ...limits,
      mailboxMax: Number.POSITIVE_INFINITY,
    })
    if (result.ignore) post({ kind: 'ignored' })
    else if (!result.ok) post({ kind: 'refused', reason: toWire(result.reason) })
    else {
      const ref = result.ref as Ref<AnyMessages>
      await accompany(context, ref, transfer ?? (() => []), server.formatStatus !== undefined)
    }
  }

/** Until the server ends. */
const accompany = async (
  context: BareContext,
  server: Ref<AnyMessages>,
  transfer: Transfer,
  formats: boolean,
): Promise<void> => {
  const { pid } = server
  const { process } = addressOf<Process>(server)
  let crash: ReturnType<typeof crashToWire> | undefined
  system.events.on('process.crashed', (facts) => {
    if (facts.pid === pid) crash = crashToWire(facts)
  })
  const relay = new Relay(server, transfer)
  port.on('message', (message: ToThread) => {
    if (message.kind === 'ping') post({ kind: 'pong' })
    // A `kill` came by a link, because one sent by hand ends the process outside.
    else if (message.kind === 'signal')
      process?.signal(undefined, reasonFromWire(message.reason), true)
    // The exit message of the server reports its end, whatever its reason.
    else if (message.kind === 'end')
      stop(server, reasonFromWire(message.reason)).catch(() => undefined)
    else if (message.kind !== 'start') relay.take(message)
  })
  post({ kind: 'started', pid, formats })
  for (;;) {
    const message = await context.receive()
    if (message?.kind !== 'exit' || message.from?.pid !== pid) continue
    post({ kind: 'ended', reason: toWire(message.reason), crash })
    return
  }
}

port.once('message', (message: ToThread) => {
  if (message.kind !== 'start') return
  const { module, arg, options } = message
  const starting = async (context: BareContext): Promise<void> => {
    try {
      await parent(module, arg, options)(context)
    } catch (error) {
      post({ kind: 'refused', reason: toWire(error) })
    }
  }
  system.spawn(starting, { label: 'the host of the thread' })
})
