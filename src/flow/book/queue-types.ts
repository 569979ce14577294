/** The jobs of a queue as its book knows them, and the limits that it holds. Types only. */
import type { KeptError } from '../../errors.ts'
import type { TraceContext } from '../../trace-context.ts'
import type { Attributes } from '../attributes/attributes.ts'
import type { AddWindow } from './add-windows.ts'
import type { BatchLimits } from './batch-window.ts'
import type { JobRecord } from './queue-rows.ts'
import type { RateLimit } from './rates.ts'

/** The limits of a queue. */
export type QueueLimits = {
  readonly concurrency: number
  /** Of jobs of one key, for jobs with a key. */
  readonly perKey: number
  readonly rate: RateLimit | undefined
  /** One call of its handler gets so many jobs; absent: its handler gets each job alone. */
  readonly batch?: BatchLimits | undefined
  /** How long a unique text is taken, in ms; `undefined`: until its job has ended. */
  readonly uniqueMs: number | undefined
  /** The most jobs that wait or run. */
  readonly depthMax: number
  /** The most pairs of key and priority with jobs that are ready: each has a list in memory. */
  readonly keysMax: number
  /** How long a dead job is kept, in ms. */
  readonly keepMs: number
  /** How long the result of a job is kept, in ms; `undefined`: not at all. */
  readonly resultsMs: number | undefined
  /** The most tries of a job that fail. */
  readonly triesMax: number
  /** False: a job that an incarnation has cut off goes on as it was. */
  readonly countsEnds: boolean
}

/** A job to add. */
export type NewJob = {
  readonly job: unknown
  readonly key: string
  readonly priority: number
  readonly delayMs: number
  readonly unique: string | undefined
  readonly attributes?: Attributes
  /** The recorded call that adds it, if one does: a repeat of it adds nothing. */
  readonly recorded?: string
  /** Where its producer, or else the turn that adds it, is in a trace. */
  readonly trace?: TraceContext
  /** Adds under it may come to one job. */
  readonly window?: AddWindow
}

/**
 * The number of a job; `repeated`: it holds the unique text or the window, and nothing was added.
 * `replaced`: it has the value of this add since.
 */
export type Added = {
  readonly number: number
  readonly repeated: boolean
  readonly replaced?: boolean
}

/** A job that may start when the current turn is durable. */
export type Claim = {
  readonly number: number
  readonly row: string
  readonly record: JobRecord
  /** Counts from 1, with this try. */
  readonly attempt: number
  /** The key of the rate of which it has a grant until it begins; `undefined`: it needs none. */
  readonly rateKey: string | undefined
  /** An earlier incarnation had it as well: its run may have begun. */
  readonly isCut: boolean
  /** It was claimed alone. */
  readonly isSuspect: boolean
  /** How many incarnations have ended while it was. */
  readonly endsAlone: number
}

/** How many jobs are where. */
export type QueueCounts = {
  readonly ready: number
  readonly delayed: number
  readonly running: number
  readonly dead: number
  /** Since when it has dead jobs without a break, in ms since 1970; `undefined`: it has none. */
  readonly deadSince: number | undefined
  /**
   * The rows that this incarnation could not read: the ids of jobs, which are neither ready nor delayed;
   * `unique x`, a text that is refused; `rate x`, the rate of a key.
   */
  readonly unreadable: readonly string[]
}

/** Where a job is. A done one is there only while its result is kept. */
export type JobState = 'waiting' | 'delayed' | 'running' | 'dead' | 'done'

/**
 * Why a job that is ready does not start now: `turn`: others are before it; `paused`: its queue is;
 * `closing`: the instance ends; `places`: as many jobs run as may; `key`: as many of its key do; `rate`:
 * as many have started as may, until then; `suspect`: a job runs alone, as it may have ended the process.
 */
export type JobHold = {
  readonly reason: 'turn' | 'paused' | 'closing' | 'places' | 'key' | 'rate' | 'suspect' | 'batch'
  /** When the rate has room again, or the batch starts, in ms since 1970. */
  readonly until?: number
}

/** A job that is not done. */
export type FoundJob = {
  readonly state: Exclude<JobState, 'done'>
  readonly row: string
  /** Its tries count the present one. */
  readonly record: JobRecord
}

/** Where a job that is not done is. `tries`: those of its row do not count the last one. */
export type JobPlace = {
  readonly state: FoundJob['state']
  readonly row: string
  readonly tries?: number
}

/** The end of a try that went well. */
export type DoneTry = { readonly result: unknown; readonly log: readonly string[] }

/** The end of a try that failed. */
export type FailedTry = {
  readonly error: KeptError
  readonly log: readonly string[]
  /** How many the job has had. */
  readonly tries: number
  /** When there is another one; `undefined`: the job is dead. */
  readonly inMs: number | undefined
}

/** The changes of a job that waits. */
export type JobChange = {
  readonly delayMs: number | undefined
  readonly priority: number | undefined
}
