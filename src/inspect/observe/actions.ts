/**
 * The actions of the page of `keelson observe`, each on one thing that it names. They run only in
 * sessions that were opened for writing. They are apart from `looks.ts`, so that nothing that only
 * looks can reach them.
 */
import { invalidArgument, isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { LimitsChange } from '../../flow/index.ts'
import { type Action, limitsText } from '../../observe/index.ts'
import { ownOf } from '../../own-names.ts'
import { shapeText } from '../../redaction.ts'
import {
  describeReason,
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
import { flowOf, flowPart } from '../answers/flow-parts.ts'
import { processTitle } from '../answers/process-finder.ts'
import { processAt } from '../answers/process-pages.ts'
import { shortText } from '../text/shown-text.ts'
import { entityIn } from './entity-looks.ts'
import { numberIn, optionalNumber, type Query, textIn } from './questions.ts'

/** An action whose parts are checked as far as the instance is not asked. */
export type CheckedAction = Query & { readonly act: Action['act'] }

type Doing = {
  /** The effect in words, before it. */
  readonly effect: (app: App, query: Query) => string
  readonly perform: (app: App, query: Query) => Promise<unknown>
}

const reasonMax = 300

/** The action that a message proposes. @throws KeelsonError `INVALID_ARGUMENT` */
export const proposedIn = (message: unknown): CheckedAction => {
  const { act, ...parts } = Object(message) as Query
  if (typeof act !== 'string' || !Object.hasOwn(actions, act))
    throw invalidArgument('act', `one of ${Object.keys(actions).join(', ')}`, act)
  return { ...parts, act: act as Action['act'] }
}

/** The reason of an action, for the log. @throws KeelsonError `INVALID_ARGUMENT` */
export const reasonIn = (message: unknown): string => {
  const { reason } = Object(message) as Query
  const said = typeof reason === 'string' ? reason.trim() : ''
  if (said === '') throw invalidArgument('reason', 'a few words for the log', reason)
  return shortText(said, reasonMax)
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

/** An action on the subject that its query names. */
const on = <S>(
  subjectIn: (app: App, query: Query) => S,
  effect: (subject: S) => string,
  perform: (subject: S, app: App) => unknown,
): Doing => ({
  effect: (app, query) => effect(subjectIn(app, query)),
  perform: async (app, query) => perform(subjectIn(app, query), app),
})

const processIn = ({ system }: App, query: Query): ProcessSummary => {
  const pid = numberIn(query, 'pid', { min: 1 })
  const found = processAt(system, pid)
  if (!found) throw new KeelsonError('NO_PROCESS', `there is no process <${pid}> any more`)
  return found
}

/** The handle of the kind, the id, and the title of an entity. */
const actorIn = (app: App, query: Query) => {
  const { kind, id } = entityIn(app, query)
  return { handle: app.entity(kind), id, title: `${kind}/${id}` }
}

/** The same with the name of a step or an alarm. */
const pendingIn = (app: App, query: Query) => ({
  ...actorIn(app, query),
  name: textIn(query, 'name'),
})

const runIn = (app: App, query: Query) => {
  const [type, id] = [textIn(query, 'type'), textIn(query, 'id')]
  return { workflow: flowPart(app, 'workflow', type), id, title: `${type}/${id}` }
}

const signalIn = (app: App, query: Query) => ({
  ...runIn(app, query),
  name: textIn(query, 'name'),
  value: query.value,
})

const jobIn = (app: App, query: Query) => {
  const name = textIn(query, 'queue')
  return { queue: flowPart(app, 'queue', name), id: textIn(query, 'id'), name }
}

/** A queue, and the limits of it that change. The queue checks them. */
const limitsIn = (app: App, query: Query) => {
  const name = textIn(query, 'queue')
  const [concurrency, perKey] = [numberOf(query, 'concurrency'), numberOf(query, 'perKey')]
  const given = ownOf(query, 'rate')
  const rate = given === null ? null : given === undefined ? undefined : rateIn(Object(given))
  const change = {
    ...(concurrency !== undefined && { concurrency }),
    ...(perKey !== undefined && { perKey }),
    ...(rate !== undefined && { rate }),
  }
  return { queue: flowPart(app, 'queue', name), name, change }
}

const numberOf = (query: Query, name: string): number | undefined =>
  optionalNumber(query, name, { min: 1 })

const rateIn = (rate: Query) => ({
  max: numberIn(rate, 'max', { min: 1 }),
  per: textIn(rate, 'per'),
  key: ownOf(rate, 'key') === true,
})

const queueIn = (app: App, query: Query) => {
  const name = textIn(query, 'queue')
  return { queue: flowPart(app, 'queue', name), name }
}

const scheduleIn = (_: App, query: Query): string => textIn(query, 'schedule')

const shardIn = ({ shards }: App, query: Query): number =>
  numberIn(query, 'shard', { max: shards.length - 1 })

/**
 * Ends a child in order, and starts it again.
 * @throws KeelsonError `INVALID_ARGUMENT`; `EXITED` if it does not start, or is a temporary one
 */
const restart = async ({ pid, parent = 0 }: ProcessSummary, { system }: App): Promise<unknown> => {
  const above = processAt(system, parent)
  if (above?.kind !== 'supervisor')
    throw invalidArgument('pid', 'a child of a supervisor with a list of children', pid)
  const supervisor = above.ref as Ref<SupervisorMessages>
  const child = (await whichChildren(supervisor)).find(({ ref }) => ref?.pid === pid)
  if (!child) throw new KeelsonError('NO_PROCESS', `<${pid}> is no child of <${parent}> any more`)
  await terminateChild(supervisor, child.id)
  const { ok, reason } = { reason: undefined, ...(await restartChild(supervisor, child.id)) }
  if (ok || reason === undefined) return undefined
  throw new KeelsonError(
    'EXITED',
    `${child.id} has ended, and does not start again: ${describeReason(reason)}`,
  )
}

/** Opens a shard. A refusal has the reason why it is down. @throws KeelsonError `SHARD_DOWN` */
const reopen = (shard: number, { control }: App): Promise<unknown> =>
  control.reopen(shard).catch((error: unknown) => {
    if (!isKeelsonError(error, 'SHARD_DOWN')) throw error
    const reason = error.cause === undefined ? error.message : reasonText(error.cause)
    throw new KeelsonError('SHARD_DOWN', `shard ${shard} is still down: ${reason}`, {
      cause: error,
    })
  })

type Signals = Record<string, unknown>

const actions: Readonly<Record<Action['act'], Doing>> = {
  kill: on(
    processIn,
    (found) => `kills ${processTitle(found)}; its supervisor decides whether it starts again`,
    ({ ref }, { system }) => system.kill(ref),
  ),
  suspend: on(
    processIn,
    (found) => `suspends ${processTitle(found)}; its messages wait`,
    ({ ref }) => suspend(ref),
  ),
  resume: on(
    processIn,
    (found) => `lets ${processTitle(found)} continue`,
    ({ ref }) => resume(ref),
  ),
  restart: on(
    processIn,
    (found) => `ends ${processTitle(found)} in order and starts it again`,
    restart,
  ),
  stop: on(
    actorIn,
    ({ title }) => `lets ${title} rest; the next message wakes it`,
    ({ handle, id }) => handle.stop(id),
  ),
  unblock: on(
    actorIn,
    ({ title }) => `lets ${title} try again: its rows, its parked steps and alarms`,
    ({ handle, id }) => handle.unblock(id),
  ),
  delete: on(
    actorIn,
    ({ title }) => `deletes ${title} with its state, alarms and remembered calls`,
    ({ handle, id }) => handle.delete(id),
  ),
  retryStep: on(
    pendingIn,
    ({ name, title }) => `runs the step ${name} of ${title} now; a try that fails counts`,
    ({ handle, id, name }) => handle.retryStep(id, name),
  ),
  fireAlarm: on(
    pendingIn,
    ({ name, title }) => `fires the alarm ${name} of ${title} now`,
    ({ handle, id, name }) => handle.fireAlarm(id, name),
  ),
  cancelAlarm: on(
    pendingIn,
    ({ name, title }) => `cancels the alarm ${name} of ${title}: it does not fire`,
    ({ handle, id, name }) => handle.cancelAlarm(id, name),
  ),
  cancelRun: on(
    runIn,
    ({ title }) => `cancels the run ${title}, and undoes the steps that began`,
    async ({ workflow, id }, app) => (await flowOf(app)).handle(workflow, id).cancel(),
  ),
  retryRun: on(
    runIn,
    ({ title }) => `lets the run ${title} continue; the outcomes of its steps are kept`,
    async ({ workflow, id }, app) => (await flowOf(app)).retry(workflow, id),
  ),
  signalRun: on(
    signalIn,
    // Its value may be a secret, and the effect goes to the log.
    ({ title, name, value }) =>
      `sends the signal ${name} (${shapeText(value)}) to the run ${title}`,
    async ({ workflow, id, name, value }, app) =>
      (await flowOf(app)).handle<unknown, unknown, Signals>(workflow, id).signal(name, value),
  ),
  retryJob: on(
    jobIn,
    ({ id, name }) => `lets the dead job ${id} of ${name} run again, with all its tries`,
    async ({ queue, id }, app) => (await flowOf(app)).retry(queue, id),
  ),
  removeJob: on(
    jobIn,
    ({ id, name }) => `removes the job ${id} of ${name}; if it runs, it is cancelled`,
    async ({ queue, id }, app) => (await (await flowOf(app)).job(queue, id).remove()).removed,
  ),
  setLimits: on(
    limitsIn,
    ({ name, change }) =>
      `changes limits of the queue ${name} until they are reset: ${limitsText(change)}`,
    async ({ queue, change }, app) => (await flowOf(app)).setLimits(queue, change as LimitsChange),
  ),
  resetLimits: on(
    queueIn,
    ({ name }) => `lets the limits of the program hold again for the queue ${name}`,
    async ({ queue }, app) => (await flowOf(app)).resetLimits(queue),
  ),
  pauseSchedule: on(
    scheduleIn,
    (name) => `pauses the schedule ${name}: it starts no run by its times`,
    async (name, app) => (await flowOf(app)).schedules.pause(name),
  ),
  resumeSchedule: on(
    scheduleIn,
    (name) => `lets the schedule ${name} continue with its next time`,
    async (name, app) => (await flowOf(app)).schedules.resume(name),
  ),
  triggerSchedule: on(
    scheduleIn,
    (name) => `starts a run of the schedule ${name} now`,
    async (name, app) => (await flowOf(app)).schedules.trigger(name),
  ),
  deleteSchedule: on(
    scheduleIn,
    (name) => `removes the schedule ${name}, which was made at run time`,
    async (name, app) => (await flowOf(app)).schedules.delete(name),
  ),
  flush: on(
    shardIn,
    (shard) => `brings the projection of shard ${shard} up to date`,
    (shard, { control }) => control.flush(shard),
  ),
  snapshot: on(
    shardIn,
    (shard) => `makes a snapshot of shard ${shard}`,
    (shard, { control }) => control.snapshot(shard),
  ),
  reopen: on(shardIn, (shard) => `opens shard ${shard} again`, reopen),
  resumeShard: on(
    shardIn,
    (shard) => `ends every suspension of the projection of shard ${shard}`,
    (shard, { control }) => control.resume(shard, { force: true }),
  ),
  acceptClock: on(
    shardIn,
    (shard) => `lets shard ${shard} and all others take the time of the clock`,
    (_, { control }) => control.acceptClock(),
  ),
}
