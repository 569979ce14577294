/**
 * Checks of the options of a start, for callers without types. A wrong name or bound would
 * otherwise have no effect until much later.
 */

import { argument, object, or, orInfinite, readOptions, wholeFrom } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { isVia } from '../names/via.ts'
import type { Process } from '../process/process.ts'
import { type HeapEntry, isDelay, noDelay } from '../queues/timer-heap.ts'
import type { ProcessQuery } from './gen-server.ts'
import type { SpawnOptions, StartOptions } from './start-options.ts'

// The time limit of a start: a process that is still in `init` is killed when it is over.

/** The limit of one start. */
export class StartLimit implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly #process: Process
  #isOver = false

  private constructor(process: Process) {
    this.#process = process
  }

  /** Starts the limit; `undefined` if there is none. */
  static of(process: Process, timeoutMs: number | undefined): StartLimit | undefined {
    if (timeoutMs === undefined) return undefined
    const limit = new StartLimit(process)
    process.kernel.timers.add(limit, timeoutMs)
    return limit
  }

  /** Whether the time ran out before the start was done. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** The start is done. */
  lift(): void {
    this.#process.kernel.timers.remove(this)
  }

  fire(): void {
    this.#isOver = true
    // The starter learns it only from the result of the start, whether it traps exits or not (OTP
    // unlinks before it kills).
    this.#process.unlink(this.#process.parent)
    this.#process.end('killed')
  }
}

/**
 * The options of a start, read once. Throws `INVALID_ARGUMENT` unless the name, the texts, the
 * mailbox bound and the time limit are valid or absent.
 */
export const readStartOptions = (
  options: StartOptions<unknown> | undefined,
): StartOptions<unknown> => {
  if (options === undefined) return noOptions
  const read = readOptions(options, startKeys, argument('', 'a start'))
  expectSpawnable(read)
  for (const key of ['timeoutMs', 'handlerTimeoutMs'] as const) {
    const ms = read[key]
    if (ms !== undefined && !isDelay(ms)) throw noDelay(`${key} of a start`, ms)
  }
  return read
}

/** The same for a bare process, which has no `init` to limit. */
export const readSpawnOptions = (
  options: SpawnOptions<unknown> | undefined,
): SpawnOptions<unknown> => {
  if (options === undefined) return noOptions
  const read = readOptions(options, spawnKeys, argument('', 'a spawn'))
  expectSpawnable(read)
  return read
}

const spawnKeys = ['name', 'mailboxMax', 'app', 'instance', 'kind', 'label', 'startGate']
/** The names of `StartOptions`. */
export const startKeys: readonly string[] = [...spawnKeys, 'timeoutMs', 'handlerTimeoutMs']

const expectSpawnable = (options: SpawnOptions<unknown>): void => {
  const { name, mailboxMax, kind, label, instance } = options
  if (name !== undefined && !isVia(name)) expectName(name)
  if (mailboxMax !== undefined) expectMailboxMax(mailboxMax)
  expectText('kind', kind)
  expectText('label', label)
  expectText('instance', instance)
}

const expectText = (what: string, found: unknown): void => {
  if (found !== undefined && typeof found !== 'string') throw invalidArgument(what, 'a text', found)
}

/** Throws `INVALID_ARGUMENT` unless `found` is a text and not empty. */
export const expectName = (found: unknown): void => {
  if (typeof found !== 'string' || found === '') throw invalidArgument('name', 'a text', found)
}

/** Throws `INVALID_ARGUMENT` unless `found` is a whole number from 1, or infinite. */
export const expectMailboxMax = (found: unknown): void => {
  if (found === Number.POSITIVE_INFINITY) return
  if (typeof found !== 'number' || !Number.isSafeInteger(found) || found < 1) {
    throw invalidArgument('mailboxMax', 'a whole number from 1, or Infinity', found)
  }
}

const query = object({
  after: or(wholeFrom(Number.MIN_SAFE_INTEGER), 0),
  limit: or(orInfinite(wholeFrom(1)), 500),
})

/** The query of a page of processes, with its defaults. Throws `INVALID_ARGUMENT`. */
export const readQuery = (given: ProcessQuery): ReturnType<typeof query> =>
  query(given, argument('', 'a list of processes'))
