/**
 * The entities of schedules. The alarm of one is the next time of its pattern. A time that is due
 * becomes a recorded step, which starts the run. It follows the end of that run beside its mailbox.
 * Each schedule of the tree has a kind and is kept awake; the ones made at run time share one,
 * and the keeper of runs wakes them at each start. It is apart from its importers, because they make
 * parts and calls, and this runs in the tree.
 */
import { type DurableServer, shardTime } from '../../actors/index.ts'
import { argument } from '../../check.ts'
import { backoffMs } from '../../clock.ts'
import { isKeelsonError, KeelsonError, missingDeclaration } from '../../errors.ts'
import { type ChildSpec, noReply, reply } from '../../runtime/index.ts'
import { type AppContext, kindSpec } from '../../supervisors/index.ts'
import {
  isInTree,
  keptAwake,
  runKind,
  scheduleId,
  scheduleKind,
  schedulesKind,
  sharedKind,
} from '../runs/parts.ts'
import { CronTimes } from './cron.ts'
import {
  type Declared,
  isOf,
  type Mark,
  type Plan,
  planAt,
  planBehind,
  planFor,
  planPaused,
  planStarted,
  planTriggered,
  runIdOf,
  type Scheduled,
  startable,
  timeOf,
} from './schedule-plan.ts'
import { KnownZones } from './zone-offsets.ts'

/** The messages of a schedule. A refusal is `CONFLICT`, or `BUSY` for a trigger beyond 1,000. */
export type ScheduleMessages = {
  calls: {
    /** Holds a schedule of the tree awake, and is never answered. */
    stay: () => void
    /** Wakes a schedule, which looks at what its program has now. */
    wake: () => void
    create: (declared: Declared) => { readonly repeated: boolean }
    change: (changes: Partial<Declared>) => void
    pause: (isPaused: boolean) => void
    /** Answers the id of the run. The step that starts it comes before the next message. */
    trigger: () => string
    /** Whether the run of this id has not started. */
    waits: (id: string) => boolean
  }
  continues: { start: () => void }
  alarms: { due: () => void }
}

type State = Plan | undefined
type Server = DurableServer<ScheduleMessages, State, Record<never, never>, string, unknown>
type Context = Parameters<NonNullable<Server['wake']>>[1]
type App = Pick<AppContext, 'entity'>

/** How schedules start runs, which are named by their times. */
export type RunStarter = {
  /** Starts a run, once, with the input and the attributes of its schedule, or with its time. */
  readonly begin: (
    app: App,
    workflow: string,
    id: string,
    own: Pick<Declared, 'input' | 'attributes'>,
    time: Scheduled,
  ) => Promise<unknown>
  /** Resolves when a run has ended, in any way. Rejects while it cannot be known. */
  readonly ended: (app: App, workflow: string, id: string) => Promise<unknown>
}

/** The key of what a part of `flows` declares, if it is a schedule. */
export const declaredSchedule = Symbol('the declaration of a schedule')

/** A schedule of the tree. */
export type TreeSchedule = {
  readonly name: string
  readonly declared: Declared
  readonly times: CronTimes
}

const pauses = { baseMs: 1_000, maxMs: 60_000 }

/** The parts of the tree with a schedule. */
export const scheduleSpecs = (own: TreeSchedule, starter: RunStarter): readonly ChildSpec[] => {
  const kind = scheduleKind(own.name)
  return [kindSpec(kind, server(starter, own)), keptAwake(kind, scheduleId)]
}

/** The part of the tree with the schedules that are made at run time: one, of all its `flows`. */
export const schedulesSpec = (starter: RunStarter): ChildSpec =>
  sharedKind(kindSpec(schedulesKind, server(starter)))

/**
 * Why a schedule that was made at run time starts nothing in this program; `undefined`: it does. Its
 * times pass as in a program that is down.
 */
export const brokenBy = (
  app: unknown,
  name: string,
  plan: Plan,
  zones = new KnownZones(),
): string | undefined => {
  const { workflow } = plan
  if (!isInTree(app, runKind(workflow))) return `the workflow ${workflow} is not in the tree`
  const times = lostTimes(plan, zones)
  if (times !== undefined) return `this program has no ${times}`
  return isInTree(app, scheduleKind(name)) ? `the tree has a schedule ${name} too` : undefined
}

