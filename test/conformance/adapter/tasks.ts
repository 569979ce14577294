/** Tasks of a scenario: those of a process, by their tags, and those that the driver starts under a supervisor. */
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type BareContext,
  type Name,
  name,
  type Ref,
  type StreamOutcome,
  Task,
  type TaskContext,
  type TaskFunction,
  type TaskOutcome,
  TaskSupervisor,
  type TaskSupervisorMessages,
} from '../../../src/runtime/index.ts'
import {
  bareReason,
  Memory,
  optionsOf,
  type TalkContext,
  type Target,
  targetOf,
} from './operations.ts'
import { FailedCall, type Recorder } from './recorder.ts'
import type { Operation, Term } from './scenario.ts'
import type { Stage } from './stage.ts'
import { evaluate, type Scope } from './terms.ts'

type Steps = Generator<Promise<unknown>, void, unknown>

/** The actions of tasks; `undefined` when `action` is none of them. */
export const taskAction = (
  [operation, ...args]: Operation,
  memory: Memory,
  scope: Scope,
  stage: Stage,
): Steps | undefined => {
  switch (operation) {
    case 'task':
      return starting(args, memory, scope, stage)
    case 'await':
      return awaiting(args, memory)
    case 'yield':
      return yielding(args, memory)
    case 'task_shutdown':
      return shuttingDown(args, memory)
    case 'async_stream':
      return streaming(args, memory, scope, stage)
    default:
      return undefined
  }
}

function* starting([tag, body, given]: Term[], memory: Memory, scope: Scope, stage: Stage): Steps {
  const { supervisor, nolink } = optionsOf(given)
  const { context } = memory
  const run = labelled(String(tag), body as Operation[], scope, stage)
  let task: Task
  if (supervisor !== undefined) {
    const begin = nolink === true ? TaskSupervisor.asyncNolink : TaskSupervisor.async
    try {
      task = (yield begin(context, crewOf(supervisor, scope), run)) as Task
    } catch (error) {
      throw failureOf(error)
    }
  } else task = Task.async(context, run)
  label(String(tag), task.ref, stage.recorder)
  memory.keepTask(String(tag), task)
}

function* awaiting([tag, given]: Term[], memory: Memory): Steps {
  const { catch: catches } = optionsOf(given)
  try {
    const value = yield Task.await(memory.task(String(tag)), timeOf(given))
    memory.record('awaited', String(tag), memory.recorder.encode(value))
  } catch (error) {
    const reason = bareReason(error)
    if (catches !== true) throw new FailedCall(reason)
    memory.record('await_failed', String(tag), memory.recorder.encode(reason))
  }
}

function* yielding([tag, given]: Term[], memory: Memory): Steps {
  const outcome = yield Task.yield(memory.task(String(tag)), timeOf(given))
  memory.record('yielded', String(tag), outcomeTerm(outcome, memory.recorder))
}

function* shuttingDown([tag, given]: Term[], memory: Memory): Steps {
  const { how } = optionsOf(given)
  const time = how === 'brutal_kill' ? how : typeof how === 'number' ? how : undefined
  const outcome = yield Task.shutdown(memory.task(String(tag)), time)
  memory.record('shut_down', String(tag), outcomeTerm(outcome, memory.recorder))
}

