/**
 * A pool: a fixed number of workers under a supervisor, which clients check out and in. Clients
 * wait in their order. When there is no idle worker, up to `maxOverflow` more are started, and
 * ended when no client waits. A client that ends gives its worker back. The words are poolboy's.
 */

import {
  argument,
  config,
  flag,
  membersOf,
  noMore,
  object,
  optional,
  or,
  readOptions,
  that,
  wholeFrom,
} from '../../check.ts'
import { configError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { call, cast, madeThrough } from '../process/messaging.ts'
import type { Process } from '../process/process.ts'
import type { Shutdown } from '../process/shutdown.ts'
import type { AnyContext, GenServer, System } from '../server/gen-server.ts'
import {
  addressOf,
  type Ref,
  type Name as RuntimeName,
  type Messages as ServerMessages,
} from '../words/address.ts'
import { isBackoff } from './child-fault.ts'
import {
  type ChildSpec,
  checked,
  expectStartable,
  intensityOptions,
  supervisorStart,
  worker as workerSpec,
} from './child-spec.ts'
import { type PoolMessages, type PoolStatus, poolServer, WorkerRef } from './pool-server.ts'
import type { Backoff, RestartOption } from './restart-policy.ts'
import { madeAt, started } from './supervisor.ts'

/** The messages of a pool whose workers understand `W`. */
export type Messages<W = unknown> = PoolMessages<W>

/** The typed name of a pool. */
export type Name<W = unknown> = RuntimeName<PoolMessages<W>>

/** A ref of a pool: from `context.to(name)`, `system.to(name)` or `start`. */
export type Handle<W = unknown> = Ref<PoolMessages<W>>

/** The numbers of a pool. */
export type Status = PoolStatus

/** The options of a pool, also as a child. */
export type Options<M extends ServerMessages, S, A, P> = {
  /** The server of each worker. */
  readonly server: GenServer<M, S, A, P>
  /** The number of workers that are always there. */
  readonly size: number
  /** The most workers beyond `size`. 0 by default. */
  readonly maxOverflow?: number | undefined
  /** The most clients that wait; one more is refused with `BUSY`. 100,000 by default. */
  readonly queueMax?: number | undefined
  /** The most workers that end or fail to start within `periodMs`. 3 by default. */
  readonly intensity?: number | undefined
  /** 5,000 by default. */
  readonly periodMs?: number | undefined
  /**
   * The wait before workers that ended or did not start are replaced, as that of a child with a
   * back-off. Then the intensity does not count.
   */
  readonly backoff?: Backoff | undefined
  readonly name?: Name<M> | undefined
  readonly restart?: RestartOption | undefined
  readonly shutdown?: Shutdown | undefined
} & ([A] extends [undefined] ? { readonly arg?: A } : { readonly arg: A })

/** How a client waits. */
export interface CheckoutOptions {
  /** Milliseconds; 5,000 by default, `Infinity` for no limit. */
  readonly timeoutMs?: number | undefined
  /** False: no waiting. Without an idle worker it is refused with `BUSY`. */
  readonly block?: boolean | undefined
}

const waitMs = that<number>('a time in ms', (found) => typeof found === 'number')

const checkoutOptions = object({ block: or(flag, true), timeoutMs: optional(waitMs) })

const poolKeys = [
  'server',
  'arg',
  'size',
  'maxOverflow',
  'queueMax',
  'intensity',
  'periodMs',
  'backoff',
  'name',
  'restart',
  'shutdown',
]

const limitsOf = membersOf({
  ...intensityOptions,
  size: wholeFrom(0),
  maxOverflow: or(wholeFrom(0), 0),
  queueMax: or(wholeFrom(0), 100_000),
  backoff: optional(that<Backoff>('{ fromMs, toMs }, whole numbers', isBackoff)),
})

/** A pool as a child of a supervisor. Throws `CONFIG` with `details.path`. */
export const childSpec = <M extends ServerMessages, S, A, P>(
  id: string,
  given: Options<M, S, A, P>,
  ...surplus: []
): ChildSpec<PoolMessages<M>> => {
  noMore(surplus, 'Pool.childSpec(id, { server, size, … })')
  const options = readOptions(given, poolKeys, config(id)) as Options<M, S, unknown, P>
  const { server, arg, name, restart, shutdown } = options
  expectStartable(id, { name })
  if (typeof server !== 'object' || server === null)
    throw configError(`${id}.server`, 'a server', server)
  const limits = limitsOf(options, config(id))
  if (limits.size + limits.maxOverflow === 0)
    throw configError(`${id}.maxOverflow`, 'a whole number from 1', 0)
  const worker = workerSpec('worker', server, arg, { restart: 'temporary', label: `${id} worker` })
  const plan = { worker, ...limits }
  // A worker that is given back must not be refused; clients that wait are bounded by `queueMax`.
  const start = supervisorStart(id, poolServer, plan, 'pool_supervisor', options)
  const spec: ChildSpec = { id, start, restart, shutdown, kind: 'supervisor' }
  return checked(spec) as ChildSpec<PoolMessages<M>>
}

/** Starts a pool by itself: without a parent for a System, linked for a context. */
export const start = <M extends ServerMessages, S, A, P>(
  where: System | AnyContext,
  options: Options<M, S, A, P>,
  ...surplus: []
): Promise<Handle<M>> =>
  madeAt(
    where,
    started(where, () => {
      noMore(surplus, 'Pool.start(where, { server, size, … })')
      return childSpec(String(options.name ?? 'pool'), options)
    }),
  )

/**
 * Takes a worker, and waits for one if none is idle. Give it back with `checkin`. If the ref of the
 * pool has its sender bound, so has the worker's. Rejects with `TIMEOUT`, with `BUSY` when too many
 * wait or it must not wait, with `INVALID_ARGUMENT` for wrong options, and as `call` does.
 */
export const checkout = <W>(
  pool: Handle<W>,
  options: CheckoutOptions = noOptions,
): Promise<Ref<W>> => madeThrough(pool, taken(pool, options))

/**
 * Gives a worker back: the ref that `checkout` gave. Without effect a second time, and for a worker
 * that is not checked out. False: there is no such pool.
 */
export const checkin = (pool: Handle<never> | Handle, worker: Ref): boolean =>
  cast(plain(pool), 'checkin', worker)

/**
 * Runs `work` with a worker and gives it back, whatever happens. Resolves with the result of `work`.
 * Rejects as `checkout` does, or with the error of `work`.
 */
export const transaction = <W, R>(
  pool: Handle<W>,
  work: (worker: Ref<W>) => R | Promise<R>,
  options: CheckoutOptions = noOptions,
): Promise<R> => madeThrough(pool, during(pool, work, options))

/** How many workers are idle and busy, and how many clients wait. */
export const status = (pool: Handle<never> | Handle): Promise<PoolStatus> =>
  call(plain(pool), 'status')

/** The pool without the messages of its workers. */
const plain = (pool: Ref<never> | Handle): Handle => pool

const taken = async <W>(pool: Handle<W>, options: CheckoutOptions): Promise<Ref<W>> => {
  const { block, ...limits } = checkoutOptions(options, argument('', 'a checkout'))
  const ticket = {}
  try {
    const worker = await call(plain(pool), 'checkout', { ticket, block }, limits)
    const { sender } = addressOf<Process>(pool)
    return new WorkerRef(addressOf<Process>(worker), sender, ticket)
  } catch (error) {
    cast(plain(pool), 'cancel', ticket)
    throw error
  }
}

const during = async <W, R>(
  pool: Handle<W>,
  work: (worker: Ref<W>) => R | Promise<R>,
  options: CheckoutOptions,
): Promise<R> => {
  const worker = await taken(pool, options)
  try {
    return await work(worker)
  } finally {
    checkin(plain(pool), worker)
  }
}
