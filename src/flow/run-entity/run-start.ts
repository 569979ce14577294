/**
 * The start of a run: at once, after its delay, or when its queue has a place for it; and that of a
 * fork, with the first outcomes of another run. The messages of a start are apart from the others of
 * the entity, because they alone find no run, and write the first state of one.
 */

import { LargeValue, shardTime } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { call, noReply, placeIn, reply } from '../../runtime/index.ts'
import type { Workflow } from '../runs/body.ts'
import type { EnterMessage, RunContext, StartRequest, State } from '../runs/messages.ts'
import { entitiesOf, queueId, recordedEntitiesOf } from '../runs/parts.ts'
import {
  isLive,
  isOver,
  type Parent,
  parentEnded,
  type Recorded,
  type RunState,
} from '../runs/record.ts'
import {
  type Beginning,
  before,
  inputText,
  noneToBegin,
  notNow,
  outcomeText,
  putOperation,
  type RunRows,
  recordIn,
  reopening,
  valueApart,
  valueIn,
  wholeOf,
  withValue,
} from '../runs/turns.ts'
import { isSameInput } from '../runs/values.ts'
import type { Born, RunActivations, RunAlarms, RunCalls, RunContinues } from './activations.ts'
import { orRefused, refuse } from './refusals.ts'

/** `start`, and `begin` of a run that is held. */
export const startCalls = (activations: RunActivations): RunCalls<'start' | 'begin'> => ({
  start: (state, request, context) => {
    if (state) return startedAgain(state, request, context, activations)
    const { input } = request
    const delay = ownOf(request, 'delay')
    const deadline = ownOf(request, 'deadline') ?? ownOf(activations.workflow.options, 'deadline')
    if (input !== undefined) context.rows.put('input', input)
    if (deadline !== undefined) context.setAlarm('deadline', { inMs: deadline })
    const born = bornAt(context, activations.workflow, request)
    if (delay !== undefined) {
      context.setAlarm('timer', { inMs: delay })
      const waitsFor = { kind: 'delay', until: shardTime(context).now() + delay } as const
      const held: RunState = { ...born, status: 'waiting', isHeld: true, waitsFor }
      return reply({ repeated: false }, held)
    }
    if (activations.workflow.options.queue !== undefined)
      return reply({ repeated: false }, activations.entering(born, context))
    const run = activations.bear(born, input, context)
    return run instanceof Promise ? run.then(begun) : begun(run)
  },
  begin: (state, _, context) =>
    reply(
      undefined,
      state?.isHeld && !isOver(state.status) ? activations.changed(state, context) : state,
    ),
})

/** The answer of a start. A run that has failed may be retried, and end otherwise. */
const begun = ([end, next]: Born) =>
  reply(
    end?.status === 'completed' ? { repeated: false, end } : { repeated: false },
    next,
    isLive(next.status) ? undefined : { hibernate: true },
  )

/** `fork`. */
export const forkCalls = (activations: RunActivations): RunCalls<'fork'> => ({
  fork: (state, { id, from }, context) => {
    const { workflow } = activations
    const run = `${workflow.name}/${id}`
    if (state) {
      const isSame = state.fork?.run === run && state.fork.from === from
      if (isSame) return reply({ repeated: true }, state)
      return refuse(state, context, takenBy(context.id, workflow.name, 'has begun otherwise'))
    }
    return orRefused(state, context, async () => {
      const runs = entitiesOf(context.app, 'workflow', workflow.name)
      const other = runs.state(id) as State
      if (!other) return refuse(state, context, notNow('be forked', id, undefined))
      const begun = await beginningOf(other, runs.rows(id), from)
      if (!begun) return refuse(state, context, noneToBegin(id, from))
      const born = forkedFrom(other, run, from, { activations, begun, context })
      if (workflow.options.queue !== undefined)
        return reply({ repeated: false }, activations.entering(born, context))
      activations.begin(context)
      return reply({ repeated: false }, born)
    })
  },
})

/** The most bytes of large values that a fork copies: they are in memory at once. */
const forkBytesMax = 64 * 1024 * 1024

/**
 * The input of a run, and its record before an operation, with their values; `undefined`: it has no
 * such operation. Its rows are read in one go, and its large values after that.
 * @throws KeelsonError `CORRUPT`, `TOO_LARGE`
 */
const beginningOf = async (
  state: RunState,
  rows: RunRows,
  from: string,
): Promise<(Beginning & { readonly input: unknown }) | undefined> => {
  const begun = before(state, [...recordIn(state, rows)], from)
  if (!begun) return undefined
  const input = valueIn(rows, 'input', inputText)
  const values = begun.record.map((each) => valueApart(each, state, rows))
  const sizes = [input, ...values].map((value) => (value instanceof LargeValue ? value.length : 0))
  const length = sizes.reduce((sum, each) => sum + each, 0)
  if (length > forkBytesMax) {
    const text = `a fork copies at most ${forkBytesMax} bytes of large values`
    throw new KeelsonError('TOO_LARGE', text, { details: { length, max: forkBytesMax } })
  }
  const record: Recorded[] = []
  for (const [at, each] of begun.record.entries())
    record.push(withValue(each, await wholeOf(outcomeText(each.key), values[at])))
  return { ...begun, record, input: await wholeOf(inputText, input) }
}

