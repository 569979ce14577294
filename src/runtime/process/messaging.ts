/**
 * Sending: `call`, `cast` and `send`. The target admits or refuses a message at once. Admitted
 * messages are handled in the order of their arrival.
 */

import type { Clock } from '../../clock.ts'
import { failedAs, isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { isDelay, noDelay } from '../queues/timer-heap.ts'
import { addressOf, isRef, noRef, type Ref } from '../words/address.ts'
import { Envelope, type Kind, kinds, type Message, noName } from '../words/envelope.ts'
import { endOf, reasonDetails } from '../words/exit-reason.ts'
import type { CallsOf, CastsOf, InfosOf, ReplyOf, With } from '../words/messages.ts'
import { announce } from '../words/telemetry.ts'
import {
  type CallOptions,
  type CallOrigin,
  isId,
  type PositionOption,
  readCallOptions,
} from './call-options.ts'
import { guarded } from './guarded.ts'
import { isCall, PendingCall } from './pending-call.ts'
import type { Process } from './process.ts'

/**
 * The answer of a durable actor, and the position that it depends on: that of its turn, or, if that
 * changed nothing, of the last one that did. A later one is given where that is not known: after a
 * wake, and for a repeat of a call with an id. Everything up to it is durable.
 */
export type Positioned<R> = {
  readonly value: R
  readonly position: { readonly shard: number; readonly lsn: number }
}

/** The answer of a call with `position: P`. */
export type Answered<R, P extends boolean> = boolean extends P
  ? R
  : P extends true
    ? Positioned<R>
    : R

const timeoutMsDefault = 5_000

/** A cast waits so long for a holder of its name, in ms. Nobody waits for it. */
const castWaitMs = 30_000

/**
 * Calls a process and waits for its answer. Rejects with `NO_PROCESS` (no such process;
 * `waitForName` waits for a name), `EXITED` (it ended first; `details.reason`), `TIMEOUT` (the
 * message may still be handled), `MAILBOX_FULL`, `INVALID_ARGUMENT` (a wrong timeout or option), or
 * the error of the handler.
 */
export const call = <M, N extends keyof CallsOf<M> & string, P extends boolean = false>(
  ref: Ref<M>,
  name: N,
  ...[payload, options]: With<CallsOf<M>[N], [options?: CallOptions & PositionOption<P>]>
): Promise<Answered<ReplyOf<CallsOf<M>[N]>, P>> =>
  request(ref, kinds.call, name, payload, options as CallOptions | undefined)

/**
 * Sends a cast. False: the mailbox is full, or there is no such process. It waits where a call waits
 * without asking for it: for the next owner of a shard.
 */
export const cast = <M, N extends keyof CastsOf<M> & string>(
  ref: Ref<M>,
  name: N,
  ...[payload]: With<CastsOf<M>[N]>
): boolean => castMessage(ref, new Envelope(kinds.cast, name, payload))

/** Sends a cast that is a message already, as `cast` does. */
export const castMessage = (ref: Ref<unknown>, message: Message): boolean => {
  const { process, sender } = target(ref)
  if (typeof message.name !== 'string') throw noName(message.name)
  if (process === undefined) return awaitsName(ref, false) && castOnceHeld(ref, message)
  return !isCutOff(process, sender) && leave(sender, process, message, ref)
}

/**
 * Sends an info. False: the mailbox is full, or the process is dead. Throws `NO_PROCESS` for a name
 * that no process has.
 */
export const send = <M, N extends keyof InfosOf<M> & string>(
  ref: Ref<M>,
  name: N,
  ...[payload]: With<InfosOf<M>[N]>
): boolean => sendInfo(ref, name, payload)

/** Sends an info whose name and payload nobody has checked, as `send` does. */
export const sendInfo = (ref: Ref<unknown>, name: string, payload: unknown): boolean => {
  const { process, sender } = target(ref)
  if (typeof name !== 'string') throw noName(name)
  if (sender !== undefined && !sender.alive) return false
  if (process === undefined) throw noProcess(ref, name)
  return process.alive && leave(sender, process, new Envelope(kinds.info, name, payload))
}

/**
 * The implementation of `call` and `sys`: sends a message of `kind` and resolves with its answer,
 * an `R` by the contract of the target. Waits `timeoutMsUnlessSaid` if the options set no timeout.
 */
export const request = <R>(
  ref: Ref<unknown>,
  kind: Kind,
  name: string,
  payload: unknown,
  given: (CallOptions & PositionOption<boolean>) | undefined,
  timeoutMsUnlessSaid = timeoutMsDefault,
  origin?: CallOrigin,
): Promise<R> => {
  if (!isRef(ref)) return Promise.reject(noRef(ref))
  let found: ReturnType<typeof target>
  try {
    found = target(ref)
  } catch (error) {
    // Code of a try that has failed sends nothing.
    return guarded(Promise.reject(error))
  }
  const { process, sender } = found
  if (typeof name !== 'string') return refused(sender, noName(name))
  let options: typeof given
  try {
    options = given === undefined ? undefined : readCallOptions(given, name)
  } catch (error) {
    return refused(sender, error)
  }
  const timeoutMs = options?.timeoutMs ?? timeoutMsUnlessSaid
  if (!isDelay(timeoutMs)) return refused(sender, noDelay(`timeoutMs of ${name}`, timeoutMs))
  if (sender !== undefined && !sender.alive) return refused(sender, callerEnded(sender, name))
  if (process === undefined || !process.alive) {
    if (!awaitsName(ref, options?.waitForName === true))
      return refused(sender, noProcess(ref, name))
    const answer = requestOnceHeld<R>(
      ref,
      kind,
      name,
      payload,
      options ?? noOptions,
      timeoutMs,
      origin,
    )
    return sender === undefined ? answer : guarded(answer)
  }
  const fault = abortOf(options?.signal) ?? faultOf(process, sender, kind, name)
  if (fault !== undefined) return refusedBy(process, sender, kind, name, fault)
  const { timers } = process.kernel
  const pending = new PendingCall(kind, name, payload, sender, process, timers, options, origin)
  begin(pending, ref, sender, process, timeoutMs)
  return pending.promise as Promise<R>
}

/** Makes a call of another member, which can make it elsewhere, as `call` does. */
export const callOfPeer = (
  ref: Ref<unknown>,
  name: string,
  payload: unknown,
  options: CallOptions & PositionOption<boolean>,
  origin: Pick<PendingCall, 'giveBack'>,
): Promise<unknown> => request(ref, kinds.call, name, payload, options, timeoutMsDefault, origin)

/**
 * Makes a call of another member, as `callOfPeer` does, and returns it: to end it by `fail` costs
 * less than an abort signal. `undefined` if there is more to do: no process has the name, or the
 * call is refused.
 */
export const callNow = (
  ref: Ref<unknown>,
  name: string,
  payload: unknown,
  options: CallOptions & PositionOption<boolean> & { readonly timeoutMs: number },
  origin: Pick<PendingCall, 'giveBack'>,
): PendingCall | undefined => {
  const { process, sender } = target(ref)
  const isPlain = sender === undefined && process?.alive && isId(options.id)
  if (!isPlain || faultOf(process, undefined, kinds.call, name)) return undefined
  const { timers } = process.kernel
  const pending = new PendingCall(
    kinds.call,
    name,
    payload,
    undefined,
    process,
    timers,
    options,
    origin,
  )
  begin(pending, ref, undefined, process, options.timeoutMs)
  return pending
}

/**
 * Sends a call to a process that lives and takes it. It is owed before it is sent: outputs that hold
 * it back take it from its process again. If a listener of `mailbox.high` ends either process, that
 * end settles it. A call with no time is over before its target can answer (OTP).
 */
const begin = (
  pending: PendingCall,
  ref: Ref<unknown>,
  sender: Process | undefined,
  process: Process,
  timeoutMs: number,
): void => {
  const { kind, name } = pending
  if (kind === kinds.call && process.kernel.watchesCalls) watch(process, pending)
  pending.begin(timeoutMs, process.kernel.aborts)
  if (kind === kinds.system && name === 'stop') process.deliverEnd(pending)
  else if (kind !== kinds.call) process.deliver(pending)
  else if (!leave(sender, process, pending, ref) && process.alive)
    pending.fail(mailboxFull(process, name))
  if (timeoutMs <= 0) pending.fire()
}

/** Why `process` takes no such message. */
const faultOf = (
  process: Process,
  sender: Process | undefined,
  kind: Kind,
  name: string,
): KeelsonError | undefined => {
  if (callsItself(process, sender, kind)) return noSelfCall(process, name)
  if (kind === kinds.call) return process.refusal?.()
  return process.behaviour.answersSys ? undefined : answersNoSys(process, name)
}

const abortOf = (signal: AbortSignal | undefined): unknown =>
  signal?.aborted ? signal.reason : undefined

/** A call that `process` does not take. */
const refusedBy = (
  process: Process,
  sender: Process | undefined,
  kind: Kind,
  name: string,
  error: unknown,
): Promise<never> => {
  if (kind === kinds.call && process.kernel.watchesCalls) {
    const call: Watched = { name, onResult: undefined }
    watch(process, call)
    call.onResult?.({ error })
  }
  return refused(sender, error)
}

type Watched = Pick<PendingCall, 'name' | 'context' | 'onResult'>

/** Counts a call that is made now, traces it, and announces its result, if that is wanted. */
const watch = (process: Process, call: Watched): void => {
  const { heard, tracer } = process.kernel
  const hearing = heard['call.done']
  const isHeard = hearing.isOn && !hearing.skips()
  if (isHeard || tracer !== undefined) measure(process, call)
}

/** Its closure takes memory, which a call that is no sample does not need: so it is not in `watch`. */
const measure = (process: Process, call: Watched): void => {
  const { clock, heard, tracer } = process.kernel
  const { name: message } = call
  const hearing = heard['call.done']
  const weight = hearing.weigh(clock)
  const traced = tracer?.call(process, message)
  if (weight === 0 && !hearing.isAll && traced === undefined) return
  if (traced) call.context = traced
  const madeAt = clock.monotonic()
  call.onResult = (failure) => {
    traced?.end(failure, undefined)
    const result = failure === undefined ? 'ok' : failedAs(failure.error)
    const outcome = { message, result, tookMs: clock.monotonic() - madeAt } as const
    const { instance, kind, label } = process
    if (weight > 0) hearing.measured({ instance, kind, label, ...outcome }, weight)
    announce(process.kernel, 'call.done', () => ({ ...process.facts(), ...outcome }))
  }
}

/** Whether a call waits until a process gets the name of `ref`; `asked`: its options say so. */
const awaitsName = (ref: Ref<unknown>, asked: boolean): boolean => {
  const { process, directory, name } = addressOf<Process>(ref)
  if (process !== undefined) return false
  if (directory.awaits?.(name) === true) return true
  if (!asked) return false
  const fault = directory.fault?.(name)
  return fault === undefined || fault.code === 'NO_PROCESS'
}

/** Makes the request when a process gets the name. */
const requestOnceHeld = async <R>(
  ref: Ref<unknown>,
  kind: Kind,
  name: string,
  payload: unknown,
  options: CallOptions & PositionOption<boolean>,
  timeoutMs: number,
  origin: CallOrigin | undefined,
): Promise<R> => {
  const { directory, name: awaited = '', sender } = addressOf<Process>(ref)
  options.signal?.throwIfAborted()
  const wholeMs = origin?.wholeMs ?? timeoutMs
  const wait = directory.awaitHolder(awaited, timeoutMs, options.signal)
  const waiter = sender && { makerEnded: () => wait.fail(callerEnded(sender, name)) }
  if (waiter) sender.made.add(waiter)
  let left: number | undefined
  try {
    left = await wait.left
  } finally {
    if (waiter) sender.made.delete(waiter)
  }
  if (left === undefined) throw nameNotHeld(ref, name, wholeMs)
  const again = { ...options, timeoutMs: left }
  return request(ref, kind, name, payload, again, left, { ...origin, wholeMs })
}

/** Sends a cast when a process gets the name. False: it will not. */
const castOnceHeld = (ref: Ref<unknown>, message: Message): boolean => {
  const { sender } = addressOf<Process>(ref)
  if (sender === undefined) return admitOnceHeld(ref, message, castWaitMs)
  if (!sender.alive) return false
  sender.kernel.carry(message)
  sender.outputs.hold(() => sendNow(ref, message, castWaitMs))
  return true
}

/** Sends a cast or an info to the process that has the name now, or gets it in time. */
const sendNow = (ref: Ref<unknown>, message: Message, ms: number): void => {
  const { process } = target(ref)
  if (process !== undefined) process.admit(message)
  else if (awaitsName(ref, false)) admitOnceHeld(ref, message, ms)
}

/**
 * Sends a message that its sender has held back. Meanwhile its target may have ended, and another
 * process have the name, here or at another member.
 */
export const sendHeld = (found: Process, message: Message, ref: Ref<unknown>): void => {
  const address = addressOf<Process>(ref)
  const isSame = address.process !== undefined || address.resolve() === found
  if (!isCall(message)) {
    if (isSame) found.admit(message)
    else sendNow(ref, message, castWaitMs)
    return
  }
  if (message.isSettled) return
  if (!isSame) callAgain(ref, message, found.kernel.clock)
  else if (!found.alive) message.holderEnded(endOf(found), found)
  else if (found.refusal !== undefined) message.fail(found.refusal())
  else {
    found.owed.add(message)
    if (!found.admit(message)) message.fail(mailboxFull(found, message.name))
  }
}

/** Makes a call again, for the time that is left to it, if any. It settles with the outcome. */
export const callAgain = (ref: Ref<unknown>, asked: PendingCall, clock: Clock): void => {
  if (asked.isSettled) return
  const { name, payload, id, slot, dueAt, wholeMs, asksPosition, waitsForName } = asked
  const timeoutMs = slot < 0 ? Number.POSITIVE_INFINITY : Math.max(0, dueAt - clock.monotonic())
  const controller = new AbortController()
  const { signal } = controller
  asked.onceSettled(() => controller.abort())
  const options = {
    timeoutMs,
    id,
    signal,
    waitForName: waitsForName,
    position: asksPosition,
  }
  const origin = { wholeMs }
  request<Positioned<unknown>>(ref, kinds.call, name, payload, options, timeoutMs, origin).then(
    (answer) => {
      if (asksPosition) asked.position = answer.position
      asked.reply(asksPosition ? answer.value : answer)
    },
    (error) => void asked.fail(error),
  )
}

/** False: too many wait for the name. */
const admitOnceHeld = (ref: Ref<unknown>, message: Message, ms: number): boolean => {
  const { directory, name: awaited = '' } = addressOf<Process>(ref)
  let left: Promise<number | undefined>
  try {
    left = directory.awaitHolder(awaited, ms, undefined).left
  } catch (error) {
    if (isKeelsonError(error, 'BUSY')) return false
    throw error
  }
  void left.then((leftMs) => {
    if (leftMs !== undefined) sendNow(ref, message, leftMs)
  })
  return true
}

/**
 * The promise of a function that makes calls to `ref`. If the ref has a bound sender, it is guarded
 * as the calls themselves are; otherwise it is returned as it is.
 */
export const madeThrough = <T>(ref: Ref<unknown>, promise: Promise<T>): Promise<T> =>
  isRef(ref) && addressOf(ref).sender !== undefined ? guarded(promise) : promise

/** A refused call of one process must not end the others. */
const refused = (sender: Process | undefined, error: unknown): Promise<never> =>
  sender === undefined ? Promise.reject(error) : guarded(Promise.reject(error))

const target = (
  ref: Ref<unknown>,
): { process: Process | undefined; sender: Process | undefined } => {
  const address = addressOf<Process>(ref)
  const process =
    address.process ?? address.resolve() ?? address.directory.wake?.(address.name, address.sender)
  return { process, sender: address.sender }
}

/** A message from outside of processes leaves at once, another through the port of its sender. */
const leave = (
  sender: Process | undefined,
  target: Process,
  message: Message,
  ref?: Ref<unknown>,
): boolean =>
  sender === undefined
    ? target.admit(message)
    : sender.outputs.send(target, sender.kernel.carry(message), ref)

const isCutOff = (process: Process, sender: Process | undefined): boolean =>
  !process.alive || (sender !== undefined && !sender.alive)

const noProcess = (ref: Ref<unknown>, name: string): KeelsonError =>
  faultOfName(ref) ??
  new KeelsonError('NO_PROCESS', `${name}: there is no process ${ref}${callerText(ref)}`, {
    details: { reason: 'noproc', message: name, target: String(ref) },
  })

/** Why its name has no holder, if it is not simply free. */
const faultOfName = (ref: Ref<unknown>): KeelsonError | undefined => {
  const { directory, name } = addressOf(ref)
  return directory.fault?.(name)
}

/** Names the caller, if the call is made through a ref with its sender bound. */
const callerText = (ref: Ref<unknown>): string => {
  const { sender } = addressOf<Process>(ref)
  return sender === undefined ? '' : `, called by ${sender.title}`
}

const nameNotHeld = (ref: Ref<unknown>, name: string, timeoutMs: number): KeelsonError => {
  const fault = faultOfName(ref)
  if (fault !== undefined && fault.code !== 'NO_PROCESS') return fault
  return new KeelsonError(
    'NO_PROCESS',
    `${name}: no process got the name ${ref} in ${timeoutMs} ms`,
    {
      details: { reason: 'noproc', timeoutMs },
    },
  )
}

/**
 * Whether a handler of the process asks that process. A handler that is pending may have made any
 * call through a ref that is bound to its process, and may await it. Between handlers such a call
 * is of a promise that one of them did not await.
 */
const callsItself = (process: Process, sender: Process | undefined, kind: Kind): boolean => {
  const isOwn = process === sender
  if ((isOwn || kind === kinds.call) && process.kernel.runQueue.isRunning(process)) return true
  return isOwn && isPending(process)
}

/** Whether a handler of the process is pending, and not what its outputs wait for. */
const isPending = ({ busy, outputs, behaviour }: Process): boolean =>
  busy && (outputs.isOpen !== false || behaviour.status() !== 'waiting')

const noSelfCall = (process: Process, name: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${name}: ${process} calls itself`, {
    details: { reason: 'calling_self' },
  })

const callerEnded = (sender: Process, name: string): KeelsonError =>
  new KeelsonError('EXITED', `${name}: the caller has ended`, {
    details: reasonDetails(endOf(sender)),
  })

/**
 * A bare process takes messages only when it asks for them: a `sys` request would wait for ever.
 */
const answersNoSys = (process: Process, name: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${name}: ${process} is a bare process and answers no sys`)

const mailboxFull = ({ mailboxMax, title }: Process, name: string): KeelsonError =>
  new KeelsonError('MAILBOX_FULL', `${name}: the mailbox of ${title} is full`, {
    details: { mailboxMax, message: name, target: title },
  })
