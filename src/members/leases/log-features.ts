/**
 * Which features the members of an engine write into its logs: no frame enters a log that a member
 * with a lease cannot read (invariant M11). Pure.
 *
 * 1. The lease of a member says which features it reads.
 * 2. The entry `features` says which ones are on: logs may have them from now on. None goes off again.
 * 3. A member joins when it has its lease, and before it opens a shard: it sets the entry, unchanged,
 *    at the revision of a view. If it lacks a feature that is on, it is refused instead.
 * 4. A member that joined a lease ago turns a feature on if it and all members with a lease in its view
 *    read it.
 *
 * A join and a change that do not know of each other are at one revision of the entry, and one of
 * them is refused: a member that joined before is seen, and one that comes later sees the change.
 */
import { KeelsonError } from '../../errors.ts'
import { type DirectoryView, entryIn } from '../../storage/index.ts'
import { type SetStep, set } from './member-lease.ts'
import { leasedIn } from './shard-holds.ts'

/** The features that a build reads, and its start, which is the writer of the value. */
export type FeatureReader = { readonly incarnation: string; readonly reads: number }

const featuresEntry = 'features'

/** The content of the entry. */
type Features = {
  readonly on: number
  /** The start of a member that wrote it. */
  readonly by: string
}

/** The features that logs may have, as bits. @throws KeelsonError `CORRUPT` for a damaged entry */
export const featuresOn = (view: DirectoryView): number =>
  entryIn<Features>(view, featuresEntry)?.on ?? 0

/** The change with which a member joins. @throws KeelsonError `UNSUPPORTED_VERSION`, `CORRUPT` */
export const joining = (view: DirectoryView, { incarnation, reads }: FeatureReader): SetStep => {
  const on = featuresOn(view)
  if ((on & ~reads) === 0) return change(view, on, incarnation)
  throw new KeelsonError(
    'UNSUPPORTED_VERSION',
    'all members of the cluster were of a newer version, and write logs that this one cannot read',
    { details: { features: on, reads } },
  )
}

/** The change with which a member turns on what all members read. */
export const turningOn = (
  view: DirectoryView,
  { incarnation, reads }: FeatureReader,
): SetStep | undefined => {
  const on = featuresOn(view)
  const read = leasedIn(view).reduce((all, member) => all & member.reads, reads)
  return (read & ~on) === 0 ? undefined : change(view, on | read, incarnation)
}

const change = (view: DirectoryView, on: number, by: string): SetStep =>
  set(view, featuresEntry, { on, by } satisfies Features)
