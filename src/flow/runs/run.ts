/**
 * The entity of a run: its durable state, and the turns that its callers make. The body runs beside
 * its mailbox (`life.ts`), so no call waits for a step.
 */
import type { DurableServer } from '../../actors/index.ts'
import { isKeelsonError, KeelsonError, keptError } from '../../errors.ts'
import { type ChildSpec, call, noReply, reply } from '../../runtime/index.ts'
import { kindSpec } from '../../supervisors/index.ts'
import type { Workflow } from './body.ts'
import { tellFlow } from './events.ts'
import { RunLife } from './life.ts'
import type {
  ChildEnd,
  EnterMessage,
  Present,
  RunContext,
  RunEnd,
  RunMessages,
  SignalRequest,
  StartRequest,
  State,
  Told,
} from './messages.ts'
import { runOf } from './operations.ts'
import { entitiesOf, queueId, runKind } from './parts.ts'
import {
  isLive,
  isOver,
  noRun,
  type Operation,
  type Outcome,
  operationKey,
  type Parent,
  padded,
  type RunState,
  signalIdKey,
  signalKey,
} from './record.ts'
import { FailingSteps } from './tries.ts'
import {
  ended,
  endOf,
  notNow,
  recordIn,
  recording,
  reopening,
  settled,
  wholeEnd,
  withStatus,
} from './turns.ts'
import { outcomeOf, signalBytesMax, signalLength, signalRow } from './values.ts'

/**
 * The fields by which runs are found. `at`: the status and since when, in the order of time.
 * `status` is there for its counters. A run that is running has none: one more index row would cost
 * it a fifth of its CPU time, and the number of these runs follows from that of all.
 */
export type RunFields = {
  readonly status: string | undefined
  readonly at: string | undefined
  readonly parent: string | undefined
  readonly root: string | undefined
  readonly correlation: string | undefined
}

/** The part of the tree with the runs of a workflow. */
export const runKindSpec = (workflow: Workflow): ChildSpec => {
  const kind = runKind(workflow.name)
  const spec = (): ChildSpec => kindSpec(kind, runServer(workflow), { idleMs })
  // The processes of one instance share their memory, those of another one do not.
  return { ...spec(), start: (context) => spec().start(context) }
}

/** How long the process of a run that has nothing to do stays. */
const idleMs = 2_000
const unreadMax = 1_000

