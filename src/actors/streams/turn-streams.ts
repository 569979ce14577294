/**
 * The streams of a durable actor in one of its turns: their names, and the parts of the turn's unit. It
 * is apart from `turn-draft.ts`, as most turns have none.
 */
import { KeelsonError } from '../../errors.ts'
import {
  checkEntityId,
  entityStream,
  type StreamAct,
  type StreamPart,
} from '../../storage/index.ts'
import { messageText, PackedMessages } from './stream-message.ts'

/** The most streams of an actor. */
const streamsMax = 64

/** A stream of an actor, in its turn. */
export interface TurnStream<T = unknown> {
  readonly name: string
  /**
   * Appends a message with this turn: it is there once the turn is durable, and never if the turn is
   * refused. A closed stream refuses the turn with `CONFLICT`.
   * @throws KeelsonError `INVALID_ARGUMENT` for a value that JSON would change; `TOO_LARGE` beyond 1
   * MiB, and for a 65th stream of the actor
   */
  append(message: T): void
  /** Closes the stream with this turn, after a last message if there is one. @throws as `append` */
  close(...last: readonly [] | readonly [last: T]): void
}

/** Messages that follow one another in one stream. */
type Filling = { readonly name: string; readonly packed: PackedMessages; closes: boolean }

/** The changes of one turn. */
export class TurnStreams {
  #names: readonly string[]
  readonly #parts: (Filling | { readonly name: string; readonly act: StreamAct })[] = []

  /** `names`: those of the streams that the actor has. */
  constructor(names: readonly string[]) {
    this.#names = names
  }

  /** The names after the turn. */
  get names(): readonly string[] {
    return this.#names
  }

  /** As `TurnStream.append` and `close`. @throws KeelsonError `INVALID_ARGUMENT`, `TOO_LARGE` */
  append(name: string, messages: readonly unknown[], closes = false): void {
    this.add(
      name,
      messages.map((message) => messageText(message)),
      closes,
    )
  }

  /** Appends JSON texts, and closes the stream if it `closes`. @throws KeelsonError `TOO_LARGE` */
  add(name: string, texts: readonly string[], closes = false): void {
    const last = this.#parts.at(-1)
    const isNext = last !== undefined && 'packed' in last && last.name === name && !last.closes
    const part = isNext ? last : { name, packed: new PackedMessages(), closes: false }
    if (part !== last) this.#add(part)
    for (const text of texts) part.packed.add(text)
    part.closes = closes
  }

  /** @throws KeelsonError `TOO_LARGE` */
  act(name: string, act: StreamAct): void {
    this.#add({ name, act })
  }

  /** The parts of the unit. */
  partsFor(entity: string): readonly StreamPart[] {
    return this.#parts.map((part): StreamPart => {
      const owner = entityStream(entity, part.name)
      if ('act' in part) return { owner, ...part.act }
      const { packed, closes } = part
      const { count } = packed
      return { owner, act: 'append', count, packed: packed.packed(), closes, producer: undefined }
    })
  }

  #add(part: Filling | { readonly name: string; readonly act: StreamAct }): void {
    const { name } = part
    if (!this.#names.includes(name)) {
      if (this.#names.length === streamsMax) throw tooMany(name)
      this.#names = [...this.#names, name]
    }
    this.#parts.push(part)
  }
}

/** Checks the name of a stream of an actor. @throws KeelsonError `INVALID_ARGUMENT` */
export const checkStreamName = (name: unknown): string => checkEntityId(name, 'name')

/** The parts that delete every stream of an actor. */
export const deletedStreams = (entity: string, names: readonly string[]): readonly StreamPart[] =>
  names.map((name) => ({ owner: entityStream(entity, name), act: 'delete' }))

const tooMany = (stream: string): KeelsonError =>
  new KeelsonError('TOO_LARGE', `an actor has at most ${streamsMax} streams`, {
    details: { stream, streamsMax },
  })
