/**
 * The snapshots of a shard on a thread that lives for one request: the hosts, and the thread's
 * entry. A snapshot is made without LMDB, whose file the thread reads itself. To load one it opens
 * LMDB, and the process does not end inside a transaction.
 */

import { SerialQueue } from '../../bytes/serial-queue.ts'
import { systemClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { loadLmdb } from '../lmdb/lmdb-environment.ts'
import { lmdbSnapshotSource } from '../lmdb/lmdb-snapshot-source.ts'
import { lmdbSnapshotTarget } from '../lmdb/lmdb-snapshot-target.ts'
import { refusing } from '../ports/disk-failure.ts'
import type {
  SnapshotHost,
  SnapshotHostFactory,
  SnapshotProgress,
  SnapshotProtocol,
  SnapshotRequestKind,
} from '../ports/snapshot-host.ts'
import { statesIn } from '../snapshots/app-state.ts'
import { unnamedIn } from '../snapshots/snapshot-folder.ts'
import { type SnapshotProjections, SnapshotWork } from '../snapshots/snapshot-work.ts'
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

type Progress = (progress: SnapshotProgress) => void

/**
 * Makes hosts over the real disk. Outside the main thread they work where they are: another thread
 * may be ended from outside, and would hang if one of its threads were in a transaction.
 */
export const threadSnapshotHosts = (): SnapshotHostFactory => {
  if (!isProcessThread()) return () => workHere((transaction) => transaction())
  const gates = new ExitGates()
  return () => new ThreadSnapshotHost(gates)
}

class ThreadSnapshotHost implements SnapshotHost {
  readonly #gates: ExitGates
  #thread: ThreadClient | undefined
  #isEnded = false
  readonly #turns = new SerialQueue()

  constructor(gates: ExitGates) {
    this.#gates = gates
  }

  run<K extends SnapshotRequestKind>(
    kind: K,
    request: SnapshotProtocol[K]['request'],
    onProgress?: Progress,
  ): Promise<SnapshotProtocol[K]['answer']> {
    // The thread answers a request of a kind with an answer of that kind.
    const turn = this.#turns.run(() => this.#ask(kind, request, onProgress))
    return turn as Promise<SnapshotProtocol[K]['answer']>
  }

  async end(): Promise<void> {
    this.#isEnded = true
    // It lets the request end, which is rejected.
    void this.#thread?.ask('end', null).catch(() => undefined)
    await this.#turns.settled
  }

  async #ask(kind: SnapshotRequestKind, request: unknown, onProgress?: Progress): Promise<unknown> {
    if (this.#isEnded) throw new KeelsonError('CLOSED', 'the work on snapshots was ended')
    const known = refusing(() => answeredHere(kind, request))
    if (known) return known
    const memory = gateMemory()
    const thread = threadClient(startThread(import.meta.url, 'snapshots', memory), 'snapshots')
    this.#thread = thread
    this.#gates.add(memory)
    try {
      return await thread.ask(
        kind,
        request,
        onProgress && ((at) => onProgress(at as SnapshotProgress)),
      )
    } finally {
      this.#thread = undefined
      await thread.end()
      this.#gates.remove(memory)
    }
  }
}

/** Most starts find nothing to remove and no saved state, and need no thread to see it. */
const answeredHere = (kind: SnapshotRequestKind, request: unknown): object | undefined => {
  const disk = nodeDisk()
  if (kind === 'tidy') {
    const { dir, kept } = request as SnapshotProtocol['tidy']['request']
    const nothing: SnapshotProtocol['tidy']['answer'] = { removed: 0, removedBytes: 0 }
    return unnamedIn(disk, dir, kept).length === 0 ? nothing : undefined
  }
  if (kind !== 'loadState') return undefined
  const { dir } = request as SnapshotProtocol['loadState']['request']
  const none: SnapshotProtocol['loadState']['answer'] = {
    state: undefined,
    states: [],
    damaged: [],
  }
  return statesIn(disk, dir).length === 0 ? none : undefined
}

const workHere = (within: (transaction: () => void) => void): SnapshotWork => {
  const disk = nodeDisk()
  const projections: SnapshotProjections = {
    source: (dir) => lmdbSnapshotSource(disk, dir),
    async target(dir, isOurs) {
      const openDatabase = await loadLmdb()
      return lmdbSnapshotTarget({ openDatabase, disk, within }, dir, isOurs)
    },
  }
  return new SnapshotWork({ disk, clock: systemClock(), projections })
}

/** The thread's side: one request, which `end` interrupts. */
const serveSnapshots = (memory: SharedArrayBuffer): void => {
  const work = workHere((transaction) => insideGate(memory, transaction))
  serve((kind, request, report) => {
    if (kind === 'end') return work.end()
    const asked = kind as SnapshotRequestKind
    return work.run(asked, request as SnapshotProtocol[typeof asked]['request'], report)
  })
}

const shared = isThread('snapshots') ? sharedMemory() : undefined
if (shared) serveSnapshots(shared)
