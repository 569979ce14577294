/**
 * The handle of a running instance: its store, its control, its System, and its end. An instance
 * ends once: by `close()`, or when its root supervisor has spent its restarts.
 */

import type { Access, Entities } from '../../actors/index.ts'
import { aboveZero, argument, numberFrom, object, optional, or, orInfinite } from '../../check.ts'
import type { Cancel } from '../../clock.ts'
import { reasonText } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { ExitReason, System, Telemetry } from '../../runtime/index.ts'
import type { Readiness, Ready } from '../tree/readiness.ts'
import type { Shard } from '../tree/shard.ts'
import { durableActors } from '../users-tree/durable-parts.ts'
import type { AppContext } from './app-context.ts'
import { type Closable, type CloseReport, closeInOrder, cutOffText, within } from './closing.ts'

/** The parts of an instance. */
export type AppParts = Closable & {
  readonly dir: string
  /** The System was made for this instance, and ends with it. */
  readonly ownsSystem: boolean
  /** The handles and the access of the caller of `start`. */
  readonly outside: AppContext
  readonly outsideAccess: Access
  readonly readiness: Readiness
  /** Aborted when the instance closes: running backups end too. */
  readonly ending: AbortController
  /** Gives shards to other members, as `SharedFolder` says; `undefined` without members. */
  readonly giveAll: ((ms: number) => Promise<void>) | undefined
  /** Releases the folder's locks, and what the instance holds outside of the machine. */
  readonly release: () => Promise<void>
}

/**
 * A running instance: the handles of its caller, as processes of its tree have them in
 * `context.app`, and the instance itself. Calls of the handles are `CLOSED` once it is closing.
 */
export type App = AppContext & RunningInstance

/** The handle of a running instance. */
export const runningApp = (parts: AppParts): App =>
  Object.assign(new RunningInstance(parts), parts.outside)

const closeOptions = object({ deadlineMs: or(orInfinite(numberFrom(0)), 30_000) })

const readyOptions = object({ timeoutMs: optional(aboveZero()) })

/** An instance from its start to its end. */
class RunningInstance {
  /** The data folder, absolute. */
  readonly dir: string
  /** The System of the instance's processes. */
  readonly system: System
  /**
   * The events of the System: `events.on('wal.commit', (event) => …)`. `docs/events.md` lists them.
   */
  readonly events: Telemetry
  /** @internal The durable actors, for the prompt. */
  readonly entities: Entities
  /** @internal Lasting parts of the shards, for the prompt and the tests. */
  readonly shards: readonly Shard[]
  /**
   * Resolves when the instance has ended: with `'normal'` after `close()`, otherwise with the exit
   * reason of its root. Never rejects.
   */
  readonly closed: Promise<ExitReason>
  readonly #parts: AppParts
  #closing: Promise<CloseReport> | undefined
  #hasEnded = false
  /** Lets Node end; `undefined` while the instance does not hold it open. */
  #letEnd: Cancel | undefined

