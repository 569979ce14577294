/**
 * The blobs of a shard in the files of its engine. The folder of the member is a cache of them. A
 * put is answered when the engine has each of its records, so that no frame of the log refers to a
 * blob that only this member has. The cache is filled when the log was claimed, before its frames
 * are applied: reads of blobs are local.
 */

import { SerialQueue } from '../../bytes/serial-queue.ts'
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type BlobHost,
  type BlobProtocol,
  type BlobRef,
  type BlobRequestKind,
  blobSegmentPath,
  closing,
  type Directory,
  type Disk,
  DiskError,
  type EngineLog,
  type Extent,
  recordExtent,
  refusing,
} from '../../storage/index.ts'
import { engineDown } from '../engine-log/append-verdict.ts'
import { EngineCalls } from '../engine-log/engine-calls.ts'
import type { FollowersBlobs, OwnersBlobs } from '../engine-log/log-files.ts'
import {
  type Ask,
  type BlobCacheParts,
  blobPrefix,
  fillBlobCache,
  freeBlobCache,
  isIn,
  putBlob,
  refIn,
  segmentPrefix,
} from './blob-cache.ts'

/** The engine of a shard, and the folder of its blobs. */
export type EngineBlobParts = BlobCacheParts & {
  readonly log: EngineLog
  readonly directory: Directory
  readonly clock: Clock
  /** A request fails if the engine takes and answers nothing for so long, in ms. */
  readonly patienceMs: number
}

/** The blobs of one shard in one process, across the lives of their files. */
export class EngineBlobs implements OwnersBlobs, FollowersBlobs {
  readonly parts: EngineBlobParts
  /** The epoch of the log that this process has claimed; `undefined` before the first claim. */
  epoch: number | undefined
  /** The segments of streams whose blobs are on their way to the engine. */
  readonly uploading = new Set<number>()
  /** Requests that must not overlap: a survey shows no blob that is not answered for. */
  readonly turns = new SerialQueue()
  #folder: BlobHost | undefined
  #reserved: Numbers | undefined
  #seen: ReadonlySet<string> = new Set()
  /** The names of some looks of a follower, and the end of the log after the first of these. */
  #listed: { readonly names: Set<string>; readonly endLsn: number } | undefined
  /** As `freeBlobCache` has it. */
  readonly #full = new Map<number, number>()

  constructor(parts: EngineBlobParts) {
    this.parts = parts
  }

  /**
   * The process has claimed the log with this epoch: fills the cache. Resolves when every blob that
   * the log refers to can be read from the folder, if the engine has it.
   * @throws KeelsonError `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` (reason `disk`); why `calls` ended
   */
  claimed(epoch: number, calls: EngineCalls): Promise<void> {
    return this.turns.run(async () => {
      // Before the first put. A life that only reads needs no engine then.
      const ask: Ask = (call) => calls.ask(call)
      this.#reserved ??= await this.#reserve(ask)
      // Its own sweeps free what is dead from now on.
      this.#listed = undefined
      this.#full.clear()
      // A segment that is replaced must not be the one that is written. An ended host writes none.
      await this.#folder?.run('seal', null).catch(() => undefined)
      await fillBlobCache(this.parts, ask, await this.#names(ask))
      this.epoch = epoch
    })
  }

  /**
   * The same for a process that follows the log of another member. It looks in the folder only for
   * blobs that are new since it looked last, and frees what the owner has freed.
   * @throws as `claimed`
   */
  follow(calls: EngineCalls, shownLsn: number): Promise<void> {
    return this.turns.run(async () => {
      const ask: Ask = (call) => calls.ask(call)
      const names = await this.#names(ask)
      // First: the disk may have no room for what is new.
      await this.#free(names, ask, shownLsn)
      await fillBlobCache(this.parts, ask, names, this.#seen)
      this.#seen = new Set(names)
    })
  }

  #names(ask: Ask): Promise<readonly string[]> {
    const { files, shard } = this.parts
    return ask(() => files.list(blobPrefix(shard)))
  }

  /**
   * Frees what the engine listed in none of some looks, once the rows here show the log up to its end
   * after the first one. Until then a frame that is not applied here may read a blob that the owner
   * has freed: a `compareAndSet` reads the value that it replaces.
   */
  async #free(names: readonly string[], ask: Ask, shownLsn: number): Promise<void> {
    const { log, clock } = this.parts
    for (const name of names) this.#listed?.names.add(name)
    if (this.#listed && shownLsn >= this.#listed.endLsn) {
      const { names: listed } = this.#listed
      if (await freeBlobCache(this.parts, clock, listed, this.#full)) this.#listed = undefined
    }
    // Asked after the names: what they lack was freed before.
    this.#listed ??= {
      names: new Set(names),
      endLsn: (await ask(() => log.head())).end.lsn,
    }
  }

  /** The host over that of the folder, for one life of the files. */
  host(folder: BlobHost): BlobHost {
    this.#folder = folder
    return new Host(this, folder)
  }

  /** The numbers of the segments of one life. @throws what `ask` rejects with */
  async numbers(ask: Ask): Promise<Numbers> {
    const reserved = this.#reserved ?? (await this.#reserve(ask))
    this.#reserved = undefined
    return reserved
  }

  /**
   * Numbers that no segment of any member has had, and none will have. An epoch would not do: the
   * folder may be deleted and opened again in one epoch. And the file of the next number is in the
   * folder.
   */
  async #reserve(ask: Ask): Promise<Numbers> {
    const { directory, shard } = this.parts
    const name = `blobs/${shard}`
    for (;;) {
      const { entries } = await ask(() => directory.view())
      const entry = entries.get(name)
      const next = entry ? Number(entry.value) : firstRange
      try {
        await ask(() => directory.set(name, entry?.revision ?? 0, `${next + 1}`))
        return { from: next * rangeSize, to: (next + 1) * rangeSize }
      } catch (error) {
        // Another member was first, or an earlier attempt without an answer was.
        if (!isKeelsonError(error, 'CONFLICT')) throw error
      }
    }
  }
}

