/**
 * How the store's commands go their way: each in the shard of its keys, as a unit of one frame, several shards side by side.
 * What comes back is where the unit stands and what it answered; a unit that the state refused is its caller's error.
 */
import { isKeelsonError, KeelsonError } from '../errors.ts'
import type { System } from '../runtime/index.ts'
import {
  type Command,
  type CommandAnswer,
  refusalError,
  type StoredValue,
  type Unit,
  type UnitAnswer,
} from '../storage/index.ts'
import type { KeyPlacement } from './key-placement.ts'
import { levelOf } from './settings.ts'
import type { Shard } from './shard.ts'
import { settledParts } from './spread.ts'
import {
  type Answers,
  answerTo,
  type BatchAnswer,
  type UserCommand,
  valueIn,
  type Written,
  type WrittenMany,
} from './store-answers.ts'
import { keysNamed, type StreamTerms } from './store-commands.ts'
import { decodedValue, isReadAtOnce } from './value-reading.ts'
import { type ByteSource, loadValue, type StreamedIn, streamIn } from './value-streams.ts'
import {
  type CheckedWrite,
  checkWrite,
  noOptions,
  type TermKind,
  type WriteOptions,
} from './write-options.ts'
import { type Shape, type Submitted, submit, submitAs } from './write-path.ts'

/** The writes of one instance. */
export class StoreWriting {
  readonly #system: System
  readonly #keys: KeyPlacement
  /** The answer of a command that answers nothing; what refused it is thrown. */
  readonly #written: Shape<Written>
  /** What a write is told that says nothing. */
  readonly #unsaid: CheckedWrite

  constructor(system: System, keys: KeyPlacement) {
    this.#system = system
    this.#keys = keys
    const { deadlineMs = 0 } = keys.shards[0]?.parts.settings ?? {}
    this.#unsaid = { ack: 'applied', deadlineMs, whenFull: 'wait', windowMs: undefined }
    const isDurable = keys.shards.every(({ parts }) => levelOf(parts.settings) === 'durable')
    this.#written = (position, answers) => {
      const answer = answers[0]
      if (answer?.kind === 'refused') throw refusalError(answer)
      return isDurable ? { position } : { position, level: 'written' }
    }
  }

  /** What every write may be told, checked, with the instance's defaults. @throws KeelsonError `INVALID_ARGUMENT` */
  checked(kind: TermKind, options: WriteOptions): CheckedWrite {
    return options === noOptions ? this.#unsaid : checkWrite(kind, options, this.#unsaid.deadlineMs)
  }

  /** A put, which answers nothing but where it stands: the most frequent command, without detours. */
  put(command: Command & { readonly kind: 'put' }, options: CheckedWrite): Promise<Written> {
    const write = { units: command, options }
    return submitAs(this.#system, this.#keys.of(command.key), write, this.#written)
  }

  /** One command, in the shard of its keys. @throws KeelsonError `CROSS_SHARD`, and what writing throws */
  async one<Kind extends keyof Answers>(
    command: UserCommand & { readonly kind: Kind },
    options: CheckedWrite,
  ): Promise<Written & Answers[Kind]> {
    return this.#to<Kind>(this.#keys.ofAll(keysNamed(command)), command, options)
  }

  /** A put of what a stream brings. @throws what the stream throws, and what writing throws */
  async stream(
    { size, ...command }: StreamTerms,
    source: ByteSource,
    options: CheckedWrite,
  ): Promise<Written & StreamedIn> {
    const shard = this.#keys.of(command.key)
    const write = { source, size, options }
    const { submitted, length, sha256 } = await streamIn(this.#system, shard, {
      ...write,
      command: (value) => ({ ...command, kind: 'put', value }),
    })
    return { ...this.#settled(shard, submitted).written, length, sha256 }
  }

  /** A batch, in the shard of its keys. @throws KeelsonError `CROSS_SHARD`, and what writing throws */
  async batch(
    built: readonly UserCommand[],
    options: WriteOptions,
  ): Promise<Written & { readonly answers: readonly BatchAnswer[] }> {
    const checked = this.checked('commit', options)
    const keys = built.flatMap(keysNamed)
    const shard = this.#keys.ofAll(keys)
    const unit: Unit = { kind: 'batch', commands: built }
    const { written, answer } = await this.#submit(shard, unit, checked)
    if (answer.kind !== 'batch') throw new Error('a batch was answered like a command')
    const answers: BatchAnswer[] = []
    for (const [at, command] of built.entries()) {
      const one = answer.answers[at]
      if (!one) throw new Error('a batch was answered with too few answers')
      answers.push(await this.#shown(shard, command, one, { ...written, command: at }))
    }
    return { ...written, answers }
  }

  /** One command per shard, side by side. @throws KeelsonError `PARTIAL` when one of several fails */
  spread<Kind extends keyof Answers>(
    parts: readonly (readonly [Shard, UserCommand & { readonly kind: Kind }])[],
    options: CheckedWrite,
  ): Promise<readonly (Written & Answers[Kind])[]> {
    return settledParts(
      parts.map(([shard, command]) => ({
        shard: shard.index,
        work: this.#to<Kind>(shard, command, options),
      })),
    )
  }

  /** Positions with the level of the instance. */
  leveled(positions: WrittenMany['positions']): WrittenMany {
    const [shard] = this.#keys.shards
    const isDurable = shard !== undefined && levelOf(shard.parts.settings) === 'durable'
    return isDurable ? { positions } : { positions, level: 'written' }
  }

  async #to<Kind extends keyof Answers>(
    shard: Shard,
    command: UserCommand,
    options: CheckedWrite,
  ): Promise<Written & Answers[Kind]> {
    const unit: Unit = command
    const { written, answer } = await this.#submit(shard, unit, options)
    if (answer.kind === 'batch') throw new Error('a command was answered like a batch')
    const shown = await this.#shown(shard, command, answer, written)
    return { ...written, ...(shown as Answers[Kind]) }
  }

  /** An answer as its caller gets it. The write stands, whatever becomes of reading what it answers: its error says where. */
  async #shown(
    shard: Shard,
    command: UserCommand,
    answer: CommandAnswer,
    where: object,
  ): Promise<BatchAnswer> {
    const stored = valueIn(answer)
    if (!stored) return answerTo(command, answer, undefined)
    try {
      return answerTo(command, answer, await this.#valueOf(shard, stored))
    } catch (error) {
      if (!isKeelsonError(error)) throw error
      const { code, message, details } = error
      throw new KeelsonError(code, message, { details: { ...details, ...where }, cause: error })
    }
  }

  #valueOf(shard: Shard, stored: StoredValue): unknown {
    return isReadAtOnce(stored)
      ? decodedValue(shard, stored)
      : loadValue(this.#system, shard, stored)
  }

  async #submit(
    shard: Shard,
    unit: Unit,
    options: CheckedWrite,
  ): Promise<{ written: Written; answer: Exclude<UnitAnswer, { kind: 'refused' }> }> {
    const write = { units: unit, options }
    return this.#settled(shard, await submit(this.#system, shard, write))
  }

  /** Where a unit stands and what it answered; what refused it is thrown. */
  #settled(
    shard: Shard,
    { position, answers }: Submitted,
  ): { written: Written; answer: Exclude<UnitAnswer, { kind: 'refused' }> } {
    const [answer] = answers
    if (!answer) throw new Error('a unit was not answered')
    if (answer.kind === 'refused') throw refusalError(answer)
    const level = levelOf(shard.parts.settings)
    return { written: level === 'durable' ? { position } : { position, level }, answer }
  }
}
