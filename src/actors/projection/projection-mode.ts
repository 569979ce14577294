/**
 * The modes of `lmdb_writer`, as one table: what each mode lets it do, and which event leads where.
 * The writer reports what happened, and acts by the mode that it is in. Pure.
 */

import type { ProjectionMode } from '../core/storage-events.ts'

/** An event of a projection or of its writer. */
export type ProjectionEvent =
  /** A writer begins, or has to begin again. */
  | 'restarted'
  /** The projection has nothing: the log is read from its first frame. */
  | 'beganEmpty'
  /** Frames have to be read from the log. */
  | 'fellBehind'
  /** Every applied frame was read from the log; later ones come through the outbox. */
  | 'caughtUp'
  | 'suspended'
  /** The last suspension has ended. */
  | 'resumed'
  /** A commit failed, or an operator marked the projection as degraded. */
  | 'failed'
  /** Nothing is left of the failure. */
  | 'healed'
  /** The followers have spent their restarts. */
  | 'gaveUp'

/** One mode. An event that it does not name leaves it as it is. */
export type ModeRule = {
  /** Whether the projection takes changes. */
  readonly takes: boolean
  /** Whether callers may wait for it; otherwise they get `DEGRADED` at once. */
  readonly answers: boolean
  readonly on: Readonly<Partial<Record<ProjectionEvent, ProjectionMode>>>
}

/** The events of a writer in any mode but the last one. */
const ends = { restarted: 'starting', gaveUp: 'halted' } as const

/** The events while changes are taken and callers wait. */
const pauses = { suspended: 'suspended', failed: 'degraded', ...ends } as const

/** Every mode. A writer begins in `starting`, and returns there when it starts again. */
export const projectionModes: Readonly<Record<ProjectionMode, ModeRule>> = {
  /** It does not know the projection's position yet. */
  starting: {
    takes: false,
    answers: true,
    on: {
      beganEmpty: 'rebuilding',
      fellBehind: 'tailing',
      caughtUp: 'following',
      gaveUp: 'halted',
    },
  },
  /** It reads the log from its first frame. */
  rebuilding: { takes: true, answers: true, on: { caughtUp: 'following', ...pauses } },
  /** It reads the log from the projection's position on. */
  tailing: {
    takes: true,
    answers: true,
    on: { beganEmpty: 'rebuilding', caughtUp: 'following', ...pauses },
  },
  /** It takes frames from the outbox. */
  following: { takes: true, answers: true, on: { fellBehind: 'tailing', ...pauses } },
  /** Nothing changes the projection until the last suspension ends. */
  suspended: { takes: false, answers: true, on: { resumed: 'tailing', ...ends } },
  /** It tries again. Reads are right, from overlay and log. */
  degraded: {
    takes: true,
    answers: false,
    on: { healed: 'tailing', suspended: 'suspended', ...ends },
  },
  /** Nothing tries again by itself: `control.reopen(shard, 'followers')` does. */
  halted: { takes: false, answers: false, on: { restarted: 'starting' } },
}

/** The mode after `event` in `mode`. */
export const modeAfter = (mode: ProjectionMode, event: ProjectionEvent): ProjectionMode =>
  projectionModes[mode].on[event] ?? mode
