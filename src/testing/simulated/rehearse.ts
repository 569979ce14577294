/**
 * `rehearse`: what another tree would do with the actors of an instance. It is apart from the simulated
 * machine, as the instance may be a real one.
 */
import { argument, noMore, object, or, that, wholeFrom } from '../../check.ts'
import { type RehearsalReport, rehearseTree } from '../../flow/index.ts'
import { type AppContext, type AppTree, checkAppTree, innerParts } from '../../supervisors/index.ts'

/** The options of `rehearse`. */
export type RehearseTreeOptions = {
  /** The instance with the data: `simulation.app`, or the result of `start`. It goes on. */
  readonly from: AppContext
  /** The tree that is judged. */
  readonly app: AppTree
  /** How many of the runs that have ended are replayed of each workflow, the newest first; 1,000. */
  readonly ended?: number
}

const checkOptions = object({
  from: that<AppContext>(
    'what start resolves with',
    (found) => typeof found === 'object' && found !== null && innerParts in found,
  ),
  app: that<AppTree>('a supervisor', (found) => typeof found === 'object' && found !== null),
  ended: or(wholeFrom(0), 1_000),
})

/**
 * Judges what a tree would do with the actors of an instance: runs that it would block, waits that it
 * would never end, rows that it cannot read, handlers that it lacks. Nothing of the tree starts, and no
 * function of a step is called. A test lets runs of the present program rest, and expects no finding of
 * the level `blocks` from the next one. On a virtual clock, wait for it with `simulation.during`.
 * @throws KeelsonError `INVALID_ARGUMENT`, `CONFIG`, `SHARD_DOWN`, `CLOSED`
 */
export const rehearse = async (
  options: RehearseTreeOptions,
  ...surplus: []
): Promise<RehearsalReport> => {
  noMore(surplus, 'rehearse({ from, app, … })')
  const { from, app, ended } = checkOptions(options, argument('', 'rehearse'))
  return rehearseTree(from, checkAppTree(app), ended)
}
