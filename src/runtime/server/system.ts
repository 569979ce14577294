/**
 * A System: the world of processes. It owns their numbers and names, the run queue, the timers, the
 * event bus and the log. It shares none of them with another System.
 */

import { argument, noMore, readOptions } from '../../check.ts'
import { type Clock, seededRandom, systemClock } from '../../clock.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { TraceContext } from '../../trace-context.ts'
import { Names } from '../names/names.ts'
import { isPart, partAddress } from '../names/parts.ts'
import { Via, viaAddress } from '../names/via.ts'
import { AbortWaits } from '../process/abort-waits.ts'
import type { Begun } from '../process/behaviour.ts'
import { direct } from '../process/outputs.ts'
import { expectOf, type Kernel, Process, processOf } from '../process/process.ts'
import {
  type ProcessInfo,
  type ProcessSummary,
  processInfo,
  processSummary,
} from '../process/process-info.ts'
import { ProcessList } from '../process/process-list.ts'
import { type Shutdown, shutDown } from '../process/shutdown.ts'
import { AsyncContext, type Carrier } from '../queues/async-context.ts'
import { Ring } from '../queues/ring.ts'
import { RunQueue } from '../queues/run-queue.ts'
import { TimerHeap } from '../queues/timer-heap.ts'
import { Address, addressOf, type Directory, isRef, type Part, type Ref } from '../words/address.ts'
import type { Message } from '../words/envelope.ts'
import { describeReason, type ExitReason } from '../words/exit-reason.ts'
import type { Heard } from '../words/hearing.ts'
import { consoleLogger, guardedLogger, type Logger } from '../words/logger.ts'
import { Monitor } from '../words/monitor.ts'
import { callOutside, type Outside } from '../words/outside-code.ts'
import { announce, createTelemetry, type Telemetry } from '../words/telemetry.ts'
import type { Tracer } from '../words/tracer.ts'
import { BareProcess, type Body } from './bare-process.ts'
import type { ProcessQuery, System } from './gen-server.ts'
import { ServerContext, type Starter, type StartGiven } from './server-context.ts'
import { ServerLoop } from './server-loop.ts'
import { type ServerTable, serverTable } from './server-table.ts'
import {
  expectMailboxMax,
  expectName,
  readQuery,
  readSpawnOptions,
  readStartOptions,
  StartLimit,
} from './start-check.ts'
import { refOf, type SpawnOptions, type StartOptions, type StartResult } from './start-options.ts'

/** The options of a System. */
export interface SystemOptions {
  /** Time and turns; the machine's by default. */
  readonly clock?: Clock
  /**
   * Fixes the order of processes where none is promised: the same seed gives the same order.
   * Without it, processes run first come, first served.
   */
  readonly seed?: number
  /**
   * The logger of crashes and restarts. By default text to `console`, with time and level. If the
   * logger throws, the line goes to `console`.
   */
  readonly logger?: Logger
  /**
   * The most user messages in a mailbox, unless the options of the process say otherwise. 100,000
   * by default.
   */
  readonly mailboxMax?: number
  /**
   * The async context (`AsyncLocalStorage`, tracing) of handlers. `neutral`, the default: that of
   * the code that made the System. `sender`: that of the code that sent the message, armed the
   * timer or started the process.
   */
  readonly asyncContext?: 'neutral' | 'sender'
}

/** The wait in the mailbox is measured of one in so many messages. */
const sampledOne = 64

const mailboxMaxDefault = 100_000
const systemKeys = ['clock', 'seed', 'logger', 'mailboxMax', 'asyncContext']

/** A new System without processes. Throws `INVALID_ARGUMENT` for wrong options. */
export const createSystem = (options: SystemOptions = noOptions, ...surplus: []): System => {
  noMore(surplus, 'createSystem({ clock, logger, … })')
  return new ProcessSystem(options)
}

/**
 * The System of `where`, for functions that need no process. @throws KeelsonError
 * `INVALID_ARGUMENT` for anything but a System or a context
 */
export const kernelOf = (where: System | { readonly self: Ref }): Kernel =>
  where instanceof ProcessSystem ? where : processOf(where as { readonly self: Ref }).kernel

/** The loggers that get every line of the log of `system` too. They must not log themselves. */
export const otherLoggers = (system: System): Set<Logger> => kernelOf(system).otherLoggers

/**
 * Lets `tracer` see the calls and turns of `system`. Returns a function that ends this. Throws
 * `INVALID_ARGUMENT` for anything but a System, and `CONFLICT` if it has a tracer already.
 */
export const traceWith = (system: System, tracer: Tracer): (() => void) => {
  if (!(system instanceof ProcessSystem)) throw invalidArgument('system', 'a System', system)
  if (system.tracer !== undefined) throw new KeelsonError('CONFLICT', 'the System has a tracer')
  system.tracer = tracer
  return () => {
    if (system.tracer === tracer) system.tracer = undefined
  }
}

