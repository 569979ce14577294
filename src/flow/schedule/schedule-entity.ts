/**
 * The entity of a schedule. Its alarm is the next time of its pattern. A time that is due becomes a
 * recorded step, which starts the run. It follows the end of that run beside its mailbox. It is
 * apart from `schedule`, its one importer, because that makes parts, and this runs in the tree.
 */
import type { DurableServer } from '../../actors/index.ts'
import { backoffMs } from '../../clock.ts'
import { type ChildSpec, noReply, reply } from '../../runtime/index.ts'
import { type AppContext, kindSpec } from '../../supervisors/index.ts'
import { keptAwake, scheduleKind } from '../runs/parts.ts'
import type { CronTimes } from './cron.ts'
import {
  type Declared,
  type Plan,
  planAt,
  planFor,
  planStarted,
  startable,
} from './schedule-plan.ts'

type Messages = {
  calls: { stay: () => void }
  continues: { start: () => void }
  alarms: { due: () => void }
}

type State = Plan | undefined
type Server = DurableServer<Messages, State, Record<never, never>, string, unknown>
type Context = Parameters<NonNullable<Server['wake']>>[1]
type App = Pick<AppContext, 'entity'>

/** The times of a schedule and the runs that it begins, which are named by these times. */
export type ScheduleTerms = {
  readonly name: string
  readonly declared: Declared
  readonly times: CronTimes
  /** Starts the run of a time, once. */
  readonly begin: (app: App, at: number) => Promise<unknown>
  /** Resolves when the run of a time has ended, in any way. Rejects while it cannot be known. */
  readonly ended: (app: App, at: number) => Promise<unknown>
}

const scheduleId = 'schedule'
const pauses = { baseMs: 1_000, maxMs: 60_000 }

/** The parts of the tree with a schedule. */
export const scheduleSpecs = (terms: ScheduleTerms): readonly ChildSpec[] => {
  const kind = scheduleKind(terms.name)
  return [kindSpec(kind, server(terms)), keptAwake(kind, scheduleId)]
}

/** A schedule begins, and follows the end of its run, while it is awake: it is kept so. */
const server = (terms: ScheduleTerms): Server => {
  const { declared, times } = terms
  const planNow = (plan: State, context: Context): Plan =>
    planFor(declared, times, context.now(), plan)
  return {
    init: () => undefined,
    wake: (plan, context) => {
      if (plan?.running !== undefined) follow(terms, plan.running, context)
    },
    calls: {
      stay: (plan, _, context) => {
        const next = planNow(plan, context)
        if (next === plan) return noReply(plan)
        setAlarm(next, context)
        return goesOn(next)
      },
    },
    alarms: {
      // It may be due under the declaration of an earlier program, and come before `stay`.
      due: (plan, _, context) => {
        const next = planAt(planNow(plan, context), times, context.now())
        setAlarm(next, context)
        return goesOn(next)
      },
    },
    continues: {
      // A time has one run, however often this step is tried.
      start: async (plan, _, context) => {
        const at = plan && startable(plan)
        if (plan === undefined || at === undefined) return noReply(plan)
        await terms.begin(context.app as App, at)
        const next = planStarted(plan)
        if (next.running !== undefined) follow(terms, next.running, context)
        return goesOn(next)
      },
    },
  }
}

const setAlarm = ({ next }: Plan, context: Context): void => {
  if (next === undefined) context.cancelAlarm('due')
  else context.setAlarm('due', { at: next })
}

const goesOn = (plan: Plan) =>
  startable(plan) === undefined ? noReply(plan) : noReply(plan, { continue: ['start'] } as const)

/** Waits beside the mailbox for the end of a run, and lets the next one start. */
const follow = (terms: ScheduleTerms, at: number, context: Context): void =>
  context.background(async (work) => {
    const closing = new Promise<'closing'>((resolve) => {
      work.closing.addEventListener('abort', () => resolve('closing'))
    })
    for (let failures = 1; ; failures++) {
      const ended = terms.ended(work.app as App, at).then(
        () => 'ended' as const,
        () => 'unknown' as const,
      )
      const now = await Promise.race([ended, closing])
      if (now === 'closing') return
      if (now === 'ended') break
      if ((await Promise.race([work.sleep(backoffMs(pauses, failures)), closing])) === 'closing')
        return
    }
    await work.apply((plan, turn) => {
      const next: Plan = { ...(plan as Plan), running: undefined }
      if (startable(next) !== undefined) turn.addContinue('start')
      return reply(undefined, next)
    })
  })
