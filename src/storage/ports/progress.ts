/** The one shape of the progress of long work. */

/** How far a piece of work has come: `bytes` of `totalBytes`, or other counts that are done. */
export type Progress = {
  /** The piece, such as `the log of shard 0`. */
  readonly what: string
  readonly bytes: number
  readonly totalBytes: number
}
