/** Plays a scenario and says whether it went as recorded; whatever goes wrong on the way is a failure, never a throw. */
import { play } from './adapter/driver.ts'
import type { Scenario } from './adapter/scenario.ts'
import { differences } from './comparison.ts'
import type { Failure } from './report.ts'
import { messageOf } from './scenario-files.ts'

/** Why `scenario` failed, or `undefined` when it passed. With a seed, the order of processes is drawn from it. */
export const failureOf = async (
  scenario: Scenario,
  seed?: number,
): Promise<Failure | undefined> => {
  try {
    const found = differences(scenario, await play(scenario, seed))
    return found.length === 0 ? undefined : { differences: found }
  } catch (error) {
    return { fault: messageOf(error) }
  }
}
