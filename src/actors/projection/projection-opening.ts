/**
 * Opens the projection of a shard for its applier. One that was lost is loaded from a snapshot
 * first. A load without room is tried again for `deadlineMs`. A loaded projection also needs the
 * rows of the blobs that the frames in the log refer to: no snapshot has them. From then on every
 * read that meets a damaged row reports it; the reader still gets `CORRUPT`. It is apart from
 * `applier.ts` because it ends before the first frame is applied.
 */
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  blobRowsOfFrame,
  decodeFrame,
  type ProjectedPosition,
  type ProjectionPin,
  type ProjectionStore,
  type Row,
  type RowChange,
  type RowRange,
  unlistedBlobsKey,
} from '../../storage/index.ts'
import type { ShardCore } from '../core/shard-core.ts'
import type { ProjectionShard } from './projection-shard.ts'

/** The process that opens. */
type Opener = { readonly signal: AbortSignal; readonly system: System }

/** The delay before a load without room is tried again, in ms. */
const retryMs = 1_000

/** The bytes of the log that one read transfers to this thread. */
const readBytes = 1024 * 1024

/** Why a shard is down whose projection has to be rebuilt and cannot be. */
export const unprojectable = ({ index }: ShardCore, reason: unknown): KeelsonError =>
  new KeelsonError(
    'DEGRADED',
    `the projection of shard ${index} has to be rebuilt and takes no changes: ${reasonText(reason)}`,
    { details: { shard: index, reason: reasonText(reason) }, cause: reason },
  )

/**
 * The projection, with the rows of every blob that the log refers to up to its position.
 * @throws KeelsonError `CORRUPT`; `DEGRADED` if there was no room for `deadlineMs`
 */
export const openProjection = async (
  shard: ProjectionShard,
  opener: Opener,
): Promise<ProjectionStore> => {
  const { clock } = opener.system
  logDamage(shard, opener)
  const endsAt = clock.monotonic() + shard.parts.settings.deadlineMs
  for (;;) {
    try {
      const projection = watched(shard, await shard.files.projection(opener.signal), opener)
      await addBlobRows(shard, projection)
      return projection
    } catch (error) {
      if (!isKeelsonError(error, 'NO_SPACE')) throw error
      if (clock.monotonic() >= endsAt) throw unprojectable(shard, error)
      await pause(opener, retryMs)
    }
  }
}

/** A projection that is read after its applier has ended says nothing about the next one. */
const watched = (
  { projection }: ProjectionShard,
  store: ProjectionStore,
  { signal }: Opener,
): ProjectionStore =>
  new WatchedProjection(store, (evidence) => {
    if (!signal.aborted) projection.onDamage(evidence)
  })

/** Nothing is lost with a damaged projection. But the disk may be failing. */
const logDamage = ({ index, files }: ProjectionShard, { system }: Opener): void => {
  const damage = files.takeDamage()
  if (damage === undefined) return
  system.logger.warn(`the projection of shard ${index} is damaged, and is rebuilt: ${damage}`, {
    shard: index,
  })
}

/** Waits, or until the process has ended. */
const pause = ({ signal, system }: Opener, ms: number): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const cancel = system.clock.after(ms, end)
    signal.addEventListener('abort', end)
  })

/**
 * Adds the rows of the blobs in the frames that the log has up to the position. A load leaves a row
 * that says that they are missing. That row goes last, and later frames are applied after it.
 */
const addBlobRows = async (shard: ProjectionShard, projection: ProjectionStore): Promise<void> => {
  const position = projection.position()
  if (!position || !projection.get(unlistedBlobsKey)) return
  const log = shard.files.log()
  const { firstLsn } = await log.run('state', null)
  for (let next = firstLsn; next <= position.lsn; ) {
    const read = await log.run('read', { from: next, to: position.lsn, maxBytes: readBytes })
    const rows: RowChange[] = []
    for (const { lsn, offset, length } of read.frames) {
      const { units } = decodeFrame(read.bytes.subarray(offset, offset + length))
      rows.push(...blobRowsOfFrame(units, lsn, (ref) => shard.blobs.isFreed(ref)))
    }
    if (rows.length > 0) await projection.commit(new Map(rows), position)
    if (read.next <= next) break
    next = read.next
  }
  await projection.commit([[unlistedBlobsKey, undefined]], position)
}

/** Reports damage: `damaged` is called before the error of a damaged row is thrown. */
class WatchedProjection implements ProjectionStore {
  readonly #store: ProjectionStore
  readonly #damaged: (evidence: unknown) => void

  constructor(store: ProjectionStore, damaged: (evidence: unknown) => void) {
    this.#store = store
    this.#damaged = damaged
  }

  position(): ProjectedPosition | undefined {
    try {
      return this.#store.position()
    } catch (error) {
      throw this.#judged(error)
    }
  }

  get(key: string): Row | undefined {
    try {
      return this.#store.get(key)
    } catch (error) {
      throw this.#judged(error)
    }
  }

  peek(key: string): Row | undefined {
    try {
      return this.#store.peek(key)
    } catch (error) {
      throw this.#judged(error)
    }
  }

  range(range: RowRange): IterableIterator<readonly [key: string, row: Row]> {
    try {
      return this.#walk(this.#store.range(range))
    } catch (error) {
      throw this.#judged(error)
    }
  }

  *#walk(
    rows: IterableIterator<readonly [key: string, row: Row]>,
  ): IterableIterator<readonly [key: string, row: Row]> {
    try {
      yield* rows
    } catch (error) {
      throw this.#judged(error)
    }
  }

  commit(changes: Iterable<RowChange>, position: ProjectedPosition): Promise<void> {
    return this.#store.commit(changes, position)
  }

  settled(): Promise<void> {
    return this.#store.settled()
  }

  pin(): ProjectionPin {
    return this.#store.pin()
  }

  describe(): { readonly rows: number; readonly bytes: number } {
    return this.#store.describe()
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #judged(error: unknown): unknown {
    if (isKeelsonError(error, 'CORRUPT')) this.#damaged(error.details)
    return error
  }
}
