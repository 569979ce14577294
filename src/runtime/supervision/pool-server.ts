/**
 * The process of a pool: which worker is whose, who waits, and how many workers there should be.
 * Its workers are temporary children of a dynamic supervisor below it. It never waits for the start
 * of one: a worker that has started arrives as a message. It is apart from `pool.ts`, whose
 * functions run in the clients' processes.
 */
import { KeelsonError } from '../../errors.ts'
import { type Process, processOf } from '../process/process.ts'
import { shutDown } from '../process/shutdown.ts'
import { type Accepts, hasField, isAnything } from '../server/acceptance.ts'
import type { CallContext, Context, From, GenServer, Settled } from '../server/gen-server.ts'
import { noReply, reply, stop } from '../server/next-step.ts'
import { Address, addressOf, isRef, type Ref } from '../words/address.ts'
import type { Monitor } from '../words/monitor.ts'
import type { ChildSpec } from './child-spec.ts'
import {
  type DynamicSupervisorMessages,
  startDynamicChild,
  startDynamicSupervisor,
  terminateDynamicChild,
} from './dynamic-supervisor.ts'
import {
  type Backoff,
  givesUp,
  type RestartLimit,
  recentRestarts,
  restartWaitMs,
} from './restart-policy.ts'

/** The request of a client. It has a ticket, with which the client can cancel it. */
export interface CheckoutRequest {
  readonly ticket: object
  readonly block: boolean
}

/**
 * A worker's ref as a client got it. Given back, it is of that check-out only: a second time it does
 * not take the worker from its next client.
 */
export class WorkerRef extends Address<Process> {
  readonly ticket: object

  constructor(worker: Address<Process>, sender: Process | undefined, ticket: object) {
    super(worker.directory, worker.process, worker.name, sender)
    this.ticket = ticket
  }
}

/** The numbers of a pool. */
export interface PoolStatus {
  /** The workers that no client has. */
  readonly idle: number
  readonly busy: number
  /** How many of the workers are beyond `size`. */
  readonly overflow: number
  /** The clients that wait for a worker. */
  readonly waiting: number
}

/** The messages of a pool whose workers understand `W`. */
export type PoolMessages<W = unknown> = {
  calls: { checkout: (request: CheckoutRequest) => Ref<W>; status: () => PoolStatus }
  casts: { checkin: (worker: Ref) => void; cancel: (ticket: object) => void }
  infos: {
    /** @internal */
    started: (started: Settled<WorkerStart>) => void
    /** @internal */
    waited: () => void
  }
}

/** The end of the start of a worker. A class, so that no value from outside is taken for one. */
class WorkerStart {
  /** `undefined`: it was not started. */
  readonly ref: Ref | undefined

  constructor(ref: Ref | undefined) {
    this.ref = ref
  }
}

/** The options of a pool with their defaults. */
export interface PoolPlan extends RestartLimit {
  readonly worker: ChildSpec
  readonly size: number
  readonly maxOverflow: number
  readonly queueMax: number
  readonly backoff: Backoff | undefined
}

/** A client: it waits, or has a worker. */
interface Client {
  readonly ticket: object
  readonly from: From<Ref>
  /** Absent for code outside of processes. */
  readonly monitor: Monitor | undefined
  worker: Worker | undefined
}

interface Worker {
  readonly ref: Ref
  readonly monitor: Monitor
  client: Client | undefined
  isEnding: boolean
}

interface State {
  readonly plan: PoolPlan
  readonly supervisor: Ref<DynamicSupervisorMessages>
  readonly workers: Map<Ref | string, Worker>
  /** The one that was used last is taken first. */
  readonly idle: Worker[]
  /** The clients that wait, in their order. */
  readonly queue: Map<object, Client>
  /** The clients that are processes, whether they wait or have a worker. */
  readonly clients: Map<Monitor, Client>
  /** How many workers are being started. */
  starting: number
  /** How many of the workers are being ended. */
  ending: number
  restarts: readonly number[]
  /**
   * The ends and failed starts in a row, with a back-off; a worker that ends later begins with the
   * first delay.
   */
  row: number
  rowEndsAt: number
  /** No worker is started before the wait is over. */
  isWaiting: boolean
}