/** The tracer of a System; `undefined`: it has none. */
export const tracerOf = (system: System): Tracer | undefined =>
  system instanceof ProcessSystem ? system.tracer : undefined

/** Where the current code is in a trace; `undefined`: nowhere, or the System has no tracer. */
export const placeIn = (system: System): TraceContext | undefined => tracerOf(system)?.place()

type AnyName = string | Via | Part
type AnyRef = Ref<unknown> | AnyName

/** So many walks through all processes at one time find their place at once. */
const pageEndsMax = 8

/** The implementation of `System`. */
export class ProcessSystem implements Kernel, Starter {
  readonly clock: Clock
  readonly events: Telemetry
  readonly heard: Heard
  #tracer: Tracer | undefined = undefined
  readonly logger: Logger
  readonly otherLoggers = new Set<Logger>()
  attends = false
  watchesCalls = false
  watchesTurns = false
  readonly runQueue: RunQueue
  readonly timers: TimerHeap
  readonly aborts = new AbortWaits()
  readonly names: Names<Process>
  readonly plainSends = process.env.NODE_ENV === 'production' ? undefined : new Set<string>()
  /** The monitor that watches this System. */
  monitoredBy: object | undefined = undefined
  readonly #mailboxMax: number
  readonly #passesContext: boolean
  /** Messages carry their async context, or their place in a trace. */
  #carries = false
  readonly #processes = new ProcessList<Process>()
  /** The last processes of full pages, the latest first, so that the next pages find their place. */
  #pageEnds: readonly Process[] = []
  readonly #tables = new WeakMap<object, ServerTable>()
  readonly #ended = new Ring<Process>()
  #notifying = false
  #isStopped = false
  #lastPid = 0
  #sampled = 0

