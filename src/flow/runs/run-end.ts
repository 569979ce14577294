/**
 * The end of a run, after its body has ended: what is in flight is cancelled, children end first,
 * steps are undone, and one turn records the end. All of it may be repeated after a crash, because
 * a replay of the body ends in the same way.
 */
import { shardTime } from '../../actors/index.ts'
import type { Cancel } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import type { UntypedBody, Workflow } from './body.ts'
import { type BodyHost, RunCtx, whenAnswered } from './context.ts'
import { decideEnd, pauseAfter, policyOf } from './decide.ts'
import { emitFlow } from './events.ts'
import { noteRunEnd } from './failing-work.ts'
import type { ActivationTerms, Present, RunContext, RunEnd } from './messages.ts'
import { type Active, type Carrier, endsWithParent, type Scope, undoing } from './operations.ts'
import { isOver, type Recorded, type RunState, undoKey } from './record.ts'
import { diverged, type Replay } from './replay.ts'
import { saysTooLittle } from './said.ts'
import {
  beginningAgain,
  ended,
  endWaiting,
  forgoing,
  outputText,
  placing,
  type Reached,
  reopening,
  type Turned,
  withStatus,
} from './turns.ts'
import { copied, outcomeOf } from './values.ts'

/** The next thing after an activation: nothing, a replay from the beginning, or the next body. */
export type AfterActivation = 'rest' | 'replay' | 'again'

/** The end of a body. `again`: it begins once more, with this input. */
export type BodyEnd =
  | { readonly status: 'completed'; readonly output: unknown }
  | {
      readonly status: 'failed'
      readonly error?: unknown
      readonly again?: readonly [input: unknown]
    }

/** The body of a workflow for runs that began with this version. */
export const bodyOf = ({ body, options }: Workflow, version: number): UntypedBody | undefined =>
  version === options.version ? body : options.previous[version]

/** Lets a body begin. Resolves with its end. */
export const endOfBody = async (
  activation: BodyHost & Pick<EndingActivation, 'scope'>,
  body: UntypedBody,
  input: unknown,
): Promise<BodyEnd> => {
  try {
    const returned = await body(new RunCtx(activation, activation.scope) as never, input as never)
    const { workflow } = activation
    // A schema is of the present body: one of `previous` ends as it did.
    const parse = body === workflow.body ? workflow.options.output : undefined
    const output = parse ? parse(returned, outputText) : returned
    await whenAnswered(activation.handling)
    return { status: 'completed', output }
  } catch (error) {
    return { status: 'failed', error }
  }
}

/** The place of a cancel, and the cancel; `undefined`: there is none. */
export type Placed = {
  readonly marker: Recorded | undefined
  readonly cancel: RunState['cancel']
}

/** The activation of a run, for its end. */
export interface EndingActivation extends BodyHost, Carrier {
  readonly present: Present
  readonly terms: Pick<ActivationTerms, 'entities' | 'isSecond'>
  readonly replay: Replay<Active>
  readonly scope: Scope
  /** The scope of undos, which no cancel ends. */
  readonly undoScope: Scope
  /** Cancels a child. Answers whether its end will come. */
  cancels(child: Active): Promise<boolean>
  /** How many of its operations do something, and do not wait. */
  readonly working: number
  /** `first`: no later turn overtakes it. */
  turn<R>(change: (state: RunState, context: RunContext) => Turned<R>, first?: boolean): Promise<R>
  placed(placed: Placed): void
  nextRecord(): Promise<void>
  diverges(error: KeelsonError): void
  /** The run is not live, or was ended by force. */
  stop(): void
  /** The turn is durable that records the end of the run, or begins its next lap. */
  ended(next: 'ended' | 'again'): void
}

/** The turn that gives a cancel its place. */
export const placingOf = (
  state: RunState,
  context: RunContext,
  reached: Reached,
): Turned<Placed> => {
  const [marker, next] = placing(state, context, reached)
  return [{ marker, cancel: next.cancel }, next]
}

/** How long the undos wait for the functions of their steps. */
const settleMs = 30_000