  /** @internal */
  constructor(parts: AppParts) {
    this.#parts = parts
    this.dir = parts.dir
    this.system = parts.system
    this.events = parts.system.events
    this.entities = parts.outside[durableActors].entities
    this.shards = parts.shards
    this.ref()
    this.closed = new Promise((resolve) => {
      parts.system.monitor(parts.root, (reason) => {
        const ended = this.#closing === undefined ? reason : 'normal'
        // A failure here was reported where it happened. The instance has ended all the same.
        this.#giveBack().then(
          () => resolve(ended),
          () => resolve(ended),
        )
      })
    })
  }

  /**
   * Resolves when every shard is open or down and the user's tree has started: then a name of the
   * tree has its process, and a read is answered unless its shard is in `down`. So it was when
   * `start` resolved; a restart in between is waited for.
   * @throws KeelsonError `CLOSED` when the instance ends before; `TIMEOUT` after `timeoutMs`, the
   * instance's `deadlineMs` by default; `INVALID_ARGUMENT`
   */
  async ready(options: { readonly timeoutMs?: number } = noOptions): Promise<Ready> {
    const { timeoutMs = this.shards[0]?.parts.settings.deadlineMs ?? 0 } = readyOptions(
      options,
      argument('', 'a wait'),
    )
    return this.#parts.readiness.wait(timeoutMs)
  }

  /**
   * Ends the instance in order. A member of a folder first gives its shards to members that stay.
   * From now on calls of `store`, `control`, `batcher` and `wal` here
   * are `CLOSED`, and no step, alarm or background work of a durable actor begins. Those that run
   * have 80 % of `deadlineMs`. The user's tree ends next, in reverse order of its start:
   * `context.app` goes on working, so that running handlers finish and `terminate` may write. Then
   * writes are refused there too, admitted writes are answered, and projections are flushed. The
   * rest of the tree stops, the logs are closed cleanly and the locks released.
   *
   * Work that is not done after `deadlineMs` (30,000 by default) is cut off as by a kill. The
   * report names it, and so does a warning in the log. A second call waits for the same end.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  async close(options: { readonly deadlineMs?: number } = noOptions): Promise<CloseReport> {
    const { deadlineMs } = closeOptions(options, argument('', 'a close'))
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  /**
   * Holds Node's process open until the instance has ended, as a server that listens does. So it is
   * from the start on. Returns the instance.
   */
  ref(): this {
    if (!this.#hasEnded)
      this.#letEnd ??= this.system.clock.after(Number.POSITIVE_INFINITY, () => undefined)
    return this
  }

  /**
   * Lets Node's process end while the instance is open, if nothing else holds it: a timer of an
   * actor, a pending write, a socket. Every acknowledged write is on the disk. Returns the
   * instance.
   */
  unref(): this {
    this.#letEnd?.()
    this.#letEnd = undefined
    return this
  }

  /** Logs and prompts show where it is and how it is, not its parts. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    const { dir, shards, entities } = this
    const phases = shards.map(({ phase }) => phase.kind)
    const isOpen = phases.every((phase) => phase === 'open')
    const count = shards.length === 1 ? '1 shard' : `${shards.length} shards`
    const state = `${count}, ${isOpen ? 'open' : phases.join(', ')}`
    return `the instance ${entities.instance} in ${dir}: ${state}`
  }

  /** `await using app = await start(…)` closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(deadlineMs: number): Promise<CloseReport> {
    const { system, outside, outsideAccess, readiness, ending, giveAll } = this.#parts
    const endsAt = system.clock.monotonic() + deadlineMs
    // It is no longer ready, and still takes calls.
    if (giveAll) {
      readiness.end()
      const givingMs = deadlineMs * givingShare
      const given = giveAll(givingMs).catch((error) =>
        system.logger.error(`the shards are not given: ${reasonText(error)}`, { error }),
      )
      // It asks an engine, which may be away.
      await within(system, givingMs, given)
    }
    outsideAccess.end('the instance is closing')
    ending.abort()
    readiness.end()
    const report = await closeInOrder(this.#parts, leftUntil(endsAt, system.clock))
    await this.closed
    if (report.cutOff.length > 0)
      system.logger.warn(
        `the instance ${outside.instance} has closed with work undone (deadline ${deadlineMs} ms): ${cutOffText(report.cutOff)}`,
        report,
      )
    return report
  }

  /** The tree has ended: closes the files and releases the folder. */
  async #giveBack(): Promise<void> {
    const { system, shards, ownsSystem, readiness, ending, release } = this.#parts
    const { insideAccess, outsideAccess } = this.#parts
    this.#hasEnded = true
    ending.abort()
    for (const access of [outsideAccess, insideAccess]) access.end('the instance is closed')
    readiness.end()
    try {
      await closeShards(shards)
      if (ownsSystem) await system.stop()
    } finally {
      // Until it is released the process stays: a thread that ends may be its only wait.
      await release().finally(() => this.unref())
    }
  }
}

const leftUntil = (endsAt: number, clock: System['clock']): number =>
  Math.max(0, endsAt - clock.monotonic())

/** The part of the deadline in which shards are given to other members. */
const givingShare = 0.5

/** Closes every shard, whatever fails. */
export const closeShards = async (shards: readonly Shard[]): Promise<void> => {
  await Promise.all(
    shards.map((shard) => {
      shard.close()
      return shard.end()
    }),
  )
}