const runServer = (
  workflow: Workflow,
): DurableServer<RunMessages, State, RunFields, string, unknown> => {
  const { queue } = workflow.options
  const presents = new Map<string, Present>()
  const presentOf = ({ app, id }: Pick<RunContext, 'app' | 'id'>): Present => {
    const found = presents.get(id)
    if (found) return found
    const failing = new FailingSteps(app, workflow.name, id)
    const present = { life: undefined, isCancelled: false, failing, waiting: new Set() } as Present
    presents.set(id, present)
    return present
  }
  const begin = (
    context: RunContext,
    first?: { readonly input: unknown; readonly state: RunState },
  ): void => {
    const { id } = context
    const present = presentOf(context)
    context.background(async (life) => {
      let [next, terms] = ['first', { workflow, id, life, present, first, isSecond: false }]
      while (next !== 'rest') {
        next = await new RunLife(terms).run()
        terms = { ...terms, first: undefined, isSecond: next === 'replay' }
      }
    })
  }
  /** Calls the life of a run when this turn is durable. */
  const tell = (context: RunContext, told: (life: Told) => void): void => {
    const present = presentOf(context)
    context.background(() => present.life && told(present.life))
  }
  /** The run has something to do: its life is called, or begins. */
  const goOn: GoOn = (state, context, told) => {
    if (isLive(state.status)) {
      tell(context, told)
      return state
    }
    begin(context)
    context.cancelAlarm('timer')
    const { isHeld: _, waitsFor: __, ...begun } = state
    return withStatus(begun, 'running', context)
  }
  /** The run waits in its queue, and begins when it has a place there. */
  const entering = (state: RunState, context: RunContext): RunState => {
    context.addContinue('enter')
    const waitsFor = { kind: 'queue', name: queue as string } as const
    return { ...withStatus(state, 'waiting', context), isHeld: true, waitsFor }
  }
  /**
   * An operator lets the run go on: its place in the queue was given back. The reason why it did not
   * go on has not failed.
   */
  const resumed = ({ error: _, ...state }: RunState, context: RunContext): RunState => {
    if (queue !== undefined) return entering(state, context)
    begin(context)
    return withStatus(state, 'running', context)
  }
  const changed = (state: RunState, context: RunContext): State =>
    goOn(state, context, (life) => life.changed(state.cancel?.isPlaced === false))

  return {
    init: () => undefined,
    wake: (state, context) => {
      presents.delete(context.id)
      if (state && isLive(state.status)) begin(context)
    },
    terminate: (_, _reason, { id }) => void presents.delete(id),
    index: fieldsOf,
    calls: {
      start: (state, request, context) => {
        if (state) return startedAgain(state, request, context, workflow)
        const { input, delay, deadline = workflow.options.deadline } = request
        if (input !== undefined) context.rows.put('input', input)
        if (deadline !== undefined) context.setAlarm('deadline', { inMs: deadline })
        const born = bornAt(context, workflow, request)
        if (delay !== undefined) {
          context.setAlarm('timer', { inMs: delay })
          const waitsFor = { kind: 'delay', until: context.now() + delay } as const
          const held: RunState = { ...born, status: 'waiting', isHeld: true, waitsFor }
          return reply({ repeated: false }, held)
        }
        if (queue !== undefined) return reply({ repeated: false }, entering(born, context))
        begin(context, { input, state: born })
        return reply({ repeated: false }, born)
      },
      result: (state, _, context) => {
        if (!state) return refuse(state, context, notNow('be waited for', context.id, undefined))
        if (isOver(state.status) || state.status === 'blocked')
          return orRefused(state, context, async () =>
            reply(await wholeEnd(endOf(state, context) as RunEnd), state),
          )
        presentOf(context).waiting.add(context.from)
        return noReply(state)
      },
      signal: (state, request, context) => {
        const refused = signalRefused(state, request, context)
        if (refused || !state) return refuse(state, context, refused as KeelsonError)
        const next = signalled(state, request, context)
        if (next === state) return reply({ repeated: true }, state)
        const isRead = next.status !== 'blocked' && !next.isHeld
        return reply({ repeated: false }, isRead ? changed(next, context) : next)
      },
      cancel: (state, { reason, force }, context) => {
        if (!state) return refuse(state, context, notNow('be cancelled', context.id, undefined))
        const { status } = state
        if (isOver(status)) {
          // A parent that was tried again does not know the end that its last try was given.
          if (state.parent) context.addContinue('tellParent')
          return reply({ accepted: false, status }, state)
        }
        presentOf(context).isCancelled = true
        if (force) return reply({ accepted: true, status }, forced(state, reason, context))
        if (status === 'undoing') return reply({ accepted: false, status }, state)
        const cancel = state.cancel ?? { reason, isPlaced: false }
        const next = cancel === state.cancel && status !== 'blocked' ? state : { ...state, cancel }
        return reply({ accepted: true, status }, next === state ? state : changed(next, context))
      },
      retry: (state, _, context) => {
        const { status } = state ?? {}
        if (!state || (status !== 'failed' && status !== 'cancelled' && status !== 'blocked'))
          return refuse(state, context, notNow('be retried', context.id, status))
        return orRefused(state, context, async () => {
          const next = status === 'blocked' ? unblocked(state, context) : reopening(state, context)
          return reply(undefined, resumed({ ...next, attempt: 1 }, context))
        })
      },
      settle: (state, { key, outcome }, context) =>
        orRefused(state, context, async () => {
          const next =
            state?.status === 'blocked' && (await settled(state, { key, outcome }, context))
          if (!next)
            return refuse(state, context, notNow(`settle ${key}`, context.id, state?.status))
          return reply(undefined, resumed(next, context))
        }),
      begin: (state, _, context) =>
        reply(undefined, state?.isHeld && !isOver(state.status) ? changed(state, context) : state),
      childEnded: (state, end, context) => {
        if (!state || isOver(state.status)) return reply(undefined, state)
        try {
          return reply(undefined, endOfChild(state, end, context, goOn))
        } catch (error) {
          if (!isKeelsonError(error, 'CORRUPT')) throw error
          context.from.fail(error)
          // A life reads the record, and finds that it cannot go on. The child asks again.
          const mayLook = state.status === 'waiting' && !state.isHeld
          return noReply(mayLook ? goOn(state, context, () => undefined) : state)
        }
      },
      wake: (state) => reply(undefined, state),
    },
    continues: {
      enter: async (state, _, context) => {
        if (queue === undefined || !state?.isHeld || isOver(state.status)) return noReply(state)
        const ref = entitiesOf<EnterMessage>(context.app, 'queue', queue).ref(queueId)
        const { queueKey: key, priority } = state
        const run = `${workflow.name}/${context.id}`
        await call(context.to(ref), 'enter', { run, key, priority })
        return noReply(state)
      },
      tellParent: async (state, _, context) => {
        const { parent } = state as RunState
        // A run that goes on has nothing to tell.
        if (!parent || !state || (!isOver(state.status) && state.status !== 'blocked'))
          return noReply(state)
        const { type, id, ...place } = parent
        const told = (end: RunEnd): Promise<unknown> =>
          call(runOf(context, `${type}/${id}`), 'childEnded', { ...place, end })
        try {
          await told(await wholeEnd(endOf(state, context) as RunEnd))
        } catch (error) {
          // The parent gets an unreadable output after its repair: this step is tried again.
          if (isKeelsonError(error, 'CORRUPT'))
            await told({ status: 'blocked', error: keptError(error) })
          throw error
        }
        return noReply(isOver(state.status) ? { ...state, isTold: true } : state)
      },
      cancelChildren: async (state, _, context) => {
        if (!state || !isOver(state.status)) return noReply(state)
        const reason = `its parent ${workflow.name}/${context.id} has ended`
        for (const { child, outcome, isAbandoned } of [...recordIn(state, context.rows)])
          if (child !== undefined && !outcome && !isAbandoned)
            await call(runOf(context, child), 'cancel', { reason, force: false }).catch(unlessNone)
        return noReply(state)
      },
    },
    alarms: {
      timer: (state, _, context) =>
        noReply(
          state?.status !== 'waiting'
            ? state
            : state.isHeld && queue !== undefined
              ? entering(state, context)
              : changed(state, context),
        ),
      deadline: (state, _, context) => {
        if (!state || isOver(state.status) || state.cancel) return noReply(state)
        if (state.status === 'undoing') return noReply(state)
        const cancel = { reason: 'its deadline has passed', isPlaced: false }
        return noReply(changed({ ...state, cancel }, context))
      },
    },
  }

  function forced(state: RunState, message: string, context: RunContext): State {
    const error = { name: 'KeelsonError', code: 'CANCELLED', message }
    const end: RunEnd = { status: 'cancelled', error }
    tell(context, (life) => life.stop())
    for (const from of presentOf(context).waiting) from.reply(end)
    presentOf(context).failing.end()
    context.cancelAlarm('timer')
    context.cancelAlarm('deadline')
    if (state.parent) context.addContinue('tellParent')
    context.addContinue('cancelChildren')
    const { id } = context
    const { startedAt } = state
    context.background(async (life) =>
      tellFlow({ type: workflow.name, id, life }, 'flow.ended', { end, startedAt }),
    )
    return ended(state, context, end)
  }
}

