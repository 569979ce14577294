/** A scenario's server definition as a server of the runtime. Each start makes a new one, with a memory of its own. */
import {
  type CallContext,
  type DownMessage,
  type ExitMessage,
  type GenServer,
  type Init,
  ignore,
  noReply,
  ok,
  type Ref,
  reply,
  stop,
  stopReply,
} from '../../../src/runtime/index.ts'
import { drive, type Frame, perform, subjectTerm } from './actions.ts'
import { Memory, type TalkContext } from './operations.ts'
import type { Operation, ServerDefinition, Term } from './scenario.ts'
import type { Stage } from './stage.ts'
import type { Talk } from './talk.ts'

type Given = {
  readonly payload: unknown
  readonly from?: Ref | undefined
  readonly call?: Frame['call']
}
type Continue = readonly ['go', string]

/** The server of one start under the base label `base`. */
export const scenarioServer = (
  definition: ServerDefinition,
  base: string,
  stage: Stage,
): GenServer<Talk, unknown, unknown> => {
  let memory: Memory
  const frameOf = (state: unknown, { payload, from, call }: Given): Frame => ({
    state,
    payload,
    from,
    call,
  })
  const actionsOf = (...keys: string[]): Operation[] | undefined =>
    keys.map((key) => definition.on?.[key]).find((actions) => actions !== undefined)

  /** A callback that answers with the next state; without a key, as `otherwise` says. */
  const handle = (
    state: unknown,
    given: Given,
    keys: string[],
    event: Term[],
    otherwise: 'ignore' | 'fail',
  ) => {
    memory.record(...event)
    const actions = actionsOf(...keys)
    if (actions === undefined && otherwise === 'fail') throw new Error('no such clause')
    const frame = frameOf(state, given)
    return drive(perform(actions ?? [], memory, frame, stage), () => stepOf(frame))
  }
  const encode = (value: unknown): Term => memory.recorder.encode(value)

  return {
    init: (arg, context) => {
      const label = stage.recorder.label(base, context.self)
      memory = new Memory(label, context as TalkContext, stage.recorder)
      memory.record('init', encode(arg))
      const frame = frameOf(null, { payload: arg })
      const steps = perform(actionsOf('init') ?? [], memory, frame, stage)
      return drive(steps, () => initOf(frame)) as Init<unknown, Continue>
    },
    calls: {
      say: (state, { name, payload }, context: CallContext<Talk>) => {
        const given = { payload, from: context.from.caller, call: context.from }
        return handle(
          state,
          given,
          [`call ${name}`, 'call *'],
          ['call', name, encode(payload)],
          'fail',
        )
      },
    },
    casts: {
      say: (state, { name, payload }) =>
        handle(
          state,
          { payload },
          [`cast ${name}`, 'cast *'],
          ['cast', name, encode(payload)],
          'fail',
        ),
    },
    infos: {
      say: (state, { name, payload }) =>
        handle(
          state,
          { payload },
          [`info ${name}`, 'info *'],
          ['info', name, encode(payload)],
          'ignore',
        ),
      ring: (state, { payload: { tag, payload } }) =>
        handle(state, { payload }, [`timer ${tag}`], ['timer', tag, encode(payload)], 'ignore'),
      task: (state, { value }) =>
        handle(
          state,
          { payload: value },
          ['info *'],
          ['info', { $ref: '*' }, encode(value)],
          'ignore',
        ),
    },
    continues: {
      go: (state, name) =>
        handle(state, { payload: null }, [`continue ${name}`], ['continue', name], 'fail'),
    },
    exit: (state, { from, reason }: ExitMessage) =>
      handle(
        state,
        { payload: reason, from },
        ['exit'],
        ['exit', encode(from), encode(reason)],
        'ignore',
      ),
    down: (state, { monitor, target, reason }: DownMessage) => {
      const event = ['down', memory.tagOf(monitor), subjectTerm(target, memory), encode(reason)]
      const from = typeof target === 'string' ? undefined : target
      return handle(state, { payload: reason, from }, ['down'], event, 'ignore')
    },
    timeout: (state) => handle(state, { payload: null }, ['timeout'], ['timeout'], 'ignore'),
    terminate: (state, reason) => {
      memory.record('terminate', encode(reason))
      const frame = frameOf(state, { payload: reason })
      return drive(perform(actionsOf('terminate') ?? [], memory, frame, stage), () => undefined)
    },
  }
}

/** What a callback answers. */
const stepOf = (frame: Frame) => {
  const { state, next, stop: stopped, reply: replied, bad } = frame
  if (bad !== undefined) return bad.value as never
  if (stopped !== undefined && replied !== undefined)
    return stopReply(stopped.reason, replied.value, state) as never
  if (stopped !== undefined) return stop(stopped.reason, state)
  if (replied !== undefined) return reply(replied.value, state, next) as never
  return noReply(state, next)
}

/** What `init` answers. Any bare value would be a state, so nonsense is an answer that only other callbacks may give. */
const initOf = (frame: Frame): unknown => {
  if (frame.bad !== undefined) return noReply(frame.bad.value)
  if (frame.ignore) return ignore()
  if (frame.stop !== undefined) return stop(frame.stop.reason)
  return ok(frame.state, frame.next)
}