type Surroundings = Context<PoolMessages>

/** It throws for what has no fields, which is a refusal too. */
const isWorkerStart: Accepts = (payload) =>
  (payload as { readonly value: unknown }).value instanceof WorkerStart

/** The server of a pool. */
export const poolServer: GenServer<PoolMessages, State, PoolPlan> = {
  init: async (plan, context) => {
    context.trapExit(true)
    const supervisor = await startDynamicSupervisor(context)
    const state: State = {
      plan,
      supervisor,
      workers: new Map(),
      idle: [],
      queue: new Map(),
      clients: new Map(),
      starting: 0,
      ending: 0,
      restarts: [],
      row: 0,
      rowEndsAt: 0,
      isWaiting: false,
    }
    for (let count = 0; count < plan.size; count++) {
      const result = await startDynamicChild(context.to(supervisor), plan.worker)
      if (!result.ok) return stop(result.ignore ? 'ignore' : result.reason)
      add(state, result.ref, context)
    }
    return state
  },
  // The workers do not end by a wrong message.
  accepts: {
    calls: { checkout: hasField('ticket'), status: isAnything },
    casts: { checkin: isRef, cancel: isAnything },
    infos: { started: isWorkerStart, waited: isAnything },
  },
  calls: {
    checkout: (state, request, context) => {
      const isFull = state.queue.size >= (request.block ? state.plan.queueMax : 0)
      if (isFull && state.idle.length === 0) {
        context.from.fail(busy(context, state.queue.size))
        return noReply(state)
      }
      const { ticket } = request
      const { from } = context
      const monitor = from.caller === undefined ? undefined : context.monitor(from.caller)
      const client: Client = { ticket, from, monitor, worker: undefined }
      state.queue.set(ticket, client)
      if (monitor !== undefined) state.clients.set(monitor, client)
      return settle(state, context)
    },
    status: (state) => reply(statusOf(state), state),
  },
  casts: {
    checkin: (state, ref, context) => {
      const process = addressOf<Process>(ref).resolve()
      const worker = process && state.workers.get(process.address)
      if (worker?.client === undefined) return noReply(state)
      if (ref instanceof WorkerRef && ref.ticket !== worker.client.ticket) return noReply(state)
      release(state, worker, context)
      state.idle.push(worker)
      return settle(state, context)
    },
    cancel: (state, ticket, context) => {
      forget(state, state.queue.get(ticket), context)
      return noReply(state)
    },
  },
  infos: {
    started: (state, started, context) => {
      state.starting--
      const ref = started.ok ? started.value.ref : undefined
      if (ref === undefined) return replace(state, context)
      add(state, ref, context)
      return settle(state, context)
    },
    waited: (state, _, context) => {
      state.isWaiting = false
      return settle(state, context)
    },
  },
  exit: (state, { from, reason }) =>
    from === state.supervisor ? stop(reason, state) : noReply(state),
  down: (state, { monitor, target }, context) => {
    const worker = state.workers.get(target)
    if (worker?.monitor === monitor) return workerEnded(state, worker, context)
    return clientEnded(state, monitor, context)
  },
  terminate: async (state, _reason, context) => {
    const supervisor = addressOf<Process>(state.supervisor).resolve()
    if (supervisor?.alive) await shutDown(processOf(context), supervisor, 'infinity')
  },
}

/** Gives idle workers to those who wait, ends what is beyond the size, and starts what is missing. */
const settle = (state: State, context: Surroundings) => {
  for (const client of state.queue.values()) {
    const worker = state.idle.pop()
    if (worker === undefined) break
    state.queue.delete(client.ticket)
    worker.client = client
    client.worker = worker
    if (client.from.reply(worker.ref)) continue
    // It does not wait any longer.
    release(state, worker, context)
    state.idle.push(worker)
  }
  const { size, maxOverflow } = state.plan
  while (running(state) > size && state.idle.length > 0) end(state, context)
  if (state.isWaiting) return noReply(state)
  const wanted = Math.max(size, state.workers.size + state.queue.size)
  const missing = Math.min(size + maxOverflow, wanted) - state.workers.size - state.starting
  for (let count = 0; count < missing; count++) {
    state.starting++
    context.pipe(startWorker(state, context), 'started')
  }
  return noReply(state)
}

