/**
 * The order of the writes of a member to a shard elsewhere. An owner may refuse one, and take a
 * later one that was on its way: if its log began again between them, say. Sent again, the first
 * would take effect after the second. So a refused write waits until every write that was sent has its
 * answer. It is sent again, in the order of the calls, if none after it was taken. It is apart from
 * `remote-shards.ts`: the order of one shard, which a test has without members.
 */
import type { Gate } from '../../actors/index.ts'
import { againPauses, backoffMs, type Cancel, type Clock } from '../../clock.ts'

const moving = 'moving'

/**
 * A refused write waits so long, in ms, for the answers of the others: one with `ack: 'projected'`
 * may have to wait for a projection that is suspended.
 */
const patienceMs = 1_000

/** A former owner has so long, in ms, to answer what it was sent. */
const formerMs = 5_000

/** A write that was sent. */
export type SentWrite = {
  /** A later one was taken, or may have been: it cannot be sent again. */
  isOvertaken?: boolean
  /** While it is refused: says whether it may be sent again. */
  decide?: ((isNext: boolean) => void) | undefined
}

/** The writes to one shard that have passed its gate and have not ended. */
export class WriteOrder {
  readonly #clock: Clock
  readonly #gate: Gate
  /** In the order in which they were sent first. */
  readonly #sent = new Set<SentWrite>()
  /** How many of them are refused. */
  #refused = 0
  /** Whether later writes wait at the gate. */
  #isHolding = false
  #isPausing = false
  /** The pauses since the gate was open. */
  #pauses = 0
  #endPatience: Cancel | undefined

  constructor(clock: Clock, gate: Gate) {
    this.#clock = clock
    this.#gate = gate
  }

  /** A write is sent. */
  begin(): SentWrite {
    const write = {}
    this.#sent.add(write)
    return write
  }

  /**
   * The shard has another owner, or none. Later writes wait until the former owner has answered all
   * writes sent to it.
   */
  moved(): void {
    if (this.#sent.size === 0) return
    this.#hold()
    this.#proceed()
  }

  /**
   * The owner has refused a write, and nothing has happened. Resolves with true when the write may
   * be sent again; with false after `leftMs`, or if a later write has overtaken it. Until then
   * later writes wait at the gate.
   */
  async refused(write: SentWrite, leftMs: number): Promise<boolean> {
    if (write.isOvertaken) return false
    this.#hold()
    this.#refused++
    return new Promise((resolve) => {
      const cancel = this.#clock.after(leftMs, () => write.decide?.(false))
      write.decide = (isNext) => {
        write.decide = undefined
        this.#refused--
        cancel()
        resolve(isNext)
      }
      this.#proceed()
    })
  }

  /**
   * A sent write has ended. `wasTaken`: the owner has taken it, so no earlier write may be sent
   * again.
   */
  end(write: SentWrite, wasTaken: boolean): void {
    if (wasTaken) this.#overtake(write)
    this.#sent.delete(write)
    this.#proceed()
  }

  #hold(): void {
    this.#isHolding = true
    this.#gate.hold(moving)
  }

  /** Answers come in order most of the time: then `write` is the first one. */
  #overtake(write: SentWrite, isMeant: (earlier: SentWrite) => boolean = () => true): void {
    for (const earlier of this.#sent) {
      if (earlier === write) return
      if (!isMeant(earlier)) continue
      earlier.isOvertaken = true
      earlier.decide?.(false)
    }
  }

  #proceed(): void {
    if (!this.#isHolding || this.#isPausing) return
    if (this.#refused === this.#sent.size) {
      this.#sendAgain()
      return
    }
    const ms = this.#refused > 0 ? patienceMs : formerMs
    this.#endPatience ??= this.#clock.after(ms, () => this.#giveUp())
  }

  /** The last write without an answer may have been taken. */
  #giveUp(): void {
    const last = [...this.#sent].findLast(({ decide }) => !decide)
    if (last) this.#overtake(last, ({ decide }) => decide !== undefined)
    this.#sendAgain()
  }

  /** Sends what is refused, after a pause, and opens the gate. */
  #sendAgain(): void {
    this.#endPatience?.()
    this.#endPatience = undefined
    if (this.#refused === 0) {
      this.#open()
      return
    }
    this.#isPausing = true
    this.#clock.after(backoffMs(againPauses, ++this.#pauses), () => {
      for (const { decide } of this.#sent) decide?.(true)
      // They are sent before any that waits at the gate.
      this.#clock.soon(() => {
        this.#isPausing = false
        if (this.#refused === 0) this.#open()
        else this.#proceed()
      })
    })
  }

  #open(): void {
    this.#isHolding = false
    this.#pauses = 0
    this.#gate.release(moving)
  }
}
