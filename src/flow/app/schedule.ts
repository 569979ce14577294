/** `schedule`: a workflow that a cron pattern starts, in a time zone. */
import { config, noMore, object, oneOf, or, text } from '../../check.ts'
import { configError, isKeelsonError } from '../../errors.ts'
import type { Workflow } from '../runs/body.ts'
import { checkPartName, type FlowPart } from '../runs/parts.ts'
import { CronTimes } from '../schedule/cron.ts'
import { scheduleSpecs } from '../schedule/schedule-entity.ts'
import type { Missed, Overlap } from '../schedule/schedule-plan.ts'
import { flow } from './handle.ts'

/** The input of a run that a schedule starts. */
export type Scheduled = {
  /** The time of the pattern, in ms since 1970. The run may begin later, and never earlier. */
  readonly at: number
}

/** The options of a schedule. */
export type ScheduleOptions = {
  /** The IANA time zone of the pattern, such as `'Europe/Berlin'`; `'UTC'` by default. */
  readonly zone?: string
  /**
   * The times that passed while the program was down: one run for the last of them, which is the
   * default; a run for each of the newest 1,000; or none for times more than a minute ago.
   */
  readonly missed?: Missed
  /**
   * A time that comes before the run of an earlier one has ended: it is left out, which is the
   * default; its run starts after that end, and at most 1,000 wait; or it starts at once.
   */
  readonly overlap?: Overlap
}

/** A schedule. */
export interface Schedule extends FlowPart {
  readonly sort: 'schedule'
}

const checkOptions = object({
  zone: or(text, 'UTC'),
  missed: or(oneOf('one', 'all', 'none'), 'one'),
  overlap: or(oneOf('skip', 'queue', 'allow'), 'skip'),
})

/** The run has ended. With `CONFLICT` it was removed since. */
const ends = ['FAILED', 'CANCELLED', 'CONFLICT'] as const

/**
 * Starts a run of `workflow` at each time of a cron pattern: minute, hour, day, month and weekday,
 * with seconds before them if there are six; or `@daily` and the like. The id of a run is
 * `name/time`, so a time has one run, over crashes too. A change in a new version of the program
 * counts from its start on: a new pattern or zone starts no run for an earlier time, and the times
 * that passed under another `missed` or `overlap` are decided by that one.
 * @throws KeelsonError `CONFIG`
 */
export const schedule = (
  name: string,
  cron: string,
  workflow: Workflow<Scheduled>,
  options: ScheduleOptions = {},
  ...surplus: []
): Schedule => {
  noMore(surplus, 'schedule(name, cron, workflow, { zone, … })')
  checkPartName('schedule', name)
  const path = `schedule.${name}`
  const { zone, ...policy } = checkOptions(options, config(path))
  if (workflow?.sort !== 'workflow') throw configError(`${path}.workflow`, 'a workflow', workflow)
  const idOf = (at: number): string => `${name}/${new Date(at).toISOString()}`
  const specs = scheduleSpecs({
    ...{ name, declared: { cron, zone, ...policy }, times: new CronTimes(cron, zone, path) },
    begin: (app, at) => flow(app).start(workflow, { at }, { id: idOf(at) }),
    ended: (app, at) =>
      flow(app)
        .handle(workflow, idOf(at))
        .result({ timeoutMs: Number.POSITIVE_INFINITY })
        .catch((error) => {
          if (!ends.some((code) => isKeelsonError(error, code))) throw error
        }),
  })
  return { sort: 'schedule', name, starts: workflow.name, children: () => specs }
}
