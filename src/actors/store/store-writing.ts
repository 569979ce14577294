/**
 * Sends the store's commands to the shards of their keys, each as a unit of one frame, several
 * shards in parallel. The result is the unit's position and answer. A unit that the state refuses
 * is an error.
 */

import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { System } from '../../runtime/index.ts'
import {
  type Command,
  type CommandAnswer,
  namedKeys,
  refusalError,
  type UnitAnswer,
} from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { wayToRead, wayToWrite } from '../core/at-owner.ts'
import { levelOf } from '../core/settings.ts'
import type { ByteSource, CheckedWrite, StreamedIn } from '../core/shard-client.ts'
import type { Position } from '../core/shard-core.ts'
import {
  checkWrite,
  ownWriteOptions,
  type TermKind,
  type WriteOptions,
} from '../writing/write-options.ts'
import { type Shape, settled, submitAs, type Write } from '../writing/write-path.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import type { KeyPlacement } from './key-placement.ts'
import {
  type Answers,
  answerTo,
  type BatchAnswer,
  placed,
  type UserCommand,
  valueIn,
  type Written,
  type WrittenMany,
} from './store-answers.ts'
import { type Cleared, clearShard } from './store-clearing.ts'
import type { CommandOf, StreamTerms } from './store-commands.ts'
import { decodedValue, isReadAtOnce } from './value-reading.ts'
import { loadValue, streamIn } from './value-streams.ts'

/** The part of one shard in a write over several shards. Each part is atomic, the whole is not. */
export type SpreadPart<T> = { readonly shard: number; readonly work: Promise<T> }

/** The outcome of one shard's part, in `details.outcomes` of `PARTIAL`. */
export type SpreadOutcome =
  | ({ readonly shard: number; readonly ok: true } & Readonly<Record<string, unknown>>)
  | { readonly shard: number; readonly ok: false; readonly error: unknown }

/**
 * The answers of all parts, in order, once all have settled.
 * @throws the error of a single part; KeelsonError `PARTIAL` with `details.outcomes` if one of
 * several fails
 */
const settledParts = async <T extends object>(
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
    `the write failed on ${failed.length} of ${outcomes.length} shards${isKeelsonError(first) ? ` (${first.code})` : ''}`,
    { details: { outcomes }, cause: first },
  )
}

/** Options of a write that were read once: as they are, and checked with all defaults. */
type ReadOnce<O extends WriteOptions> = { readonly own: O; readonly checked: CheckedWrite }

/** The answer of a batch: its position and the answers of its commands, in order. */
type BatchWritten = Written & { readonly answers: readonly BatchAnswer[] }

