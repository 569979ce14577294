/**
 * The commits of a projection on a thread of its own: host and, in the worker, the entry. The thread is started by the first
 * commit and joins the environment that the store has open already; the process does not end while it is in a transaction.
 * Where no thread is to be had, where one has died, and where the folder is another one by now, commits are written by the
 * store itself: later for everybody else, never wrong.
 */
import { isKeelsonError } from '../../errors.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import type { EncodedCommit } from '../lmdb/encoded-commit.ts'
import {
  type LmdbDatabase,
  lockFileIn,
  openDatabase,
  writeCommit,
} from '../lmdb/lmdb-environment.ts'
import type {
  OpenProjection,
  ProjectionWriter,
  ProjectionWriterFactory,
} from '../lmdb/lmdb-projection-store.ts'
import { ExitGates, gateMemory, insideGate } from './exit-gate.ts'
import {
  answer,
  isProcessThread,
  isThread,
  sharedMemory,
  startThread,
  type ThreadClient,
  takeQuestions,
  threadClient,
} from './worker-thread.ts'

/** By this a worker knows what it was started to be. */
const role = 'keelson projection'

/** What the thread is to join. */
type Joining = Pick<OpenProjection, 'dir' | 'mapBytes' | 'lock'>

/**
 * Makes writers on threads; `undefined` where this is no main thread: one that is ended from outside, while a thread that
 * it began is in a transaction, would not end, and nothing tells it before.
 */
export const threadProjectionWriters = (): ProjectionWriterFactory | undefined => {
  if (!isProcessThread()) return undefined
  const gates = new ExitGates()
  return (open) => new ThreadWriter(gates, open)
}

/** A thread that was begun, and its gate. */
type Thread = { readonly client: ThreadClient; readonly memory: SharedArrayBuffer }

class ThreadWriter implements ProjectionWriter {
  readonly #gates: ExitGates
  readonly #open: OpenProjection
  #thread: Thread | undefined
  /** Who writes: the thread, once it has joined, or the store itself from then on. */
  #writes: 'nobody yet' | 'thread' | 'store' = 'nobody yet'

  constructor(gates: ExitGates, open: OpenProjection) {
    this.#gates = gates
    this.#open = open
  }

  async commit(commit: EncodedCommit): Promise<Uint8Array> {
    const thread = await this.#joined()
    if (!thread) return this.#open.write(commit)
    try {
      const { bytes } = (await thread.client.ask('commit', commit)) as EncodedCommit
      return bytes
    } catch (error) {
      // Nobody knows what became of this commit; whoever begins anew looks, and goes on without a thread.
      if (isKeelsonError(error, 'SHARD_DOWN')) await this.#writeHere()
      throw error
    }
  }

  async end(): Promise<void> {
    if (!this.#thread) return
    const { client, memory } = this.#thread
    this.#thread = undefined
    // One that has died has nothing to close.
    await client.ask('close', undefined).catch(() => undefined)
    await client.end()
    this.#gates.remove(memory)
  }

  /** The thread, in the store's environment; `undefined` when the store is to write. @throws KeelsonError `NO_SPACE`, `CORRUPT` */
  async #joined(): Promise<Thread | undefined> {
    if (this.#writes === 'store') return undefined
    if (this.#writes === 'nobody yet') {
      if (await this.#join()) this.#writes = 'thread'
      else await this.#writeHere()
    }
    return this.#thread
  }

  /** Whether there is a thread and it has joined. Nothing was written by one that has not. */
  async #join(): Promise<boolean> {
    const { dir, mapBytes, lock } = this.#open
    const joining: Joining = { dir, mapBytes, lock }
    try {
      this.#thread ??= this.#begun()
      return (await this.#thread.client.ask('join', joining)) === true
    } catch (error) {
      if (isKeelsonError(error) && error.code !== 'SHARD_DOWN') throw error
      // It died, or the system has no thread to give.
      return false
    }
  }

  #begun(): Thread {
    const memory = gateMemory()
    const client = threadClient(startThread(import.meta.url, role, memory), 'the projection')
    this.#gates.add(memory)
    return { client, memory }
  }

  async #writeHere(): Promise<void> {
    this.#writes = 'store'
    await this.end()
  }
}

/** The thread's side: one commit after another. */
const serveProjection = (memory: SharedArrayBuffer): void => {
  let database: LmdbDatabase | undefined
  const join = (joining: Joining): boolean => {
    // Opening makes a transaction too.
    database ??= insideGate(memory, () => sameDatabase(joining))
    return database !== undefined
  }
  const commit = (request: EncodedCommit): EncodedCommit => {
    const joined = database
    if (!joined) throw new Error('nothing was joined')
    insideGate(memory, () => writeCommit(joined, request))
    return request
  }
  const closed = async (): Promise<void> => database?.close()
  takeQuestions(({ id, kind, request }) => {
    if (kind === 'join') answer(id, () => join(request as Joining))
    else if (kind === 'commit') answer(id, () => commit(request as EncodedCommit))
    else
      void closed()
        .catch(() => undefined)
        .then(() => answer(id, () => undefined))
  })
}

/**
 * The environment that the store has open. By its lock file lmdb-js knows that it is the same; where another one, or none,
 * stands at its path, the folder was moved or removed, and what would be written there nobody would read.
 */
const sameDatabase = ({ dir, mapBytes, lock }: Joining): LmdbDatabase | undefined => {
  const disk = nodeDisk()
  const isSame = (): boolean => disk.identity(lockFileIn(dir)) === lock
  if (!isSame()) return undefined
  const database = openDatabase(dir, mapBytes)
  if (isSame()) return database
  void database.close()
  return undefined
}

const shared = isThread(role) ? sharedMemory() : undefined
if (shared) serveProjection(shared)
