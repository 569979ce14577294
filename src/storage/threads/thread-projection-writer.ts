/**
 * The commits of projections on a separate thread: the writers, and the thread's entry. The thread
 * joins the LMDB environment that a store has open, and commits for all stores of an instance: one
 * main thread cannot encode more than one thread writes, and a thread for each store cost each
 * shard 0.17 s of CPU and 10 MB (bench/NOTES.md). The process does not end inside a transaction. If
 * no thread can be started, if it died, or if the folder was replaced, the store commits by itself.
 * That is slower and equally correct.
 */
import { isKeelsonError } from '../../errors.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import type { EncodedCommit } from '../lmdb/encoded-commit.ts'
import {
  type LmdbDatabase,
  loadLmdb,
  type OpenDatabase,
  writeCommit,
} from '../lmdb/lmdb-environment.ts'
import { lockFileIn } from '../lmdb/lmdb-opening.ts'
import type {
  OpenProjection,
  ProjectionWriter,
  ProjectionWriterFactory,
} from '../lmdb/lmdb-projection-store.ts'
import { ExitGates, gateMemory, insideGate } from './exit-gate.ts'
import {
  isProcessThread,
  isThread,
  serve,
  sharedMemory,
  startThread,
  type ThreadClient,
  threadClient,
} from './worker-thread.ts'

/** The environment that the thread joins, under the number of its store. */
type Joining = Pick<OpenProjection, 'dir' | 'mapBytes' | 'lock'> & { readonly store: number }
/** A commit to the store of that number. */
type StoreCommit = EncodedCommit & { readonly store: number }

/**
 * From so many bytes of commits on there is a thread. It takes as much time to start as a hundred
 * small commits, and most commands make one, when they close.
 */
const usedBytes = 64 * 1024

/**
 * Makes writers that share a thread, which starts after commits of `startBytes`; `undefined`
 * outside the main thread. Another thread may be ended from outside, without notice. It would hang
 * if a thread that it had started were in a transaction.
 */
export const threadProjectionWriters = (
  startBytes = usedBytes,
): ProjectionWriterFactory | undefined => {
  if (!isProcessThread()) return undefined
  const threads = new SharedThread(startBytes)
  return (open) => new ThreadWriter(threads, open)
}

/** A thread, the memory of its gate, and how many stores have a place in it. */
type Thread = {
  readonly client: ThreadClient
  readonly memory: SharedArrayBuffer
  stores: number
}

/** The thread of all stores. It starts for the first one that needs it, and ends with the last. */
class SharedThread {
  readonly #gates = new ExitGates()
  readonly #startBytes: number
  #thread: Thread | undefined
  #written = 0
  #lastStore = 0

  constructor(startBytes: number) {
    this.#startBytes = startBytes
  }

  /** Whether a commit of `bytes`, with all before it, is worth the start of a thread. */
  isWorth(bytes: number): boolean {
    this.#written += bytes
    return this.#written >= this.#startBytes
  }

