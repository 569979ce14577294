/**
 * The commits of a projection on a separate thread: the writer, and the thread's entry. The first
 * commit starts the thread, which joins the LMDB environment that the store has open. The process
 * does not end inside a transaction. If no thread can be started, if it died, or if the folder was
 * replaced, the store commits by itself. That is slower and equally correct.
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

/** The environment that the thread joins. */
type Joining = Pick<OpenProjection, 'dir' | 'mapBytes' | 'lock'>

/**
 * Makes writers on threads; `undefined` outside the main thread. Another thread may be ended from
 * outside, without notice. It would hang if a thread that it had started were in a transaction.
 */
export const threadProjectionWriters = (): ProjectionWriterFactory | undefined => {
  if (!isProcessThread()) return undefined
  const gates = new ExitGates()
  return (open) => new ThreadWriter(gates, open)
}

/** A thread and the memory of its gate. */
type Thread = { readonly client: ThreadClient; readonly memory: SharedArrayBuffer }

class ThreadWriter implements ProjectionWriter {
  readonly #gates: ExitGates
  readonly #open: OpenProjection
  #thread: Thread | undefined
  /** The thread writes once it has joined. The store writes from the first failure on. */
  #writer: 'undecided' | 'thread' | 'store' = 'undecided'

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
      // The outcome of this commit is unknown. The store reads its position when it starts again,
      // without a thread.
      if (isKeelsonError(error, 'SHARD_DOWN')) await this.#writeHere()
      throw error
    }
  }

  async end(): Promise<void> {
    if (!this.#thread) return
    const { client, memory } = this.#thread
    this.#thread = undefined
    // A thread that died has nothing to close.
    await client.ask('close', undefined).catch(() => undefined)
    await client.end()
    this.#gates.remove(memory)
  }

  /**
   * The thread that has joined; `undefined` if the store must write. @throws KeelsonError
   * `NO_SPACE`, `CORRUPT`
   */
  async #joined(): Promise<Thread | undefined> {
    if (this.#writer === 'store') return undefined
    if (this.#writer === 'undecided') {
      if (await this.#join()) this.#writer = 'thread'
      else await this.#writeHere()
    }
    return this.#thread
  }

  /** Whether a thread has joined. A thread that has not joined has written nothing. */
  async #join(): Promise<boolean> {
    const { dir, mapBytes, lock } = this.#open
    const joining: Joining = { dir, mapBytes, lock }
    try {
      this.#thread ??= this.#started()
      return (await this.#thread.client.ask('join', joining)) === true
    } catch (error) {
      if (isKeelsonError(error) && error.code !== 'SHARD_DOWN') throw error
      // The thread died, or the system has no thread to give.
      return false
    }
  }

  #started(): Thread {
    const memory = gateMemory()
    const client = threadClient(startThread(import.meta.url, 'projection', memory), 'projection')
    this.#gates.add(memory)
    return { client, memory }
  }

  async #writeHere(): Promise<void> {
    this.#writer = 'store'
    await this.end()
  }
}

/** The thread's side: one commit after another. */
const serveProjection = (memory: SharedArrayBuffer, openDatabase: OpenDatabase): void => {
  let database: LmdbDatabase | undefined
  const join = (joining: Joining): boolean => {
    // Opening is a transaction too.
    database ??= insideGate(memory, () => sameDatabase(joining, openDatabase))
    return database !== undefined
  }
  const commit = (request: EncodedCommit): EncodedCommit => {
    const joined = database
    if (!joined) throw new Error('the thread has not joined an environment')
    insideGate(memory, () => writeCommit(joined, request))
    return request
  }
  serve((kind, request) => {
    if (kind === 'join') return join(request as Joining)
    if (kind === 'commit') return commit(request as EncodedCommit)
    return database?.close().catch(() => undefined)
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
if (shared) void loadLmdb().then((openDatabase) => serveProjection(shared, openDatabase))