/** A child that has not begun does not begin: its parent has ended. */
const unlessNone = (error: unknown): void => {
  if (!isKeelsonError(error, 'CONFLICT')) throw error
}

/** A refusal that ends no process. */
const refuse = (
  state: State,
  { from }: { readonly from: { fail(error: unknown): void } },
  error: KeelsonError,
) => {
  from.fail(error)
  return noReply(state)
}

/** The answer of a call that reads before it writes. An unreadable value refuses the call. */
const orRefused = async <A>(
  state: State,
  context: Parameters<typeof refuse>[1],
  answer: () => Promise<A>,
): Promise<A | ReturnType<typeof refuse>> => {
  try {
    return await answer()
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT') || isKeelsonError(error, 'INVALID_ARGUMENT'))
      return refuse(state, context, error)
    throw error
  }
}

const fieldsOf = (state: State): RunFields => {
  // A row without a run is counted apart.
  if (!state)
    return {
      status: noRun,
      at: undefined,
      parent: undefined,
      root: undefined,
      correlation: undefined,
    }
  const { status, since, parent, root, correlation } = state
  return {
    ...{ root, correlation, at: `${status}/${padded(since)}` },
    status: status === 'running' ? undefined : status,
    parent: parent && `${parent.type}/${parent.id}`,
  }
}

