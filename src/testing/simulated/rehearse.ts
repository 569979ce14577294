/**
 * `rehearse`: what another tree would do with the actors of an instance, or with saved cases. It is apart
 * from the simulated machine, as the instance may be a real one, or none.
 */
import { argument, noMore, object, or, that, wholeFrom } from '../../check.ts'
import { systemClock } from '../../clock.ts'
import { invalidArgument } from '../../errors.ts'
import { casesIn, type RehearsalReport, rehearseParts, rehearseTree } from '../../flow/index.ts'
import { nodeDisk } from '../../storage/index.ts'
import { type AppContext, type AppTree, checkAppTree, innerParts } from '../../supervisors/index.ts'
import { silentLogger } from '../kit/captured-log.ts'

/** The options of `rehearse`. */
export type RehearseTreeOptions = {
  /**
   * The instance with the data: `simulation.app`, or the result of `start`. It goes on. Or a folder with
   * the cases that `keelson rehearse --save` has written.
   */
  readonly from: AppContext | string
  /** The tree that is judged. */
  readonly app: AppTree
  /** How many ended runs of an instance are replayed of each workflow, the newest first; 1,000. */
  readonly ended?: number
}

const checkOptions = object({
  from: that<AppContext | string>(
    'what start resolves with, or a folder with saved cases',
    (found) =>
      typeof found === 'string' ||
      (typeof found === 'object' && found !== null && innerParts in found),
  ),
  app: that<AppTree>('a supervisor', (found) => typeof found === 'object' && found !== null),
  ended: or(wholeFrom(0), 1_000),
})

/**
 * Judges what a tree would do with the actors of an instance, or with saved cases: runs that it would
 * block, waits that it would never end, rows that it cannot read, handlers that it lacks. Nothing of the
 * tree starts, and no function of a step is called. A test lets runs of the present program rest, or has
 * cases of the running service, and expects no finding of the level `blocks` from the next one. On a
 * virtual clock, wait for it with `simulation.during`. With saved cases it takes real time: 2 s, or 6 at
 * most, if a body stands still.
 * @throws KeelsonError `INVALID_ARGUMENT`, `CONFIG`, `SHARD_DOWN`, `CLOSED`; `ELSEWHERE` of an instance
 * whose shards are at several members: `keelson rehearse` reads them all; of saved cases `CORRUPT`,
 * `UNSUPPORTED_VERSION`
 */
export const rehearse = async (
  options: RehearseTreeOptions,
  ...surplus: []
): Promise<RehearsalReport> => {
  noMore(surplus, 'rehearse({ from, app, … })')
  const { from, app, ended } = checkOptions(options, argument('', 'rehearse'))
  if (typeof from !== 'string') return rehearseTree(from, checkAppTree(app), ended)
  const parts = casesIn(nodeDisk(), from)
  if (!parts) throw invalidArgument('from', 'a folder with saved cases', from)
  const system = { clock: systemClock(), logger: silentLogger }
  return rehearseParts({ parts, asOf: parts.asOf, system }, checkAppTree(app))
}