/** The zone or pattern of a plan that is unknown to this program: another Node has other zones. */
const lostTimes = ({ cron, zone }: Plan, zones: KnownZones): string | undefined => {
  try {
    new CronTimes(cron, zone, argument(), zones)
    return undefined
  } catch {
    return `times for the pattern ${cron} in the zone ${zone}`
  }
}

/** The schedules of one kind: one of the tree, or all made at run time. */
const server = (starter: RunStarter, own?: TreeSchedule): Server => {
  const nameOf = (context: Context): string => own?.name ?? context.id
  const zones = new KnownZones()
  const timesOf = ({ cron, zone }: Declared): CronTimes =>
    own?.times ?? new CronTimes(cron, zone, argument(), zones)
  /** The plan as this program goes on with it; `undefined`: there is none, or it rests. */
  const planNow = (plan: State, context: Context): State => {
    const now = shardTime(context).wall()
    if (own) return planFor(own.declared, own.times, now, plan)
    if (!plan || brokenBy(context.app, context.id, plan, zones) !== undefined) return undefined
    return planBehind(plan, timesOf(plan), now)
  }
  /** The next plan with its alarm, and the step that starts the run which may start. */
  const goesOn = (plan: Plan, context: Context): Plan => {
    if (plan.next === undefined) context.cancelAlarm('due')
    else context.setAlarm('due', { inMs: Math.max(0, plan.next - shardTime(context).wall()) })
    startSoon(plan, context)
    return plan
  }
  const unknown = (plan: State, context: Context & Asked) => {
    context.from.fail(conflict(`there is no schedule ${nameOf(context)}`, nameOf(context)))
    return noReply(plan)
  }
  return {
    init: () => undefined,
    wake: (plan, context) => {
      if (plan?.running !== undefined) follow(starter, plan.running, context)
    },
    calls: {
      stay: (plan, _, context) => {
        const next = planNow(plan, context)
        return noReply(next && next !== plan ? goesOn(next, context) : plan)
      },
      wake: (plan, _, context) => {
        const next = planNow(plan, context)
        return reply(undefined, next ? goesOn(next, context) : plan)
      },
      create: (plan, declared, context) => {
        if (plan === undefined)
          return reply(
            { repeated: false },
            goesOn(
              planFor(declared, timesOf(declared), shardTime(context).wall(), undefined),
              context,
            ),
          )
        if (isOf(plan, declared)) return reply({ repeated: true }, plan)
        const text = `the schedule ${context.id} is there, and is another one`
        context.from.fail(conflict(text, context.id))
        return noReply(plan)
      },
      change: (plan, changes, context) => {
        if (plan === undefined) return unknown(plan, context)
        const now = shardTime(context).wall()
        const declared = { ...plan, ...changes }
        const { cron, zone, missed, overlap, workflow, input, attributes = {} } = declared
        const own = {
          cron,
          zone,
          missed,
          overlap,
          workflow,
          ...(input && { input }),
          ...(Object.keys(attributes).length > 0 && { attributes }),
        }
        // The times that passed until now are those of the old pattern, if this program knows them.
        const until = lostTimes(plan, zones) ? plan : planAt(plan, timesOf(plan), now)
        return reply(undefined, goesOn(planFor(own, timesOf(own), now, until), context))
      },
      pause: (found, isPaused, context) => {
        const plan = own ? planNow(found, context) : found
        if (plan === undefined) return unknown(plan, context)
        const lost = own ? undefined : lostTimes(plan, zones)
        if (lost !== undefined) {
          context.from.fail(missingDeclaration(lost))
          return noReply(found)
        }
        const next = planPaused(plan, isPaused, timesOf(plan), shardTime(context).wall())
        return reply(undefined, next === found ? found : goesOn(next, context))
      },
      trigger: (found, _, context) => {
        const plan = own ? planNow(found, context) : found
        if (plan === undefined) return unknown(plan, context)
        const name = nameOf(context)
        const broken = own ? undefined : brokenBy(context.app, name, plan, zones)
        const letters = Buffer.from(context.system.clock.randomBytes(4)).toString('hex')
        const mark = `${new Date(shardTime(context).wall()).toISOString()}/${letters}`
        const next = broken ?? planTriggered(plan, mark)
        if (typeof next !== 'string') return reply(runIdOf(name, mark), goesOn(next, context))
        context.from.fail(refusalOf(name, next))
        return noReply(found)
      },
      waits: (plan, id, context) =>
        reply(plan?.waiting.some((mark) => runIdOf(nameOf(context), mark) === id) ?? false, plan),
    },
    alarms: {
      // It may be due under the declaration of an earlier program, and come before `stay`.
      due: (plan, _, context) => {
        const next = planNow(plan, context)
        if (!next) return rests(plan, context, zones)
        return noReply(goesOn(planAt(next, timesOf(next), shardTime(context).wall()), context))
      },
    },
    continues: {
      // A mark has one run, however often this step is tried.
      start: async (found, _, context) => {
        const plan = planNow(found, context)
        const mark = plan && startable(plan)
        if (plan === undefined) return rests(found, context, zones)
        if (mark === undefined) return noReply(found)
        const run = await begin(starter, plan, nameOf(context), mark, context.app as App)
        const next = planStarted(plan, mark, run)
        if (next.running === run) follow(starter, run, context)
        // It may come before `stay`, under the pattern of another program.
        return noReply(goesOn(next, context))
      },
    },
  }
}

