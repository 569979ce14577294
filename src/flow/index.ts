/**
 * `keelson/flow`: workflows on durable actors. It imports supervisors and the layers below. Its
 * files, each importing only files above it:
 *
 * - parts, body, values, record, messages: the words
 * - replay: which outcome comes next, and what may start (pure)
 * - life: one life of a run, which carries out
 * - run: the entity of a run, its turns
 * - workflow, tree, handle: `workflow`, `flows`, `flow(app)`
 *
 * Start reading at `record.ts` and `replay.ts`.
 */
export type { Body, Ctx, Duration, StepOptions, Try, Workflow, WorkflowOptions } from './body.ts'
export { type Flow, type FlowApp, flow, type Handle } from './handle.ts'
export type { FlowPart } from './parts.ts'
export { queue } from './queue/queue.ts'
export type { AddedJob, DeadJob, DeadOptions, DeadPage, JobOptions } from './queue/queue-handle.ts'
export type { OverdueJob, QueueEvents, QueueLook } from './queue/queue-messages.ts'
export type { Queue, QueueOptions } from './queue/queue-terms.ts'
export { type FlowParts, flows } from './tree.ts'
export { workflow } from './workflow.ts'
