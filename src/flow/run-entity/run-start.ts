/** The start of a run: at once, after its delay, or when its queue has a place for it. */
import { KeelsonError } from '../../errors.ts'
import { call, noReply, reply } from '../../runtime/index.ts'
import type { Workflow } from '../runs/body.ts'
import type { EnterMessage, RunContext, StartRequest } from '../runs/messages.ts'
import { entitiesOf, queueId } from '../runs/parts.ts'
import { isOver, type Parent, type RunState } from '../runs/record.ts'
import type { RunActivations, RunAlarms, RunCalls, RunContinues } from './activations.ts'
import { refuse } from './refusals.ts'

/** `start`, and `begin` of a run that is held. */
export const startCalls = (activations: RunActivations): RunCalls<'start' | 'begin'> => ({
  start: (state, request, context) => {
    if (state) return startedAgain(state, request, context, activations.workflow)
    const { input, delay, deadline = activations.workflow.options.deadline } = request
    if (input !== undefined) context.rows.put('input', input)
    if (deadline !== undefined) context.setAlarm('deadline', { inMs: deadline })
    const born = bornAt(context, activations.workflow, request)
    if (delay !== undefined) {
      context.setAlarm('timer', { inMs: delay })
      const waitsFor = { kind: 'delay', until: context.now() + delay } as const
      const held: RunState = { ...born, status: 'waiting', isHeld: true, waitsFor }
      return reply({ repeated: false }, held)
    }
    if (activations.workflow.options.queue !== undefined)
      return reply({ repeated: false }, activations.entering(born, context))
    activations.begin(context, { input, state: born })
    return reply({ repeated: false }, born)
  },
  begin: (state, _, context) =>
    reply(
      undefined,
      state?.isHeld && !isOver(state.status) ? activations.changed(state, context) : state,
    ),
})

/** The run enters its queue. */
export const enterQueue = ({ workflow }: RunActivations): RunContinues<'enter'> => ({
  enter: async (state, _, context) => {
    const { queue } = workflow.options
    if (queue === undefined || !state?.isHeld || isOver(state.status)) return noReply(state)
    const ref = entitiesOf<EnterMessage>(context.app, 'queue', queue).ref(queueId)
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
    return noReply(
      mustEnter ? activations.entering(state, context) : activations.changed(state, context),
    )
  },
})

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
  if (parent && isOver(state.status)) context.addContinue('notifyParent')
  return reply({ repeated: true }, state)
}

const isParent = (state: RunState, parent: Parent | undefined): boolean =>
  parent === undefined
    ? true
    : state.parent?.type === parent.type &&
      state.parent.id === parent.id &&
      state.parent.birth === parent.birth &&
      state.parent.number === parent.number
