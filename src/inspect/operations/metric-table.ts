/**
 * The metrics of an instance: their names, types, labels and meanings. `docs/metrics.md` lists them
 * from here. No label has a value of users: it is a number of a shard, a name in code, or one of a
 * fixed list. Pure.
 */

/** The types of OpenMetrics. In the text format 0.0.4 an `info` and a `stateset` are gauges. */
export type MetricType = 'counter' | 'gauge' | 'histogram' | 'info' | 'stateset'

/** A metric. */
export type Metric = {
  readonly name: string
  readonly type: MetricType
  readonly labels: readonly string[]
  readonly help: string
  /** The upper bounds of the buckets of a histogram. */
  readonly bounds: readonly number[]
  /** How the values of series with the same labels are one: their sum, or the largest of them. */
  readonly merge: 'sum' | 'max'
}

/** 50 µs to 10 s, each about 2.5 times the one before it. */
const seconds = [
  0.00005, 0.000125, 0.0003125, 0.00078125, 0.002, 0.005, 0.0125, 0.03, 0.075, 0.2, 0.5, 1.25, 3,
  7.5, 10,
]

const counts = [1, 2, 5, 12, 30, 75, 200, 500, 1_250]

const metric =
  (type: MetricType, bounds: readonly number[] = [], merge: Metric['merge'] = 'sum') =>
  (name: string, help: string, ...labels: readonly string[]): Metric => ({
    name,
    type,
    labels,
    help,
    bounds,
    merge,
  })

const counter = metric('counter')
const gauge = metric('gauge')
const largest = metric('gauge', [], 'max')
const durations = metric('histogram', seconds)

