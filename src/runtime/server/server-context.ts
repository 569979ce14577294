/**
 * The context of a server, for its handlers. One for each process. It has no effect after the end
 * of the process.
 */
import { argument, readOptions } from '../../check.ts'
import { KeelsonError } from '../../errors.ts'
import { isPart, partAddress } from '../names/parts.ts'
import { Via, viaAddress } from '../names/via.ts'
import { guardedAbort } from '../process/abort-waits.ts'
import type { Begun } from '../process/behaviour.ts'
import type { CallOptions } from '../process/call-options.ts'
import { guarded, refused } from '../process/guarded.ts'
import { cast, request } from '../process/messaging.ts'
import { expectOf, hasEnded, type Process } from '../process/process.ts'
import { expectDelay } from '../queues/timer-heap.ts'
import { Address, addressOf, noProcess, type Part, type Ref } from '../words/address.ts'
import { Envelope, type Kind, kinds, type Message, noName } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import { type Destination, MessageTimer, type Timer } from '../words/message-timer.ts'
import { isDown, Monitor } from '../words/monitor.ts'
import type { From, System } from './gen-server.ts'
import { expectName } from './start-check.ts'
import { refOf, type SpawnOptions, type StartOptions, type StartResult } from './start-options.ts'

type AnyRef = Ref<unknown> | string | Via | Part
type AnyCast = { casts: Record<string, (payload: unknown) => void> }

const demonitorKeys = ['flush']

/** The arguments of a start, without their types. */
export type StartGiven = [server: object, arg?: unknown, options?: StartOptions<unknown>]

/** Starts servers. The System implements it. */
export interface Starter {
  startFrom(
    starter: Process | undefined,
    linked: boolean,
    ...given: StartGiven
  ): Promise<StartResult<never, never>>
  spawnFrom(
    starter: Process | undefined,
    linked: boolean,
    body: (context: never) => unknown,
    options: SpawnOptions<unknown> | undefined,
  ): Ref<never, never>
}

/** The implementation of `Context` and `CallContext`. */
export class ServerContext {
  /** The current call, or the last one. */
  from: From | undefined = undefined
  readonly #process: Process
  readonly #system: System & Starter
  #abort: AbortController | undefined = undefined
  /** Called with the result of the start, once. */
  #onBegun: ((begun: Begun) => void) | undefined

  constructor(process: Process, system: System & Starter, onBegun?: (begun: Begun) => void) {
    this.#process = process
    this.#system = system
    this.#onBegun = onBegun
  }

  get self(): Ref {
    return this.#process.address
  }

  get name(): string | undefined {
    return this.#process.name
  }

  get parent(): Ref | undefined {
    return this.#process.starter?.address
  }

  get system(): System {
    return this.#system
  }

  get app(): unknown {
    return this.#process.app
  }

