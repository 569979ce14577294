/**
 * Spare segments made on a thread of their own, beside the log's thread, which starts it: the
 * maker, and the thread's entry. The entry is a file apart from the log's, so that the thread loads
 * no log.
 */
import { nodeDisk } from '../disk/node-disk.ts'
import { prepareSpare, type SpareTask } from '../ports/spare-file.ts'
import { isThread, serve, startThread, type ThreadClient, threadClient } from './worker-thread.ts'

/** The calls of the maker of spares. */
type SpareMakerParts = {
  /** A spare was made, or failed with an error and is gone. */
  readonly settled: (error?: unknown) => void
  /** The maker can take a task, or its thread died. */
  readonly free: () => void
}

/** The second thread of a log's thread, for the spares of all its logs. It starts when one asks. */
export class SpareThread {
  #client: ThreadClient | undefined
  #wasStarted = false

  /** The thread; `undefined` if the system had none to give. */
  started(): ThreadClient | undefined {
    if (this.#wasStarted) return this.#client
    this.#wasStarted = true
    try {
      this.#client = threadClient(startThread(import.meta.url, 'spares'), 'spares')
    } catch {
      // The logs make their spares themselves.
    }
    return this.#client
  }
}

/**
 * Makes the spares of one log on a second thread. Without that thread, or after its death, the log
 * makes its spares itself.
 */
export class SpareMaker {
  readonly #second: SpareThread
  readonly #parts: SpareMakerParts
  #thread: ThreadClient | undefined
  #wasStarted = false
  #isFree = false
  #made: Promise<void> = Promise.resolve()

  constructor(second: SpareThread, parts: SpareMakerParts) {
    this.#second = second
    this.#parts = parts
  }

  /** Whether it can take a task now. */
  get isFree(): boolean {
    return this.#isFree
  }

  /** Resolves when no spare is being made. */
  get made(): Promise<void> {
    return this.#made
  }

  /** Starts the thread once. */
  start(): void {
    if (this.#wasStarted) return
    this.#wasStarted = true
    this.#thread = this.#second.started()
    this.#ask('start', null, () => undefined)
  }

  /** Makes a spare. Only while it is free. */
  make(task: SpareTask): void {
    this.#isFree = false
    this.#ask('make', task, ({ failure }) => this.#parts.settled(failure))
  }

  #ask(kind: SpareRequestKind, request: SpareTask | null, then: (made: MadeSpare) => void): void {
    if (!this.#thread) return
    this.#made = this.#thread.ask(kind, request).then(
      (made) => {
        then(made as MadeSpare)
        this.#isFree = true
        this.#parts.free()
      },
      (error) => {
        this.#thread = undefined
        this.#isFree = false
        this.#parts.settled(error)
        this.#parts.free()
      },
    )
  }
}

/** The requests of the second thread: an answer to `start` says that the thread runs. */
type SpareRequestKind = 'start' | 'make'
/** `failure`: why the spare was not made. The log asks for another one later. */
type MadeSpare = { readonly failure?: string }

const madeSpare = (task: SpareTask): MadeSpare => {
  try {
    prepareSpare(nodeDisk(), task)
    return {}
  } catch (error) {
    return { failure: String(error) }
  }
}

// The log's thread sends a task with `make`.
if (isThread('spares'))
  serve((kind, request) => (kind === 'make' ? madeSpare(request as SpareTask) : {}))
