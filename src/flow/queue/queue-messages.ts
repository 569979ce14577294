/** The messages and the state of a queue's entity, and its events. Types only. */
import type { BackgroundContext, DurableContext, DurableRows } from '../../actors/index.ts'
import type { CallContext } from '../../runtime/index.ts'
import type { KeptBook } from '../book/kept-claims.ts'
import type { QueueBook } from '../book/queue-book.ts'
import type { ChangedLimits, LimitsLook } from '../book/queue-limits.ts'
import type {
  Added,
  JobChange,
  JobHold,
  JobState,
  NewJob,
  QueueCounts,
} from '../book/queue-types.ts'
import type { DrainPiece, DrainRequest } from '../book/removals.ts'
import type { EnteringRun, EnterMessage } from '../runs/messages.ts'
import type { JobLook } from './job-look.ts'

/** The state of a queue; `undefined`: it has had no turn. */
export type QueueState = (KeptBook & { readonly birth: string }) | undefined

/** A try whose time is up, or whose job was removed, and whose handler has not ended. */
export type OverdueJob = { readonly id: string; readonly attempt: number; readonly since: number }

/** The health of a queue, in `app.health().parts['queue/<name>']`. */
export type QueueHealth = QueueCounts & {
  readonly isPaused: boolean
  /** It has `depthMax` jobs that wait or run: `add` is `BUSY`. */
  readonly isFull: boolean
  /**
   * The handlers that go on after the end of their time, or after their job was removed. Their
   * places are free again.
   */
  readonly overdue: readonly OverdueJob[]
  /** How many places are kept by runs whose shard is down here: nobody knows of their ends until it is open. */
  readonly unreachable: number
  /** The limits that were changed at run time; `undefined`: those of the declaration hold. */
  readonly changedLimits: ChangedLimits | undefined
}

/** A look at a queue. */
export type QueueLook = QueueHealth & {
  /** When the ready job that has waited longest was added, in ms since 1970. */
  readonly oldest: number | undefined
}

/** The place of a run that waits in its queue. */
export type QueuePlace = {
  readonly queue: string
  /** How many jobs start before it if none is added and no limit of a key holds one up. */
  readonly before: number
  /** How many jobs are ready, with this one. */
  readonly ready: number
}

/** A job to add, with the bytes of its value. */
export type SentJob = NewJob & { readonly bytes: number }

/** The messages of a queue. */
export type QueueMessages = {
  calls: {
    /** @throws KeelsonError `BUSY` */
    add: (jobs: readonly SentJob[]) => readonly Added[]
    pause: (isPaused: boolean) => void
    limits: () => LimitsLook
    /** `undefined`: the limits of the declaration hold again. */
    changeLimits: (change: ChangedLimits | undefined) => LimitsLook
    enter: EnterMessage['calls']['enter']
    /** False: no dead job has this number. @throws KeelsonError `CONFLICT` */
    retry: (number: number) => boolean
    /** `undefined`: there is none of this number. @throws KeelsonError `CORRUPT` */
    job: (number: number) => JobLook | undefined
    /**
     * The value that the handler of a job returned, at the end of the job.
     * @throws KeelsonError `FAILED`, `CANCELLED`, `CONFLICT`, `CORRUPT`
     */
    result: (number: number) => unknown
    /** The state in which a job was. @throws KeelsonError `CONFLICT`, `CORRUPT` */
    remove: (number: number) => JobState | undefined
    drain: (request: DrainRequest) => DrainPiece
    /** @throws KeelsonError `CONFLICT`, `CORRUPT` */
    update: (request: JobChange & { readonly number: number }) => void
    look: () => QueueLook
    holds: (keys: readonly string[]) => readonly JobHold[]
    /** `undefined`: the run does not wait in this queue. */
    place: (run: EnteringRun) => QueuePlace | undefined
    /** Keeps the queue awake: it answers never. */
    stay: () => void
  }
}

/** A change that a caller asks for, as a part of the next turn. */
export type QueueRequest = {
  readonly jobs: number
  readonly bytes: number
  readonly does: (book: QueueBook, now: number, rows: DurableRows) => unknown
  readonly from: Pick<CallContext<QueueMessages, unknown, unknown>['from'], 'reply' | 'fail'>
}

/** The context of a turn of a queue. */
export type QueueContext = DurableContext<QueueMessages, unknown, QueueState>

/** The work of a queue beside its mailbox. */
export type QueueWork = BackgroundContext<QueueMessages, unknown, QueueState>

type Listener<Facts> = (event: { readonly queue: string; readonly at: number } & Facts) => void
type Tried = { readonly id: string; readonly attempt: number }

/** The events of queues, on the bus of their System. */
export interface QueueEvents {
  /** A try begins: its claim is durable. */
  'queue.started': Listener<Tried>
  /** The handler of a queue with batches is called with so many jobs. */
  'queue.batch': Listener<{ readonly jobs: number }>
  /** A try has ended, and that is durable. `removed`: its job was. */
  'queue.ended': Listener<
    Tried & { readonly outcome: 'done' | 'failed' | 'removed'; readonly error: unknown }
  >
  /** A try failed, and that is durable. Without `retryAt`, in ms since 1970, the job is dead. */
  'queue.failed': Listener<
    Tried & { readonly retryAt: number | undefined; readonly error: unknown }
  >
  /** A handler has not ended at the end of its time. */
  'queue.overdue': Listener<Tried>
  /** Limits were changed at run time, or reset, and that is durable. */
  'queue.limits': Listener<{ readonly limits: LimitsLook }>
  /** A turn was refused, and is made again. */
  'queue.refused': Listener<{ readonly error: unknown }>
}

declare module '../../runtime/words/app-context.ts' {
  interface SystemEvents extends QueueEvents {}
}
