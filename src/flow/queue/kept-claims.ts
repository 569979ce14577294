/**
 * The claims in the state of a queue: how long they may be, and what the end of a life makes of
 * them. The book has the jobs; this is the part of its state that grows with `concurrency`. Pure.
 */

/** A job that was claimed: its row, its tries with the present one, and what is known of it. */
export type KeptClaim = readonly [row: string, tries: number, isSuspect: boolean, endsAlone: number]

/** The rows of claims may take so many characters: a state ends at 1 MiB. */
export const heldLengthMax = 512 * 1024

/** A suspect is dead after so many lives that ended while it was claimed alone. */
export const endsAloneMax = 3

/** A claim that a life has left. `counts`: the job may be the reason of the end of that life. */
export const cutOff = (
  [row, tries, isSuspect, endsAlone]: KeptClaim,
  counts: boolean,
  wasAlone: boolean,
): KeptClaim =>
  counts
    ? [row, tries, true, wasAlone ? endsAlone + 1 : endsAlone]
    : [row, tries - 1, isSuspect, endsAlone]
