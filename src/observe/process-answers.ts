/** The answers of the page about the whole instance, its processes and its log, as plain JSON. */
import type { EntityName, Link, Machine, Recorded, Shown } from './words.ts'

/**
 * How bad a trouble is. `critical`: something is refused, or has stopped until a person acts.
 * `warning`: it goes on or mends itself, but not as it should.
 */
export type Severity = 'critical' | 'warning'

/** Something that is wrong. */
export type Trouble = {
  readonly severity: Severity
  /** `shard down`, `crash loop`, `failing step`, … */
  readonly kind: string
  /** The alert that shows it, with an entry in `docs/operations.md`. */
  readonly alert: string
  /** Its subject: `shard 0`, `order/17`. */
  readonly subject: string
  /** The other member that has it; absent for a trouble of the one that answers. */
  readonly member?: string | undefined
  /** When that member has reported it, in ms since 1970; absent for a report of now. */
  readonly asOf?: number
  /** The members that have it, this one too, if several have it for the same reason. */
  readonly members?: readonly string[]
  readonly text: string
  /** Since when, of several the earliest; absent if that is not known. */
  readonly since?: number
  /** Where to look on the page. */
  readonly link?: Link
  /** The word of the prompt that leads to its cause, as `flow.dead('mails')`. */
  readonly look?: string
  /** How many subjects have the same trouble for the same reason, and some of the others. */
  readonly count?: number
  readonly others?: readonly { readonly subject: string; readonly link?: Link }[]
}

