/**
 * A write on its way from its caller to the log, in one object: its weight at the gate, its place
 * in a group, and the answer to its caller. It answers the caller once, after it has left the gate.
 * It is apart from `write-path.ts`, which has the steps of its way, because it is what they hand
 * on.
 */

import { KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  encodeFrameInto,
  type Fate,
  type FrameUnits,
  frameLength,
  namespaceOf,
  outcomeOf,
  rootNamespace,
  type UnitAnswer,
  unitBytesMax,
} from '../../storage/index.ts'
import type { Entry } from '../admission/gate.ts'
import { sideChannelCandidate } from '../blobs/blob-command.ts'
import type { BlobPin } from '../blobs/blob-pins.ts'
import type { CheckedWrite } from '../core/shard-client.ts'
import type { Position } from '../core/shard-core.ts'
import { bytesCounted, checkCount, commandsIn } from '../core/write-weight.ts'
import type { Append } from '../log/appends.ts'
import { type MarkedKeys, markedKeys } from './key-marks.ts'
import { endPin, valueBytesOf } from './large-write.ts'
import type { WritingShard } from './writing-shard.ts'

/**
 * Units for one shard and one frame: they take effect in order and become durable together. The
 * caller hands them over, and changes neither them nor their bytes.
 */
export type Write = {
  readonly units: FrameUnits
  readonly options: CheckedWrite
}

/**
 * Makes the caller's answer from the position of the frame and the answers of its units. The
 * caller gets the error that it throws.
 */
export type Shape<A> = (position: Position, answers: readonly UnitAnswer[]) => A

/** One write. */
export class Passage<A = unknown> implements Append, Entry {
  readonly system: System
  readonly shard: WritingShard
  readonly options: CheckedWrite
  /** Some of its values become blobs: it has no frame until `become`. */
  readonly isLarge: boolean
  units: FrameUnits
  length: number
  /** Keeps its blobs until its outcome is known. */
  pin: BlobPin | undefined = undefined
  departsAt = 0
  readonly bytes: number
  readonly commands: number
  /** When it was called, by the monotonic clock. */
  readonly beganAt: number
  readonly endsAt: number
  place = 0
  /** Whether it must leave the gate: not while it waits there, nor if it came with a token. */
  isInside = false
  readonly #shape: Shape<A>
  readonly #resolve: (answer: A) => void
  readonly #reject: (error: unknown) => void

  /**
   * @throws KeelsonError `TOO_LARGE` for too many keys, or units that no frame takes;
   * `INVALID_ARGUMENT` for impossible units
   */
  constructor(
    system: System,
    shard: WritingShard,
    write: Write,
    shape: Shape<A>,
    resolve: (answer: A) => void,
    reject: (error: unknown) => void,
  ) {
    const { units, options } = write
    this.system = system
    this.shard = shard
    this.units = units
    this.options = options
    this.beganAt = system.clock.monotonic()
    this.endsAt = this.beganAt + options.deadlineMs
    this.commands = commandsIn(units)
    checkCount(units, this.commands)
    this.isLarge = sideChannelCandidate(units, shard.blobs.parts.terms)
    this.length = this.isLarge ? 0 : checkedLength(units, shard)
    this.bytes = bytesCounted(this.commands, this.isLarge ? valueBytesOf(units) : this.length)
    this.#shape = shape
    this.#resolve = resolve
    this.#reject = reject
  }

  get whenFull(): CheckedWrite['whenFull'] {
    return this.options.whenFull
  }

  get weight(): number {
    return this.commands
  }

  get deadlineMs(): number {
    return this.options.deadlineMs
  }

  /** The namespace of its first key; `_root` without one. */
  get namespace(): string {
    const { keys } = this
    const first = keys === 'all' ? undefined : keys[0]
    return first === undefined ? rootNamespace : namespaceOf(first)
  }

  /** The keys that it changes. Asked only where a key is marked, or a namespace has a window. */
  get keys(): MarkedKeys {
    return markedKeys(this.units)
  }

  encode(into: Buffer, at: number): void {
    encodeFrameInto(this.units, into, at)
  }

  applied(lsn: number, answers: readonly UnitAnswer[]): void {
    this.#answer({ shard: this.shard.index, lsn }, answers)
  }

  failed(fate: Fate, cause: unknown, lsn: number | undefined): void {
    const at = lsn === undefined ? {} : { position: { shard: this.shard.index, lsn } }
    this.refused(outcomeOf(fate, cause, at))
  }

  /** The gate refused it, or its way ended with an outcome. */
  refused(outcome: unknown): void {
    this.#leave()
    if (this.pin) endPin(this.pin, outcome)
    this.#reject(outcome)
  }

  /**
   * Its blobs are durable: it is a frame of these units from now on.
   * @throws KeelsonError `TOO_LARGE`
   */
  become(units: FrameUnits): void {
    this.length = checkedLength(units, this.shard)
    this.units = units
  }

  #leave(): void {
    if (!this.isInside) return
    this.isInside = false
    this.shard.gate.leave(this)
  }

  #answer(position: Position, answers: readonly UnitAnswer[]): void {
    this.#leave()
    this.pin?.release()
    let answer: A
    try {
      answer = this.#shape(position, answers)
    } catch (error) {
      this.#reject(error)
      return
    }
    this.#resolve(answer)
  }
}

/**
 * The length of the units' frame.
 * @throws KeelsonError as `frameLength`; `TOO_LARGE` if no segment has room for it
 */
const checkedLength = (units: FrameUnits, shard: WritingShard): number => {
  const length = frameLength(units)
  const lengthMax = unitBytesMax(shard.files.parts.logOptions)
  if (length <= lengthMax) return length
  throw new KeelsonError('TOO_LARGE', `A write takes at most ${lengthMax} bytes here.`, {
    details: { length, lengthMax },
  })
}