/** Ends a run. */
export const endRun = async (activation: EndingActivation, ended: BodyEnd): Promise<void> => {
  const { replay } = activation
  // A body that has failed is over with its own error.
  const unhandled =
    ended.status === 'failed' && !ended.again ? undefined : await activation.unhandled.first()
  if (unhandled) return activation.block(unhandled)
  const body = activation.state.cancel ? ended : storable(ended)
  const early = endsTooEarly(activation, body)
  if (early) return activation.diverges(early)
  if (body.status === 'completed') warnOfUnawaited(activation)
  if (replay.inFlight.size > 0) activation.leave(activation.scope, activation.cancelled)
  await childrenEnd(activation)
  let hasUndone = false
  while (!activation.isStopped) {
    const undos = [...replay.asked.values()].filter((each) => each.parts.undo && each.mayHaveBegun)
    const closing = await activation.turn((state, context) =>
      closingOf(activation, state, context, body, undos.length > 0 && !hasUndone),
    )
    if (closing.next === 'place') activation.placed(closing.placed)
    else if (closing.next === 'undo') {
      await undoAll(activation, undos.reverse())
      hasUndone = true
    } else {
      const { startedAt } = activation.state
      if (closing.end) {
        noteRunEnd(activation.terms.entities, activation, closing.end)
        emitFlow(activation, 'flow.ended', { end: closing.end, startedAt })
      }
      return activation.ended(closing.next)
    }
  }
}

/** Why a body has ended too early: it has not asked for its whole record. An end that undoes asks for undos later. */
export const endsTooEarly = (
  { replay, state, said }: BodyHost & { readonly replay: Pick<Replay, 'missing'> },
  body: BodyEnd,
): KeelsonError | undefined => {
  const willUndo = body.status === 'failed' || state.cancel?.isPlaced === true
  const missing = replay.missing().filter((key) => !(willUndo && key.startsWith(undoKey(''))))
  if (missing.length === 0) return saysTooLittle(state, said)
  const text = `the body has ended, and never asked for ${missing.slice(0, 10).join(', ')}`
  return diverged(text, { missing, asked: [] })
}

/** A body that returns right after it has asked for work has most likely forgotten an `await`. */
const warnOfUnawaited = ({ type, id, replay, background }: EndingActivation): void => {
  const keys = replay.unawaited.map(({ kind, key }) => `${kind} ${key}`)
  if (keys.length === 0) return
  const text = `${type}/${id}: its body has ended and waited for none of ${keys.slice(0, 10).join(', ')}`
  background.system.logger.warn(`${text}: that is cancelled. Is an \`await\` missing?`, {
    code: 'NOT_AWAITED',
  })
}

/**
 * The end of a body that has asked for nothing, in the turn of the birth of its run. `undefined`: it
 * needs another turn.
 */
export const closingAtOnce = (
  activation: EndingActivation,
  born: RunState,
  context: RunContext,
  ended: BodyEnd,
): Turned<RunEnd | undefined> | undefined => {
  const body = ended.status === 'completed' ? shortly(ended.output) : ended
  if (!body || (body.status === 'failed' && body.again)) return undefined
  const [closing, next] = closingOf(activation, born, context, body, false)
  return [closing.next === 'ended' ? closing.end : undefined, next]
}

/** The end with this output as it is stored; `undefined`: it is long, or cannot be stored. */
const shortly = (given: unknown): BodyEnd | undefined => {
  try {
    const outcome = outcomeOf(given, outputText)
    if (outcome.kind !== 'ok' || outcome.isApart) return undefined
    return { status: 'completed', output: outcome.value }
  } catch {
    return undefined
  }
}

/**
 * The end with the output as it is stored. An output that cannot be is a mistake of the program, and
 * no failure of what the run did: it is undone for none.
 * @throws KeelsonError `INVALID_ARGUMENT`, which blocks the run
 */
export const storable = (body: BodyEnd): BodyEnd => {
  if (body.status !== 'completed') return body
  try {
    return { ...body, output: copied(body.output, outputText) }
  } catch (cause) {
    if (!isKeelsonError(cause, 'INVALID_ARGUMENT')) throw cause
    const text = `${cause.message}; return another one, and retry`
    throw new KeelsonError('INVALID_ARGUMENT', text, { details: cause.details, cause })
  }
}

/** Cancels the children of a body that has ended, and waits for their ends. */
const childrenEnd = async (activation: EndingActivation): Promise<void> => {
  const children = [...activation.replay.asked.values()].filter(
    ({ parts, recorded }) => endsWithParent(parts) && recorded && !recorded.outcome,
  )
  await Promise.all(
    children.map(async (child) => {
      if (!(await activation.cancels(child))) return
      while (!child.recorded?.outcome && !activation.isStopped) await activation.nextRecord()
    }),
  )
}