/**
 * After a turn of a schedule that starts nothing. One whose workflow or times are missing waits as it
 * is.
 * @throws KeelsonError a `missingDeclaration`
 */
const rests = (plan: State, { app }: Context, zones: KnownZones) => {
  if (plan === undefined) return noReply(plan)
  const { workflow } = plan
  const isLost = !isInTree(app, runKind(workflow))
  const missing = isLost ? `workflow ${workflow}` : lostTimes(plan, zones)
  if (missing !== undefined) throw missingDeclaration(missing)
  return noReply(plan)
}

type Asked = { readonly from: { fail(error: unknown): void } }

const conflict = (text: string, schedule: string): KeelsonError =>
  new KeelsonError('CONFLICT', text, { details: { schedule } })

const refusalOf = (schedule: string, reason: string): KeelsonError => {
  if (reason === 'full')
    return new KeelsonError('BUSY', `1,000 runs of the schedule ${schedule} wait`)
  const text =
    reason === 'busy' ? 'has a run that has not ended, and leaves others out' : `rests: ${reason}`
  return conflict(`the schedule ${schedule} ${text}`, schedule)
}

const startSoon = (plan: Plan, context: Context): void => {
  if (startable(plan) !== undefined) context.addContinue('start')
}

/** Starts the run of a mark, and answers it as `type/id`. */
const begin = async (
  { begin }: RunStarter,
  { workflow, input, attributes }: Plan,
  name: string,
  mark: Mark,
  app: App,
): Promise<string> => {
  const id = runIdOf(name, mark)
  try {
    const own = { ...(input && { input }), ...(attributes && { attributes }) }
    await begin(app, workflow, id, own, { at: timeOf(mark) })
  } catch (error) {
    // An earlier try has started it, with the input before a change.
    if (!isKeelsonError(error, 'CONFLICT')) throw error
  }
  return `${workflow}/${id}`
}

/** Waits beside the mailbox for the end of a run, and lets the next one start. */
const follow = ({ ended }: RunStarter, run: string, context: Context): void =>
  context.background(async (work) => {
    const at = run.indexOf('/')
    const closing = new Promise<'closing'>((resolve) => {
      work.closing.addEventListener('abort', () => resolve('closing'))
    })
    for (let failures = 1; ; failures++) {
      // Its workflow may not be in this program: `ended` throws then, and a later program knows.
      const asked = Promise.resolve().then(() =>
        ended(work.app as App, run.slice(0, at), run.slice(at + 1)),
      )
      const end = asked.then(
        () => 'ended' as const,
        () => 'unknown' as const,
      )
      const now = await Promise.race([end, closing])
      if (now === 'closing') return
      if (now === 'ended') break
      if ((await Promise.race([work.sleep(backoffMs(pauses, failures)), closing])) === 'closing')
        return
    }
    await work.apply((plan, turn) => {
      const found = plan as Plan
      const next: Plan = found.running === run ? { ...found, running: undefined } : found
      startSoon(next, turn as Pick<Context, 'addContinue'> as Context)
      return reply(undefined, next)
    })
  })
