/** How the MANIFEST names a snapshot, and how a projection names the one that it is loaded from. */

/** A snapshot as the MANIFEST names it. */
export type NamedSnapshot = {
  /** Its position in the log: it has the effect of every frame up to this one. Also its name. */
  readonly lsn: number
  /** The size of its file. */
  readonly bytes: number
  /** The sum over all blocks: two snapshots of one state have the same. */
  readonly sum: number
}

/** Whether two names are of one file. A snapshot may be made again at the same LSN. */
export const isSameSnapshot = (one: NamedSnapshot, other: NamedSnapshot): boolean =>
  one.lsn === other.lsn && one.bytes === other.bytes && one.sum === other.sum

/** Whether a list has the name of this file. */
export const namesSnapshot = (list: readonly NamedSnapshot[], snapshot: NamedSnapshot): boolean =>
  list.some((each) => isSameSnapshot(each, snapshot))

/** The place of an incomplete load: the snapshot, and what of it the projection has. */
export type LoadPlace = {
  readonly walId: string
  readonly snapshot: NamedSnapshot
  /** Where the next block begins. */
  readonly offset: number
  readonly rows: number
}
