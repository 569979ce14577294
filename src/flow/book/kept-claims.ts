/**
 * The state of a queue beside its rows. Of its claims: how long they may be, and what the end of a
 * incarnation makes of them. Pure.
 */
import type { KeptError } from '../../errors.ts'
import type { ChangedLimits } from './queue-limits.ts'
import { numberOf } from './queue-rows.ts'

/** A job that was claimed: its row, its tries with the present one, and what is known of it. */
export type KeptClaim = readonly [row: string, tries: number, isSuspect: boolean, endsAlone: number]

/** The rows of claims may take so many characters: a state ends at 1 MiB. */
export const heldLengthMax = 512 * 1024

/** A suspect is dead after so many incarnations that ended while it was claimed alone. */
export const endsAloneMax = 3

/** Why such a job is dead. */
export const endedAlone: KeptError = {
  name: 'Error',
  message: `the process ended ${endsAloneMax} times while this job ran alone`,
}

/** A claim that an incarnation has left. `counts`: the job may be the reason of the end of that incarnation. */
const cutOff = (
  [row, tries, isSuspect, endsAlone]: KeptClaim,
  counts: boolean,
  wasAlone: boolean,
): KeptClaim =>
  counts
    ? [row, tries, true, wasAlone ? endsAlone + 1 : endsAlone]
    : [row, tries - 1, isSuspect, endsAlone]

/**
 * The jobs that earlier incarnations have cut off, by their numbers, in order. `running`: the claims of
 * this incarnation. `countsEnds`: as in the limits of the queue.
 */
export const cutJobs = (
  { claims, cut, isLeaving }: KeptBook,
  running: ReadonlyMap<number, unknown>,
  countsEnds: boolean,
): Map<number, KeptClaim> => {
  const left = claims.filter(([row]) => !running.has(numberOf(row)))
  const cutNow = left.map((claim) => cutOff(claim, countsEnds && !isLeaving, claims.length === 1))
  const numbered = [...cut, ...cutNow].map((claim) => [numberOf(claim[0]), claim] as const)
  return new Map(numbered.sort(([one], [other]) => one - other))
}

/** The state of the queue beside its rows. */
export type KeptBook = {
  readonly isPaused: boolean
  /** The number of the next job. */
  readonly next: number
  readonly dead: number
  /** Since when it has dead jobs without a break, in ms since 1970; absent: it has none, or had them before this was kept. */
  readonly deadSince?: number
  /** The jobs that are running. */
  readonly claims: readonly KeptClaim[]
  /** The jobs that earlier incarnations have cut off, and that have not run since, or that came too early. */
  readonly cut: readonly KeptClaim[]
  /** Claims that this incarnation leaves are cut off by a close: nothing counts. */
  readonly isLeaving: boolean
  /** The limits that were changed at run time; absent: none. */
  readonly limits?: ChangedLimits
}

/** The book of a queue that has never had a job. */
export const emptyBook: KeptBook = {
  isPaused: false,
  next: 1,
  dead: 0,
  claims: [],
  cut: [],
  isLeaving: false,
}
