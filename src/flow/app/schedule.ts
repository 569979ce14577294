/** `schedule`: a workflow that a cron pattern starts, in a time zone. */

import { config, noMore, object, optional, or, text } from '../../check.ts'
import { configError, isKeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { attributes } from '../attributes/attributes.ts'
import type { Workflow } from '../runs/body.ts'
import { missed, overlap } from '../runs/options.ts'
import { checkPartName, type FlowPart } from '../runs/parts.ts'
import { inputOf } from '../runs/values.ts'
import { CronTimes } from '../schedule/cron.ts'
import {
  declaredSchedule,
  type RunStarter,
  scheduleSpecs,
  type TreeSchedule,
} from '../schedule/schedule-entity.ts'
import type { Scheduled, ScheduleOptions } from '../schedule/schedule-plan.ts'
import { flow } from './flow.ts'
import { inputFor, startRun } from './run-handle.ts'

/** A schedule. */
export interface Schedule extends FlowPart {
  readonly sort: 'schedule'
  /** @internal Its declaration, and the times of its pattern. */
  readonly [declaredSchedule]: TreeSchedule
}

const checkOptions = object({
  zone: or(text, 'UTC'),
  missed: or(missed, 'one'),
  overlap: or(overlap, 'skip'),
  attributes: optional(attributes),
})

/** The run has ended. With `CONFLICT` it was removed since. */
const ends = ['FAILED', 'CANCELLED', 'CONFLICT'] as const

/** A workflow by its name. */
const named = (name: string) => ({ sort: 'workflow', name }) as Workflow<unknown>

/** How schedules start runs and hear of their ends. */
export const runStarter: RunStarter = {
  begin: (app, workflow, id, { input, attributes }, time) => {
    const type = named(workflow)
    // That of a schedule was parsed when it was given.
    const own = () => (input ? inputOf(input[0]) : inputFor(app, type, time))
    return startRun(app, type, own, { id, ...(attributes && { attributes }) })
  },
  ended: (app, workflow, id) =>
    flow(app)
      .handle(named(workflow), id)
      .result({ timeoutMs: Number.POSITIVE_INFINITY })
      .catch((error) => {
        if (!ends.some((code) => isKeelsonError(error, code))) throw error
      }),
}

/**
 * Starts a run of `workflow` at each time of a cron pattern: minute, hour, day, month and weekday,
 * with seconds before them if there are six; or `@daily` and the like. The id of a run is
 * `name/time`, so a time has one run, over crashes too. A pattern without `*` in minutes and hours
 * has fixed times: times that summer time skips have one run right after the skip, and a repeated
 * time has one run. Other patterns follow the clock. A change in a new version of the program
 * counts from its start on: a new pattern or zone starts no run for an earlier time, and the times
 * that passed under another `missed` or `overlap` are decided by that one.
 * @throws KeelsonError `CONFIG`
 */
export const schedule = (
  name: string,
  cron: string,
  workflow: Workflow<Scheduled>,
  options: ScheduleOptions = noOptions,
  ...surplus: []
): Schedule => {
  noMore(surplus, 'schedule(name, cron, workflow, { zone, … })')
  checkPartName('schedule', name)
  const path = `schedule.${name}`
  const { zone, attributes, ...policy } = checkOptions(options, config(path))
  if (workflow?.sort !== 'workflow') throw configError(`${path}.workflow`, 'a workflow', workflow)
  const times = new CronTimes(cron, zone, config(path))
  const declared = {
    cron,
    zone,
    ...policy,
    workflow: workflow.name,
    ...(attributes && { attributes }),
  }
  const own = { name, declared, times }
  const specs = scheduleSpecs(own, runStarter)
  return {
    sort: 'schedule',
    name,
    starts: workflow.name,
    children: () => specs,
    [declaredSchedule]: own,
  }
}
