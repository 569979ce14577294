/**
 * What waits for the log, in the order in which it was asked: entries, which go together in groups, and steps (a sync, a
 * checkpoint, the close), each of which is done alone, after everything before it. Pure.
 */

/** An entry on its way. `withdrawn`: its caller gave up while it was queued; it is never written. */
export type QueuedEntry = {
  readonly payload: Uint8Array
  state: 'queued' | 'submitted' | 'withdrawn'
}

/** What the log does next. */
export type Turn<Entry, Step> =
  | { readonly kind: 'group'; readonly entries: readonly Entry[] }
  | { readonly kind: 'step'; readonly step: Step }

type Item<Entry, Step> =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'step'; readonly step: Step }

/** Up to this many withdrawn entries are passed over when their turn comes; more are looked for. */
const withdrawnMin = 1024

/** A queue of entries and steps. */
export class WalQueue<Entry extends QueuedEntry, Step> {
  #items: Item<Entry, Step>[] = []
  #head = 0
  #withdrawn = 0
  #steps = 0

  /** How many wait, withdrawn entries that were not yet passed over included. */
  get length(): number {
    return this.#items.length - this.#head
  }

  /** Whether a step waits: then nothing should wait for a group to fill. */
  get hasStep(): boolean {
    return this.#steps > 0
  }

  /** Adds an entry at the end. */
  push(entry: Entry): void {
    this.#items.push({ kind: 'entry', entry })
  }

  /** Adds a step at the end. */
  pushStep(step: Step): void {
    this.#items.push({ kind: 'step', step })
    this.#steps += 1
  }

  /** Takes a queued entry out; false when it is not queued any more. */
  withdraw(entry: Entry): boolean {
    if (entry.state !== 'queued') return false
    entry.state = 'withdrawn'
    this.#withdrawn += 1
    // On a disk that hangs nobody takes from the head: what is dead must not pile up behind it.
    if (this.#withdrawn > withdrawnMin && this.#withdrawn > this.length / 2) this.#prune()
    return true
  }

  /**
   * Takes what comes next: a step, or entries up to the next step and `bytesMax`, at least one, which are submitted now.
   * `undefined` when nothing waits.
   */
  next(bytesMax: number): Turn<Entry, Step> | undefined {
    const entries: Entry[] = []
    let bytes = 0
    for (let item = this.#items[this.#head]; item; item = this.#items[this.#head]) {
      if (item.kind === 'step') {
        if (entries.length > 0) break
        this.#take()
        this.#steps -= 1
        return { kind: 'step', step: item.step }
      }
      const { entry } = item
      if (entry.state === 'queued') {
        if (bytes > 0 && bytes + entry.payload.length > bytesMax) break
        bytes += entry.payload.length
        entry.state = 'submitted'
        entries.push(entry)
      } else this.#withdrawn -= 1
      this.#take()
    }
    return entries.length > 0 ? { kind: 'group', entries } : undefined
  }

  #take(): void {
    this.#head += 1
    // Moving what is left pays off once as much was taken: a constant share for each.
    if (this.#head * 2 < this.#items.length) return
    this.#items = this.#items.slice(this.#head)
    this.#head = 0
  }

  #prune(): void {
    this.#items = this.#items
      .slice(this.#head)
      .filter((item) => item.kind === 'step' || item.entry.state === 'queued')
    this.#head = 0
    this.#withdrawn = 0
  }
}

/** The payloads of a group one after another, in memory of their own, so that it can be given away to the log's thread. */
export const joined = (
  entries: readonly QueuedEntry[],
): { readonly bytes: Uint8Array; readonly lengths: readonly number[] } => {
  const lengths = entries.map(({ payload }) => payload.length)
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  let offset = 0
  for (const { payload } of entries) {
    bytes.set(payload, offset)
    offset += payload.length
  }
  return { bytes, lengths }
}
