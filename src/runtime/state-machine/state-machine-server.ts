/**
 * The server of a state machine: a GenServer whose state is the machine's snapshot, so
 * `sys.getState` shows it and `sys.replaceState` changes it.
 */

import type { AnyMachineSnapshot, AnyStateMachine, EventFrom } from 'xstate'
import { noMore } from '../../check.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { StandardSchema } from '../../schema.ts'
import { checkedEvent, eventSchema, showByName } from '../machine/machine-check.ts'
import { expectKnownCopy } from '../machine/machine-copy.ts'
import { planOf } from '../machine/machine-plan.ts'
import type { Waiting } from '../machine/machine-queue.ts'
import type {
  MachineMessages,
  MachineServer,
  Replies,
  StateMachineOptions,
} from '../machine/machine-words.ts'
import { processOf } from '../process/process.ts'
import type { GenServer } from '../server/gen-server.ts'
import { noReply } from '../server/next-step.ts'
import type { Options, Own } from './state-machine-host.ts'
import { MachineProcess } from './state-machine-process.ts'
import { PendingSaves } from './state-machine-saves.ts'

/**
 * The server that runs `machine`, for `worker`, `system.start` and `context.startLink`; its
 * argument is the machine's input. Throws `CONFIG` with `details.path` when an option or an
 * implementation is missing or wrong.
 */
export const server = <
  T extends AnyStateMachine,
  R extends Replies<T> = Record<never, never>,
  E = EventFrom<T>,
>(
  machine: T,
  options: StateMachineOptions<T, R, E> = noOptions,
  ...surplus: []
): MachineServer<T, R, E> => {
  noMore(surplus, 'StateMachine.server(machine, { … })')
  const plan = planOf(machine, options, ['restore', 'save'])
  expectKnownCopy(machine)
  showByName(machine)
  const erased = options as Options
  const saves = new PendingSaves()
  const processes = new WeakMap<object, MachineProcess>()
  const of = (context: object): MachineProcess => {
    const found = processes.get(context)
    if (found === undefined)
      throw new KeelsonError('INVALID_ARGUMENT', 'the machine is not running')
    return found
  }
  const init = (input: unknown, context: Own) => {
    const process = new MachineProcess(plan, erased, saves, context)
    processes.set(context, process)
    return process.begin(input)
  }
  const { terminate } = options
  const found: GenServer<MachineMessages, AnyMachineSnapshot, unknown> & {
    readonly machine: AnyStateMachine
  } = {
    kind: 'machine',
    machine,
    init,
    casts: { event: (snapshot, event, context) => of(context).take(snapshot, unasked(event)) },
    calls: callsOf(of),
    infos: {
      timer: (snapshot, delayed, context) => of(context).timer(snapshot, delayed),
      arrived: (snapshot, arrival, context) => of(context).arrived(snapshot, arrival),
      failed: (_, failure: { readonly error: unknown }) => {
        throw failure.error
      },
    },
    continues: { replay: (snapshot, _, context) => of(context).replay(snapshot) },
    ...eventSchemas(options.events),
    ...hooksOf(options, of),
    ...(terminate && { terminate: terminate as never }),
  }
  return found as unknown as MachineServer<T, R, E>
}

/** The schemas of the messages of a machine whose events have one. */
export const eventSchemas = (given: StandardSchema | undefined): object => {
  if (given === undefined) return {}
  const event = eventSchema(given)
  return { messages: { calls: { event }, casts: { event } } }
}

/** An event without a caller. */
export const unasked = (event: unknown): Waiting => ({
  event: checkedEvent(event),
  from: undefined,
})

type Calls = GenServer<MachineMessages, AnyMachineSnapshot, unknown>['calls']

const callsOf = (of: (context: object) => MachineProcess): Calls => ({
  event: (snapshot, event, context) =>
    of(context).take(snapshot, { event: checkedEvent(event), from: context.from }),
  snapshot: (snapshot, _, context) => {
    const { from } = context
    try {
      from.reply(of(context).saved())
    } catch (error) {
      from.fail(error)
    }
    return noReply(snapshot)
  },
  // The machine answers the calls that still wait when it is done.
  output: (snapshot) => noReply(snapshot),
  waitFor: (snapshot, _, context) => of(context).watch(snapshot, context.from),
  subscribe: (snapshot, _, context) => of(context).watch(snapshot, context.from),
})

const mapped = ['exit', 'down', 'info'] as const

type Hooks = { readonly [K in (typeof mapped)[number] | 'formatStatus']?: unknown }

/** The receiver of events for a machine. */
interface Taker<S> {
  take(state: S, waiting: Waiting): unknown
}

/** The callbacks of a GenServer that turn messages into events, if the options have them. */
export const hooksOf = <S, C extends Own>(
  options: Hooks,
  of: (context: C) => Taker<S>,
): Record<string, unknown> => {
  const hooks: Record<string, unknown> = {}
  for (const name of mapped) {
    const toEvent = options[name]
    if (typeof toEvent !== 'function') continue
    hooks[name] = (state: S, message: unknown, context: C): unknown => {
      const event: unknown = toEvent(message)
      if (event !== undefined) return of(context).take(state, unasked(event))
      const shown = processOf(context).shownPayload(name, message)
      context.system.logger.warn(`${context.name ?? context.self}: unexpected ${name}`, {
        message: shown,
      })
      return noReply(state)
    }
  }
  if (options.formatStatus !== undefined) hooks.formatStatus = options.formatStatus
  return hooks
}
