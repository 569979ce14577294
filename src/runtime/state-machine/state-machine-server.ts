/**
 * The server of a state machine: a GenServer whose state is the machine's snapshot, so
 * `sys.getState` shows it and `sys.replaceState` changes it. Each event is one turn: it is
 * postponed, unknown, or a step. Then its caller is answered.
 */
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import { KeelsonError } from '../../errors.ts'
import type { Process } from '../process/process.ts'
import { processOf } from '../process/process.ts'
import type { CallContext, Context, From, GenServer } from '../server/gen-server.ts'
import { type NoReply, noReply, type Ok, ok, type Stop, stop } from '../server/next-step.ts'
import { Envelope, kinds } from '../words/envelope.ts'
import { isThenable } from '../words/outside-code.ts'
import {
  checkedEvent,
  eventTypes,
  expectRunnable,
  isInternal,
  showByName,
} from './state-machine-check.ts'
import { isSameValue, PostponedEvents, type Waiting } from './state-machine-queue.ts'
import { type Arrival, MachineRun } from './state-machine-run.ts'
import type { Delayed } from './state-machine-timers.ts'
import type {
  MachineMessages,
  MachineServer,
  Replies,
  SavedMachine,
  StateMachineOptions,
} from './state-machine-words.ts'

type Replay = readonly ['replay']
type Going = NoReply<AnyMachineSnapshot, Replay> | Stop<AnyMachineSnapshot>
type Step = Going | Promise<Going>
type Own = Context<MachineMessages>

/** The options without their types, which were checked where the server was made. */
type Options = Pick<StateMachineOptions<AnyStateMachine>, 'unknownEvents' | 'save' | 'trapExit'> & {
  readonly answers?: Readonly<Record<string, (snapshot: unknown, event: unknown) => unknown>>
  readonly emitted?: (event: EventObject, context: Own) => void
  readonly restore?: unknown
}

/** One machine in one process, and the calls that wait for it. */
class MachineProcess {
  readonly #machine: AnyStateMachine
  readonly #options: Options
  readonly #rules: Rules
  readonly #context: Own
  readonly #process: Process
  readonly #run: MachineRun
  readonly #queue: PostponedEvents
  readonly #awaitOutput: From[] = []

