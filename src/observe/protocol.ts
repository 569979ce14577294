/**
 * The questions of the page of `keelson observe` and their answers, as plain JSON. Times are in ms since
 * 1970. Values of users are bounded trees (`Shown`), redacted before they leave the instance.
 *
 * - `POST /api/session { code }` exchanges the one-time code of the URL for `{ token }`. Each other
 *   request has it in `Authorization: Bearer`.
 * - `GET /api/<view>?<query>` answers with a `Frame` of that view.
 * - `GET /api/stream?view=<view>&<query>` sends such frames as server-sent events.
 * - `POST /api/act` performs an `Action`, with `--write` only.
 */

/** A value as the page shows it: at most 6 deep, 200 members, 1,000 characters of a text. */
export type Shown =
  | null
  | boolean
  | number
  | string
  | {
      /** `object`, `array`, `map`, `set` or the name of a class. */
      readonly type: string
      /** How many members it has; not all are shown. */
      readonly size: number
      readonly members: readonly (readonly [key: string, value: Shown])[]
    }
  /** A value that is not looked into: hidden, cut off, too deep, a bigint, a date, a function. */
  | { readonly text: string; readonly isHidden?: boolean }

/** The part of each frame that the head of the page shows. */
export type Header = {
  readonly instance: string
  readonly pid: number
  readonly startedAt: number
  readonly at: number
  /** The worst phase of a shard: `open`, `recovering`, `degraded`, `halted`, `down`. */
  readonly phase: string
  readonly isDurable: boolean
  readonly loopDelayMs: number | null
  /** The longest time that an applied write has not been projected. */
  readonly lagMs: number
  /** In the last ten minutes. */
  readonly crashes: number
  readonly isWriting: boolean
}

/** One answer: `away` while the instance does not answer, `error` for a question it refuses. */
export type Frame<V extends keyof Views = keyof Views> =
  | { readonly header: Header; readonly data: Views[V]['data'] }
  | { readonly header: Header; readonly error: Refusal }
  | { readonly away: { readonly since: number; readonly reason: string } }

/** Why a question or an action was refused. */
export type Refusal = { readonly code: string; readonly message: string }

/** The views: what each is asked with, beside its name, and what it shows. */
export type Views = {
  /** Nothing but the header. */
  header: { query: object; data: null }
  overview: { query: object; data: Overview }
  tree: { query: object; data: TreeNode }
  processes: { query: ProcessesQuery; data: Processes }
  process: { query: { readonly pid: number }; data: ProcessDetail }
  entities: { query: object; data: { readonly kinds: readonly Kind[] } }
  kind: { query: KindQuery; data: KindPage }
  entity: { query: EntityName; data: EntityDetail }
  history: { query: HistoryQuery; data: History }
  past: { query: EntityName & { readonly lsn: number }; data: Past }
  flows: { query: object; data: Flows }
  runs: { query: RunsQuery; data: RunPage }
  run: { query: { readonly type: string; readonly id: string }; data: RunDetail }
  store: { query: StoreQuery; data: StorePage }
  key: { query: { readonly key: string }; data: StoreValue }
  storage: { query: object; data: { readonly shards: readonly StorageShard[] } }
  replication: { query: object; data: Replication }
  log: { query: object; data: LogTail }
}

/** A place in the page: a view and what it looks at. */
export type Link = { readonly view: keyof Views; readonly parts: readonly string[] }

/** Something that is broken, the worst first. */
export type Trouble = {
  readonly tone: 'bad' | 'warn'
  /** `shard down`, `gave up`, `crash loop`, `blocked`, `failing step`, `not durable`, … */
  readonly sort: string
  readonly subject: string
  readonly text: string
  readonly at?: number
  readonly link?: Link
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

/** Something that may grow without end. */
export type Growth = {
  readonly title: string
  readonly unit: 'count' | 'bytes' | 'ms'
  readonly value: number
  readonly perSecond: number
  /** Its bound, and when it is reached if it goes on. */
  readonly max?: number
  readonly fullInMs?: number
  readonly link?: Link
}

/** The last ten minutes: one value for each time, `null` where nothing was measured. */
export type Series = {
  readonly times: readonly number[]
  readonly turnsPerSecond: readonly (number | null)[]
  readonly writesPerSecond: readonly (number | null)[]
  readonly loopDelayMs: readonly (number | null)[]
  readonly commitP99Ms: readonly (number | null)[]
}

/** The parts in trouble, the slow ones and the growing ones. */
export type Overview = {
  readonly troubles: readonly Trouble[]
  readonly latencies: readonly Latency[]
  readonly slow: readonly Recorded[]
  readonly growing: readonly Growth[]
  readonly series: Series
  readonly recent: readonly Recorded[]
}

/** An event of the recorder. */
export type Recorded = {
  readonly sort: string
  readonly at: number
  readonly kind: string
  readonly code: string
  readonly subject: string
  readonly pid?: number
  readonly text: string
  readonly reason?: string
  readonly lastMessage?: string
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
}

/** The first processes of an order. */
export type Processes = {
  readonly rows: readonly ProcessRow[]
  readonly total: number
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
  readonly machine?: Machine
  /** The entity that it is the process of. */
  readonly entity?: EntityName
}

/** A process by its number and title. */
export type ProcessLink = { readonly pid: number; readonly title: string }

/** A machine and the states that it is in. */
export type Machine = {
  readonly states: readonly {
    readonly path: readonly string[]
    readonly isFinal: boolean
    readonly transitions: readonly {
      readonly event: string
      readonly guard?: string
      readonly to: readonly (readonly string[])[]
    }[]
  }[]
  /** The state value: `paying`, or `{ paying: 'charging' }`. */
  readonly value: unknown
}

/** The name of a durable actor. */
export type EntityName = { readonly kind: string; readonly id: string }

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
  readonly error?: string
  /** `retry`, `onFailed` or `unblock`: what comes next after a failure. */
  readonly next?: string
}