  /**
   * Takes a place in the thread, for one more store. @throws KeelsonError `SHARD_DOWN` (reason
   * `thread`) if no thread can be started
   */
  enter(): Place {
    if (!this.#thread?.client.isAlive()) this.#thread = this.#started()
    this.#thread.stores++
    return { thread: this.#thread, store: ++this.#lastStore }
  }

  /** Gives a place back. The last one, and the first one after its death, ends the thread. */
  async leave({ thread }: Place): Promise<void> {
    thread.stores--
    if (thread.stores > 0 && thread.client.isAlive()) return
    if (this.#thread === thread) this.#thread = undefined
    await thread.client.end()
    this.#gates.remove(thread.memory)
  }

  #started(): Thread {
    const memory = gateMemory()
    const client = threadClient(startThread(import.meta.url, 'projection', memory), 'projection')
    this.#gates.add(memory)
    return { client, memory, stores: 0 }
  }
}

/** The place of a store in a thread: the number by which the thread knows it. */
type Place = { readonly thread: Thread; readonly store: number }

class ThreadWriter implements ProjectionWriter {
  readonly #threads: SharedThread
  readonly #open: OpenProjection
  #place: Place | undefined
  /** The thread writes once it has joined. The store writes from the first failure on. */
  #writer: 'undecided' | 'thread' | 'store' = 'undecided'

  constructor(threads: SharedThread, open: OpenProjection) {
    this.#threads = threads
    this.#open = open
  }

  async commit(commit: EncodedCommit): Promise<Uint8Array> {
    const place = this.#threads.isWorth(commit.used) ? await this.#joined() : undefined
    if (!place) return this.#open.write(commit)
    const { thread, store } = place
    try {
      const request: StoreCommit = { ...commit, store }
      const { bytes } = (await thread.client.ask('commit', request)) as StoreCommit
      return bytes
    } catch (error) {
      // The outcome of this commit is unknown. The store reads its position when it starts again,
      // without a thread.
      if (isKeelsonError(error, 'SHARD_DOWN')) await this.#writeHere()
      throw error
    }
  }

  async end(): Promise<void> {
    if (!this.#place) return
    const place = this.#place
    this.#place = undefined
    // A thread that died has nothing to close.
    await place.thread.client.ask('close', place.store).catch(() => undefined)
    await this.#threads.leave(place)
  }

  /**
   * The place in a thread that has joined; `undefined` if the store must write. @throws
   * KeelsonError `NO_SPACE`, `CORRUPT`
   */
  async #joined(): Promise<Place | undefined> {
    if (this.#writer === 'store') return undefined
    // No commit was on its way when the thread died, so that each has its outcome.
    if (this.#place?.thread.client.isAlive() === false) await this.#writeHere()
    if (this.#writer === 'undecided') {
      if (await this.#join()) this.#writer = 'thread'
      else await this.#writeHere()
    }
    return this.#place
  }

  /** Whether a thread has joined. A thread that has not joined has written nothing. */
  async #join(): Promise<boolean> {
    const { dir, mapBytes, lock } = this.#open
    try {
      this.#place ??= this.#threads.enter()
      const { thread, store } = this.#place
      const joining: Joining = { store, dir, mapBytes, lock }
      return (await thread.client.ask('join', joining)) === true
    } catch (error) {
      if (isKeelsonError(error) && error.code !== 'SHARD_DOWN') throw error
      // The thread died, or the system has no thread to give.
      return false
    }
  }

  async #writeHere(): Promise<void> {
    this.#writer = 'store'
    await this.end()
  }
}

/** The thread's side: one commit after another, to any of its stores. */
const serveProjections = (memory: SharedArrayBuffer, openDatabase: OpenDatabase): void => {
  const databases = new Map<number, LmdbDatabase>()
  const join = (joining: Joining): boolean => {
    // Opening is a transaction too.
    const database =
      databases.get(joining.store) ?? insideGate(memory, () => sameDatabase(joining, openDatabase))
    if (database) databases.set(joining.store, database)
    return database !== undefined
  }
  const commit = (request: StoreCommit): StoreCommit => {
    const joined = databases.get(request.store)
    if (!joined) throw new Error('the thread has not joined an environment')
    insideGate(memory, () => writeCommit(joined, request))
    return request
  }
  const close = (store: number): unknown => {
    const database = databases.get(store)
    databases.delete(store)
    return database?.close().catch(() => undefined)
  }
  serve((kind, request) => {
    if (kind === 'join') return join(request as Joining)
    if (kind === 'commit') return commit(request as StoreCommit)
    return close(request as number)
  })
}

/**
 * The environment that the store has open. lmdb-js recognises it by its lock file. If the lock file
 * at its path is missing or another one, the folder was moved or removed. Commits written there
 * would be lost.
 */
const sameDatabase = (
  { dir, mapBytes, lock }: Joining,
  openDatabase: OpenDatabase,
): LmdbDatabase | undefined => {
  const disk = nodeDisk()
  const isSame = (): boolean => disk.identity(lockFileIn(dir)) === lock
  if (!isSame()) return undefined
  const database = openDatabase(dir, mapBytes)
  if (isSame()) return database
  void database.close()
  return undefined
}

const shared = isThread('projection') ? sharedMemory() : undefined
if (shared) void loadLmdb().then((openDatabase) => serveProjections(shared, openDatabase))