/** Numbers from `from` on, below `to`. */
type Numbers = { readonly from: number; readonly to: number }

/** The numbers of one life of the files: more segments than it can write, of 2^23 lives. */
const rangeSize = 2 ** 30

/** A folder without an engine has the numbers below. */
const firstRange = 1

type Request<K extends BlobRequestKind> = BlobProtocol[K]['request']
type Answer<K extends BlobRequestKind> = Promise<BlobProtocol[K]['answer']>
type Handlers = { readonly [K in BlobRequestKind]?: (request: Request<K>) => Answer<K> }

/** One life of the files. Requests without a handler go to the folder alone. */
class Host implements BlobHost {
  readonly #blobs: EngineBlobs
  readonly #inner: BlobHost
  readonly #pending = new Set<EngineCalls>()
  #end: KeelsonError | undefined

  readonly #handlers: Handlers = {
    open: (request) =>
      this.#inTurn(async () => {
        const numbers = await this.#blobs.numbers((call) => this.#ask(call))
        return this.#inner.run('open', { ...request, numbers })
      }),
    put: (request) =>
      this.#inTurn(async () => {
        const { refs } = await this.#inner.run('put', request)
        // Equal payloads of a put have one record.
        for (const ref of new Set(refs)) await this.#upload(ref)
        return { refs }
      }),
    streamFinish: (request) => this.#finish(request),
    survey: () => this.#inTurn(() => this.#survey()),
    seal: (request) => this.#inTurn(() => this.#inner.run('seal', request)),
    clear: (request) => this.#inTurn(() => this.#clear(request)),
  }

  constructor(blobs: EngineBlobs, inner: BlobHost) {
    this.#blobs = blobs
    this.#inner = inner
  }

  async run<K extends BlobRequestKind>(kind: K, request: Request<K>): Answer<K> {
    if (this.#end) throw this.#end
    const handler = this.#handlers[kind]
    return handler ? handler(request) : this.#inner.run(kind, request)
  }

  async end(): Promise<void> {
    this.#end ??= new KeelsonError('CLOSED', 'the host has ended')
    for (const calls of this.#pending) calls.end(this.#end)
    await this.#inner.end()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#blobs.turns.run(work)
  }

  /** Uploads the record of a blob. @throws KeelsonError `NOT_SUBMITTED`; as the disk refuses */
  async #upload(ref: BlobRef): Promise<void> {
    const { parts } = this.#blobs
    try {
      await this.#ask(async (isHeard) => {
        refuseOther(parts.disk, blobSegmentPath(parts.dir, ref.segment), ref)
        await putBlob(parts, ref, isHeard)
      })
    } catch (error) {
      if (error === this.#end) throw error
      const isDisk = isKeelsonError(error) && error.details.errno !== undefined
      // A folder that was removed takes the next put again, with another segment.
      if (isDisk) await this.#inner.run('seal', null)
      throw isDisk ? error : notStored(ref, error)
    }
  }

  /** Its upload may take long. It holds up no other request, and no survey shows its segment. */
  async #finish(request: Request<'streamFinish'>): Answer<'streamFinish'> {
    const { uploading } = this.#blobs
    const { ref } = await this.#inTurn(async () => {
      const answer = await this.#inner.run('streamFinish', request)
      uploading.add(answer.ref.segment)
      return answer
    })
    try {
      await this.#upload(ref)
      return { ref }
    } finally {
      uploading.delete(ref.segment)
    }
  }

  async #survey(): Answer<'survey'> {
    // Before the folder is asked: an upload that ends later is recorded after its answer.
    const hidden = new Set(this.#blobs.uploading)
    const { segments, active } = await this.#inner.run('survey', null)
    return { segments: segments.filter(({ segment }) => !hidden.has(segment)), active }
  }

  /** Frees the folder first: what is left in the engine then, the next claim brings back. */
  async #clear(request: Request<'clear'>): Answer<'clear'> {
    const answer = await this.#inner.run('clear', request)
    if (answer.done) await this.#removeDead(request)
    return answer
  }

  /**
   * Removes the records of a segment that are outside of `live` from the engine. Nobody refers to a
   * dead blob again, and no other blob gets its name: so a removal that arrives late is harmless.
   * @throws KeelsonError `FENCED` if another owner may have other blobs; `SHARD_DOWN` (reason
   * `engine`)
   */
  async #removeDead({ segment, live }: Request<'clear'>): Promise<void> {
    const { epoch, parts } = this.#blobs
    const { files, log, shard } = parts
    const { end } = await this.#ask(() => log.head())
    if (end.epoch !== epoch) throw new KeelsonError('FENCED', 'another owner has taken the log')
    const names = await this.#ask(() => files.list(segmentPrefix(shard, segment)))
    for (const name of names)
      if (isDead(refIn(name), live)) await this.#ask(() => files.remove(name))
  }

  /**
   * Repeats a call until the engine answers. `isHeard` notes that it took a part of what is sent.
   * @throws KeelsonError `SHARD_DOWN` (reason `engine`) when it has been silent for too long
   */
  async #ask<T>(call: (isHeard: () => void) => Promise<T>): Promise<T> {
    const { clock, patienceMs } = this.#blobs.parts
    if (this.#end) throw this.#end
    const calls = new EngineCalls(clock)
    const giveUp = (): void => {
      calls.end(engineDown(`the engine gave no answer within ${patienceMs} ms`))
    }
    let cancel = clock.after(patienceMs, giveUp)
    const isHeard = (): void => {
      if (calls.ended) return
      cancel()
      cancel = clock.after(patienceMs, giveUp)
    }
    this.#pending.add(calls)
    try {
      return await calls.ask(() => call(isHeard))
    } finally {
      cancel()
      this.#pending.delete(calls)
    }
  }
}

/** Refuses a segment that was removed or replaced since the record was written. */
const refuseOther = (disk: Disk, path: string, ref: BlobRef): void =>
  refusing(() => {
    const isThere = closing(disk.open(path, 'read'), (file) => isIn(file, ref))
    if (!isThere) throw new DiskError('EIO', 'read', path)
  })

/** A file of another sort is not dead. */
const isDead = (ref: BlobRef | undefined, live: readonly Extent[]): boolean => {
  if (!ref) return false
  const { from, to } = recordExtent(ref)
  return live.every((extent) => extent.to <= from || extent.from >= to)
}

/** No frame refers to a blob that the engine may not have: the log gets nothing of the write. */
const notStored = ({ size }: BlobRef, cause: unknown): KeelsonError =>
  new KeelsonError('NOT_SUBMITTED', 'the engine has not taken a large value', {
    details: { size, reason: 'engine' },
    cause,
  })
