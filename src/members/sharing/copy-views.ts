/**
 * The rows of copies, for reads that may be stale. Between two rounds the files of a copy are
 * closed. A view opens its projection alone: neither its log nor the engine is asked, so it shows
 * the copy also while both are away. It is apart from `shard-copies.ts`, which has the rounds, because
 * a view opens and closes between them.
 */
import type { ProjectionStore } from '../../storage/index.ts'

/** An open projection, and whether it was read since the last `rest`. */
type View = { readonly rows: Promise<ProjectionStore | undefined>; isRead: boolean }

/** The open views of one member. */
export class CopyViews {
  readonly #open: (shard: number) => Promise<ProjectionStore | undefined>
  readonly #views = new Map<number, View>()
  /** The ends of views that are being closed: the files are opened again after them. */
  readonly #closing = new Map<number, Promise<void>>()

  /** `open` opens the projection of a copy; `undefined` if it has no sound one. */
  constructor(open: (shard: number) => Promise<ProjectionStore | undefined>) {
    this.#open = open
  }

  /**
   * The rows of a copy, to be read at once: a view may be closed in any later turn, and was by now
   * if it is `closed`. `undefined` without a projection that can be opened. Never rejects.
   */
  async of(shard: number): Promise<ProjectionStore | 'closed' | undefined> {
    const view = this.#views.get(shard) ?? { rows: this.#opened(shard), isRead: true }
    this.#views.set(shard, view)
    view.isRead = true
    const rows = await view.rows
    return this.#views.get(shard) === view ? rows : 'closed'
  }

  async #opened(shard: number): Promise<ProjectionStore | undefined> {
    await this.#closing.get(shard)
    return this.#open(shard).catch(() => undefined)
  }

  /** Whether the copy is read. */
  has(shard: number): boolean {
    return this.#views.has(shard)
  }

  /** Closes views, by default all. Never rejects. */
  async close(
    shards: Iterable<number> = [...this.#views.keys(), ...this.#closing.keys()],
  ): Promise<void> {
    const closed = [...shards].map((shard) => this.#closed(shard))
    await Promise.all(closed)
  }

  /** Closes the views that nobody has read since the last time. Never rejects. */
  async rest(): Promise<void> {
    const idle = [...this.#views].filter(([, view]) => !view.isRead).map(([shard]) => shard)
    for (const view of this.#views.values()) view.isRead = false
    await this.close(idle)
  }

  #closed(shard: number): Promise<void> {
    const view = this.#views.get(shard)
    if (!view) return this.#closing.get(shard) ?? Promise.resolve()
    this.#views.delete(shard)
    const closing = view.rows
      .then((rows) => rows?.close())
      .catch(() => undefined)
      .then(() => {
        if (this.#closing.get(shard) === closing) this.#closing.delete(shard)
      })
    this.#closing.set(shard, closing)
    return closing
  }
}
