/** How far a log must reach at least, as `floor.json` in the folder of its shard keeps it. Pure. */

/**
 * The known extent of a log: its epoch, and a durable LSN. A log with less has lost files. It is
 * written when an instance has started and when it was closed, so it does not show the loss of the
 * newest segments of an epoch that ended otherwise, as long as an older one of that epoch is there.
 */
export type LogFloor = { readonly epoch: number; readonly lsn: number }

/** The floor of the log with this id. Of another log it says nothing. */
export type KnownFloor = LogFloor & { readonly walId: string }

/** Whether a log of this epoch has lost its newest files. */
export const isOlder = (epoch: number, floor: LogFloor | undefined): boolean =>
  epoch < (floor?.epoch ?? 0)