  constructor(machine: AnyStateMachine, options: Options, rules: Rules, context: Own) {
    this.#machine = machine
    this.#options = options
    this.#rules = rules
    this.#context = context
    this.#process = processOf(context)
    this.#queue = new PostponedEvents(this.#process)
    this.#run = new MachineRun(machine, {
      context: context as unknown as Context<{ infos: { timer: (delayed: Delayed) => void } }>,
      deliver: (arrival) => this.#deliver('arrived', arrival),
      failed: (error) => this.#deliver('failed', { error }),
      emitted: (event) => options.emitted?.(event, context),
      stepped: (make) => this.#process.behaviour.stepped?.(make),
    })
  }

  begin(input: unknown): Ok<AnyMachineSnapshot, Replay> | Promise<Ok<AnyMachineSnapshot, Replay>> {
    if (this.#options.trapExit) this.#context.trapExit(true)
    const { restore } = this.#options
    const saved: unknown = typeof restore === 'function' ? restore(input, this.#context) : restore
    if (isThenable(saved)) return Promise.resolve(saved).then((found) => this.#begin(input, found))
    return this.#begin(input, saved)
  }

  #begin(input: unknown, saved: unknown): Ok<AnyMachineSnapshot, Replay> {
    if (saved === undefined) return begun(this.#run.begin(input))
    const snapshot = this.#run.continueFrom(saved as SavedMachine)
    this.#queue.restore((saved as SavedMachine).postponed)
    return begun(snapshot)
  }

  /** Takes a user's event: postponed, unknown, or handled. */
  take(snapshot: AnyMachineSnapshot, waiting: Waiting): Step {
    const { event, from } = waiting
    if (from !== undefined && this.#options.answers?.[event.type] === undefined) {
      from.fail(noAnswer(this.#machine, event))
      return noReply(snapshot)
    }
    if (this.#rules.postpones(snapshot, event)) {
      this.#queue.postpone(waiting)
      return this.#goOn(snapshot, snapshot)
    }
    if (!this.#rules.knows(event.type)) return this.#unknown(snapshot, event)
    return this.#step(snapshot, event, from)
  }

  /** Takes an event of the machine or of an actor inside it. */
  arrived(snapshot: AnyMachineSnapshot, arrival: Arrival): Step {
    if (!this.#run.isCurrent(arrival)) return noReply(snapshot)
    return this.#own(snapshot, arrival.event)
  }

  timer(snapshot: AnyMachineSnapshot, delayed: Delayed): Step {
    return this.#run.takesTimer(delayed) ? this.#own(snapshot, delayed.event) : noReply(snapshot)
  }

  /** Takes the next returned event. Without one, a restored or finished machine continues. */
  replay(snapshot: AnyMachineSnapshot): Step {
    const waiting = this.#queue.take()
    if (waiting !== undefined && snapshot.status === 'active') return this.take(snapshot, waiting)
    return this.#goOn(snapshot, snapshot)
  }

  saved(snapshot: AnyMachineSnapshot): SavedMachine {
    return this.#run.saved(snapshot, this.#queue.events)
  }

  awaitOutput(from: From): void {
    this.#awaitOutput.push(from)
  }

  /** XState's own events (`done`, `error`, `after`) cannot be postponed. */
  #own(snapshot: AnyMachineSnapshot, event: EventObject): Step {
    if (isInternal(event)) return this.#step(snapshot, event, undefined)
    return this.take(snapshot, { event, from: undefined })
  }

  #step(before: AnyMachineSnapshot, event: EventObject, from: From | undefined): Step {
    const after = this.#run.step(before, event)
    const saving =
      after === before ? undefined : this.#options.save?.(this.saved(after), this.#context)
    if (!isThenable(saving)) return this.#stepped(before, after, event, from)
    return Promise.resolve(saving).then(() => this.#stepped(before, after, event, from))
  }

  #stepped(
    before: AnyMachineSnapshot,
    after: AnyMachineSnapshot,
    event: EventObject,
    from: From | undefined,
  ): Going {
    from?.reply(this.#options.answers?.[event.type]?.(after, event))
    return this.#goOn(before, after)
  }

  #goOn(before: AnyMachineSnapshot, after: AnyMachineSnapshot): Going {
    if (after.status === 'done') {
      for (const from of this.#awaitOutput) from.reply(after.output)
      return stop('normal', after)
    }
    if (after !== before && !isSameValue(before.value, after.value)) this.#queue.comeBack()
    return this.#queue.isReturning ? noReply(after, { continue: ['replay'] }) : noReply(after)
  }

  #unknown(snapshot: AnyMachineSnapshot, event: EventObject): Going {
    if (this.#options.unknownEvents === 'exit') {
      throw new KeelsonError('INVALID_ARGUMENT', `${this.#machine.id} knows no ${event.type}`, {
        details: { event },
      })
    }
    if (this.#options.unknownEvents !== 'ignore') {
      const { system } = this.#context
      system.logger.warn(`${this.#process}: unknown event ${event.type}`, { event })
    }
    return this.#goOn(snapshot, snapshot)
  }

  #deliver(name: string, payload: unknown): void {
    this.#process.deliver(new Envelope(kinds.info, name, payload))
  }
}

const begun = (snapshot: AnyMachineSnapshot): Ok<AnyMachineSnapshot, Replay> =>
  // A machine that is final at once, or was saved so, still starts; then it ends.
  snapshot.status === 'active' ? ok(snapshot) : ok(snapshot, { continue: ['replay'] })

const noAnswer = (machine: AnyStateMachine, event: EventObject): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${machine.id} has no answer to ${event.type}`, {
    details: { event },
  })

/** The decisions about events before the machine gets them. */
interface Rules {
  knows(type: string): boolean
  postpones(snapshot: AnyMachineSnapshot, event: EventObject): boolean
}

const rulesOf = (
  machine: AnyStateMachine,
  { answers, postpone }: { readonly answers?: object | undefined; readonly postpone?: unknown },
): Rules => {
  const knows = eventTypes(machine, answers)
  if (postpone === undefined) return { knows, postpones: () => false }
  if (typeof postpone === 'function') {
    const decide = postpone as Rules['postpones']
    return { knows, postpones: (snapshot, event) => decide(snapshot, event) }
  }
  const states = Object.entries(postpone as Record<string, readonly string[]>)
  return {
    knows,
    postpones: (snapshot, { type }) =>
      states.some(([state, types]) => types.includes(type) && snapshot.matches(state)),
  }
}

/**
 * The server that runs `machine`, for `worker`, `system.start` and `context.startLink`; its
 * argument is the machine's input. Throws `CONFIG` with `details.path` when an option or an
 * implementation is missing or wrong.
 */
export const server = <T extends AnyStateMachine, R extends Replies<T> = Record<never, never>>(
  machine: T,
  options: StateMachineOptions<T, R> = {},
): MachineServer<T, R> => {
  expectRunnable(machine, options)
  showByName(machine)
  const erased = options as unknown as Options
  const rules = rulesOf(machine, options)
  const processes = new WeakMap<object, MachineProcess>()
  const of = (context: object): MachineProcess => {
    const found = processes.get(context)
    if (found === undefined)
      throw new KeelsonError('INVALID_ARGUMENT', 'the machine is not running')
    return found
  }
  const init = (input: unknown, context: Own) => {
    const process = new MachineProcess(machine, erased, rules, context)
    processes.set(context, process)
    return process.begin(input)
  }
  const found: GenServer<MachineMessages, AnyMachineSnapshot, unknown> = {
    kind: 'machine',
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
    ...hooksOf(options as unknown as Record<string, unknown>, of),
  }
  return found as unknown as MachineServer<T, R>
}

const unasked = (event: unknown): Waiting => ({ event: checkedEvent(event), from: undefined })

type Calls = GenServer<MachineMessages, AnyMachineSnapshot, unknown>['calls']

const callsOf = (of: (context: object) => MachineProcess): Calls => ({
  event: (snapshot, event, context) =>
    of(context).take(snapshot, { event: checkedEvent(event), from: context.from }),
  snapshot: (snapshot, _, context) => {
    const { from } = context as CallContext<unknown, unknown, SavedMachine>
    try {
      from.reply(of(context).saved(snapshot))
    } catch (error) {
      from.fail(error)
    }
    return noReply(snapshot)
  },
  output: (snapshot, _, context) => {
    of(context).awaitOutput(context.from as From)
    return noReply(snapshot)
  },
})

const mapped = ['exit', 'down', 'info'] as const

/** The callbacks of a GenServer that the options need. */
const hooksOf = (
  options: Record<string, unknown>,
  of: (context: object) => MachineProcess,
): Record<string, unknown> => {
  const hooks: Record<string, unknown> = {}
  for (const name of mapped) {
    const toEvent = options[name]
    if (typeof toEvent !== 'function') continue
    hooks[name] = (snapshot: AnyMachineSnapshot, message: unknown, context: Own): Step => {
      const event: unknown = toEvent(message)
      if (event !== undefined) return of(context).take(snapshot, unasked(event))
      context.system.logger.warn(`${context.name ?? context.self}: unexpected ${name}`, { message })
      return noReply(snapshot)
    }
  }
  if (options.terminate !== undefined) hooks.terminate = options.terminate
  if (options.formatStatus !== undefined) hooks.formatStatus = options.formatStatus
  return hooks
}
