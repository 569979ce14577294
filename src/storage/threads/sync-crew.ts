/**
 * Threads that sync the files of several logs side by side, for the log's thread, which starts them:
 * the crew, and the thread's entry. One thread that syncs 8 files in turn does a twentieth of what 8
 * threads do (bench/NOTES.md). The thread pool of the process is not used: it serves the files and
 * the name look-ups of the program, and either would wait for the other. The entry is a file apart
 * from the log's, so that a thread loads no log.
 */
import { syncDescriptor } from '../disk/node-disk.ts'
import { DiskError, type DiskFile } from '../ports/disk.ts'
import { signalsIn } from './lane.ts'
import { isThread, sharedMemory, startThread, wakeStarter } from './worker-thread.ts'

/** Each takes 8 MB, and 30 ms of a processor to start. */
const membersMax = 4

/**
 * So many syncs of several logs at about the same time start the crew. Most programs write to more
 * than one shard now and then.
 */
const wantedMin = 128

/**
 * The memory that the crew and the log's thread share: the signal of the latter, then these words,
 * then the ring, where each place has a descriptor and the outcome of its sync.
 */
const words = { members: 4, offered: 5, taken: 6 } as const
const ringAt = 8
const ringLength = 256

/** Outcomes of a sync. Those from `failed` on are codes of errors. */
const outcomes = { pending: 0, synced: 1, failed: 2 } as const
const codes = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EBADF']

/** Where the ring has the number `ticket`. */
const placeOf = (ticket: number): number => ringAt + 2 * (ticket & (ringLength - 1))

type Waiting = {
  readonly path: string
  readonly resolve: () => void
  readonly reject: (error: DiskError) => void
}

/** The crew of one log's thread. */
export class SyncCrew {
  readonly #memory = new SharedArrayBuffer(4 * (ringAt + 2 * ringLength))
  readonly #words = new Int32Array(this.#memory)
  readonly #signal = signalsIn(this.#memory).host
  /** The syncs that have not ended, by their places in the ring. */
  readonly #waiting = new Map<number, Waiting>()
  #wanted = 0

  /** How many syncs have not ended. */
  get syncs(): number {
    return this.#waiting.size
  }

  /**
   * Syncs `file`, which must not be written or closed before. `undefined`: no member is ready, so
   * that the caller syncs it. Rejects with a `DiskError`.
   */
  sync({ descriptor, path }: DiskFile): Promise<void> | undefined {
    if (descriptor === undefined) return undefined
    if (++this.#wanted === wantedMin) this.#start()
    const place = placeOf(Atomics.load(this.#words, words.offered))
    // No commit waits for a thread to start.
    if (Atomics.load(this.#words, words.members) === 0 || this.#waiting.has(place)) return undefined
    Atomics.store(this.#words, place, descriptor)
    Atomics.store(this.#words, place + 1, outcomes.pending)
    const synced = new Promise<void>((resolve, reject) =>
      this.#waiting.set(place, { path, resolve, reject }),
    )
    Atomics.add(this.#words, words.offered, 1)
    Atomics.notify(this.#words, words.offered, 1)
    return synced
  }

  readonly #woken = (): void => {
    this.#signal.sleep()
    for (const [place, { path, resolve, reject }] of this.#waiting) {
      const outcome = Atomics.load(this.#words, place + 1)
      if (outcome === outcomes.pending) continue
      this.#waiting.delete(place)
      if (outcome === outcomes.synced) resolve()
      else reject(new DiskError(codes[outcome - outcomes.failed] ?? 'EIO', 'sync', path))
    }
  }

  #start(): void {
    for (let count = 0; count < membersMax; count++) {
      try {
        const worker = startThread(import.meta.url, 'syncs', this.#memory)
        worker.on('message', this.#woken)
        // Nobody knows what became of the syncs of a member that died. Without this listener its
        // error is the end of the log's thread, and so is this one.
        worker.on('exit', (status) => {
          throw new Error(`a thread that syncs files ended with status ${status}`)
        })
        worker.unref()
      } catch {
        // The system has none to give.
        return
      }
    }
  }
}

const outcomeOf = (descriptor: number): number => {
  try {
    syncDescriptor(descriptor)
    return outcomes.synced
  } catch (error) {
    return (
      outcomes.failed + (error instanceof DiskError ? Math.max(codes.indexOf(error.code), 0) : 0)
    )
  }
}

/** Takes one place after another, and sleeps while there is none. */
const work = (memory: SharedArrayBuffer): never => {
  const own = new Int32Array(memory)
  const { host } = signalsIn(memory)
  Atomics.add(own, words.members, 1)
  for (;;) {
    const taken = Atomics.load(own, words.taken)
    const offered = Atomics.load(own, words.offered)
    if (taken === offered) Atomics.wait(own, words.offered, offered)
    else if (Atomics.compareExchange(own, words.taken, taken, taken + 1) === taken) {
      const place = placeOf(taken)
      Atomics.store(own, place + 1, outcomeOf(Atomics.load(own, place)))
      if (host.raise()) wakeStarter()
    }
  }
}

const memory = sharedMemory()
if (isThread('syncs') && memory) work(memory)