function* streaming([inputs, body, given]: Term[], memory: Memory, scope: Scope, stage: Stage) {
  const { max_concurrency, ordered, on_timeout, supervisor, nolink } = optionsOf(given)
  const run = (input: unknown, context: TaskContext): unknown =>
    stage.perform(body as Operation[], new SilentMemory(context, stage.recorder, scope.self), {
      ...scope,
      payload: input,
    })
  const stream = Task.asyncStream(memory.context, evaluate(inputs, scope) as unknown[], run, {
    ...timeOf(given),
    maxConcurrency: typeof max_concurrency === 'number' ? max_concurrency : undefined,
    ordered: ordered !== false,
    onTimeout: on_timeout === 'kill_task' ? 'kill_task' : 'exit',
    supervisor: supervisor === undefined ? undefined : crewOf(supervisor, scope),
    link: nolink !== true,
  })
  try {
    const outcomes = (yield collected(stream)) as Term[]
    memory.record('streamed', outcomes)
  } catch (error) {
    const failure = failureOf(error)
    // The platform's stream asks the supervisor by a process of its own: that one's failed call fails the owner's.
    const isAsked = failure instanceof FailedCall && !isTimeout(error)
    throw isAsked ? new FailedCall(failure) : failure
  }

  async function collected(outcomes: AsyncIterable<StreamOutcome>): Promise<Term[]> {
    const terms: Term[] = []
    for await (const outcome of outcomes) terms.push(outcomeTerm(outcome, stage.recorder))
    return terms
  }
}

/** Starts a task under a supervisor, for the driver: the result of the step `task_child`. */
export const taskChild = async (
  supervisor: Target,
  [base, body, given]: Term[],
  memory: Memory,
  scope: Scope,
  stage: Stage,
): Promise<Term> => {
  const { restart } = optionsOf(given)
  const run = labelled(String(base), body as Operation[], scope, stage)
  const crew = memory.context.to(supervisor) as unknown as Ref<TaskSupervisorMessages>
  const result = await TaskSupervisor.startChild(crew, run, {
    restart: restart as 'permanent' | 'transient' | 'temporary' | undefined,
  })
  if (!result.ok) return result.ignore ? 'ignore' : ['error', stage.recorder.encode(result.reason)]
  label(String(base), result.ref, stage.recorder)
  return ['ok', stage.recorder.encode(result.ref)]
}

/** The function of a task that has a label, and whose events are recorded. */
const labelled =
  (base: string, body: Operation[], scope: Scope, stage: Stage): TaskFunction<unknown> =>
  (context) => {
    const memory = new Memory(
      label(base, context.self, stage.recorder),
      talk(context),
      stage.recorder,
      scope.self,
    )
    return stage.perform(body, memory, scope, (ms) => context.receive(ms))
  }

/** A task has its label as soon as anybody can know it: whoever started it, or itself. */
const label = (base: string, ref: Ref | undefined, recorder: Recorder): string =>
  recorder.labelOf(ref?.pid ?? 0) ?? (ref === undefined ? base : recorder.label(base, ref))

/** What a task of a stream remembers; what happens in it is no event. */
class SilentMemory extends Memory {
  constructor(context: TaskContext, recorder: Recorder, parent: Ref) {
    super('', talk(context), recorder, parent)
  }

  override record(): void {}
}

const talk = (context: BareContext): TalkContext => context as unknown as TalkContext

/** How a process ends that could not have its tasks: with a failed call, but a full supervisor is an exception (Elixir). */
const failureOf = (error: unknown): Error => {
  const reason = bareReason(error)
  if (reason === 'max_children') return new Error('reached the maximum number of tasks')
  return new FailedCall(reason)
}

const isTimeout = (error: unknown): boolean => isKeelsonError(error) && error.code === 'TIMEOUT'

/** A supervisor is named by its name alone, or by any other target. */
const crewOf = (supervisor: Term, scope: Scope): CrewTarget =>
  typeof supervisor === 'string'
    ? name<TaskSupervisorMessages>(supervisor)
    : (targetOf(supervisor, scope) as unknown as CrewTarget)

type CrewTarget = Name<TaskSupervisorMessages> | Ref<TaskSupervisorMessages>

const timeOf = (options: Term | undefined): { timeoutMs?: number } => {
  const { timeout } = optionsOf(options)
  return typeof timeout === 'number' ? { timeoutMs: timeout } : {}
}

const outcomeTerm = (outcome: unknown, recorder: Recorder): Term => {
  if (outcome === undefined) return null
  const { ok, value, reason } = outcome as TaskOutcome
  return ok ? ['ok', recorder.encode(value)] : ['exit', recorder.encode(reason)]
}
