/**
 * How the store's commands go their way: each in the shard of its keys, as a unit of one frame, several shards side by side.
 * What comes back is where the unit stands and what it answered; a unit that the state refused is its caller's error.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  type Command,
  type CommandAnswer,
  refusalError,
  type UnitAnswer,
} from '../../storage/index.ts'
import type { Position } from '../queue/ticket.ts'
import type { KeyPlacement } from '../shard/key-placement.ts'
import { levelOf } from '../shard/settings.ts'
import type { Shard } from '../shard/shard.ts'
import {
  type CheckedWrite,
  checkWrite,
  noOptions,
  type TermKind,
  type WriteOptions,
} from '../writing/write-options.ts'
import { type Shape, submitAs } from '../writing/write-path.ts'
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
import type { ByteSource } from './stream-source.ts'
import { decodedValue, isReadAtOnce } from './value-reading.ts'
import { loadValue, type StreamedIn, streamIn } from './value-streams.ts'

// A write over several shards: each part is atomic, the whole is not, and whoever wrote learns what became of each part.

/** The part of one shard, under way. */
export type SpreadPart<T> = { readonly shard: number; readonly work: Promise<T> }

/** What became of one shard's part, in the `details.outcomes` of `PARTIAL`. */
export type SpreadOutcome =
  | ({ readonly shard: number; readonly ok: true } & Readonly<Record<string, unknown>>)
  | { readonly shard: number; readonly ok: false; readonly error: unknown }

/**
 * What all parts answer, in their order, once all have settled.
 * @throws what the part of the only shard throws; KeelsonError `PARTIAL` with `details.outcomes` when one of several fails
 */
export const settledParts = async <T extends object>(
  parts: readonly SpreadPart<T>[],
): Promise<readonly T[]> => {
  const [only] = parts
  if (only && parts.length === 1) return [await only.work]
  const settled = await Promise.allSettled(parts.map(({ work }) => work))
  const outcomes = settled.map((one, at): SpreadOutcome => {
    const shard = parts[at]?.shard ?? at
    return one.status === 'fulfilled'
      ? { ...one.value, shard, ok: true }
      : { shard, ok: false, error: one.reason }
  })
  const failed = outcomes.filter((one) => !one.ok)
  if (failed.length > 0) throw partial(outcomes, failed)
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}

const partial = (
  outcomes: readonly SpreadOutcome[],
  failed: readonly SpreadOutcome[],
): KeelsonError => {
  const [first] = failed.map((one) => (one.ok === false ? one.error : undefined))
  return new KeelsonError(
    'PARTIAL',
    `The write failed on ${failed.length} of ${outcomes.length} shards${isKeelsonError(first) ? ` (${first.code})` : ''}.`,
    { details: { outcomes }, cause: first },
  )
}

/** What a batch answers: where it stands, and what its commands answered, in their order. */
type BatchWritten = Written & { readonly answers: readonly BatchAnswer[] }

/** What `write` promises, and what it throws as a rejection: an async function would make a promise of its own, and wait for it. */
export const promised = <T>(write: () => Promise<T>): Promise<T> => {
  try {
    return write()
  } catch (error) {
    return Promise.reject(error)
  }
}

/** The writes of one instance. */
export class StoreWriting {
  readonly #system: System
  readonly #keys: KeyPlacement
  /** What every write of this instance answers. */
  readonly #written: (position: Position) => Written
  /** The answer of a command that answers nothing beside; what refused it is thrown. */
  readonly #put: Shape<Written>
  /** What a write is told that says nothing. */
  readonly #unsaid: CheckedWrite

