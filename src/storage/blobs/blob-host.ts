/**
 * The port to a shard's blobs. Writes, syncs and long reads go through `run`: on a separate thread
 * in production, so that a large value never blocks the log, and inline in the simulation. Requests
 * are handled one after another, in order.
 */

import type { KeelsonError } from '../../errors.ts'
import type { Extent } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import type { BlobSegment } from './blob-folder.ts'
import type { BlobFolderOptions } from './blob-writer.ts'

/**
 * Memory that comes back with the answer, so that a stream of any length needs only the memory of
 * its pieces.
 */
type GivenMemory = {
  readonly bytes: Uint8Array
  /** The whole buffer under `bytes` may be transferred. */
  readonly isGiven?: boolean
}

/** The requests of a host and their answers. `open` comes first. */
export type BlobProtocol = {
  /**
   * Lists the folder, which may be missing. Writes nothing. @throws `SHARD_DOWN` (reason `disk`)
   */
  open: {
    /** `opening`: a different number for each opening in a process. */
    request: BlobFolderOptions & { readonly opening: number }
    answer: { segments: readonly BlobSegment[]; strange: readonly string[] }
  }
  /**
   * Makes all payloads durable with one sync. Returns their references in order.
   * @throws `TOO_LARGE`, `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` (reason `disk`): no payload has a
   * reference
   */
  put: { request: { payloads: readonly Uint8Array[] }; answer: { refs: readonly BlobRef[] } }
  /** Starts a blob that comes in pieces. @throws as `put` */
  streamOpen: { request: null; answer: { stream: number } }
  /**
   * Writes the next piece. Returns the length so far, and the memory of the piece to be filled
   * again. A failure aborts the stream. @throws as `put`; `EXITED` if there is no such stream
   */
  streamWrite: {
    request: { stream: number } & GivenMemory
    answer: { length: number; bytes: Uint8Array }
  }
  /** Makes the blob durable. @throws as `streamWrite` */
  streamFinish: { request: { stream: number }; answer: { ref: BlobRef } }
  /** Aborts a stream and removes its file. A no-op if the stream has ended. */
  streamAbort: { request: { stream: number }; answer: null }
  /**
   * Starts to read a blob in order, from one offset up to another. @throws `CORRUPT`,
   * `INVALID_ARGUMENT`, `SHARD_DOWN`
   */
  readOpen: { request: { ref: BlobRef; from: number; to: number }; answer: { reading: number } }
  /**
   * Reads the next bytes, verified, into the memory of the request: as many chunks as fit. At least
   * one chunk must fit, unless the blob is smaller. The end of a whole blob verifies its SHA-256.
   * The end or a failure closes the reading.
   */
  readNext: {
    request: { reading: number } & GivenMemory
    answer: { bytes: Uint8Array; done: boolean }
  }
  /** Closes a reading. A no-op if it has ended. */
  readClose: { request: { reading: number }; answer: null }
  /**
   * Lists the segments with their sizes, without those of open streams, and names the active one.
   */
  survey: {
    request: null
    answer: { segments: readonly BlobSegment[]; active: number | undefined }
  }
  /** Ends the active segment. The next put starts another one. */
  seal: { request: null; answer: null }
  /**
   * One step of freeing all bytes of a segment but `live`. Repeat it until `done`. A request for
   * another segment starts over. @throws `INVALID_ARGUMENT` for a segment being written;
   * `NO_SPACE`, `SHARD_DOWN`: the segment is unchanged
   */
  clear: {
    request: { segment: number; live: readonly Extent[] }
    answer: { done: boolean; freedBytes: number }
  }
}

/** The name of a request. */
export type BlobRequestKind = keyof BlobProtocol

/** One opening of a shard's blobs. */
export interface BlobHost {
  /** Resolves when its thread has died, before its end. */
  readonly died?: Promise<KeelsonError>
  /** Rejects with a `KeelsonError`. After `end` was called: `CLOSED`. */
  run<K extends BlobRequestKind>(
    kind: K,
    request: BlobProtocol[K]['request'],
  ): Promise<BlobProtocol[K]['answer']>
  /** Stops at once. After it resolves nothing is written and all files are closed. */
  end(): Promise<void>
}

/** Makes the host for the next opening of a shard's blobs. */
export type BlobHostFactory = (shard: number) => BlobHost