const startWorker = ({ supervisor, plan }: State, context: Surroundings): Promise<WorkerStart> =>
  startDynamicChild(context.to(supervisor), plan.worker).then(
    ({ ref }) => new WorkerStart(ref),
    () => new WorkerStart(undefined),
  )

/**
 * A worker ended that should not have, or did not start: another one, after the back-off, or within
 * the intensity.
 */
const replace = (state: State, context: Surroundings) => {
  if (state.plan.backoff) return waitFirst(state, state.plan.backoff, context)
  state.restarts = recentRestarts(state.restarts, context.system.clock.monotonic(), state.plan)
  return givesUp(state.restarts, state.plan)
    ? stop<State>('shutdown', state)
    : settle(state, context)
}

/** Lets all starts wait; the longer, the more workers ended or did not start in a row. */
const waitFirst = (state: State, backoff: Backoff, context: Surroundings) => {
  const { clock } = context.system
  if (state.isWaiting) return settle(state, context)
  if (clock.monotonic() >= state.rowEndsAt) state.row = 0
  const waitMs = restartWaitMs(backoff, ++state.row, clock.random())
  state.rowEndsAt = clock.monotonic() + waitMs + backoff.toMs
  state.isWaiting = true
  context.sendAfter(waitMs, 'waited')
  return settle(state, context)
}

const add = (state: State, ref: Ref, context: Surroundings): void => {
  const worker = { ref, monitor: context.monitor(ref), client: undefined, isEnding: false }
  state.workers.set(ref, worker)
  state.idle.push(worker)
}

/** Ends the idle worker that was used last. Its down message removes it. */
const end = (state: State, context: Surroundings): void => {
  const worker = state.idle.pop()
  if (worker === undefined) return
  worker.isEnding = true
  state.ending++
  // It fails only if the supervisor ends, which ends the worker and the pool.
  terminateDynamicChild(context.to(state.supervisor), worker.ref).catch(() => undefined)
}

const workerEnded = (state: State, worker: Worker, context: Surroundings) => {
  state.workers.delete(worker.ref)
  const at = state.idle.indexOf(worker)
  if (at >= 0) state.idle.splice(at, 1)
  release(state, worker, context)
  if (!worker.isEnding) return replace(state, context)
  state.ending--
  return settle(state, context)
}

/** The end of a client gives its worker back, or its place in the queue. */
const clientEnded = (state: State, monitor: Monitor, context: Surroundings) => {
  const client = state.clients.get(monitor)
  forget(state, client, context)
  if (client?.worker === undefined) return noReply(state)
  client.worker.client = undefined
  state.idle.push(client.worker)
  return settle(state, context)
}

const release = (state: State, worker: Worker, context: Surroundings): void => {
  forget(state, worker.client, context)
  worker.client = undefined
}

/** A client neither waits any longer nor has a worker. One that is forgotten already stays so. */
const forget = (state: State, client: Client | undefined, context: Surroundings): void => {
  if (client === undefined) return
  state.queue.delete(client.ticket)
  if (client.monitor === undefined) return
  state.clients.delete(client.monitor)
  context.demonitor(client.monitor)
}

const running = ({ workers, ending }: State): number => workers.size - ending

const statusOf = (state: State): PoolStatus => {
  const all = running(state)
  return {
    idle: state.idle.length,
    busy: all - state.idle.length,
    overflow: Math.max(0, all - state.plan.size),
    waiting: state.queue.size,
  }
}

const busy = (context: CallContext<PoolMessages>, waiting: number): KeelsonError =>
  new KeelsonError('BUSY', `${processOf(context)} has no worker`, { details: { waiting } })