/** Turns a throw of `write` into a rejection, without the extra promise of an async function. */
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
  readonly #access: Access
  /** Makes the answer common to all writes of this instance. */
  readonly #written: (position: Position) => Written
  /** Makes the answer of a put; throws its refusal. */
  readonly #put: Shape<Written>
  /** The options of a write without options. */
  readonly #unsaid: ReadOnce<WriteOptions>

  constructor(system: System, keys: KeyPlacement, access: Access) {
    this.#system = system
    this.#keys = keys
    this.#access = access
    const { deadlineMs = 0 } = keys.shards[0]?.parts.settings ?? {}
    const checked = { ack: 'applied', deadlineMs, whenFull: 'wait', windowMs: undefined } as const
    this.#unsaid = { own: noOptions, checked }
    const isDurable = keys.shards.every(({ parts }) => levelOf(parts.settings) === 'durable')
    const written = (position: Position): Written =>
      isDurable ? { position } : { position, level: 'written' }
    this.#written = written
    this.#put = (position, answers) => {
      granted(answers)
      return written(position)
    }
  }

  /**
   * Begins a write: checks the access, reads the options once, and checks what all writes share.
   * The defaults are those of the instance. @throws KeelsonError `CLOSED`, `INVALID_ARGUMENT`
   */
  read<O extends WriteOptions>(kind: TermKind, options: O): ReadOnce<O> {
    this.#access.check()
    if (options === noOptions) return this.#unsaid as ReadOnce<O>
    const own = ownWriteOptions(kind, options)
    const checked = checkWrite(own, this.#unsaid.checked.deadlineMs, this.#isReplicated)
    return { own, checked }
  }

  get #isReplicated(): boolean {
    return this.#keys.shards.some(({ replication }) => replication.isFollowed)
  }

  /** Resolves when every write that was called before is decided, in every shard. */
  async settled(): Promise<void> {
    this.#access.check()
    const here = this.#keys.shards.map((shard) => settled(this.#system, shard))
    await Promise.all([...here, this.#keys.shards[0]?.way?.settled()])
  }

  /** A put: the most frequent command, on the shortest path. */
  put(command: Command & { readonly kind: 'put' }, options: CheckedWrite): Promise<Written> {
    const write = { units: command, options }
    return this.#submit(this.#keys.of(command.key), write, this.#put)
  }

  /**
   * Writes the command of `make` to the shard of its keys. @throws KeelsonError `CROSS_SHARD`, and
   * the errors of making and writing
   */
  one<Kind extends keyof Answers, O extends WriteOptions>(
    kind: TermKind,
    options: O,
    make: (own: O) => UserCommand & { readonly kind: Kind },
  ): Promise<Written & Answers[Kind]> {
    return promised(() => {
      const { own, checked } = this.read(kind, options)
      const command = make(own)
      return this.#to<Kind>(this.#keys.ofAll(namedKeys(command)), command, checked)
    })
  }

  /** A put of a stream. @throws the errors of the stream and of writing */
  async stream(
    { size, ...command }: StreamTerms,
    source: ByteSource,
    options: CheckedWrite,
  ): Promise<Written & StreamedIn> {
    const shard = this.#keys.of(command.key)
    const write = { source, size, options }
    // A source is read once. So its place is decided when the shard is open here, or is not here.
    if (shard.phase.kind === 'recovering' && !wayToRead(shard))
      await shard.reopened(shard.opened, options.deadlineMs)
    const way = wayToRead(shard)
    if (way) {
      const { position, ...sent } = await way.streamIn(shard.index, { ...write, terms: command })
      return { ...this.#written(position), ...sent }
    }
    const { submitted, length, sha256 } = await streamIn(this.#system, shard, {
      ...write,
      command: (value) => ({ ...command, kind: 'put', value }),
    })
    granted(submitted.answers)
    return { ...this.#written(submitted.position), length, sha256 }
  }

  /**
   * A batch, in the shard of its keys. It is not taken if its options are refused.
   * @throws KeelsonError `CROSS_SHARD`, and the errors of writing
   */
  async batch(take: () => readonly UserCommand[], options: WriteOptions): Promise<BatchWritten> {
    const { checked } = this.read('commit', options)
    const built = take()
    const shard = this.#keys.ofAll(built.flatMap(namedKeys))
    const write = { units: { kind: 'batch', commands: built } as const, options: checked }
    return this.#submit(shard, write, (position, units) => {
      const answer = granted(units)
      if (answer.kind !== 'batch') throw new Error('a batch was answered like a command')
      return this.#batchShown(shard, built, answer.answers, this.#written(position))
    })
  }

  /** One command per shard, in parallel. @throws KeelsonError `PARTIAL` if one of several fails */
  spread<Kind extends keyof Answers>(
    parts: readonly (readonly [WritingShard, UserCommand & { readonly kind: Kind }])[],
    options: CheckedWrite,
  ): Promise<readonly (Written & Answers[Kind])[]> {
    return settledParts(
      parts.map(([shard, command]) => ({
        shard: shard.index,
        work: this.#to<Kind>(shard, command, options),
      })),
    )
  }

  /** A clear in every shard, in parallel. @throws KeelsonError `PARTIAL` if one of several fails */
  cleared(command: CommandOf<'clear'>, options: CheckedWrite): Promise<readonly Cleared[]> {
    return settledParts(
      this.#keys.shards.map((shard) => ({
        shard: shard.index,
        work: this.#cleared(shard, command, options),
      })),
    )
  }

  async #cleared(
    shard: WritingShard,
    command: CommandOf<'clear'>,
    options: CheckedWrite,
  ): Promise<Cleared> {
    const way = wayToWrite(shard)
    if (!way) return clearShard(this.#system, shard, command, options)
    const { position, removed = 0 } = await way.write(shard.index, command, options)
    return { position, removed }
  }

  /** Writes where the shard is. */
  #submit<T>(shard: WritingShard, write: Write, shape: Shape<T | Promise<T>>): Promise<T> {
    const way = wayToWrite(shard)
    if (!way) return submitAs(this.#system, shard, write, shape)
    return way
      .write(shard.index, write.units, write.options)
      .then(({ position, answers }) => shape(position, answers))
  }

  /** Positions with the level of the instance. */
  leveled(positions: WrittenMany['positions']): WrittenMany {
    const [shard] = this.#keys.shards
    const isDurable = shard !== undefined && levelOf(shard.parts.settings) === 'durable'
    return isDurable ? { positions } : { positions, level: 'written' }
  }

  #to<Kind extends keyof Answers>(
    shard: WritingShard,
    command: UserCommand,
    options: CheckedWrite,
  ): Promise<Written & Answers[Kind]> {
    const write = { units: command, options }
    return this.#submit(shard, write, (position, units) => {
      const answer = granted(units)
      if (!isOfCommand(answer)) throw new Error(`a command was answered like a ${answer.kind}`)
      const written = this.#written(position)
      const shown = this.#shown(shard, command, answer, written)
      return shown instanceof Promise
        ? shown.then((read) => placedAt<Answers[Kind]>(read, written))
        : placedAt<Answers[Kind]>(shown, written)
    })
  }

  /** The answers of a batch's commands; synchronous unless one has a value to load. */
  #batchShown(
    shard: WritingShard,
    built: readonly UserCommand[],
    answered: readonly CommandAnswer[],
    written: Written,
  ): BatchWritten | Promise<BatchWritten> {
    if (answered.some(valueIn)) return this.#valuesShown(shard, built, answered, written)
    return { ...written, answers: built.map((command, at) => bare(command, answered[at])) }
  }

  /** The answers of a batch's commands with values to load, one after another. */
  async #valuesShown(
    shard: WritingShard,
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
   * The answer for the caller; synchronous unless a value is too large. The write is durable even
   * if reading its answer fails: the error then has the position.
   */
  #shown(
    shard: WritingShard,
    command: UserCommand,
    answer: CommandAnswer,
    where: object,
  ): BatchAnswer | Promise<BatchAnswer> {
    const stored = valueIn(answer)
    if (!stored) return answerTo(command, answer, undefined)
    const withPlace = (error: unknown): unknown => placed(error, where)
    try {
      if (isReadAtOnce(stored)) return answerTo(command, answer, decodedValue(shard, stored))
    } catch (error) {
      throw withPlace(error)
    }
    return loadValue(this.#system, shard, stored).then(
      (value) => answerTo(command, answer, value),
      (error: unknown) => Promise.reject(withPlace(error)),
    )
  }
}

/** The answer of the only unit of a frame. @throws KeelsonError its refusal */
export const granted = (
  answers: readonly UnitAnswer[],
): Exclude<UnitAnswer, { kind: 'refused' }> => {
  const answer = answers[0]
  if (!answer) throw new Error('a unit was not answered')
  if (answer.kind === 'refused') throw refusalError(answer)
  return answer
}

/**
 * Adds the position to an answer in place: an object literal with a spread costs twenty times as
 * much.
 */
const placedAt = <Shown extends BatchAnswer>(shown: BatchAnswer, written: Written) =>
  Object.assign(shown as Shown, written)

/** The answer of a batch's command without a value. */
const bare = (command: UserCommand, answer: CommandAnswer | undefined): BatchAnswer => {
  if (!answer) throw new Error('a batch was answered with too few answers')
  return answerTo(command, answer, undefined)
}

const isOfCommand = (answer: UnitAnswer): answer is CommandAnswer =>
  !['batch', 'turn', 'entry', 'removal', 'streams', 'refused'].includes(answer.kind)
