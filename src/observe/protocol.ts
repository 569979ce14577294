/**
 * The questions of the page of `keelson observe` and their answers, as plain JSON. Times are in ms since
 * 1970. Values of users are bounded trees (`Shown`), redacted before they leave the instance.
 *
 * - `POST /api/session { code }` exchanges the one-time code of the URL for `{ token }`. Each other
 *   request has it in `Authorization: Bearer`.
 * - `GET /api/<view>?<query>` answers with a `Frame` of that view.
 * - `GET /api/stream?view=<view>&<query>` sends such frames as server-sent events.
 * - `POST /api/act` performs an `Action`, with `--write` only.
 *
 * Each question and action may have a `member`: then that one is asked, or acts.
 */
import type {
  DeadPage,
  DeadQuery,
  EntityDetail,
  Flows,
  History,
  HistoryQuery,
  JobDetail,
  JobPage,
  JobsQuery,
  Kind,
  KindPage,
  KindQuery,
  Past,
  RunDetail,
  RunPage,
  RunsQuery,
  SchedulePage,
  SchedulesQuery,
  StreamPage,
  StreamsQuery,
} from './entity-answers.ts'
import type {
  Crashes,
  CrashesQuery,
  LogQuery,
  LogTail,
  Overview,
  ProcessDetail,
  Processes,
  ProcessesQuery,
  TreeNode,
} from './process-answers.ts'
import type {
  Replication,
  StoragePage,
  StorageQuery,
  StorePage,
  StoreQuery,
  StoreValue,
} from './storage-answers.ts'
import type { EntityName, Refusal } from './words.ts'

/** The part of each frame that the head of the page shows. */
export type Header = {
  readonly instance: string
  readonly at: number
  /** The worst phase of a shard: `open`, `recovering`, `degraded`, `halted`, `refuses writes`, `down`. */
  readonly phase: string
  readonly isDurable: boolean
  readonly loopDelayMs: number | null
  /** The longest time that an applied write has not been projected. */
  readonly lagMs: number
  /**
   * At all members, in the last ten minutes. `areCrashesMore`: there were more than are recorded, or a
   * member has not answered.
   */
  readonly crashes: number
  readonly areCrashesMore: boolean
  readonly isWriting: boolean
  /** The member that answers, and the names of all, of an instance with several that run. */
  readonly member?: string
  readonly members?: readonly string[]
}

/** One answer: `away` while the instance does not answer, `error` for a question it refuses. */
export type Frame<V extends keyof Views = keyof Views> =
  | { readonly header: Header; readonly data: Views[V]['data'] }
  | { readonly header: Header; readonly error: Refusal }
  | { readonly away: { readonly since: number; readonly reason: string } }

/** The views: what each is asked with, beside its name, and what it shows. */
export type Views = {
  /** Nothing but the header. */
  header: { query: object; data: null }
  overview: { query: object; data: Overview }
  tree: { query: object; data: TreeNode }
  processes: { query: ProcessesQuery; data: Processes }
  process: { query: { readonly pid: number; readonly trace?: 'on' }; data: ProcessDetail }
  /** `silent`: the members whose actors are not counted, as they have not answered. */
  entities: {
    query: object
    data: {
      readonly kinds: readonly Kind[]
      readonly silent?: readonly { readonly member: string; readonly reason: string }[]
    }
  }
  kind: { query: KindQuery; data: KindPage }
  entity: { query: EntityName; data: EntityDetail }
  history: { query: HistoryQuery; data: History }
  past: { query: EntityName & { readonly lsn: number }; data: Past }
  flows: { query: object; data: Flows }
  dead: { query: DeadQuery; data: DeadPage }
  jobs: { query: JobsQuery; data: JobPage }
  job: { query: { readonly queue: string; readonly id: string }; data: JobDetail }
  schedules: { query: SchedulesQuery; data: SchedulePage }
  runs: { query: RunsQuery; data: RunPage }
  run: { query: { readonly type: string; readonly id: string }; data: RunDetail }
  store: { query: StoreQuery; data: StorePage }
  key: { query: { readonly key: string }; data: StoreValue }
  storage: { query: StorageQuery; data: StoragePage }
  replication: { query: object; data: Replication }
  log: { query: LogQuery; data: LogTail }
  /** No view of the page: `keelson mcp` asks. */
  crashes: { query: CrashesQuery; data: Crashes }
  streams: { query: StreamsQuery; data: StreamPage }
}

/** An action before it has a reason, by what it acts on. */
export type Proposed =
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
  | { readonly act: 'retryJob' | 'removeJob'; readonly queue: string; readonly id: string }
  | {
      readonly act: 'setLimits'
      readonly queue: string
      /** The limits to change, as texts or numbers; `rate`: `null`: none. */
      readonly concurrency?: number | string
      readonly perKey?: number | string
      readonly rate?: {
        readonly max: number | string
        readonly per: string
        readonly key?: boolean
      } | null
    }
  | { readonly act: 'resetLimits'; readonly queue: string }
  | {
      readonly act: 'pauseSchedule' | 'resumeSchedule' | 'triggerSchedule' | 'deleteSchedule'
      readonly schedule: string
    }
  | {
      readonly act: 'flush' | 'snapshot' | 'reopen' | 'resumeShard' | 'acceptClock'
      readonly shard: number
    }

/** An action. Each leaves a line in the log with the user and `reason`. */
export type Action = Proposed & { readonly reason: string }

/**
 * `POST /api/plan` with a proposed action: its effect in words, and the nonce with which
 * `POST /api/act` performs it once, for a reason. `/api/act` answers with `Done`.
 */
export type Plan = { readonly effect: string; readonly nonce: string }

/** A plan of the instance: it performs only an action that still has this effect in it. */
export type Planned = {
  readonly effect: string
  /** The instance by its start. Another one has other processes with the same pids. */
  readonly start: string
}

/** An action that was performed. */
export type Done = { readonly text: string }