/** One durable actor as it is now. */
export type EntityDetail = {
  readonly pid?: number
  readonly blocked?: string
  /** Absent: it was never born, or is deleted. */
  readonly born?: {
    readonly incarnation: string
    readonly seq: number
    readonly version: number
    readonly state: Shown
    readonly fields: Shown
    readonly steps: readonly Pending[]
    readonly alarms: readonly Pending[]
    readonly calls: number
  }
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
  /** `call charge`, `alarm due`, `step payment`, as it was recorded or inferred. */
  readonly cause: string
  readonly isInferred: boolean
  readonly caller?: string
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
  }[]
}

/** Which runs. */
export type RunsQuery = {
  readonly type: string
  readonly status?: string
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
}

/** One run with its steps. */
export type RunDetail = {
  readonly row: RunRow
  readonly progress?: Shown
  readonly steps: readonly {
    readonly key: string
    readonly kind: string
    readonly tries: number
    readonly outcome?: string
    readonly error?: string
    readonly at: number
    readonly dueAt?: number
    readonly child?: string
  }[]
}

/** Which keys. */
export type StoreQuery = { readonly prefix?: string; readonly cursor?: string }

/** A page of keys. */
export type StorePage = {
  readonly rows: readonly {
    readonly key: string
    readonly type: string
    readonly size: number
    readonly expiresAt?: number
    readonly lock?: string
  }[]
  readonly cursor?: string
}

/** The value of a key. */
export type StoreValue = { readonly value: Shown; readonly version?: number }

/** The log and what is derived from it, of one shard. */
export type StorageShard = {
  readonly shard: number
  readonly phase: string
  readonly reason?: string
  readonly lastLsn: number
  readonly durableLsn: number
  readonly projectedLsn: number
  readonly lagBytes: number
  readonly lagMs: number
  readonly mode: string
  readonly segments: number
  readonly logBytes: number
  /** The log since the last snapshot, and from how much on the next one is made. */
  readonly sinceSnapshotBytes: number
  readonly snapshotDueBytes: number
  readonly snapshotAt?: number
  readonly snapshotFailure?: string
  /** Why old segments are kept: `the snapshot`, `subscription mail`, `retention.log`. */
  readonly held?: string
  readonly freeBytes?: number
  readonly neededBytes: number
  readonly refusing?: string
  readonly writesWaiting: number
  readonly clockAheadMs: number
  readonly subscriptions: readonly {
    readonly name: string
    readonly state: string
    readonly lag: number
  }[]
  readonly projections: readonly { readonly name: string; readonly lag: number }[]
}

/** Replicas, each with its shards. */
export type Replication = {
  readonly followers: readonly {
    readonly replica: string
    readonly isRequired: boolean
    readonly failures: number
    readonly retryInMs?: number
    readonly shards: readonly {
      readonly shard: number
      readonly state: string
      readonly lagRecords: number
      readonly lagMs?: number
      readonly reason?: string
    }[]
  }[]
}

/** The last events of the recorder, the newest last, and how many a flood left out. */
export type LogTail = { readonly lines: readonly Recorded[]; readonly left: number }

/** An action, by what it acts on. Each leaves a line in the log with the user and `reason`. */
export type Action = { readonly reason: string } & (
  | { readonly act: 'kill' | 'suspend' | 'resume' | 'restart'; readonly pid: number }
  | ({ readonly act: 'stop' | 'unblock' | 'delete' } & EntityName)
  | ({
      readonly act: 'retryStep' | 'fireAlarm' | 'cancelAlarm'
      readonly name: string
    } & EntityName)
  | { readonly act: 'cancelRun' | 'retryRun'; readonly type: string; readonly id: string }
  | {
      readonly act: 'signalRun'
      readonly type: string
      readonly id: string
      readonly name: string
      readonly value: unknown
    }
  | { readonly act: 'retryJob'; readonly queue: string; readonly id: string }
  | { readonly act: 'flush' | 'snapshot' | 'reopen' | 'acceptClock'; readonly shard: number }
)

/**
 * `POST /api/plan` with an action: its effect in words, and the nonce that `POST /api/act` takes
 * once. `/api/act` answers with `Done`.
 */
export type Plan = { readonly effect: string; readonly nonce: string }

/** An action that was performed. */
export type Done = { readonly text: string }
