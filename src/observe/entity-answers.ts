/** The answers of the page about durable actors, runs and queues, as plain JSON. */
import type { nextTexts, Wait } from './fact-words.ts'
import type { EntityName, Machine, Shown } from './words.ts'

/** A kind of durable actors. */
export type Kind = {
  readonly kind: string
  readonly live: number
  readonly blocked: number
  readonly failing: number
  readonly parked: number
  readonly overdue: number
  readonly nextAlarmAt?: number
  /** The fields that a list can be asked by. */
  readonly fields: readonly string[]
}

/** Which entities of a kind. `only`: those in trouble. */
export type KindQuery = {
  readonly kind: string
  readonly only?: 'blocked' | 'failing' | 'parked' | 'overdue'
  readonly field?: string
  readonly value?: string
  readonly cursor?: string
}

/** A page of entities. */
export type KindPage = {
  readonly rows: readonly {
    readonly id: string
    readonly pid?: number
    readonly blocked?: string
    /** Since when it is in the trouble by which the list was asked. */
    readonly since?: number
    /** Its state in one line, or its trouble. */
    readonly text: string
  }[]
  readonly cursor?: string
}

/** A step or an alarm that is kept for an entity. */
export type Pending = {
  readonly name: string
  readonly tries: number
  readonly dueAt?: number
  /** Since when it runs. */
  readonly runsSince?: number
  readonly error?: string
  /** The work after a failure. */
  readonly next?: keyof typeof nextTexts
}

/** A stream of an actor or a run. `tail`: its last messages, a line each; none of streams further down. */
export type StreamShown = {
  readonly name: string
  readonly messages: number
  readonly isClosed: boolean
  readonly writtenMs: number
  readonly tail: readonly string[]
}

/** Which streams: those by themselves, or of one actor, in the order of their names. */
export type StreamsQuery = {
  readonly kind?: string
  readonly id?: string
  readonly prefix?: string
  readonly after?: string
}

/** A page of streams. `after`: there may be more after this name. */
export type StreamPage = {
  readonly rows: readonly (Omit<StreamShown, 'tail'> & { readonly bytes: number })[]
  readonly after?: string
}

/** One durable actor as it is now. */
export type EntityDetail = {
  /** The member that has it, if it is another one than the one that answers. Its process is there. */
  readonly member?: string
  readonly pid?: number
  /** The message whose handler is pending, since when, and how many wait for it. */
  readonly handling?: {
    readonly message: string
    readonly since: number
    readonly waiting: number
  }
  readonly blocked?: string
  /** Why this build would block it when it wakes, while it rests. */
  readonly wouldBlock?: string
  /** Its crashes, why it is blocked, and the failures of its steps and alarms: the record of each. */
  readonly failures: readonly { readonly title: string; readonly lines: readonly string[] }[]
  /** Absent: it was never born, or is deleted. */
  readonly born?: {
    readonly incarnation: string
    readonly seq: number
    readonly version: number
    /** When it is removed, if it has ended. */
    readonly endsAt?: number
    readonly state: Shown
    readonly fields: Shown
    readonly steps: readonly Pending[]
    readonly alarms: readonly Pending[]
    readonly calls: number
  }
  readonly streams?: readonly StreamShown[]
  /** Absent also for a machine whose drawing does not fit into a frame. */
  readonly machine?: Machine
}

/** A page of turns, the newest first: those before an LSN. */
export type HistoryQuery = EntityName & { readonly before?: number; readonly limit?: number }

/** The turns of a durable actor. */
export type History = {
  readonly turns: readonly HistoryTurn[]
  /** More turns may come before this LSN. */
  readonly before?: number
  /** Where the log begins, if that ends the history. */
  readonly end?: string
}

/** One turn. */
export type HistoryTurn = {
  readonly lsn: number
  readonly at: number
  readonly seq: number
  /** `alarm due`, `step payment`, `call place by clerk`. */
  readonly cause: string
  readonly error?: string
  /** The paths of the state that it changed. */
  readonly changed: readonly string[]
  readonly notes: readonly string[]
  readonly isDeleted?: boolean
}

/** An entity after a turn. */
export type Past = {
  readonly lsn: number
  readonly at: number
  readonly state: Shown
  readonly machineValue?: unknown
}

/** All workflows with how many runs have each status, and all queues. */
export type Flows = {
  readonly workflows: readonly {
    readonly type: string
    readonly counts: Readonly<Record<string, number>>
    /** Of the last minute; absent while it was not measured for long enough. */
    readonly rates?: {
      readonly startedPerSecond: number
      readonly completedPerSecond: number
      readonly failedPerSecond: number
      /** From the start of a run until its end; absent without an end. */
      readonly p50Ms?: number
      readonly p99Ms?: number
    }
  }[]
  readonly queues: readonly {
    readonly name: string
    readonly ready: number
    readonly delayed: number
    readonly running: number
    readonly dead: number
    readonly oldestAt?: number
    readonly isPaused: boolean
    readonly isFull: boolean
    readonly overdue: number
    /** The limits that were changed at run time, in words; absent: none. */
    readonly changedLimits?: string
  }[]
  /**
   * Workflows and queues that do not answer, and `schedules`, each with the code of the error.
   * `members`: the ones that leave a question unanswered.
   */
  readonly silent: readonly {
    readonly name: string
    readonly code: string
    readonly members?: readonly string[]
  }[]
  /** The first ones. */
  readonly schedules: SchedulePage
}