/** How long something takes, in the last minute. */
export type Latency = {
  /** `commit wait`, `sync`, `turn`, `call`, `mailbox wait`, `loop delay`. */
  readonly title: string
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** The memory of the process and the space of the instance, in bytes. */
export type Sizes = {
  /** As the operating system counts it: the heap, external memory, threads and mapped files. */
  readonly residentBytes: number
  readonly heapBytes: number
  /** Buffers, and other memory outside of the heap that its objects hold. */
  readonly externalBytes: number
  /** Of the disk of the shard with the least room; absent if no disk says how much is free. */
  readonly freeBytes?: number
  /** The bytes that this shard needs until its next snapshot. */
  readonly neededBytes?: number
  /** The log of all shards since their snapshots. */
  readonly logBytes: number
}

/** The last ten minutes: one value for each time, `null` where nothing was measured. */
export type Series = {
  readonly times: readonly number[]
  readonly turnsPerSecond: readonly (number | null)[]
  readonly writesPerSecond: readonly (number | null)[]
  readonly loopDelayMs: readonly (number | null)[]
  readonly commitP99Ms: readonly (number | null)[]
}

/** A member beside others. Fields that it has not answered are absent. */
export type MemberRow = {
  readonly name: string
  /** The shards that it has. */
  readonly shards: number
  /** The worst phase of them. */
  readonly phase?: string
  /** The bytes of the log that are applied and not projected, in all of them. */
  readonly lagBytes?: number
  /** When it started. */
  readonly since?: number
  /** The version of Keelson that it runs, and the name of its build, if it has one. */
  readonly version?: string
  readonly build?: string
  /** Why it has not answered. */
  readonly reason?: string
}

/** The parts in trouble, the slow ones, and the sizes. */
export type Overview = {
  readonly troubles: readonly Trouble[]
  /** The member, of an instance that is one of a cluster. */
  readonly member?: {
    readonly name: string
    readonly cluster: string
    /** `owner`, `unsure` or `ended`, since when. */
    readonly phase: string
    readonly since: number
    /** How many owners the instance has had, with this one. */
    readonly epoch: number
    readonly leaseMs: number
    /** How long it may answer reads without a renewal. */
    readonly leftMs: number
    /** Why the engine does not renew the lease. */
    readonly reason?: string
  }
  /** All members of an instance with several that run. */
  readonly members?: readonly MemberRow[]
  /** Since when times and series are measured: a page looks. */
  readonly measuredSince: number
  readonly latencies: readonly Latency[]
  readonly slow: readonly Recorded[]
  /** Handlers that have not ended for more than a second, the longest first. */
  readonly pending: readonly {
    readonly pid: number
    readonly name: string
    readonly message: string
    readonly since: number
  }[]
  readonly sizes: Sizes
  readonly series: Series
  readonly recent: readonly Recorded[]
  /** The crashes at other members, as far as those answer. */
  readonly elsewhere?: readonly Recorded[]
}

/** Of which process, by its name, such as `order/17`; without one all crashes are listed. */
export type CrashesQuery = { readonly process?: string }

/** Crashes at all members, the newest last. */
export type Crashes = {
  /** How many there were since the start, in a list. */
  readonly total?: number
  /** A list: of each process and error the last crash. */
  readonly rows?: readonly {
    /** Whose code failed: `handler`, `machine` or `task`. */
    readonly what: string
    readonly subject: string
    readonly pid?: number
    readonly count: number
    readonly firstAt: number
    readonly lastAt: number
    readonly reason: string
    readonly lastMessage: string
    readonly member?: string
  }[]
  /** Of one process: its reports, each with stack and causes. */
  readonly reports?: readonly string[]
  /** Without a report: lines of the log that name it. */
  readonly lines?: readonly string[]
  /** Members that have not answered, and why. */
  readonly silent: readonly { readonly member: string; readonly reason: string }[]
}

/** A process of the tree, or the place of a missing one. */
export type TreeNode = {
  readonly name: string
  readonly pid?: number
  readonly kind: string
  readonly status: string
  readonly mailbox: number
  readonly restarts: number
  /** Its restarts in each half minute of the last ten, oldest first; absent without any. */
  readonly recent?: readonly number[]
  /** Why it ended last, or why it is down. */
  readonly reason?: string
  /** How many children a folded process has; they are not among `children`. */
  readonly live?: number
  readonly children: readonly TreeNode[]
}

/** How processes are ordered: the most first, or by pid. */
export type ProcessOrder = 'pid' | 'rate' | 'queue' | 'growth' | 'oldest' | 'handled' | 'restarts'

/** Which page of processes is asked for. `after`: rows that come before it. */
export type ProcessesQuery = {
  readonly order?: ProcessOrder
  readonly kind?: string
  readonly find?: string
  readonly limit?: number
  /** `next` of the page before. */
  readonly after?: string
}

/** A page of the processes in an order. The next look may find others there: values change. */
export type Processes = {
  readonly rows: readonly ProcessRow[]
  readonly total: number
  /** Where the next page begins; absent on the last one. */
  readonly next?: string
  /** How many processes each kind has. */
  readonly kinds: readonly { readonly kind: string; readonly count: number }[]
}

/** One process in a list. */
export type ProcessRow = {
  readonly pid: number
  readonly name: string
  readonly kind: string
  readonly status: string
  readonly mailbox: number
  /** Absent: bounded by its senders. */
  readonly mailboxMax?: number
  readonly handled: number
  readonly restarts: number
  /** Handled a second, and by how much its queue grows a second. */
  readonly perSecond: number
  readonly growth: number
  /** How long the message that is handled, or the first that waits, has been there. */
  readonly oldestMs?: number
  readonly handling?: { readonly message: string; readonly since: number }
}

/** One process. */
export type ProcessDetail = {
  readonly row: ProcessRow
  /** The process that was asked for, if it has ended and this one was started in its place. */
  readonly replaces?: number
  readonly parent?: ProcessLink
  readonly links: readonly ProcessLink[]
  readonly monitors: readonly ProcessLink[]
  readonly monitoredBy: readonly ProcessLink[]
  readonly isTrapping: boolean
  readonly state?: Shown
  /** Why there is no state: it is busy, it is suspended. */
  readonly stateless?: string
  readonly messages: readonly { readonly what: string; readonly shape?: string }[]
  readonly events: readonly Recorded[]
  /** Absent also for a machine whose drawing does not fit into a frame. */
  readonly machine?: Machine
  /** Present while it is asked for. */
  readonly trace?: Traced
  /** The entity that it is the process of. */
  readonly entity?: EntityName
}

/** The last messages, replies and steps of a process. `ended`: why no more come. */
export type Traced = {
  readonly events: readonly {
    readonly at: number
    readonly direction: string
    readonly what: string
    readonly shape?: string
  }[]
  readonly ended?: string
}

/** A process by its number and title. */
export type ProcessLink = { readonly pid: number; readonly title: string }

/** Which events: by level, by sort, and by a text of their subject, their pid or their line. */
export type LogQuery = {
  readonly level?: 'error' | 'warn'
  readonly sort?: string
  readonly find?: string
}

/**
 * The last events of the recorder, the newest last. Without a query at most 50 are of one second: then one of the
 * sort `flood` says how many are left out.
 */
export type LogTail = { readonly lines: readonly Recorded[] }