  constructor(given: SystemOptions) {
    const options = readOptions(given, systemKeys, argument('', 'a System'))
    this.clock = options.clock ?? systemClock()
    const toConsole = consoleLogger(this.clock)
    const outside: Outside = (work) => this.runQueue.outside(work)
    const own = options.logger ?? toConsole
    const traceId = (): string | undefined => this.tracer?.traceId()
    this.logger = guardedLogger(own, toConsole, outside, this.otherLoggers, traceId)
    const bus = createTelemetry(this.logger, outside)
    this.events = bus
    this.heard = bus.heard
    this.#mailboxMax = options.mailboxMax ?? mailboxMaxDefault
    expectMailboxMax(this.#mailboxMax)
    const random = options.seed === undefined ? undefined : seededRandom(options.seed)
    this.#passesContext = passesContext(options.asyncContext)
    for (const hearing of Object.values(this.heard)) hearing.whenHeard = () => this.#changes()
    this.#changes()
    this.runQueue = new RunQueue(this.clock, this.#threw('a turn'), random)
    this.timers = new TimerHeap(this.clock, this.#threw('a timer'))
    this.names = new Names(this)
  }

  // For every caller.

  start(...given: StartGiven): Promise<Ref<never, never>> {
    return this.startResult(...given).then(refOf)
  }

  startResult(...given: StartGiven): Promise<StartResult<never, never>> {
    return this.startFrom(undefined, false, ...given)
  }

  spawn(body: Body, options?: SpawnOptions): Ref<never, never> {
    return this.spawnFrom(undefined, false, body, options)
  }

  to(name: AnyName): Ref<never, never> {
    if (name instanceof Via) return viaAddress(this.names, name)
    if (isPart(name)) return partAddress(this.names.parts, name)
    expectName(name)
    return new Address<Process>(this.names, undefined, name, undefined)
  }

  whereis(name: AnyName): Ref<never, never> | undefined {
    if (typeof name === 'string') return this.names.addressOf(name)
    return this.#resolve(name)?.address
  }

  /** The processes themselves. */
  liveProcesses(): readonly Process[] {
    return this.#processes.all()
  }

  processes(): ProcessInfo[] {
    return this.#processes.all().map(processInfo)
  }

  inspectProcesses(query: ProcessQuery = noOptions): ProcessSummary[] {
    const { after, limit } = readQuery(query)
    const page: ProcessSummary[] = []
    // Processes are in the order of their pids. The next page goes on from the last one.
    const last = this.#pageEnds.find(({ alive, pid }) => alive && pid === after)
    let process = last ? last.after : this.#firstAfter(after)
    for (; process !== undefined; process = process.after) {
      page.push(processSummary(process))
      if (page.length < limit) continue
      const others = this.#pageEnds.filter((end) => end.alive && end !== process)
      this.#pageEnds = [process, ...others.slice(0, pageEndsMax - 1)]
      break
    }
    return page
  }

  /** The first process with a higher pid, sought from the nearer end of all. */
  #firstAfter(pid: number): Process | undefined {
    const { first, last } = this.#processes
    if (first === undefined || last === undefined || last.pid <= pid) return undefined
    let process = first
    if (pid - first.pid < last.pid - pid) {
      while (process.pid <= pid && process.after !== undefined) process = process.after
      return process
    }
    process = last
    while (process.before !== undefined && process.before.pid > pid) process = process.before
    return process
  }

  info(target: AnyRef): ProcessInfo | undefined {
    const process = this.#resolve(target)
    return process?.alive ? processInfo(process) : undefined
  }

  kill(target: AnyRef): void {
    this.exit(target, 'kill')
  }

  exit(target: AnyRef, reason: ExitReason): void {
    this.#resolve(target)?.signal(undefined, reason, false)
  }

  monitor(target: AnyRef, onDown: (reason: ExitReason) => void): () => void {
    const process = this.#resolve(target)
    const subject = target instanceof Via ? String(target) : isPart(target) ? target.id : target
    const monitor = new Monitor<Process>(undefined, subject, this.#guarded(onDown))
    if (process === undefined) monitor.fire(absenceOf(target))
    else process.watchBy(monitor)
    return () => void monitor.target?.unwatch(monitor)
  }

  async stop(reason: ExitReason = 'shutdown'): Promise<void> {
    this.#isStopped = true
    const roots = this.#processes.all().filter((process) => !process.starter?.alive)
    // Only children of a supervisor depend on each other, and it orders their ends. Roots do not.
    await Promise.all(
      roots.reverse().map((root) => shutDown(undefined, root, patienceOf(root), reason)),
    )
    for (const left of this.#processes.all()) left.signal(undefined, 'kill', false)
  }

  // For the processes.

  /** Set by `traceWith`. */
  get tracer(): Tracer | undefined {
    return this.#tracer
  }

  set tracer(tracer: Tracer | undefined) {
    this.#tracer = tracer
    this.#changes()
  }

  /** A tracer, or the first listener to calls or turns, has come or left. */
  #changes(): void {
    const isTraced = this.#tracer !== undefined
    this.#carries = this.#passesContext || isTraced
    this.watchesCalls = isTraced || this.heard['call.done'].isOn
    this.watchesTurns = isTraced || this.heard['turn.done'].isOn
    this.attends = this.#passesContext || this.watchesTurns
  }

  attend(message: Message, isDurable: boolean | undefined): void {
    this.carry(message)
    if (!isDurable || !this.heard['turn.done'].isOn) return
    if (this.#sampled++ % sampledOne === 0) message.arrivedAt = this.clock.monotonic()
  }

  carry<C extends Carrier>(carrier: C): C {
    if (this.#carries) carrier.context ??= this.#context()
    return carrier
  }

  #context(): Carrier['context'] {
    const scope = this.#tracer?.caused()
    if (!this.#passesContext) return scope
    const own = new AsyncContext()
    return scope ? { run: (work) => own.run(() => scope.run(work)) } : own
  }

  startFrom(
    starter: Process | undefined,
    linked: boolean,
    ...[server, arg, given]: StartGiven
  ): Promise<StartResult<never, never>> {
    if (starter !== undefined && !starter.alive) return Promise.resolve(noStarter)
    if (starter === undefined && this.#isStopped) return Promise.reject(stopped())
    let options: StartOptions<unknown>
    let table: ServerTable
    try {
      options = readStartOptions(given)
      const holder = this.names.taken(options.name)
      if (holder !== undefined) return Promise.resolve(alreadyStarted(holder))
      table = this.#tableOf(server)
    } catch (error) {
      return Promise.reject(error)
    }
    const process = this.#create(starter, linked, options, table.kind)
    return new Promise((resolve) => {
      const limit = StartLimit.of(process, options.timeoutMs)
      if (linked) starter?.starting.add(process)
      this.#begin(process, table, arg, (begun) => {
        limit?.lift()
        if (linked) starter?.starting.delete(process)
        resolve(
          limit?.isOver ? { ok: false, reason: 'timeout' } : this.#startResult(process, begun),
        )
      })
    })
  }

  spawnFrom(
    starter: Process | undefined,
    linked: boolean,
    body: Body,
    given: SpawnOptions | undefined,
  ): Ref<never, never> {
    const options = readSpawnOptions(given)
    if (starter === undefined && this.#isStopped) throw stopped()
    if (this.names.taken(options.name) !== undefined) {
      const name = String(options.name)
      throw new KeelsonError('CONFLICT', `${name} is taken`, { details: { name } })
    }
    const process = this.#create(starter, linked, options, 'process')
    process.behaviour = new BareProcess(process, body, this, () => this.#announceStarted(process))
    if (starter === undefined) process.start()
    else if (starter.alive) starter.outputs.begin(process, false)
    else process.end('noproc')
    return process.address
  }

  /**
   * Ends that cause other ends are announced one after another, not recursively: a chain of links
   * may have any length.
   */
  ended(process: Process): void {
    this.#processes.remove(process)
    if (process.outputs === direct) this.#notifyEnd(process)
    else process.outputs.ended(() => this.#notifyEnd(process))
  }

  #notifyEnd(process: Process): void {
    this.#ended.push(process)
    if (this.#notifying) return
    this.#notifying = true
    try {
      for (let next = this.#ended.shift(); next !== undefined; next = this.#ended.shift()) {
        announceEnd(this, next)
        next.notifyEnd()
      }
    } finally {
      this.#notifying = false
    }
  }

  #create(
    starter: Process | undefined,
    linked: boolean,
    options: StartOptions<unknown>,
    kind: string,
  ): Process {
    const process = new Process(++this.#lastPid, this, {
      kind: options.kind ?? kind,
      label: options.label,
      mailboxMax: options.mailboxMax ?? this.#mailboxMax,
      handlerTimeoutMs: options.handlerTimeoutMs,
      app: 'app' in options ? options.app : starter?.app,
      instance: options.instance ?? starter?.instance,
      startGate: options.startGate ?? starter?.startGate,
      starter,
      linked,
    })
    this.#processes.add(process)
    // Noted here: a durable process lets its children begin later, in a context that is not its own.
    this.carry(process)
    if (options.name !== undefined) this.names.register(options.name, process)
    if (linked && starter !== undefined) this.names.parts.made(starter, process)
    return process
  }

  #begin(
    process: Process,
    table: ServerTable,
    arg: unknown,
    onBegun: (begun: Begun) => void,
  ): void {
    const { Context = ServerContext } = table
    const context = new Context(process, this, onBegun)
    process.behaviour = new ServerLoop(process, table, arg, context)
    if (process.starter === undefined) process.start()
    else process.starter.outputs.begin(process, true)
  }

  #startResult(process: Process, begun: Begun): StartResult<never, never> {
    if (!('ok' in begun) || !begun.ok) return begun
    this.#announceStarted(process)
    return { ok: true, ref: process.address }
  }

  #announceStarted(process: Process): void {
    const parent = process.starter?.pid
    announce(this, 'process.started', () => ({ ...process.facts(), parent }))
  }

  #tableOf(server: object): ServerTable {
    const known = this.#tables.get(server)
    if (known !== undefined) return known
    const table = serverTable(server)
    this.#tables.set(server, table)
    return table
  }

  #resolve(target: AnyRef): Process | undefined {
    if (typeof target === 'string' || target instanceof Via || isPart(target))
      return this.names.find(target)
    const process = addressOf<Process>(target).resolve()
    if (process !== undefined) expectOf(this, process)
    return process
  }

