/**
 * The runtime's door to `worker_threads`: starts the thread of a thread server, and gives the
 * thread its port. `storage/threads` has another door, because its threads answer requests in order
 * over shared memory, and runtime and storage do not know each other. Only `thread-link.ts` on the
 * one side and `thread-entry.ts` on the other need this file, and the first loads it late: a
 * program without threads does not load `worker_threads`.
 */
import { type MessagePort, parentPort, type ResourceLimits, Worker } from 'node:worker_threads'

/**
 * A value that can be moved to another thread instead of being copied. The types of Node call it
 * `TransferListItem` up to 24, and `Transferable` from then on.
 */
export type Transferable = Extract<
  Parameters<MessagePort['postMessage']>[1],
  readonly unknown[]
>[number]

/** The limits of a thread's memory, in megabytes, as Node takes them. */
export type ThreadLimits = ResourceLimits

/** The host's side of a thread. */
export type HostPort = Worker

/**
 * Starts `thread-entry.ts` as a thread. It does not inherit Node's options, such as a loader,
 * because the entry is compiled code.
 */
export const startThread = (name: string, limits: ThreadLimits | undefined): HostPort => {
  const entry = new URL('./thread-entry.js', import.meta.url)
  return new Worker(entry, {
    name,
    execArgv: [],
    ...(limits === undefined ? {} : { resourceLimits: limits }),
  })
}

/** The thread's port to its host. */
export const hostPort = (): MessagePort => {
  if (parentPort === null) throw new Error('this code runs in a thread')
  return parentPort
}