/** The state of a run that begins with this turn. */
const bornAt = (
  context: RunContext,
  { options: { version } }: Workflow,
  { inputHash, priority, key, correlation, parent, root }: StartRequest,
): RunState => {
  const now = context.now()
  const birth = Buffer.from(context.system.clock.randomBytes(8)).toString('hex')
  return {
    ...{ status: 'running', version, birth, inputHash, startedAt: now, since: now },
    ...{ round: 0, lap: 0, outcomes: 0, operations: 0, signals: 0, unread: 0, attempt: 1 },
    ...(priority !== undefined && { priority }),
    ...(key !== undefined && { queueKey: key }),
    ...(correlation !== undefined && { correlation }),
    ...(parent && { parent }),
    ...(root !== undefined && { root }),
  }
}

/** The start of a run that has begun: the same input and parent give that run. */
const startedAgain = (
  state: RunState,
  { inputHash, parent }: StartRequest,
  context: RunContext & { readonly from: { fail(error: unknown): void } },
  { name: type }: Workflow,
) => {
  const { id } = context
  const isSame = state.inputHash === inputHash && isParent(state, parent)
  if (!isSame) {
    const text = `the run ${id} of ${type} has begun with another input or parent`
    return refuse(state, context, new KeelsonError('CONFLICT', text, { details: { type, id } }))
  }
  // The parent runs once more, and waits for an end that it was given before.
  if (parent && isOver(state.status)) context.addContinue('tellParent')
  return reply({ repeated: true }, state)
}

const isParent = (state: RunState, parent: Parent | undefined): boolean =>
  parent === undefined
    ? true
    : state.parent?.type === parent.type &&
      state.parent.id === parent.id &&
      state.parent.birth === parent.birth &&
      state.parent.number === parent.number

const signalRefused = (
  state: State,
  { value, id }: SignalRequest,
  context: RunContext,
): KeelsonError | undefined => {
  // A caller that lost the answer asks again, perhaps after the end.
  if (id !== undefined && context.rows.get(signalIdKey(id)) !== undefined) return undefined
  if (!state || isOver(state.status)) return notNow('take a signal', context.id, state?.status)
  if (state.unread >= unreadMax)
    return new KeelsonError('BUSY', `the run ${context.id} has ${unreadMax} unread signals`)
  // Of its row: a longer one is not read at once.
  const length = signalLength(value)
  if (length <= signalBytesMax) return undefined
  return new KeelsonError('TOO_LARGE', `a signal has at most ${signalBytesMax} bytes`, {
    details: { length, max: signalBytesMax },
  })
}

/** The state with one more unread signal; the same state if it has this one. */
const signalled = (
  state: RunState,
  { name, value, id }: SignalRequest,
  { rows }: RunContext,
): RunState => {
  if (id !== undefined && rows.get(signalIdKey(id)) !== undefined) return state
  if (id !== undefined) rows.put(signalIdKey(id), true)
  const signals = state.signals + 1
  rows.put(signalKey(name, signals), signalRow(value))
  return { ...state, signals, unread: state.unread + 1 }
}

type GoOn = (state: RunState, context: RunContext, told: (life: Told) => void) => State

/** Records the end of a child, once. A blocked child has not ended. */
const endOfChild = (
  state: RunState,
  { end, ...place }: ChildEnd,
  context: RunContext,
  goOn: GoOn,
): State => {
  const { birth, lap, number } = place
  const row = context.rows.get<Operation>(operationKey(lap, number))
  if (state.birth !== birth || state.lap !== lap || !row || row.outcome) return state
  if (end.status === 'blocked') {
    const isAtRest = state.status === 'waiting' || state.status === 'blocked'
    return isAtRest ? state : goOn(state, context, (life) => life.childBlocked(number, end.error))
  }
  const outcome: Outcome =
    end.status === 'completed' ? outcomeOf(end.output) : { kind: 'error', error: end.error }
  const asked = { kind: row.kind, key: row.key, recorded: { ...row, number } }
  const [recorded, next] = recording(state, context, asked, { outcome })
  if (!recorded || next.status === 'blocked' || next.isHeld) return next
  return goOn(next, context, (life) => life.recorded(recorded))
}

/** A step of `once` whose outcome is not known runs again. */
const unblocked = (state: RunState, { rows }: RunContext): RunState => {
  for (const { number, hasBegun, ...row } of [...recordIn(state, rows)])
    if (hasBegun && !row.outcome) rows.put(operationKey(state.lap, number), row)
  return state
}
