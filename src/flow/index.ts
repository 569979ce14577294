/**
 * `keelson/flow`: workflows on durable actors. It imports supervisors and the layers below. Its
 * rooms, each importing only rooms above it:
 *
 * - attributes: small values of runs and jobs, by which lists find them
 * - tracing: the spans of runs, steps and jobs
 * - runs: the runs of workflows: their record, and the activation that replays the body and ends the run
 * - looks: lists of runs and of their operations, here and over all members
 * - book: the jobs of a queue as rows, its limits, and which job starts next
 * - queue: jobs that run under limits
 * - judging: whether the body of a program would block a run at rest
 * - run-entity: the durable actor of a run, and the keeper of runs
 * - schedule: the times of cron patterns, and the runs that they start
 * - app: `workflow`, `queue`, `schedule`, `flows`, a part of the tree, and `flow(app)`
 * - rehearsal: what another program would do with stored runs and actors, without their entities
 *
 * Start reading at `runs/record.ts`, `runs/decide.ts` and `runs/activation.ts`.
 */

export type { KeptCause, KeptError } from '../errors.ts'
export type { InferInput, InferOutput, StandardSchema } from '../schema.ts'
export { flow } from './app/flow.ts'
export type { BatchCommitted, FlowOfBatch } from './app/flow-of-batch.ts'
export type { FlowOfTurn, FlowTurnContext } from './app/flow-of-turn.ts'
export type { Flow, FlowApp, FlowLooks, Settlement } from './app/handle.ts'
export { queue } from './app/queue.ts'
export type { Cancelled, Handle, QueryArguments } from './app/run-handle.ts'
export { type Schedule, schedule } from './app/schedule.ts'
export type {
  ScheduleChanges,
  ScheduleRow,
  Schedules,
  TriggeredRun,
} from './app/schedules.ts'
export { type FlowParts, flows } from './app/tree.ts'
export { workflow } from './app/workflow.ts'
export type { Attributes, AttributeValue } from './attributes/attributes.ts'
export type {
  ChangedLimits,
  LimitsChange,
  LimitsLook,
  LimitValues,
  QueueRate,
} from './book/queue-limits.ts'
export type { JobHold, JobState } from './book/queue-types.ts'
export type {
  CountsOf,
  ListedRun,
  ListOptions,
  Page,
  Row,
  RunChange,
  RunLook,
  RunWatch,
  StepRow,
  StepsOptions,
  Unread,
  WatchFilter,
} from './looks/listing.ts'
export type { BatchTry, JobOutcome, JobOutcomes, QueueBatch } from './queue/job-batch.ts'
export type { DrainOptions, JobHandle, JobUpdate, RemovedJob } from './queue/job-handle.ts'
export type { JobEntry, JobLook, JobsOptions, JobsPage } from './queue/job-look.ts'
export type { AddedJob, DeadJob, DeadOptions, DeadPage, JobOptions } from './queue/queue-handle.ts'
export type { BatchJob, JobTry } from './queue/queue-job.ts'
export type {
  OverdueJob,
  QueueEvents,
  QueueHealth,
  QueueLook,
  QueuePlace,
} from './queue/queue-messages.ts'
export type { Queue, QueueOptions } from './queue/queue-terms.ts'
export { casesIn, expectCasesFolder, saveCases } from './rehearsal/cases-folder.ts'
export { checkDeclarations, type DeclarationReport } from './rehearsal/declaration-check.ts'
export { type Finding, Findings, type Found, isAtLeast } from './rehearsal/findings.ts'
export { Rehearsal } from './rehearsal/rehearsal.ts'
export {
  type RehearsalCounts,
  type RehearsalReport,
  rehearseParts,
  rehearseTree,
} from './rehearsal/rehearse.ts'
export { CaseChoice } from './rehearsal/saved-cases.ts'
export {
  type RehearsedParts,
  type StoredFacts,
  type StoredPart,
  StoredParts,
} from './rehearsal/stored-parts.ts'
export type { BrokenSchedule, FlowHealth, StoppedRun, UnreadRun } from './run-entity/keeper.ts'
export type {
  AllOptions,
  Answer,
  AnyWorkflow,
  Body,
  BodyStream,
  Branch,
  ChildOptions,
  Ctx,
  Duration,
  Keep,
  Queries,
  StartRunOptions,
  StepOptions,
  StepStream,
  StepStreamOptions,
  StepTry,
  Try,
  Undo,
  UntypedBody,
  UpdateValue,
  WaitOptions,
  Where,
  Workflow,
  WorkflowOptions,
} from './runs/body.ts'
export type { FlowEvents, RunFacts } from './runs/events.ts'
export type { RunEnd } from './runs/messages.ts'
export type { EndOptions, FlowPart } from './runs/parts.ts'
export type { OperationKind, RunStatus } from './runs/record.ts'
export type { Missed, Overlap, Scheduled, ScheduleOptions } from './schedule/schedule-plan.ts'