/** The state of a fork, whose rows this turn writes. */
const forkedFrom = (
  other: RunState,
  run: string,
  from: string,
  { activations, begun, context }: Forking,
): RunState => {
  const { inputHash, lap, birth, priority, queueKey: key, correlation, attributes } = other
  const { workflow } = activations
  const deadline = ownOf(workflow.options, 'deadline')
  const started = { inputHash, priority, key, correlation, attributes }
  if (begun.input !== undefined) context.rows.put('input', begun.input)
  for (const { number, triedBy = `${run}/${birth}`, ...row } of begun.record) {
    const isTried = row.kind === 'step' && row.outcome !== undefined
    putOperation(other, context, number, isTried ? { ...row, triedBy } : row)
  }
  if (deadline !== undefined) context.setAlarm('deadline', { inMs: deadline })
  return {
    ...bornAt(context, workflow, started as StartRequest),
    lap,
    outcomes: begun.outcomes,
    operations: Math.max(0, ...begun.record.map(({ number }) => number)),
    fork: { seed: birth, startedAt: other.startedAt, ...other.fork, run, from },
  }
}

type Forking = {
  readonly activations: RunActivations
  readonly begun: Beginning & { readonly input: unknown }
  readonly context: RunContext
}

/** The run enters its queue. */
export const enterQueue = ({ workflow }: RunActivations): RunContinues<'enter'> => ({
  enter: async (state, _, context) => {
    const { queue } = workflow.options
    if (queue === undefined || !state?.isHeld || isOver(state.status)) return noReply(state)
    const ref = recordedEntitiesOf<EnterMessage>(context.app, 'queue', queue).ref(queueId)
    const { queueKey: key, priority } = state
    const run = `${workflow.name}/${context.id}`
    await call(context.to(ref), 'enter', { run, key, priority })
    return noReply(state)
  },
})

/** A run that waits goes on when its time comes, and one that was delayed begins. */
export const startTimer = (activations: RunActivations): RunAlarms<'timer'> => ({
  timer: (state, _, context) => {
    if (state?.status !== 'waiting') return noReply(state)
    const mustEnter = state.isHeld && activations.workflow.options.queue !== undefined
    const { waitsFor: __, ...due } = state
    return noReply(
      mustEnter ? activations.entering(due, context) : activations.changed(due, context),
    )
  },
})

/** The state of a run that begins with this turn. */
const bornAt = (
  context: RunContext,
  { options: { version } }: Workflow,
  { inputHash, priority, key, correlation, attributes, parent, root }: StartRequest,
): RunState => {
  const now = shardTime(context).wall()
  const birth = Buffer.from(context.system.clock.randomBytes(8)).toString('hex')
  const trace = placeIn(context.system)
  return {
    status: 'running',
    version,
    birth,
    inputHash,
    startedAt: now,
    since: now,
    round: 0,
    lap: 0,
    outcomes: 0,
    operations: 0,
    signals: 0,
    unread: 0,
    attempt: 1,
    ...(priority !== undefined && { priority }),
    ...(key !== undefined && { queueKey: key }),
    ...(correlation !== undefined && { correlation }),
    ...(attributes && { attributes }),
    ...(parent && { parent }),
    ...(root !== undefined && { root }),
    ...(trace && { trace }),
  }
}

/** The start of a run that has begun: the same input and parent give that run. */
const startedAgain = (
  state: RunState,
  request: StartRequest,
  context: RunContext & { readonly from: { fail(error: unknown): void } },
  activations: RunActivations,
) => {
  const { id } = context
  const { name: type } = activations.workflow
  const { parent } = request
  const isSame = isSameInput(state.inputHash, request) && isParent(state, parent)
  if (!isSame) {
    return refuse(state, context, takenBy(id, type, 'has begun with another input or parent'))
  }
  if (!parent) return reply({ repeated: true }, state)
  const next = withParent(state, parent)
  if (isCancelledWith(state, parent))
    return orRefused(state, context, async () => {
      const own = { ...reopening(next, context, { type, id }), attempt: 1 }
      return reply({ repeated: true }, activations.resumed(own, context))
    })
  // The parent runs once more, and waits for an end that it was given before.
  if (isOver(state.status)) context.addContinue('notifyParent')
  return reply({ repeated: true }, next)
}

/** Whether it was cancelled with this body of its parent, which was retried since, and so goes on. */
const isCancelledWith = ({ status, cancel, parent: known }: RunState, parent: Parent): boolean =>
  status === 'cancelled' && cancel?.reason === parentEnded(parent) && known?.lap === parent.lap

/** Its end is for the newest body of its parent, which waits for it. */
export const withParent = (state: RunState, parent: Parent): RunState => {
  if (!isNewer(parent, state.parent as Parent)) return state
  const { isParentNotified: _, ...others } = state
  return { ...others, parent }
}

const isNewer = (asking: Parent, { lap, round = 0 }: Parent): boolean =>
  asking.lap > lap || (asking.lap === lap && (asking.round ?? 0) > round)

/** The refusal of a request to a run that is another one than its caller means. */
export const takenBy = (id: string, type: string, how: string): KeelsonError =>
  new KeelsonError('CONFLICT', `the run ${id} of ${type} ${how}`, { details: { type, id } })

/** One operation of a body asks for it. In a newer body, or round, that may have another number. */
export const isParent = ({ parent: known }: RunState, parent: Parent | undefined): boolean =>
  parent === undefined ||
  (known?.type === parent.type &&
    known.id === parent.id &&
    known.birth === parent.birth &&
    (known.number === parent.number || isNewer(parent, known)))
