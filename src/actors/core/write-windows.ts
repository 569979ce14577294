/**
 * Windows of namespaces: how long a group may wait for other writes after a write of the namespace
 * has joined it. An instance has one table, from its options, which changes while it runs. The
 * table outlives every actor, and ends with the operating system's process.
 */
import { below, type Check, refusal } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { rootNamespace } from '../../storage/index.ts'

/** The longest window, in ms: far below the deadline of a call. */
export const windowMsMax = 10_000

/** The most namespaces with a window. */
export const windowsMax = 1_000

/** The longest name of a namespace, in bytes: a key also has the colon. */
const namespaceBytesMax = 1_023

/**
 * The expected form of a namespace, if `namespace` is not one; `undefined` if it is. Keys without a
 * colon are in `_root`.
 */
const namespaceFault = (namespace: unknown): string | undefined => {
  if (typeof namespace !== 'string') return 'a string'
  if (namespace.includes(':') || namespace.includes('\0'))
    return `the text before a key's first colon, or ${rootNamespace}`
  if (!namespace.isWellFormed()) return 'well-formed text, without a lone surrogate'
  return Buffer.byteLength(namespace) > namespaceBytesMax
    ? `at most ${namespaceBytesMax} bytes`
    : undefined
}

/** Whether `ms` is a valid window. */
export const isWindow = (ms: unknown): ms is number =>
  typeof ms === 'number' && ms >= 1 && ms <= windowMsMax

/** The option `batcher.windows`: ms by namespace. */
export const windows: Check<ReadonlyMap<string, number>, Readonly<Record<string, number>>> = (
  found,
  at,
) => {
  if (typeof found !== 'object' || found === null || Array.isArray(found))
    throw refusal(at, 'an object of namespaces', found)
  const entries = Object.entries(found)
  if (entries.length > windowsMax)
    throw refusal(at, `at most ${windowsMax} namespaces`, entries.length)
  for (const [namespace, ms] of entries) {
    const fault = namespaceFault(namespace)
    if (fault) throw refusal(below(at, namespace), `named by ${fault}`, namespace)
    if (!isWindow(ms)) throw refusal(below(at, namespace), `ms from 1 to ${windowMsMax}`, ms)
  }
  return new Map(entries)
}

/** A change of a window; `ms` 0 removed it. `by`: its author; `at`: ms since 1970. */
export type WindowChange = {
  readonly namespace: string
  readonly ms: number
  readonly by: string
  readonly at: number
}

/** The number of changes that are kept. */
const changesMax = 100

/** The windows of an instance, by namespace. */
export class WriteWindows {
  readonly #windows: Map<string, number>
  readonly #changes: WindowChange[] = []

  constructor(windows: ReadonlyMap<string, number>) {
    this.#windows = new Map(windows)
  }

  /** Whether no namespace has a window: then a write skips the look-up. */
  get isEmpty(): boolean {
    return this.#windows.size === 0
  }

  /** The namespace's window in ms; 0 without one. */
  of(namespace: string): number {
    return this.#windows.get(namespace) ?? 0
  }

  /** Every window, in the order of the namespaces. */
  all(): Record<string, number> {
    return Object.fromEntries([...this.#windows].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** The last changes since the instance was started, the latest at the end. */
  get changes(): readonly WindowChange[] {
    return [...this.#changes]
  }

  /**
   * Gives a namespace a window, from its next write on; 0 takes it away. A write that waits already
   * keeps its window. `by` and `at` are kept with the change.
   * @throws KeelsonError `INVALID_ARGUMENT`: no namespace, neither 0 nor 1 to 10,000 ms, or more
   * than 1,000 windows
   */
  set(namespace: string, ms: number, by: string, at: number): void {
    const fault = namespaceFault(namespace)
    if (fault) throw invalidArgument('namespace', fault, namespace)
    if (ms !== 0 && !isWindow(ms)) throw invalidArgument('ms', `0, or 1 to ${windowMsMax}`, ms)
    if (ms === 0) this.#windows.delete(namespace)
    else if (!this.#windows.has(namespace) && this.#windows.size >= windowsMax)
      throw invalidArgument('namespace', `one of at most ${windowsMax} with a window`, namespace)
    else this.#windows.set(namespace, ms)
    this.#changes.push({ namespace, ms, by, at })
    if (this.#changes.length > changesMax) this.#changes.shift()
  }
}
