/**
 * Runs the actions of a callback. They are a generator that yields the promises it has to wait for, so that a callback
 * without any is an ordinary synchronous handler, and one with a call or a sleep an asynchronous one.
 */
import type { Clock } from '../../../src/clock.ts'
import {
  exit,
  type From,
  name as nameOf,
  type Received,
  type Ref,
  type TaskValue,
  type Then,
} from '../../../src/runtime/index.ts'
import {
  bareReason,
  type Memory,
  optionsOf,
  processOf,
  startedTerm,
  type Target,
  targetOf,
} from './operations.ts'
import { FailedCall } from './recorder.ts'
import { registryOperation, sum } from './registry-operations.ts'
import type { Operation, Term } from './scenario.ts'
import type { Stage } from './stage.ts'
import { taskAction } from './tasks.ts'
import { evaluate, type Scope } from './terms.ts'

/** What a callback has come to so far. */
export type Frame = {
  state: unknown
  readonly payload: unknown
  readonly from: Ref | undefined
  readonly call: From | undefined
  reply?: { readonly value: unknown }
  next?: Then<readonly ['go', string]>
  stop?: { readonly reason: unknown }
  bad?: { readonly value: unknown }
  ignore?: true
  /** What a task is worth. */
  value?: unknown
}

type Steps = Generator<Promise<unknown>, void, unknown>

/** Runs `steps` to their end: at once when they never wait. */
export const drive = <T>(steps: Steps, finish: () => T): T | Promise<T> => {
  const first = steps.next()
  if (first.done) return finish()
  // One promise for all waits: the end comes right behind the last action.
  return new Promise((resolve, reject) => {
    const go = (step: () => IteratorResult<Promise<unknown>, void>): void => {
      try {
        const next = step()
        if (next.done) resolve(finish())
        else wait(next.value)
      } catch (error) {
        reject(error)
      }
    }
    const wait = (value: Promise<unknown>): void => {
      value.then(
        (found) => go(() => steps.next(found)),
        (error) => go(() => steps.throw(error)),
      )
    }
    wait(first.value)
  })
}

/** Carries out `actions` one after another. A failure cuts the rest off. */
export function* perform(
  actions: readonly Operation[],
  memory: Memory,
  frame: Frame,
  stage: Stage,
  receive?: (ms: number) => Promise<Received | undefined>,
): Steps {
  for (const action of actions) {
    const scope = scopeOf(memory, frame)
    if (atOnce(action, memory, frame, scope)) continue
    yield* waiting(action, memory, scope, stage, receive)
    // The code of a process that was ended meanwhile goes on here; on the platform it is cut off.
    if (stage.system.info(memory.context.self) === undefined) return
  }
}

const scopeOf = (memory: Memory, frame: Frame): Scope => ({
  recorder: memory.recorder,
  self: memory.context.self,
  parent: memory.parent,
  state: frame.state,
  payload: frame.payload,
  from: frame.from,
})

/** The actions that take no time; false when `action` is none of them. */
const atOnce = (action: Operation, memory: Memory, frame: Frame, scope: Scope): boolean => {
  const [operation, ...args] = action
  const { recorder, context } = memory
  const value = (index: number): unknown => evaluate(args[index], scope)
  const target = (index: number): Target => targetOf(args[index], scope)
  const text = (index: number): string => String(args[index])
  switch (operation) {
    case 'log':
      memory.record('log', recorder.encode(value(0)))
      return true
    case 'value':
      frame.value = value(0)
      return true
    case 'set':
      frame.state = value(0)
      return true
    case 'add':
      frame.state = sum(frame.state, value(0))
      return true
    case 'reply':
      frame.reply = { value: value(0) }
      return true
    case 'save_from':
      if (frame.call !== undefined) memory.callers.set(slot(value(0)), frame.call)
      return true
    case 'reply_to':
      memory.callers.get(slot(value(0)))?.reply(value(1))
      return true
    case 'return':
      frame.next = thenOf(optionsOf(args[0]))
      return true
    case 'stop':
      frame.stop = { reason: value(0) }
      return true
    case 'ignore':
      frame.ignore = true
      return true
    case 'bad_return':
      frame.bad = { value: value(0) }
      return true
    case 'raise':
      throw new Error(text(0))
    case 'exit':
      return exit(value(0))
    case 'reg':
      memory.record('reg', text(0), registryOperation(args, memory, scope))
      return true
    case 'send':
      memory.send(target(0), text(1), value(2))
      return true
    case 'cast':
      memory.cast(target(0), text(1), value(2))
      return true
    case 'trap_exit':
      context.trapExit(args[0] === true)
      return true
    case 'link':
      context.link(processOf(target(0), memory))
      return true
    case 'unlink':
      context.unlink(processOf(target(0), memory))
      return true
    case 'exit_signal':
      context.exit(processOf(target(0), memory), value(1))
      return true
    case 'monitor':
      memory.monitor(target(0), text(1))
      return true
    case 'demonitor':
      demonitor(memory, text(0), optionsOf(args[1]))
      return true
    case 'send_after':
      memory.sendAfter(msOf(value(0)), target(1), text(2), value(3), text(4))
      return true
    case 'start_timer':
      memory.startTimer(msOf(value(0)), target(1), value(2), text(3))
      return true
    case 'cancel_timer':
      memory.record('cancelled', text(0), memory.cancelTimer(text(0)))
      return true
    case 'read_timer':
      memory.record('timer_left', text(0), memory.readTimer(text(0)))
      return true
    case 'register':
      memory.record(
        'registered',
        text(0),
        attempt(() => context.register(nameOf(text(0)))),
      )
      return true
    case 'unregister':
      memory.record(
        'unregistered',
        text(0),
        attempt(() => context.unregister(nameOf(text(0)))),
      )
      return true
    case 'whereis':
      memory.record('whereis', text(0), recorder.encode(context.system.whereis(nameOf(text(0)))))
      return true
    default:
      return false
  }
}

