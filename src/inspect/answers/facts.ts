/** The facts about an instance at one time. Its troubles are judged from them. */
import { type AppContext, type Health, innerParts } from '../../supervisors/index.ts'
import { recordsOf } from '../recorder/recorder.ts'
import type { Recorded } from '../recorder/records.ts'
import { type FirstSeen, seenNow } from './first-seen.ts'

/** The facts about one instance. Times are in ms since 1970. */
export type Facts = {
  /** The version of this package. */
  readonly version: string
  /** The option `build` of the start; absent without one. */
  readonly build?: string
  /** When this process began to start the instance. */
  readonly since: number
  readonly health: Health
  /** How many processes have crashed since the start, and the last of these crashes. */
  readonly crashes: { readonly count: number; readonly last: Recorded | undefined }
  readonly restarts: number
  readonly now: number
  /** Since when looks see each trouble. */
  readonly seen: FirstSeen
}

/** Starts the flight recorder of a System, so that the facts go back to its start. */
export const beginFacts = (system: System): void => void recordsOf(system)

/**
 * The present facts. The first caller in a System starts its flight recorder. It is a look: a trouble
 * that no look has seen before has begun now, as far as its source does not know better.
 */
export const factsOf = (
  app: Pick<AppContext, 'health' | typeof innerParts>,
  system: System,
): Facts => {
  const records = recordsOf(system)
  const health = app.health()
  const now = system.clock.now()
  const seen = seenNow(records.troubles, { health, now })
  records.troubles = seen
  const { version, build } = app[innerParts].runs
  return {
    version,
    ...(build !== undefined && { build }),
    since: app[innerParts].since,
    health,
    crashes: { count: records.total('crash'), last: records.last('crash').at(-1) },
    restarts: records.total('restart'),
    now,
    seen,
  }
}

type System = Parameters<typeof recordsOf>[0]
