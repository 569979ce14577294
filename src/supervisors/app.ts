/**
 * The handle of a running instance: its store, its control, its System, and its end. An instance
 * ends once: by `close()`, or when its root supervisor has spent its restarts.
 */
import {
  type BatcherHandle,
  type ControlHandle,
  leaveNow,
  levelOf,
  type Shard,
  type ShardPhase,
  type Store,
  shardAt,
  WalHandle,
} from '../actors/index.ts'
import { invalidArgument, isKeelsonError, KeelsonError, reasonText } from '../errors.ts'
import {
  type ExitReason,
  type Name,
  type Ref,
  type Registry,
  type SupervisorMessages,
  type System,
  stopProcess,
  type Via,
} from '../runtime/index.ts'

/** The parts of an instance. */
export type AppParts = {
  readonly instance: string
  readonly dir: string
  readonly system: System
  /** The System was made for this instance, and ends with it. */
  readonly ownsSystem: boolean
  readonly shards: readonly Shard[]
  readonly store: Store
  readonly control: ControlHandle
  readonly batcher: BatcherHandle
  readonly registry: Registry.Handle
  /** The root supervisor. */
  readonly root: Ref<SupervisorMessages>
  /** The name of the root of the user's tree, if there is one. */
  readonly userTree: Name | Via | undefined
  /** Releases the folder's locks. */
  readonly release: () => void
}

/** The health of one shard. */
export type ShardHealth = {
  readonly shard: number
  readonly phase: ShardPhase['kind']
  /** Why it is down. */
  readonly reason: string | undefined
  readonly appliedLsn: number
  readonly projectedLsn: number
  readonly suspended: boolean
  readonly writes: { readonly entered: number; readonly bytes: number; readonly waiting: number }
}

/**
 * The health of an instance. `durable` is false when its options say so: then an acknowledgement
 * does not mean that data are on disk.
 */
export type Health = { readonly durable: boolean; readonly shards: readonly ShardHealth[] }

/** A running instance. */
export class App {
  readonly instance: string
  /** The data folder, absolute. */
  readonly dir: string
  /** The System of the instance's processes. */
  readonly system: System
  readonly store: Store
  readonly control: ControlHandle
  /** The windows in which writes of a namespace form a group. */
  readonly batcher: BatcherHandle
  /** The instance's Registry with unique keys, for dynamic processes of the user's tree. */
  readonly registry: Registry.Handle
  /** @internal Lasting parts of the shards, for the prompt and the tests. */
  readonly shards: readonly Shard[]
  /**
   * Resolves when the instance has ended: with `'normal'` after `close()`, otherwise with the exit
   * reason of its root. Never rejects.
   */
  readonly closed: Promise<ExitReason>
  readonly #parts: AppParts
  #closing: Promise<void> | undefined

  constructor(parts: AppParts) {
    this.#parts = parts
    this.instance = parts.instance
    this.dir = parts.dir
    this.system = parts.system
    this.store = parts.store
    this.control = parts.control
    this.batcher = parts.batcher
    this.registry = parts.registry
    this.shards = parts.shards
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

  /** The log of a shard. @throws KeelsonError `INVALID_ARGUMENT` */
  wal(shard: number): WalHandle {
    return new WalHandle(this.system, shardAt(this.shards, shard))
  }

  /** The present health of the instance. */
  health(): Health {
    const [first] = this.shards
    return {
      durable: first !== undefined && levelOf(first.parts.settings) === 'durable',
      shards: this.shards.map((shard) => ({
        shard: shard.index,
        phase: shard.phase.kind,
        reason: shard.phase.kind === 'down' ? reasonText(shard.phase.reason) : undefined,
        appliedLsn: shard.appliedLsn,
        projectedLsn: shard.projectedLsn,
        suspended: shard.suspensions.size > 0,
        writes: shard.gate.load,
      })),
    }
  }

  /**
   * Ends the instance in order. New writes get `CLOSED`, admitted writes are answered, and
   * projections are flushed. The tree then stops in reverse order; the user's part is killed after
   * `deadlineMs` (30,000 by default). The logs are closed cleanly and the locks released. A second
   * call waits for the same end.
   */
  close(options: { readonly deadlineMs?: number } = {}): Promise<void> {
    const { deadlineMs = 30_000 } = options
    if (typeof deadlineMs !== 'number' || !(deadlineMs >= 0))
      return Promise.reject(invalidArgument('deadlineMs', 'a number from 0', deadlineMs))
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  /** `await using app = await start(…)` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(deadlineMs: number): Promise<void> {
    const { system, shards, root, control, userTree } = this.#parts
    const endsAt = system.clock.monotonic() + deadlineMs
    const left = () => Math.max(1, endsAt - system.clock.monotonic())
    const refusal = new KeelsonError('CLOSED', 'the instance is closing')
    for (const shard of shards) shard.beginClose(refusal)
    const settled = shards.map(async (shard) => {
      // From here on no write waits for a window.
      leaveNow(system, shard)
      await shard.gate.idle()
    })
    await within(system, left(), Promise.all(settled))
    const flushed = shards
      // A suspended projection stays as it is; the log has the rest.
      .filter(({ phase, suspensions }) => phase.kind === 'open' && suspensions.size === 0)
      .map(({ index }) => control.flush(index, { timeoutMs: left() }))
    await Promise.allSettled(flushed)
    for (const shard of shards) shard.close()
    // The logs get all the time they need. The user's processes have had theirs.
    const cancel = system.clock.after(left(), () => {
      if (userTree !== undefined) killBelow(system, userTree)
    })
    try {
      await stopProcess(root, 'shutdown')
    } catch (error) {
      // It has ended already.
      if (!isKeelsonError(error, 'NO_PROCESS') && !isKeelsonError(error, 'EXITED')) throw error
    }
    cancel()
    await this.closed
  }

  /** The tree has ended: closes the files and releases the folder. */
  async #giveBack(): Promise<void> {
    const { system, shards, ownsSystem, release } = this.#parts
    try {
      await closeShards(shards)
      if (ownsSystem) await system.stop()
    } finally {
      release()
    }
  }
}

/** Kills a process and all its descendants: a process that traps exits would outlive it. */
const killBelow = (system: System, root: Name | Via): void => {
  const top = system.info(root)
  if (!top) return
  const doomed = new Set([top.pid])
  // Processes are listed oldest first, so parents come before their children.
  const all = system.processes().sort((a, b) => a.pid - b.pid)
  for (const { pid, parent } of all) if (parent !== undefined && doomed.has(parent)) doomed.add(pid)
  for (const { pid, ref } of all) if (doomed.has(pid)) system.kill(ref)
}

/**
 * Closes every shard completely, even after a failure. Rejects with the first failure at the end.
 */
export const closeShards = async (shards: readonly Shard[]): Promise<void> => {
  const ends = await Promise.allSettled(
    shards.map((shard) => {
      shard.close()
      return Promise.all([shard.blobs.close(), shard.files.close()])
    }),
  )
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

/** Waits for `done`, for at most `ms`. */
const within = async (system: System, ms: number, done: Promise<unknown>): Promise<void> => {
  let cancel = (): void => undefined
  const late = new Promise<void>((resolve) => {
    cancel = system.clock.after(ms, resolve)
  })
  await Promise.race([done, late])
  cancel()
}