/** Which schedules. */
export type SchedulesQuery = { readonly cursor?: string }

/** A page of schedules. `isCut`: not all of it fits into a frame. */
export type SchedulePage = {
  readonly rows: readonly ScheduleRow[]
  readonly cursor?: string
  readonly isCut?: true
}

/** One schedule, of the tree or made at run time. */
export type ScheduleRow = {
  readonly name: string
  readonly isOfTree: boolean
  readonly isPaused: boolean
  /** Why it starts nothing. */
  readonly broken?: string
  readonly cron: string
  readonly zone: string
  readonly workflow: string
  readonly nextAt?: number
  /** The run that was started last, and whether the next one may wait for its end. */
  readonly last?: { readonly type: string; readonly id: string }
  readonly isRunning: boolean
  readonly waiting: number
}

/** Which runs. */
export type RunsQuery = {
  readonly type: string
  readonly status?: string
  /** Attributes, such as `customer=c-7, tier=2`. */
  readonly where?: string
  readonly cursor?: string
}

/** A page of runs. */
export type RunPage = { readonly rows: readonly RunRow[]; readonly cursor?: string }

/** One run in a list. */
export type RunRow = {
  readonly id: string
  readonly status: string
  readonly startedAt: number
  readonly since: number
  readonly attempt: number
  readonly error?: string
  readonly parent?: string
  readonly waitsFor?: Wait & { readonly kind: string; readonly name?: string }
}

/** One run with its last steps. `isCut`: there are earlier ones, for which a frame has no room. */
export type RunDetail = {
  readonly row: RunRow
  /** The signals and updates that have come and that its body has not read. */
  readonly unread?: string
  readonly input?: Shown
  readonly output?: Shown
  readonly progress?: Shown
  readonly attributes?: Shown
  /** The record of its failure, line by line. */
  readonly failure?: readonly string[]
  readonly steps: readonly {
    readonly key: string
    readonly kind: string
    readonly tries: number
    readonly outcome?: string
    /** The value of its outcome, as one line. */
    readonly value?: string
    readonly error?: string
    /** The record of its last failure, of the last steps that have one. */
    readonly failure?: readonly string[]
    readonly at: number
    readonly dueAt?: number
    readonly child?: string
  }[]
  readonly isCut?: true
  readonly streams?: readonly StreamShown[]
}

/** Which dead jobs. */
export type DeadQuery = { readonly queue: string; readonly cursor?: string }

/** A page of dead jobs. */
export type DeadPage = { readonly rows: readonly DeadRow[]; readonly cursor?: string }

/** One dead job. */
export type DeadRow = {
  readonly id: string
  readonly key?: string
  readonly addedAt: number
  readonly failedAt: number
  readonly tries: number
  readonly error: string
  /** The job in one line. */
  readonly text: string
}

/** Which jobs, by their state: `waiting`, `delayed` or `running`. */
export type JobsQuery = {
  readonly queue: string
  /** In this state; without it `where` has jobs in every state. */
  readonly state?: string
  /** As of runs: `customer=c-7, tier=2`. */
  readonly where?: string
  readonly cursor?: string
}

/** A page of jobs. */
export type JobPage = { readonly rows: readonly JobRow[]; readonly cursor?: string }

/** One job in a list. */
export type JobRow = {
  readonly id: string
  /** In a list by attributes, which has jobs in every state. */
  readonly state?: string
  readonly key?: string
  readonly priority: number
  readonly tries: number
  readonly addedAt: number
  readonly waitsFor?: Wait
  readonly error?: string
  /** The job in one line. */
  readonly text: string
}

/** One job of a queue, wherever it is. */
export type JobDetail = {
  readonly id: string
  /** `ready`, `delayed`, `running`, `dead` or `done`. */
  readonly state: string
  readonly key?: string
  readonly priority: number
  readonly tries: number
  /** How many tries it has, and when the first of them failed. */
  readonly triesMax?: number
  readonly failingSince?: number
  readonly tryKey: string
  readonly addedAt: number
  /** The trace in which it was added. */
  readonly traceId?: string
  readonly dueAt?: number
  readonly failedAt?: number
  readonly doneAt?: number
  readonly waitsFor?: Wait
  readonly error?: string
  /** The record of its last failure, line by line. */
  readonly failure?: readonly string[]
  readonly attributes?: Shown
  readonly input?: Shown
  readonly progress?: Shown
  readonly result?: Shown
  /** The last lines of its tries that fit into a frame. */
  readonly log: readonly string[]
}