/**
 * Undoes steps, the newest first. Each waits for the function of its step. The signals of all of
 * those have aborted at once, so they have one time. Never resolves if one cannot be undone: the run is blocked.
 */
const undoAll = async (activation: EndingActivation, undos: readonly Active[]): Promise<void> => {
  const { clock } = activation.background.system
  let disarm: Cancel | undefined
  const isLate = new Promise<void>((resolve) => {
    disarm = clock.after(settleMs, resolve)
  })
  for (const step of undos) {
    if (step.settled) await Promise.race([step.settled, isLate])
    if (activation.isStopped) break
    await activation.ask(undoing(activation, step, activation.undoScope)).promise
  }
  disarm?.()
}

type Closing =
  | { readonly next: 'place'; readonly placed: Placed }
  | { readonly next: 'undo' }
  | { readonly next: 'ended' | 'again'; readonly end?: RunEnd }

/** The turn after a body: the end of the run, or what has to come before it. */
const closingOf = (
  activation: EndingActivation,
  state: RunState,
  context: RunContext,
  body: BodyEnd,
  mustUndo: boolean,
): Turned<Closing> => {
  const { cancel } = state
  // A policy is asked only for a run that has failed by itself.
  const mayTryAgain = body.status === 'failed' && !body.again && !cancel && !isOver(state.status)
  const inMs = mayTryAgain ? pauseOf(activation, state, context, body.error) : undefined
  const next = decideEnd({
    isOver: isOver(state.status),
    cancel: cancel ? (cancel.isPlaced ? 'placed' : 'unplaced') : 'none',
    body: body.status === 'failed' && body.again ? 'again' : body.status,
    hasNextTry: inMs !== undefined,
    mustUndo,
  })
  if (next === 'none') return [{ next: 'ended' }, state]
  if (next === 'place') return placingAtEnd(activation, state, context)
  if (next === 'undo') return [{ next: 'undo' }, state]
  if (next === 'cancelled') {
    const error = { name: 'KeelsonError', code: 'CANCELLED', message: cancel?.reason ?? '' }
    return lastOf(activation, state, context, { status: 'cancelled', error })
  }
  if (body.status === 'completed') return lastOf(activation, state, context, body)
  if (body.again) {
    forgoing(activation.present, activation.id)
    const { version } = activation.workflow.options
    return [{ next: 'again' }, beginningAgain(state, context, body.again[0], version)]
  }
  const failing = failedBy(activation, state, body.error)
  if (inMs !== undefined) {
    const until = shardTime(context).now() + inMs
    context.setAlarm('timer', { inMs })
    const waitsFor = { kind: 'retry', until, error: failureRecord(body.error) } as const
    const reopened = reopening(failing, context, activation)
    const tried = { ...reopened, attempt: state.attempt + 1, waitsFor }
    return [{ next: 'ended' }, withStatus(tried, 'waiting', context)]
  }
  const error = state.error ?? failureRecord(body.error)
  if (next === 'undoFailed')
    return [{ next: 'undo' }, { ...withStatus(failing, 'undoing', context), error }]
  return lastOf(activation, failing, context, { status: 'failed', error })
}

const placingAtEnd = (
  { replay: { asked } }: EndingActivation,
  state: RunState,
  context: RunContext,
): Turned<Closing> => {
  const [placed, next] = placingOf(state, context, { asked, reopened: undefined })
  return [{ next: 'place', placed }, next]
}

/** The pause before the next try of the whole run, in ms; `undefined`: there is none. */
const pauseOf = (
  { workflow: { options } }: EndingActivation,
  { attempt }: RunState,
  context: RunContext,
  error: unknown,
): number | undefined =>
  pauseAfter(policyOf({ max: 1 }, options.retry), attempt, error, context.system.clock)

/** The last turn of a run: the callers that wait for its end get it. */
const lastOf = (
  activation: EndingActivation,
  state: RunState,
  context: RunContext,
  end: RunEnd,
): Turned<Closing> => {
  endWaiting(activation.present, end)
  context.cancelAlarm('deadline')
  if (state.parent) context.addContinue('notifyParent')
  return [{ next: 'ended', end }, ended(state, context, end)]
}

/** The state with the operation whose error the body threw, if it is one. */
const failedBy = ({ replay }: EndingActivation, state: RunState, error: unknown): RunState => {
  for (const { thrown, recorded } of replay.asked.values())
    if (thrown !== undefined && thrown === error && recorded)
      return { ...state, failedBy: recorded.number }
  return state
}