  get signal(): AbortSignal {
    this.#abort ??= this.aborting()
    if (!this.#process.alive) this.ended()
    return this.#abort.signal
  }

  aborting(): AbortController {
    const { kernel, title } = this.#process
    return guardedAbort(kernel.logger, title)
  }

  /** Reports the result of the start. False: its starter does not wait for it. */
  begun(begun: Begun): boolean {
    const onBegun = this.#onBegun
    this.#onBegun = undefined
    onBegun?.(begun)
    return onBegun !== undefined
  }

  /** The process has ended: `signal` aborts. Its listeners belong to no process. */
  ended(): void {
    const abort = this.#abort
    if (abort === undefined) return
    const process = this.#process
    process.kernel.runQueue.outside(() => abort.abort(hasEnded(process)))
  }

  to(target: AnyRef): Address<Process> {
    const { directory, process, name } = this.#addressOf(target)
    return new Address<Process>(directory, process, name, this.#process)
  }

  start(...given: StartGiven): Promise<Ref<never, never>> {
    return guarded(this.startResult(...given).then(refOf))
  }

  startLink(...given: StartGiven): Promise<Ref<never, never>> {
    return guarded(this.startLinkResult(...given).then(refOf))
  }

  startResult(...given: StartGiven): Promise<StartResult<never, never>> {
    return guarded(this.#system.startFrom(this.#process, false, ...given))
  }

  startLinkResult(...given: StartGiven): Promise<StartResult<never, never>> {
    return guarded(this.#system.startFrom(this.#process, true, ...given))
  }

  spawn(body: (context: never) => unknown, options?: SpawnOptions): Ref<never, never> {
    return this.#system.spawnFrom(this.#process, false, body, options)
  }

  spawnLink(body: (context: never) => unknown, options?: SpawnOptions): Ref<never, never> {
    return this.#system.spawnFrom(this.#process, true, body, options)
  }

  link(target: AnyRef): void {
    if (!this.#process.alive) return
    const address = this.#addressOf(target)
    const other = this.#own(address.resolve())
    if (other?.alive) this.#process.link(other)
    else if (other !== undefined && this.#process.trapping) {
      const message = { from: other.address, reason: 'noproc' }
      this.#process.deliver(new Envelope(kinds.exit, '', message))
    } else throw notThere(address)
  }

  unlink(target: AnyRef): void {
    const other = this.#own(this.#addressOf(target).resolve())
    if (other !== undefined) this.#process.unlink(other)
  }

  monitor(target: AnyRef): Monitor {
    const address = this.#addressOf(target)
    const process = this.#own(address.resolve())
    // A monitor keeps a name of the System. Any other name means its present holder (OTP).
    const isName = address.directory === this.#process.kernel.names && address.name !== undefined
    const subject = (isName ? address.name : process?.address) ?? String(address)
    const monitor = new Monitor<Process>(this.#process, subject)
    if (!this.#process.alive) return monitor
    if (process === undefined) monitor.fire(address.directory.absence ?? 'noproc')
    // A process cannot watch itself: such a monitor never fires (OTP).
    else if (process !== this.#process) process.watchBy(monitor)
    return monitor
  }

  demonitor(monitor: Monitor, options?: { readonly flush?: boolean }): boolean {
    const { flush } =
      options === undefined ? {} : readOptions(options, demonitorKeys, argument('', 'demonitor'))
    if (!this.#owns(monitor)) throw notItsMonitor(this.#process)
    const found = monitor.target?.unwatch(monitor) ?? false
    const isOf = (message: Message): boolean =>
      isDown(message) && message.payload.monitor === monitor
    // A monitor that had not fired has sent no message: the mailbox need not be searched.
    if (flush && !found) this.#process.mailbox.remove(isOf)
    return found
  }

  #owns(monitor: unknown): monitor is Monitor<Process> {
    return monitor instanceof Monitor && monitor.owner === this.#process
  }

  trapExit(on: boolean): void {
    this.#process.trapping = on
  }

  exit(target: AnyRef, reason: ExitReason): void {
    if (!this.#process.alive) return
    const other = this.#own(this.#addressOf(target).resolve())
    if (other === undefined || this.#failsStart(other, reason)) return
    this.#process.outputs.exit(other, this.#process, reason)
  }

  /**
   * A process that traps exits and waits for the start of a linked server takes any exit signal
   * from it as the result of that start, even one sent by hand (OTP's `proc_lib`). The server
   * itself continues.
   */
  #failsStart(other: Process, reason: ExitReason): boolean {
    const { parent, behaviour } = this.#process
    if (other !== parent || other === this.#process || !other.trapping) return false
    if (reason === 'kill' || behaviour.status() !== 'starting') return false
    return this.begun({ ok: false, reason })
  }

  register(name: string): void {
    expectName(name)
    if (!this.#process.alive) return
    if (
      this.#process.name !== undefined ||
      !this.#process.kernel.names.register(name, this.#process)
    ) {
      throw new KeelsonError('CONFLICT', `${this.#process} cannot register ${name}`, {
        details: { name },
      })
    }
  }

  unregister(name: string): void {
    if (!this.#process.alive) return
    const address = this.#addressOf(name)
    if (address.resolve() === undefined) throw notThere(address)
    this.#process.kernel.names.unregister(name)
  }

  send(target: AnyRef, name: string, payload?: unknown): boolean {
    if (typeof name !== 'string') throw noName(name)
    if (!this.#process.alive) return false
    const address = this.#addressOf(target)
    const process = address.resolve() ?? address.directory.wake?.(address.name, address.sender)
    if (process === undefined) throw notThere(address)
    const message = process.kernel.carry(new Envelope(kinds.info, name, payload))
    return process.alive && this.#process.outputs.send(process, message, address)
  }

  call(target: AnyRef, name: string, payload?: unknown, options?: CallOptions): Promise<unknown> {
    let bound: Ref
    try {
      bound = this.to(target)
    } catch (error) {
      return refused(error)
    }
    return request(bound, kinds.call, name, payload, options)
  }

  cast(target: AnyRef, name: string, payload?: unknown): boolean {
    return cast<AnyCast, string>(this.to(target), name, payload)
  }

  sendAfter(ms: number, name: string, payload?: unknown, target?: AnyRef): Timer {
    return this.#after(ms, kinds.info, name, payload, target)
  }

  castAfter(ms: number, name: string, payload?: unknown, target?: AnyRef): Timer {
    return this.#after(ms, kinds.cast, name, payload, target)
  }

  startTimer(ms: number, name: string, payload?: unknown, target?: AnyRef): Timer {
    return this.#timer(ms, target, (destination) => {
      const fired: { timer: Timer | undefined; payload: unknown } = { timer: undefined, payload }
      const timer = this.#message(destination, kinds.info, name, fired)
      fired.timer = timer
      return timer
    })
  }

  cancelTimer(timer: Timer): number | false {
    return timer instanceof MessageTimer ? timer.cancel() : false
  }

  readTimer(timer: Timer): number | false {
    return timer.read()
  }

  pipe(promise: Promise<unknown>, name: string): void {
    if (typeof name !== 'string') throw noName(name)
    const settle = (outcome: unknown): void => {
      if (this.#process.alive) this.#process.deliver(new Envelope(kinds.info, name, outcome))
    }
    // A thenable may settle twice, or may not be a promise.
    Promise.resolve(promise).then(
      (value) => settle({ ok: true, value }),
      (error: unknown) => settle({ ok: false, error }),
    )
  }

  now(): number {
    return this.#process.kernel.clock.now()
  }

  #after(
    ms: number,
    kind: Kind,
    name: string,
    payload: unknown,
    target: AnyRef | undefined,
  ): MessageTimer {
    return this.#timer(ms, target, (to) => this.#message(to, kind, name, payload))
  }

  #timer(
    ms: number,
    target: AnyRef | undefined,
    make: (destination: Destination) => MessageTimer,
  ): MessageTimer {
    expectDelay('timer', ms)
    const { directory, process, name } = this.#addressOf(target ?? this.#process.address)
    const timer = make(process === undefined ? { name: name ?? '', directory } : { process })
    if (this.#process.alive) this.#process.outputs.startTimer(timer, ms)
    return timer
  }

  #message(destination: Destination, kind: Kind, name: string, payload: unknown): MessageTimer {
    if (typeof name !== 'string') throw noName(name)
    const { kernel } = this.#process
    return kernel.carry(new MessageTimer(kernel.timers, destination, kind, name, payload))
  }

  /** `other`, which must be of the same System. */
  #own(other: Process | undefined): Process | undefined {
    if (other !== undefined) expectOf(this.#process.kernel, other)
    return other
  }

  #addressOf(target: AnyRef): Address<Process> {
    if (target instanceof Address) return target
    const { names } = this.#process.kernel
    if (typeof target === 'string') return new Address<Process>(names, undefined, target, undefined)
    if (target instanceof Via) return viaAddress(names, target)
    return isPart(target) ? partAddress(names.parts, target) : addressOf(target)
  }
}

const notItsMonitor = (process: Process): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${process} does not hold this monitor`)

const notThere = (address: Address<Process>): KeelsonError =>
  address.directory.fault?.(address.name) ?? noProcess(address)