/** Every metric, in the order of a scrape. */
export const metrics = {
  build: metric('info')(
    'keelson_build_info',
    'Always 1. Its labels have the versions of Keelson and Node, the name of the instance, and `build`.',
    'instance',
    'version',
    'node',
    'build',
  ),
  durable: gauge('keelson_durable', '1 if an acknowledged write is on the disk.'),
  troubles: gauge(
    'keelson_troubles',
    'Troubles that health() at the prompt lists. `of` is a shard, a kind, a workflow, a queue, or empty.',
    'kind',
    'severity',
    'of',
  ),

  memberOwner: gauge(
    'keelson_member_owner',
    '1 while this member of a cluster owns the instance and renews its lease, else 0.',
  ),
  memberLease: gauge(
    'keelson_member_lease_left_seconds',
    'How long the member may answer reads without a renewal of its lease.',
  ),
  memberEpoch: gauge(
    'keelson_member_epoch',
    'How many owners the instance of the cluster has had, including the present one.',
  ),

  memberUp: gauge(
    'keelson_member_up',
    '1 if the member has answered this scrape, else 0. With members on one folder.',
  ),
  memberShards: gauge(
    'keelson_member_shards',
    'Shards that are open at the member. With members on one folder.',
  ),

  processes: gauge('keelson_processes', 'Processes that live.', 'kind'),
  entitiesLive: gauge('keelson_entities_live', 'Entities that have a process.', 'kind'),
  entitiesBlocked: gauge(
    'keelson_entities_blocked',
    'Entities that answer BLOCKED, and runs that are blocked.',
    'kind',
  ),
  crashes: counter(
    'keelson_process_crashes_total',
    'Processes that failed, by the code of the error.',
    'kind',
    'reason',
  ),
  restarts: counter(
    'keelson_process_restarts_total',
    'Children that a supervisor started again.',
    'kind',
    'reason',
  ),
  gaveUp: counter(
    'keelson_supervisor_gave_up_total',
    'Supervisors that spent their restarts and ended.',
    'kind',
    'reason',
  ),
  childrenCrashing: gauge(
    'keelson_children_crashing',
    'Children that ended, or failed to start, three times in a minute, and entities that crashed so often.',
  ),
  mailbox: gauge('keelson_mailbox_messages', 'Messages that wait.', 'kind'),
  mailboxMax: largest(
    'keelson_mailbox_messages_max',
    'Messages that wait in the longest mailbox.',
    'kind',
  ),
  mailboxOldest: largest(
    'keelson_mailbox_oldest_seconds',
    'How long the oldest message has waited, as far as earlier scrapes saw it.',
    'kind',
  ),
  handlerSlow: counter(
    'keelson_handler_slow_total',
    'Handlers that ran longer than slowHandlerMs of systemMonitor.',
    'kind',
  ),
  handlerPending: gauge(
    'keelson_handler_pending',
    'Handlers whose promise is pending for more than a second.',
    'kind',
  ),

  turns: counter(
    'keelson_turns_total',
    'Turns of durable actors, including births.',
    'kind',
    'result',
  ),
  stepFailures: counter(
    'keelson_step_failures_total',
    'Tries of steps, alarms and jobs that failed, by the code of the error.',
    'kind',
    'result',
  ),
  failures: counter(
    'keelson_failures_total',
    'Failures of your steps, jobs, runs, handlers and more, by the code of the error.',
    'what',
    'kind',
    'reason',
  ),
  stepsStuck: gauge(
    'keelson_steps_stuck',
    'Steps, alarms and jobs that failed three times or more and are tried again.',
    'kind',
  ),
  actorsParked: gauge(
    'keelson_actors_parked',
    'Durable actors with a step or an alarm whose tries have ended.',
    'kind',
  ),
  alarmsOverdue: gauge(
    'keelson_alarms_overdue',
    'Alarms and steps that have been due for more than 10 s, at most 1,000 of each shard.',
    'kind',
  ),

  flowRuns: gauge('keelson_flow_runs', 'Runs of workflows.', 'type', 'status'),
  flowRunDuration: durations(
    'keelson_flow_run_duration_seconds',
    'From the start of a run until its end.',
    'type',
    'status',
  ),
  queueJobs: gauge('keelson_queue_jobs', 'Jobs of queues.', 'queue', 'status'),
  queueOldest: gauge(
    'keelson_queue_oldest_seconds',
    'How long the oldest ready job has waited; 0 if no job is ready.',
    'queue',
  ),
  queueBatch: metric('histogram', counts)(
    'keelson_queue_batch_jobs',
    'Jobs that one call of a handler gets, for queues with batches.',
    'queue',
  ),

  commitWait: durations(
    'keelson_wal_commit_wait_seconds',
    'From the first write of a group until the log has the group.',
    'shard',
  ),
  sync: durations(
    'keelson_wal_sync_seconds',
    'How long a group takes to be written and synced.',
    'shard',
  ),
  groupFrames: metric('histogram', counts)(
    'keelson_wal_group_frames',
    'Frames of a group.',
    'shard',
  ),
  walBytes: counter('keelson_wal_written_bytes_total', 'Bytes of committed groups.', 'shard'),
  lastLsn: gauge('keelson_wal_last_lsn', 'The LSN of the last frame.', 'shard'),
  durableLsn: gauge('keelson_wal_durable_lsn', 'Every frame up to this LSN is synced.', 'shard'),
  writesWaiting: gauge('keelson_writes_waiting', 'Writers that wait at the gate.', 'shard'),
  writesInflight: gauge(
    'keelson_writes_inflight_bytes',
    'Bytes of writes that were admitted and are not answered.',
    'shard',
  ),

  lagFrames: gauge(
    'keelson_projection_lag_frames',
    'Frames that are applied and not projected. The store has no `name`.',
    'shard',
    'name',
  ),
  lagBytes: gauge(
    'keelson_projection_lag_bytes',
    'Bytes of log that are applied and not projected.',
    'shard',
    'name',
  ),
  lagSeconds: gauge(
    'keelson_projection_lag_seconds',
    'How long the oldest frame that is not projected has been applied: an upper bound.',
    'shard',
    'name',
  ),
  flush: durations(
    'keelson_projection_flush_seconds',
    'How long a commit of the projection takes.',
    'shard',
  ),
  snapshotAge: gauge(
    'keelson_snapshot_age_seconds',
    'How long ago the instance has made its last snapshot; no value before the first since its start.',
    'shard',
  ),
  snapshotFailures: counter(
    'keelson_snapshot_failures_total',
    'Attempts at a snapshot that failed.',
    'shard',
  ),
  logSinceSnapshot: gauge(
    'keelson_log_since_snapshot_bytes',
    'The log after the last snapshot.',
    'shard',
  ),
  streams: gauge(
    'keelson_streams',
    'Streams. `of` is `actor`, or `itself` for a stream without an actor. A scrape examines 1,000 streams of a shard, so a larger count lags.',
    'shard',
    'of',
  ),
  streamMessages: counter(
    'keelson_stream_messages_total',
    'Messages appended to streams, including messages of turns.',
    'shard',
  ),
  streamBytes: counter('keelson_stream_bytes_total', 'The bytes of these messages.', 'shard'),
  streamAppend: durations(
    'keelson_stream_append_seconds',
    'From the time at which gathered appends are sent until they are durable.',
    'shard',
  ),
  streamRefused: counter(
    'keelson_stream_refused_total',
    'Refused appends and other acts on streams: closed, gap, fenced, order, bytes and more.',
    'reason',
  ),
  streamReaders: gauge(
    'keelson_stream_readers',
    'Readers that wait for a message: of the process, or over http.',
    'via',
  ),
  streamTail: durations(
    'keelson_stream_tail_seconds',
    'From the time in the frame of an append until a reader that waits has its messages.',
    'shard',
  ),
  journalLag: gauge(
    'keelson_journal_subscription_lag',
    'LSNs after the position of a subscription, including LSNs without entries.',
    'name',
  ),
  replicationLag: gauge(
    'keelson_replication_lag_frames',
    'Frames that a replica does not have.',
    'follower',
  ),
  replicationUp: gauge(
    'keelson_replication_up',
    '1 while a replica accepts the frames of every shard, else 0.',
    'follower',
  ),
  shardPhase: metric('stateset')(
    'keelson_shard_phase',
    'The phase of a shard: recovering, open, down, elsewhere (at no member) or closed.',
    'shard',
    'phase',
  ),
  diskFree: gauge('keelson_disk_free_bytes', 'Free space on the disk of the log.', 'shard'),
  diskNeeded: gauge(
    'keelson_disk_needed_bytes',
    'Space for two segments and a snapshot as large as the last one.',
    'shard',
  ),
  writesRefused: counter(
    'keelson_writes_refused_total',
    'Refused writes; for NO_SPACE and READ_ONLY, groups of writes that the log refused.',
    'shard',
    'reason',
  ),
  clockAhead: gauge(
    'keelson_clock_ahead_seconds',
    'How far the time of a shard is ahead of the clock of the machine.',
    'shard',
  ),

  loopDelay: gauge(
    'nodejs_eventloop_delay_seconds',
    'The longest delay of the event loop since the last scrape.',
  ),
  heapUsed: gauge('nodejs_heap_used_bytes', 'The used heap of V8.'),
  external: gauge(
    'nodejs_external_memory_bytes',
    'Memory outside of the heap that its objects hold, such as buffers.',
  ),
  cpu: counter('process_cpu_seconds_total', 'CPU time of the process, in user and system mode.'),
  memory: gauge('process_resident_memory_bytes', 'Memory of the process.'),
  startTime: gauge('process_start_time_seconds', 'When the process began, since 1970.'),

  callDuration: durations(
    'keelson_call_duration_seconds',
    'From a call until its answer.',
    'server',
    'message',
    'result',
  ),
  turnDuration: durations(
    'keelson_turn_duration_seconds',
    'From the beginning of a turn of a durable actor until it is durable.',
    'kind',
    'result',
  ),
} as const satisfies Readonly<Record<string, Metric>>
