/**
 * The runs of an instance that rest with unread signals or updates: a body that waits for another name
 * never reads them. It is apart from the keeper, which shows them, because activations and the judge of
 * waiting runs add to it. Memory is bounded; the rows are the truth, and each look reads them again.
 */
import type { RestingRun } from '../../actors/index.ts'
import type { AppContext, durableActors } from '../../supervisors/index.ts'
import type { RunState } from './record.ts'

/** The part of an instance by which its own ones are found. */
type Instance = Pick<AppContext[typeof durableActors]['entities'], 'trouble'>

type NamedRun = Pick<RestingRun, 'type' | 'id'>

/** So many are kept. Further ones come when others have gone. */
const keptMax = 1_000

/** A run rests in this state. */
export const restsUnread = (
  { trouble: { restingRuns } }: Instance,
  { type, id }: NamedRun,
  { unread, since }: Pick<RunState, 'unread' | 'since'>,
): void => {
  const run = `${type}/${id}`
  if (unread === 0) restingRuns.delete(run)
  else if (restingRuns.size < keptMax && !restingRuns.has(run))
    restingRuns.set(run, { type, id, since })
}

/** Each run that still rests so, by the state that `stateOf` reads, the ones that last longest first. */
export const unreadRuns = (
  { trouble: { restingRuns } }: Instance,
  stateOf: (run: NamedRun) => RunState | undefined,
): readonly RestingRun[] => {
  const found = [...restingRuns].filter(([run, named]) => {
    const state = stateOf(named)
    // One that has just been woken says at its next rest how it is.
    const isAwake = state?.status === 'running'
    const isSo = state !== undefined && isUnheard(state)
    if (!isSo && !isAwake) restingRuns.delete(run)
    return isSo
  })
  return found.map(([, named]) => named).sort((one, other) => one.since - other.since)
}

/** Whether a run waits for a signal or an update, and has unread ones: those have other names. */
const isUnheard = ({ status, waitsFor, unread }: RunState): boolean =>
  status === 'waiting' && unread > 0 && (waitsFor?.kind === 'signal' || waitsFor?.kind === 'update')
