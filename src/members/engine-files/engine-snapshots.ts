/**
 * The snapshots of a shard, and the states of its application, in the files of its engine. The
 * folder of the member is a cache of them. A snapshot is uploaded and read back before the log names
 * it (invariant M8), and is fetched when the folder does not have it whole.
 */

import { crc32 } from '../../bytes/crc32.ts'
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type Disk,
  type EngineFiles,
  type EngineLog,
  fetchedName,
  filled,
  makeFolders,
  type NamedSnapshot,
  pathIn,
  piecesOf,
  refusing,
  type SnapshotHost,
  type SnapshotProtocol,
  type SnapshotRequestKind,
  snapshotName,
} from '../../storage/index.ts'
import { EngineCalls } from '../engine-log/engine-calls.ts'
import type { SnapshotUploads } from '../engine-log/log-files.ts'
import { epochIn, isNameOf } from '../engine-log/snapshot-names.ts'
import { EngineStates } from './engine-states.ts'

/** The files of a cluster, and the folder of a shard's snapshots. */
export type EngineSnapshotParts = {
  readonly files: EngineFiles
  /** The log that decides who may save a state. */
  readonly log: EngineLog
  readonly disk: Disk
  readonly clock: Clock
  readonly shard: number
  readonly dir: string
}

/** The snapshots of one shard. */
export class EngineSnapshots implements SnapshotUploads {
  readonly #parts: EngineSnapshotParts
  readonly #prefix: string

  constructor(parts: EngineSnapshotParts) {
    this.#parts = parts
    this.#prefix = `shard-${parts.shard}/`
  }

  /**
   * Uploads a snapshot of the folder under `name`, and reads it back. Repeating it is harmless.
   * @throws KeelsonError `CORRUPT` if the engine does not give back what it got
   */
  async upload(name: string, { lsn }: NamedSnapshot): Promise<void> {
    const { files, disk, dir } = this.#parts
    const shared = this.#prefix + name
    const sent = new Content()
    const path = pathIn(dir, snapshotName(lsn))
    await files.put(shared, sent.noting(piecesOf(disk, path)))
    const kept = new Content()
    for await (const piece of files.read(shared)) kept.note(piece)
    if (kept.bytes === sent.bytes && kept.sum === sent.sum) return
    throw new KeelsonError('CORRUPT', `the engine does not return the whole snapshot ${shared}`, {
      details: { file: shared, lsn, evidence: `${kept.bytes} bytes of ${sent.bytes}` },
    })
  }

  /**
   * Removes the snapshots of this epoch and of earlier ones that the log does not name. `namedNow`
   * asks the log after the files were listed: an engine that has gone back to an earlier state
   * names earlier files than its owner knows, and has no others.
   */
  async tidy(epoch: number, namedNow: () => Promise<readonly string[]>): Promise<void> {
    const { files } = this.#parts
    const all = await files.list(`${this.#prefix}snapshot-`)
    const named = await namedNow()
    for (const shared of all) {
      const name = shared.slice(this.#prefix.length)
      // Another owner may have uploaded one that it has not named yet.
      if (!named.includes(name) && epochIn(name) <= epoch) await files.remove(shared)
    }
  }

  /** Fetches a snapshot into the folder, if the engine has it. */
  async fetch(snapshot: NamedSnapshot): Promise<void> {
    const { files, disk, dir } = this.#parts
    const all = await files.list(`${this.#prefix}snapshot-`)
    const found = all.findLast((each) => isNameOf(each.slice(this.#prefix.length), snapshot))
    if (found === undefined) return
    const [temporary, path] = [pathIn(dir, fetchedName), pathIn(dir, snapshotName(snapshot.lsn))]
    const file = refusing(() => {
      makeFolders(disk, dir)
      disk.remove(temporary)
      return disk.open(temporary, 'create')
    })
    try {
      await filled(file, files.read(found))
      refusing(() => file.sync())
    } catch (error) {
      // A later owner may have removed it since: the inspection takes another one then.
      throw isKeelsonError(error, 'CORRUPT') ? lost(found, error) : error
    } finally {
      file.close()
    }
    refusing(() => {
      disk.rename(temporary, path)
      disk.syncFolder(dir)
    })
  }

  /**
   * The same for a backup: repeated until the engine answers. @throws KeelsonError as `fetch`;
   * `CLOSED` if `signal` ends the backup before
   */
  async fetchUntil(signal: AbortSignal, snapshot: NamedSnapshot): Promise<void> {
    const why = new KeelsonError('CLOSED', 'the backup was ended')
    const calls = new EngineCalls(this.#parts.clock, { signal, why })
    await calls.ask(() => this.fetch(snapshot)).finally(() => calls.end(why))
  }

  /**
   * The host of the folder, which fetches what the folder does not have whole, and shares saved
   * states. `signal`: nothing waits for the engine any longer.
   */
  host(inner: SnapshotHost, signal?: AbortSignal): SnapshotHost {
    const calls = new EngineCalls(this.#parts.clock, { signal })
    const states = new EngineStates({ ...this.#parts, prefix: this.#prefix }, calls)
    const fetching: SnapshotHost['run'] = async (kind, request, onProgress) => {
      const snapshot = snapshotOf(request)
      if (!snapshot) return inner.run(kind, request, onProgress)
      try {
        return await inner.run(kind, request, onProgress)
      } catch (error) {
        // The folder is a cache: what is missing or damaged there may be sound in the engine.
        if (!isKeelsonError(error, 'CORRUPT') || error.details.file === undefined) throw error
        await calls.ask(() => this.fetch(snapshot))
        return inner.run(kind, request, onProgress)
      }
    }
    const shared: Shared = {
      saveState: (asked) => states.save(asked, () => inner.run('saveState', asked)),
      async loadState(asked) {
        const damaged = await states.fetch(asked)
        return { ...(await inner.run('loadState', asked)), damaged }
      },
    }
    return {
      async run(kind, request, onProgress) {
        const handler = shared[kind]
        return handler ? handler(request) : fetching(kind, request, onProgress)
      },
      end: async () => {
        calls.end(new KeelsonError('CLOSED', 'the host has ended'))
        await inner.end()
      },
    }
  }
}

/** The requests that are not for the folder alone. */
type Shared = {
  readonly [K in SnapshotRequestKind]?: (
    request: SnapshotProtocol[K]['request'],
  ) => Promise<SnapshotProtocol[K]['answer']>
}

const lost = (file: string, cause: KeelsonError): KeelsonError =>
  new KeelsonError('CORRUPT', `the engine does not have the snapshot ${file} whole`, {
    details: { ...cause.details, file },
    cause,
  })

/** The snapshot that a request reads. */
const snapshotOf = (
  request: SnapshotProtocol[keyof SnapshotProtocol]['request'],
): NamedSnapshot | undefined => ('snapshot' in request ? request.snapshot : undefined)

/** The size and the checksum of bytes that pass. */
class Content {
  bytes = 0
  sum = 0

  note(piece: Uint8Array): void {
    this.bytes += piece.length
    this.sum = crc32(piece, this.sum)
  }

  async *noting(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for (const piece of pieces) {
      this.note(piece)
      yield piece
    }
  }
}
