/**
 * Owners of tasks for tests: they record the outcomes, and time passes only when the test says so.
 */
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type BareContext,
  cast,
  type DownMessage,
  type ExitMessage,
  type GenServer,
  noReply,
  reply,
  type System,
  startTaskSupervisor,
  Task,
  type TaskValue,
} from '../../../src/runtime/index.ts'
import { type TestSystem, testSystem } from '../../../src/testing/index.ts'

/** An error as its catcher sees it: its code, and the reason in its details. */
export const failureOf = (error: unknown): unknown =>
  isKeelsonError(error) ? { code: error.code, reason: error.details.reason } : error

/** The outcome of `promise`: its value, or its error. */
export const outcomeOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch(failureOf)

/**
 * Runs `body` in a process of its own until nothing happens without time passing; returns the
 * content of `seen`.
 */
export const within = async (
  { system, clock }: TestSystem,
  body: (context: BareContext, seen: unknown[]) => unknown,
) => {
  const seen: unknown[] = []
  const ref = system.spawn((context) => body(context, seen))
  await clock.settle()
  return { seen, ref }
}

/** A system, and a supervisor of tasks in it. */
export const withCrew = async (options?: Parameters<typeof startTaskSupervisor>[1]) => {
  const stage = testSystem()
  return { stage, crew: await startTaskSupervisor(stage.system, options) }
}

/** The tasks that run. */
export const tasksOf = (system: System) => system.processes().filter(({ kind }) => kind === 'task')

/** What `crash` ends with. */
export const boom = new Error('boom')

/** A task that crashes. */
export const crash = (): never => {
  throw boom
}

/** A task that waits for a message that never comes. */
export const never = (context: BareContext): Promise<unknown> => context.receive()

type OwnerMessages = {
  calls: { seen: () => readonly unknown[] }
  casts: { run: (body: (context: BareContext) => unknown) => void }
  infos: { task: (done: TaskValue) => void; other: () => void }
}

/** A server that starts the given tasks, and records their outcomes. */
export const owner: GenServer<OwnerMessages, readonly unknown[], boolean> = {
  init: (traps, context) => {
    context.trapExit(traps)
    return []
  },
  calls: { seen: (seen) => reply(seen, seen) },
  casts: {
    run: async (seen, body, context) => {
      await body(context as unknown as BareContext)
      return noReply(seen)
    },
  },
  infos: {
    task: (seen, { value }) => noReply([...seen, ['value', value]]),
    other: (seen) => noReply(seen),
  },
  exit: (seen, { reason }: ExitMessage) => noReply([...seen, ['exit', reason]]),
  down: (seen, { reason }: DownMessage) => noReply([...seen, ['down', reason]]),
}

/** An owner that does not await its task, and has taken its value, 7, as a message. */
export const notAwaiting = async () => {
  const { system, clock } = testSystem()
  const ref = await system.start(owner, false)
  let task: Task | undefined
  cast(ref, 'run', (context) => {
    task = Task.async(context, () => 7)
  })
  await clock.settle()
  return { system, clock, ref, task }
}