  constructor(system: System, keys: KeyPlacement) {
    this.#system = system
    this.#keys = keys
    const { deadlineMs = 0 } = keys.shards[0]?.parts.settings ?? {}
    this.#unsaid = { ack: 'applied', deadlineMs, whenFull: 'wait', windowMs: undefined }
    const isDurable = keys.shards.every(({ parts }) => levelOf(parts.settings) === 'durable')
    const written = (position: Position): Written =>
      isDurable ? { position } : { position, level: 'written' }
    this.#written = written
    this.#put = (position, answers) => {
      granted(answers)
      return written(position)
    }
  }

  /** What every write may be told, checked, with the instance's defaults. @throws KeelsonError `INVALID_ARGUMENT` */
  checked(kind: TermKind, options: WriteOptions): CheckedWrite {
    return options === noOptions ? this.#unsaid : checkWrite(kind, options, this.#unsaid.deadlineMs)
  }

  /** A put, which answers nothing but where it stands: the most frequent command, without detours. */
  put(command: Command & { readonly kind: 'put' }, options: CheckedWrite): Promise<Written> {
    const write = { units: command, options }
    return submitAs(this.#system, this.#keys.of(command.key), write, this.#put)
  }

  /** The command that `make` makes, in the shard of its keys. @throws KeelsonError `CROSS_SHARD`, and what making and writing throw */
  one<Kind extends keyof Answers>(
    kind: TermKind,
    options: WriteOptions,
    make: () => UserCommand & { readonly kind: Kind },
  ): Promise<Written & Answers[Kind]> {
    return promised(() => {
      const checked = this.checked(kind, options)
      const command = make()
      return this.#to<Kind>(this.#keys.ofAll(keysNamed(command)), command, checked)
    })
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
    granted(submitted.answers)
    return { ...this.#written(submitted.position), length, sha256 }
  }

  /** A batch, in the shard of its keys. @throws KeelsonError `CROSS_SHARD`, and what writing throws */
  async batch(built: readonly UserCommand[], options: WriteOptions): Promise<BatchWritten> {
    const checked = this.checked('commit', options)
    const shard = this.#keys.ofAll(built.flatMap(keysNamed))
    const write = { units: { kind: 'batch', commands: built } as const, options: checked }
    return submitAs(this.#system, shard, write, (position, units) => {
      const answer = granted(units)
      if (answer.kind !== 'batch') throw new Error('a batch was answered like a command')
      return this.#batchShown(shard, built, answer.answers, this.#written(position))
    })
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

  #to<Kind extends keyof Answers>(
    shard: Shard,
    command: UserCommand,
    options: CheckedWrite,
  ): Promise<Written & Answers[Kind]> {
    const write = { units: command, options }
    return submitAs(this.#system, shard, write, (position, units) => {
      const answer = granted(units)
      if (answer.kind === 'batch') throw new Error('a command was answered like a batch')
      const written = this.#written(position)
      const shown = this.#shown(shard, command, answer, written)
      return shown instanceof Promise
        ? shown.then((read) => placedAt<Answers[Kind]>(read, written))
        : placedAt<Answers[Kind]>(shown, written)
    })
  }

  /** What the commands of a batch answered: at once where no value is among it. */
  #batchShown(
    shard: Shard,
    built: readonly UserCommand[],
    answered: readonly CommandAnswer[],
    written: Written,
  ): BatchWritten | Promise<BatchWritten> {
    if (answered.some(valueIn)) return this.#valuesShown(shard, built, answered, written)
    return { ...written, answers: built.map((command, at) => bare(command, answered[at])) }
  }

  /** The same with values, one after another. */
  async #valuesShown(
    shard: Shard,
    built: readonly UserCommand[],
    answered: readonly CommandAnswer[],
    written: Written,
  ): Promise<BatchWritten> {
    const answers: BatchAnswer[] = []
    for (const [at, command] of built.entries()) {
      const answer = answered[at]
      if (!answer || !valueIn(answer)) answers.push(bare(command, answer))
      else answers.push(await this.#shown(shard, command, answer, { ...written, command: at }))
    }
    return { ...written, answers }
  }

  /**
   * An answer as its caller gets it: at once, but for values that are too long for that. The write stands, whatever becomes of
   * reading what it answers: its error says `where`.
   */
  #shown(
    shard: Shard,
    command: UserCommand,
    answer: CommandAnswer,
    where: object,
  ): BatchAnswer | Promise<BatchAnswer> {
    const stored = valueIn(answer)
    if (!stored) return answerTo(command, answer, undefined)
    const told = (error: unknown): unknown => placed(error, where)
    try {
      if (isReadAtOnce(stored)) return answerTo(command, answer, decodedValue(shard, stored))
    } catch (error) {
      throw told(error)
    }
    return loadValue(this.#system, shard, stored).then(
      (value) => answerTo(command, answer, value),
      (error: unknown) => Promise.reject(told(error)),
    )
  }
}

/** What the only unit of a frame answered; what refused it is thrown. */
const granted = (answers: readonly UnitAnswer[]): Exclude<UnitAnswer, { kind: 'refused' }> => {
  const answer = answers[0]
  if (!answer) throw new Error('a unit was not answered')
  if (answer.kind === 'refused') throw refusalError(answer)
  return answer
}

/** An answer with where it stands. The answer is nobody else's: a literal that begins with a spread costs twenty times as much. */
const placedAt = <Shown extends BatchAnswer>(shown: BatchAnswer, written: Written) =>
  Object.assign(shown as Shown, written)

/** The answer of a command of a batch that answered no value. */
const bare = (command: UserCommand, answer: CommandAnswer | undefined): BatchAnswer => {
  if (!answer) throw new Error('a batch was answered with too few answers')
  return answerTo(command, answer, undefined)
}

/** An error of a write that stands, and where it does. */
const placed = (error: unknown, where: object): unknown => {
  if (!isKeelsonError(error)) return error
  const { code, message, details } = error
  return new KeelsonError(code, message, { details: { ...details, ...where }, cause: error })
}
