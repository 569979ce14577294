/**
 * The actions of the page of `keelson observe`, each on one thing that it names. They run only in
 * sessions that were opened for writing.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { Action } from '../../observe/index.ts'
import {
  type ProcessSummary,
  type Ref,
  restartChild,
  resume,
  type SupervisorMessages,
  suspend,
  terminateChild,
  whichChildren,
} from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { processTitle } from '../prompt/process-finder.ts'
import { processAt } from '../prompt/process-pages.ts'
import { entityIn } from './entity-looks.ts'
import { flowOf, flowPart } from './flow-looks.ts'
import { numberIn, type Query, textIn } from './questions.ts'
import { shortText } from './value-trees.ts'

/** An action whose parts are checked as far as the instance is not asked. */
export type CheckedAction = Query & { readonly act: keyof typeof actions; readonly reason: string }

type Doing = {
  /** The effect in words, before it. */
  readonly effect: (app: App, query: Query) => string
  readonly perform: (app: App, query: Query) => Promise<unknown>
}

const reasonMax = 300

/** The action that a message names. @throws KeelsonError `INVALID_ARGUMENT` */
export const actionIn = (message: unknown): CheckedAction => {
  const { act, reason, ...parts } = Object(message) as Query
  if (typeof act !== 'string' || !Object.hasOwn(actions, act))
    throw invalidArgument('act', `one of ${Object.keys(actions).join(', ')}`, act)
  const said = typeof reason === 'string' ? reason.trim() : ''
  if (said === '') throw invalidArgument('reason', 'a few words for the log', reason)
  return { ...parts, act: act as CheckedAction['act'], reason: shortText(said, reasonMax) }
}

/** The effect of an action in words, before it. @throws KeelsonError `NO_PROCESS`, `INVALID_ARGUMENT` */
export const effectOf = (app: App, action: CheckedAction): string =>
  shortText(actions[action.act].effect(app, action))

/** Performs an action; what it did in words. @throws KeelsonError */
export const perform = async (app: App, action: CheckedAction): Promise<string> => {
  // Afterwards it may be gone.
  const effect = effectOf(app, action)
  const done = await actions[action.act].perform(app, action)
  return done === false ? 'Nothing was to be done.' : `Done: ${effect}`
}

const processIn = ({ system }: App, query: Query): ProcessSummary => {
  const pid = numberIn(query, 'pid', { min: 1 })
  const found = processAt(system, pid)
  if (!found) throw new KeelsonError('NO_PROCESS', `there is no process <${pid}> any more`)
  return found
}

const onProcess = (
  effect: string,
  perform: (app: App, found: ProcessSummary) => Promise<unknown>,
) => ({
  effect: (app: App, query: Query) =>
    effect.replace('%', () => processTitle(processIn(app, query))),
  perform: (app: App, query: Query) => perform(app, processIn(app, query)),
})

type Handle = ReturnType<App['entity']>

const onEntity = (effect: string, perform: (handle: Handle, id: string) => Promise<unknown>) => ({
  effect: (app: App, query: Query) => {
    const { kind, id } = entityIn(app, query)
    return effect.replace('%', () => `${kind}/${id}`)
  },
  perform: (app: App, query: Query) => {
    const { kind, id } = entityIn(app, query)
    return perform(app.entity(kind), id)
  },
})

const onRun = (
  effect: string,
  perform: (app: App, type: string, id: string, query: Query) => Promise<unknown>,
) => ({
  effect: (app: App, query: Query) => {
    const [type, id] = [textIn(query, 'type'), textIn(query, 'id')]
    flowPart(app, 'workflow', type)
    return effect.replace('%', () => `${type}/${id}`)
  },
  perform: (app: App, query: Query) =>
    perform(app, textIn(query, 'type'), textIn(query, 'id'), query),
})

const onShard = (effect: string, perform: (app: App, shard: number) => unknown) => ({
  effect: (app: App, query: Query) => effect.replace('%', String(shardIn(app, query))),
  perform: async (app: App, query: Query) => perform(app, shardIn(app, query)),
})

const shardIn = ({ shards }: App, query: Query): number =>
  numberIn(query, 'shard', { max: shards.length - 1 })

/** Ends a child in order, and starts it again. @throws KeelsonError `INVALID_ARGUMENT` */
const restart = async ({ system }: App, { pid, parent = 0 }: ProcessSummary): Promise<unknown> => {
  const above = processAt(system, parent)
  if (above?.kind !== 'supervisor')
    throw invalidArgument('pid', 'a child of a supervisor with a list of children', pid)
  const supervisor = above.ref as Ref<SupervisorMessages>
  const child = (await whichChildren(supervisor)).find(({ ref }) => ref?.pid === pid)
  if (!child) throw new KeelsonError('NO_PROCESS', `<${pid}> is no child of <${parent}> any more`)
  await terminateChild(supervisor, child.id)
  return restartChild(supervisor, child.id)
}

const actions = {
  kill: onProcess('kills %; its supervisor decides whether it starts again', async (app, { ref }) =>
    app.system.kill(ref),
  ),
  suspend: onProcess('suspends %; its messages wait', (_, { ref }) => suspend(ref)),
  resume: onProcess('lets % go on', (_, { ref }) => resume(ref)),
  restart: onProcess('ends % in order and starts it again', restart),
  stop: onEntity('lets % rest; the next message wakes it', (handle, id) => handle.stop(id)),
  unblock: onEntity('lets % try again: its rows, its parked steps and alarms', (handle, id) =>
    handle.unblock(id),
  ),
  delete: onEntity('deletes % with its state, alarms and remembered calls', (handle, id) =>
    handle.delete(id),
  ),
  cancelRun: onRun('cancels the run %, and undoes the steps that began', async (app, type, id) =>
    (await flowOf(app)).handle(flowPart(app, 'workflow', type) as never, id).cancel(),
  ),
  retryRun: onRun('lets the run % go on', async (app, type, id) =>
    (await flowOf(app)).retry(flowPart(app, 'workflow', type) as never, id),
  ),
  signalRun: onRun('sends a signal to the run %', async (app, type, id, query) =>
    (await flowOf(app))
      .handle<unknown, unknown, Record<string, unknown>>(
        flowPart(app, 'workflow', type) as never,
        id,
      )
      .signal(textIn(query, 'name'), query.value),
  ),
  retryJob: {
    effect: (app, query) => {
      const queue = textIn(query, 'queue')
      flowPart(app, 'queue', queue)
      return `lets the dead job ${textIn(query, 'id')} of ${queue} run again`
    },
    perform: async (app, query) =>
      (await flowOf(app)).retry(
        flowPart(app, 'queue', textIn(query, 'queue')),
        textIn(query, 'id'),
      ),
  },
  flush: onShard('brings the projection of shard % up to date', (app, shard) =>
    app.control.flush(shard),
  ),
  snapshot: onShard('makes a snapshot of shard %', (app, shard) => app.control.snapshot(shard)),
  reopen: onShard('opens shard % again', (app, shard) => app.control.reopen(shard)),
  acceptClock: onShard('lets shard % and all others take the time of the clock', (app) =>
    app.control.acceptClock(),
  ),
} satisfies Partial<Record<Action['act'], Doing>>
