/**
 * Where the files of a shard's blobs are worked on. All that writes, syncs, or reads more than a little goes through
 * `run`: on a thread of its own in production, so that a large value never holds up the log; inline in the simulation.
 * Requests are carried out one after another, in the order in which they were made.
 */

import type { BlobRef } from '../values/blob-reference.ts'
import type { Extent } from './blob-extents.ts'
import type { BlobSegment } from './blob-folder.ts'
import type { BlobFolderOptions } from './blob-writer.ts'

/** Memory that goes to the files and comes back with the answer, so that a stream of any length takes no more of it than its pieces. */
type GivenMemory = {
  readonly bytes: Uint8Array
  /** The whole buffer under `bytes` may be given away, whatever else it has room for. */
  readonly isGiven?: boolean
}

/** The requests that a host takes, and what it answers. All but `open` need `open` before them. */
export type BlobProtocol = {
  /** Looks at the folder, which may be missing. Nothing is written before the first blob. @throws `SHARD_DOWN` (reason `disk`) */
  open: {
    /** `life` is another number for each opening within a process. */
    request: BlobFolderOptions & { readonly life: number }
    answer: { segments: readonly BlobSegment[]; strange: readonly string[] }
  }
  /**
   * Makes all payloads durable with one sync; answers their references in order.
   * @throws `TOO_LARGE`, `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` (reason `disk`): none of them is referred to
   */
  put: { request: { payloads: readonly Uint8Array[] }; answer: { refs: readonly BlobRef[] } }
  /** Begins a blob that comes in pieces. @throws as `put` */
  streamOpen: { request: null; answer: { stream: number } }
  /**
   * Takes the next piece; answers the length by now and, so that it can be filled again, the memory of the piece. A stream that
   * failed is given up. @throws as `put`; `EXITED` when there is none
   */
  streamWrite: {
    request: { stream: number } & GivenMemory
    answer: { length: number; bytes: Uint8Array }
  }
  /** Makes it durable. @throws as `streamWrite` */
  streamFinish: { request: { stream: number }; answer: { ref: BlobRef } }
  /** Gives it up, and its file; a no-op when it has ended. */
  streamAbort: { request: { stream: number }; answer: null }
  /** Begins to read a blob in order, from one offset up to another. @throws `CORRUPT`, `INVALID_ARGUMENT`, `SHARD_DOWN` */
  readOpen: { request: { ref: BlobRef; from: number; to: number }; answer: { reading: number } }
  /**
   * The next bytes, verified, in the memory that came with the question: so many chunks as have room there, of which there is at least
   * one or the blob is smaller. With the last ones of a whole blob its SHA-256 is verified. A reading that ended or failed is closed.
   */
  readNext: {
    request: { reading: number } & GivenMemory
    answer: { bytes: Uint8Array; done: boolean }
  }
  /** Ends a reading; a no-op when it has ended. */
  readClose: { request: { reading: number }; answer: null }
  /** Every segment but those of streams under way, with its size by now, and the one that is being written. */
  survey: {
    request: null
    answer: { segments: readonly BlobSegment[]; active: number | undefined }
  }
  /** What is written from now on goes to a segment of its own. */
  seal: { request: null; answer: null }
  /**
   * A step of giving back all of a segment but `live`; asked again and again until it is done. Another segment begins anew.
   * @throws `INVALID_ARGUMENT` for one that is being written; `NO_SPACE`, `SHARD_DOWN`: it is as it was
   */
  clear: {
    request: { segment: number; live: readonly Extent[] }
    answer: { done: boolean; freedBytes: number }
  }
  /** Closes all files. */
  close: { request: null; answer: null }
}

/** The name of a request. */
export type BlobRequestKind = keyof BlobProtocol

/** One life of a shard's blobs. */
export interface BlobHost {
  /** Rejects with a `KeelsonError`. After `end` was called: `CLOSED`. */
  run<K extends BlobRequestKind>(
    kind: K,
    request: BlobProtocol[K]['request'],
  ): Promise<BlobProtocol[K]['answer']>
  /** Stops at once, whatever is under way. Once it resolves no byte is written any more and all files are closed. */
  end(): Promise<void>
}

/** Makes the host for one more life of a shard's blobs. */
export type BlobHostFactory = (shard: number) => BlobHost