  /** A failure that is not the fault of one process ends none. */
  #threw(what: string): (reason: unknown) => void {
    return (reason) => this.logger.error(`${what} threw: ${describeReason(reason)}`, { reason })
  }

  /** Code from outside must not disturb the end of a process. */
  #guarded(onDown: (reason: ExitReason) => void): (reason: ExitReason) => void {
    return (ended) =>
      callOutside(
        () => this.runQueue.outside(() => onDown(ended)),
        (reason) => this.logger.error('a monitor callback threw', { reason }),
      )
  }
}

const passesContext = (asyncContext: unknown = 'neutral'): boolean => {
  if (asyncContext === 'neutral' || asyncContext === 'sender') return asyncContext === 'sender'
  throw invalidArgument('asyncContext', "'neutral' or 'sender'", asyncContext)
}

/** Who hears the events of hot code of `system`. */
export const heardIn = (system: System): Heard => kernelOf(system).heard

/** A ref of a name, looked up in its own directory. `make` is given the names of the System. */
export const refOfName = <M>(
  system: System,
  name: string,
  make: (names: Directory<Process>) => Directory<Process>,
): Ref<M> => {
  const { names } = system as ProcessSystem
  return new Address<Process>(make(names), undefined, name, undefined)
}

const absenceOf = (target: AnyRef): string =>
  (isRef(target) && addressOf(target).directory.absence) || 'noproc'

const patienceOf = (root: Process): Shutdown | undefined =>
  root.kind.endsWith('supervisor') ? 'infinity' : undefined

const stopped = (): KeelsonError => new KeelsonError('CLOSED', 'the System was stopped')

const noStarter: StartResult<never, never> = { ok: false, reason: 'noproc' }

const alreadyStarted = (holder: Process): StartResult<never, never> => ({
  ok: false,
  reason: ['already_started', holder.address],
})

const announceEnd = (system: ProcessSystem, process: Process): void =>
  announce(system, 'process.exited', () => ({ ...process.facts(), reason: process.reason }))
