/** Compiled, never run: parts of a tree keep their messages and their states. */
import {
  type AppWorker,
  type ChildSpec,
  type Context,
  call,
  type DurableServer,
  type DynamicSupervisorMessages,
  dynamicSupervisor,
  entity,
  type GenServer,
  Pool,
  type Ref,
  Registry,
  reply,
  type StartResult,
  type System,
  startDynamicChild,
  startOrGet,
  supervisor,
  sys,
  TaskSupervisor,
  taskSupervisor,
  via,
  worker,
} from '../../src/index.ts'

type Messages = { calls: { get: () => number }; casts: { add: (by: number) => void } }
type Other = { calls: { put: (text: string) => void } }
interface State {
  readonly count: number
}
declare const server: GenServer<Messages, State, number>
declare const cartServer: DurableServer<Messages, State>
declare const system: System
declare const context: Context<Messages>
declare const crew: Ref<DynamicSupervisorMessages>

const rooms = Registry.childSpec<string, undefined, Messages>('rooms', { keys: 'unique' })
const part = worker('one', server, { arg: 1 })
const pool = Pool.childSpec('pool', { server, arg: 1, size: 2 })
const tasks = taskSupervisor('tasks')
const carts = entity('cart', cartServer)

/** A start, a part and a child know what their process understands, and its state. */
export const typed = async (): Promise<void> => {
  const started: Ref<Messages, State> = await system.start(server, 1)
  const count: number = (await sys.getState(started)).count
  const same: State = await sys.replaceState(started, (state) => ({ count: state.count + count }))
  // @ts-expect-error: the state has no such field
  same.title
  // @ts-expect-error: nor in a replacement
  await sys.replaceState(started, (state) => ({ count: state.title }))

  const child: StartResult<Messages, State> = await startDynamicChild(crew, part)
  if (child.ok) await call(child.ref, 'get')
  // @ts-expect-error: no such call
  if (child.ok) await call(child.ref, 'put', 'x')
  const room = await startOrGet(crew, worker('a', server, { arg: 1, name: via(rooms, 'a') }))
  const answered: number = await call(room, 'get')
  const shown: State = await sys.getState(room)
  // @ts-expect-error: not the messages of the child
  const wrong: Ref<Other> = await startOrGet(crew, part)
  void [answered, shown, wrong]
}

/** A part is a name with the messages of its process. */
export const named = async (): Promise<void> => {
  context.cast(part, 'add', 1)
  const count: number = await context.call(part, 'get')
  // @ts-expect-error: a wrong payload
  context.cast(part, 'add', 'x')
  // @ts-expect-error: a pool has no such cast
  context.cast(pool, 'add', 1)
  const state: State = await sys.getState(system.to(part))
  await startDynamicChild(context.to(dynamicSupervisor('crew')), part)
  await Pool.transaction(context.to(pool), (conn) => call(conn, 'get'))
  await TaskSupervisor.async(context, tasks, () => count)
  const held: Ref<Messages> | undefined = Registry.lookup(context.to(rooms), 'a')[0]?.ref
  context.send(system.to(supervisor('app', {}, [part])), 'restart' as never)
  void [state, held, carts]
}

/** What existing code names goes on: without types it is as it was. */
export const untyped = async (ref: Ref<Messages>): Promise<void> => {
  const one: State = await sys.getState<State>(ref)
  const two: State = await sys.getState(ref)
  const three: State = await sys.replaceState<State>(ref, (state) => state)
  const spec: ChildSpec = { id: 'own', start: (own) => own.startLinkResult(server, 1) }
  const result: StartResult = await startDynamicChild(crew, spec)
  const data: AppWorker = worker('path', './path.ts')
  const cast = (await startDynamicChild(crew, data)).ref as Ref<Messages>
  const plain: Ref<Messages> = await system.start(server, 1)
  const unknown: unknown = await sys.getState(ref)
  void [one, two, three, result, cast, plain, unknown, reply]
}