/** The actions that may take time. */
function* waiting(
  action: Operation,
  memory: Memory,
  scope: Scope,
  stage: Stage,
  receive: ((ms: number) => Promise<Received | undefined>) | undefined,
): Steps {
  const [operation, ...args] = action
  const value = (index: number): unknown => evaluate(args[index], scope)
  switch (operation) {
    case 'call':
      return yield* calling(args, memory, scope)
    case 'sleep':
      return void (yield pause(stage.clock, msOf(value(0))))
    case 'start':
      return yield* starting(args, memory, scope, stage)
    case 'receive':
      if (receive === undefined) throw new Error('only a bare process receives')
      return memory.record(
        'received',
        receivedTerm((yield receive(Number(value(0)))) as Received | undefined, memory),
      )
    default: {
      const steps = taskAction(action, memory, scope, stage)
      if (steps === undefined) throw memory.recorder.refuse(`there is no action ${operation}`)
      return yield* steps
    }
  }
}

function* calling(args: Term[], memory: Memory, scope: Scope): Steps {
  const [targetTerm, what, payload, options] = args
  const { timeout, catch: catches } = optionsOf(options)
  const target = targetOf(targetTerm, scope)
  const timeoutMs = typeof timeout === 'number' ? timeout : undefined
  try {
    const reply = yield memory.call(target, String(what), evaluate(payload, scope), timeoutMs)
    memory.record('called', String(what), memory.recorder.encode(reply))
  } catch (error) {
    const reason = bareReason(error)
    if (catches !== true) throw new FailedCall(reason)
    memory.record('call_failed', String(what), memory.recorder.encode(reason))
  }
}

function* starting(args: Term[], memory: Memory, scope: Scope, stage: Stage): Steps {
  const [base, proc, options] = args
  const { link, arg, catch: catches } = optionsOf(options)
  try {
    const start = stage.start(String(base), String(proc), evaluate(arg, scope), {
      context: memory.context,
      isLinked: link !== false,
    })
    const result = start instanceof Promise ? ((yield start) as Awaited<typeof start>) : start
    memory.record('started', String(base), startedTerm(result, memory.recorder))
  } catch (error) {
    if (catches !== true) throw error
    memory.record('started', String(base), ['exit', memory.recorder.encode(bareReason(error))])
  }
}

const msOf = (value: unknown): number => {
  if (typeof value !== 'number') throw new Error('no number of ms')
  return value
}

const pause = (clock: Clock, ms: number): Promise<void> =>
  ms === 0 ? Promise.resolve() : new Promise((resolve) => void clock.after(ms, resolve))

const slot = (value: unknown): string => JSON.stringify(value)

const demonitor = (memory: Memory, tag: string, options: Record<string, Term>): void => {
  const found = memory.demonitor(tag, options.flush === true)
  if (options.info === true) memory.record('demonitored', tag, found)
}

const attempt = (action: () => void): Term => {
  try {
    action()
    return true
  } catch {
    return { $error: '*' }
  }
}

const thenOf = (options: Record<string, Term>): Then<readonly ['go', string]> => ({
  ...(typeof options.timeout === 'number' ? { timeoutMs: options.timeout } : {}),
  ...(options.hibernate === true ? { hibernate: true } : {}),
  ...(typeof options.continue === 'string' ? { continue: ['go', options.continue] as const } : {}),
})

/** A received message as a term. */
const receivedTerm = (received: Received | undefined, memory: Memory): Term => {
  if (received === undefined) return 'timeout'
  const { recorder } = memory
  switch (received.kind) {
    case 'exit':
      return ['exit', recorder.encode(received.from), recorder.encode(received.reason)]
    case 'down':
      return [
        'down',
        memory.tagOf(received.monitor),
        subjectTerm(received.target, memory),
        recorder.encode(received.reason),
      ]
    case 'cast':
      return castTerm(received.name, received.payload, memory)
    default:
      return messageTerm(received.name, received.payload, memory)
  }
}

/** A cast as it lies in the mailbox of whoever has no callbacks: the platform's own envelope around the message. */
export const castTerm = (kind: string, message: unknown, memory: Memory): Term[] => [
  '$gen_cast',
  messageTerm(kind, message, memory),
]

/** An info as a term: `[NAME, payload]`, or `["timer", TAG, payload]`. */
export const messageTerm = (kind: string, message: unknown, memory: Memory): Term[] => {
  if (kind === 'ring') {
    const { tag, payload } = (message as { payload: { tag: string; payload: unknown } }).payload
    return ['timer', tag, memory.recorder.encode(payload)]
  }
  if (kind === 'task') return [{ $ref: '*' }, memory.recorder.encode((message as TaskValue).value)]
  const { name, payload } = message as { name: string; payload: unknown }
  return [name, memory.recorder.encode(payload)]
}

/** What a down message was about, as a term. */
export const subjectTerm = (target: Ref | string, memory: Memory): Term =>
  typeof target === 'string' ? { $name: target } : memory.recorder.encode(target)
