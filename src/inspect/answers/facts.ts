/** The facts about an instance at one time. Its troubles are judged from them. */
import type { AppContext, Health } from '../../supervisors/index.ts'
import { recordsOf } from '../recorder/recorder.ts'
import type { Recorded } from '../recorder/records.ts'
import { packageVersion } from '../text/package-version.ts'

/** The facts about one instance. Times are in ms since 1970. */
export type Facts = {
  /** The version of this package. */
  readonly version: string
  readonly health: Health
  /** How many processes have crashed since the start, and the last of these crashes. */
  readonly crashes: { readonly count: number; readonly last: Recorded | undefined }
  readonly restarts: number
  readonly now: number
}

/** Starts the flight recorder of a System, so that the facts go back to its start. */
export const beginFacts = (system: System): void => void recordsOf(system)

/** The present facts. The first caller in a System starts its flight recorder. */
export const factsOf = (app: Pick<AppContext, 'health'>, system: System): Facts => {
  const records = recordsOf(system)
  return {
    version: packageVersion(),
    health: app.health(),
    crashes: { count: records.total('crash'), last: records.last('crash').at(-1) },
    restarts: records.total('restart'),
    now: system.clock.now(),
  }
}

type System = Parameters<typeof recordsOf>[0]
