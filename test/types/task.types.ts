/** Compiled, never run: how the type of a task's value flows to whoever awaits it, and what is refused. */
import {
  type BareContext,
  type CallContext,
  type Context,
  type GenServer,
  noReply,
  type Ref,
  type StreamOutcome,
  type System,
  startTaskSupervisor,
  supervisor,
  Task,
  type TaskOutcome,
  TaskSupervisor,
  type TaskSupervisorMessages,
  type TaskValue,
  taskSupervisor,
} from '../../src/runtime/index.ts'

type Messages = {
  calls: { count: (text: string) => number }
  infos: { task: (done: TaskValue<number>) => void }
}

declare const system: System
declare const context: Context<Messages>
declare const bare: BareContext
declare const during: CallContext<Messages, string, number>
declare const crew: Ref<TaskSupervisorMessages>

/** A server that is sent what its tasks are worth. */
export const server: GenServer<Messages, { total: number }> = {
  init: () => ({ total: 0 }),
  calls: {
    count: (state, text, context) => {
      Task.async(context, () => text.length)
      return noReply(state)
    },
  },
  infos: {
    task: (state, { value, task }) =>
      noReply({ total: task.ref === undefined ? 0 : state.total + value }),
  },
}

export const uses = async (): Promise<void> => {
  const atOnce: Task<number> = Task.async(context, () => 1)
  const later: Task<string> = Task.async(bare, async (inner) => {
    await inner.sleep(inner.now())
    return `${inner.self} ${inner.signal.aborted}`
  })
  const either: Task<number | string> = Task.async(during, () =>
    atOnce ? 1 : later.owner.toString(),
  )
  const one: number = await Task.await(atOnce, { timeoutMs: 5 })
  const [number, text]: [number, string] = await Task.awaitMany([atOnce, later])
  const all: number[] = await Task.awaitMany([1, 2].map((each) => Task.async(context, () => each)))
  const outcome: TaskOutcome<string> | undefined = await Task.yield(later)
  if (outcome?.ok) outcome.value.toUpperCase()
  const [first] = await Task.yieldMany([atOnce, later])
  if (first?.ok) first.value.toFixed(number + one + all.length)
  const ended: TaskOutcome<number> | undefined = await Task.shutdown(atOnce, 'brutal_kill')
  const ignored: TaskOutcome<number> | undefined = Task.ignore(atOnce)
  const ready: Task<string> = Task.completed(context, text)
  const ran: number = await Task.run(system, async () => 1, { supervisor: crew, timeoutMs: 5 })
  const supervised: Task<number> = await TaskSupervisor.async(context, crew, async () => ran)
  const apart: Task<string> = await TaskSupervisor.asyncNolink(context, crew, () => 'a')
  await TaskSupervisor.startChild(crew, () => {}, { restart: 'transient', shutdown: 'brutal_kill' })
  supervisor('top', { strategy: 'one_for_one' }, [
    taskSupervisor('crew', { maxChildren: 5 }),
    Task.childSpec('once', (inner) => inner.receive()),
  ])
  await startTaskSupervisor(context)
  const stream = Task.asyncStream(context, new Set(['a']), (input) => Promise.resolve(input.length))
  for await (const each of stream) {
    const outcome: StreamOutcome<number, string> = each
    if (outcome.ok) outcome.value.toFixed()
    else outcome.input.toUpperCase()
  }
  const lines: AsyncIterable<Buffer> = process.stdin
  Task.asyncStream(context, lines, (line, inner) => (line.length > 0 ? inner.receive() : 'empty'))
  void [either, ended, ignored, ready, supervised, apart]
}

export const misuses = async (): Promise<void> => {
  const task = Task.async(context, () => 1)
  // @ts-expect-error: the value is a number
  const text: string = await Task.await(task)
  // @ts-expect-error: a task of another value
  const other: Task<string> = task
  // @ts-expect-error: code outside of processes owns no task
  Task.async(system, () => 1)
  // @ts-expect-error: a function, not a promise that runs already
  Task.async(context, Promise.resolve(1))
  // @ts-expect-error: a promise of a task is no task
  await Task.await(TaskSupervisor.async(context, crew, () => 1))
  // @ts-expect-error: no such way to end one
  await Task.shutdown(task, 'kill')
  // @ts-expect-error: the value may not be there
  ;(await Task.yield(task)).value
  // @ts-expect-error: an outcome has no value before it is known to be ok
  ;(await Task.yield(task))?.value.toFixed()
  // @ts-expect-error: no such option
  await Task.await(task, { timeout: 5 })
  // @ts-expect-error: an input is a text
  Task.asyncStream(context, ['a'], (input: number) => input)
  // @ts-expect-error: nothing to iterate over
  Task.asyncStream(context, 7, (input) => input)
  // @ts-expect-error: no such answer to a task that takes too long
  Task.asyncStream(context, ['a'], (input) => input, { onTimeout: 'kill' })
  // @ts-expect-error: no such restart
  await TaskSupervisor.startChild(crew, () => {}, { restart: 'always' })
  // @ts-expect-error: a bare text is no name
  await TaskSupervisor.async(context, 'crew', () => 1)
  void [text, other]
}

export const wrongInfo: GenServer<Messages, { total: number }> = {
  init: () => ({ total: 0 }),
  calls: { count: (state) => noReply(state) },
  // @ts-expect-error: the value is a number
  infos: { task: (state, { value }) => noReply({ total: state.total + value.length }) },
}
