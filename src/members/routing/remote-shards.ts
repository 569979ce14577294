/**
 * The port to shards that other members have, over the links (`ShardClient`).
 *
 * A write waits at a gate, one for each shard, in the order of the calls, while the shard has no owner
 * or too many are unanswered, so it is bounded like a write here. A call that an owner has refused
 * undone is repeated at the next one, within its time. Questions are such that asking twice does no
 * harm: one whose owner ended is asked again at the next owner.
 */

import type { Readable } from 'node:stream'
import {
  Allowance,
  type Answerer,
  bytesCounted,
  type CheckedWrite,
  type CopiedRows,
  checkCount,
  commandsIn,
  Gate,
  type JournalShard,
  type RoutedStream,
  type RoutedWrite,
  type ShardClient,
  type StreamTo,
  type WritingShard,
  watchesBegun,
} from '../../actors/index.ts'
import { againPauses, backoffMs, leftUntil, passed } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type ChildSpec,
  call,
  type Name,
  type Ref,
  type System,
  worker,
} from '../../runtime/index.ts'
import { encodeFrame, type FrameUnits, type StoredValue } from '../../storage/index.ts'
import type { Members } from '../links/members.ts'
import * as QuestionService from './question-service.ts'
import {
  closing,
  hasNoPlace,
  isUnowned,
  mayReadAgain,
  mayWriteAgain,
  named,
  overtaken,
  ownerless,
  readFailure,
  unanswered,
  unknownWrite,
  writeFailure,
} from './routed-outcome.ts'
import { streamFrom, streamTo } from './routed-streams.ts'
import { storedIn, writeAnswerIn } from './store-message.ts'
import * as StoreService from './store-service.ts'
import { WriteOrder } from './write-order.ts'

/** The parts that the client is made of. */
export type RemoteParts = {
  readonly system: System
  readonly instance: string
  readonly shards: readonly JournalShard[]
  /** The links to the others. */
  readonly members: Members
  /** Aborted when this member closes. */
  readonly ending: AbortSignal
  readonly copies?: CopiedRows | undefined
}

/** A write at its gate. */
type Passing = {
  readonly commands: number
  readonly bytes: number
  readonly whenFull: CheckedWrite['whenFull']
  readonly deadlineMs: number
}

/**
 * The bounds of unanswered writes to one shard. The writes to all shards of one member then fill no
 * link, which has bounds too.
 */
const shardMax = { commands: 256, bytes: 1024 * 1024 }

/** The bounds of unanswered writes to all shards. */
const allMax = { commands: 65_536, bytes: 64 * 1024 * 1024 }

/** An owner answers late by its own clock; the caller waits so much longer, in ms. */
const answerSlackMs = 250

/** The room of the links bounds what comes from other members. */
const roomOfLinks = Number.POSITIVE_INFINITY

const noOwner = 'no owner'

/** The way of the writes to one shard. */
type Way = { readonly gate: Gate; readonly order: WriteOrder }

/** The client of one member, for all shards. */
export class RemoteShards implements ShardClient {
  readonly copies: CopiedRows | undefined
  readonly #parts: RemoteParts
  readonly #system: System
  readonly #shards: readonly JournalShard[]
  readonly #members: Members
  readonly #answerers = new Map<string, Answerer>()
  readonly #total = new Allowance(allMax.bytes, allMax.commands)
  readonly #ways = new Map<number, Way>()
  readonly #unanswered = new Set<Promise<unknown>>()

  constructor(parts: RemoteParts) {
    const { system, shards, members, copies } = parts
    this.#parts = parts
    this.#system = system
    this.#shards = shards
    this.#members = members
    this.copies = copies
    members.onMoved((shard) => this.#moved(shard))
    void members.givenUp.then(() => {
      for (const index of this.#ways.keys()) this.#moved(index)
    })
  }

  childSpecs(): readonly ChildSpec[] {
    const { instance } = this.#parts
    const named = <M>(name: Name<M>) => ({ name, mailboxMax: roomOfLinks })
    return [
      worker(
        'store_service',
        StoreService.server,
        { shards: this.#shards },
        named(StoreService.name(instance)),
      ),
      worker(
        'owner_questions',
        QuestionService.server,
        this as QuestionService.Answerers,
        named(QuestionService.name(instance)),
      ),
    ]
  }

  get member(): string {
    return this.#members.member
  }

  get others(): readonly string[] {
    return this.#members.others
  }

  ownerOf(shard: number): string | undefined {
    return this.#members.ownerOf(shard)
  }

  isLinked(member: string): boolean {
    return this.#members.isLinked(member)
  }

  at<M>(member: string, name: Name<M>): Ref<M> {
    return this.#members.at(member).ref<M>(name)
  }

  onMoved(listener: (shard: number) => void): () => void {
    return this.#members.onMoved(listener)
  }

  onUnlinked(listener: (member: string) => void): () => void {
    return this.#members.onUnlinked(listener)
  }

  answer(question: string, answerer: Answerer): void {
    this.#answerers.set(question, answerer)
  }

  answererOf(question: string): Answerer | undefined {
    return this.#answerers.get(question)
  }

  async ask(
    shard: number,
    question: string,
    payload: unknown,
    timeoutMs: number,
  ): Promise<unknown> {
    const { clock } = this.#system
    const { instance, ending } = this.#parts
    const endsAt = clock.monotonic() + timeoutMs + answerSlackMs
    let member: string | undefined
    const ref = this.#members.refOf<QuestionService.Messages>(shard, QuestionService.name(instance))
    const ask = (leftMs: number): Promise<unknown> => {
      member = this.ownerOf(shard)
      return call(ref, 'ask', { question, payload }, { timeoutMs: leftMs, waitForName: true })
    }
    const isNext = async (restMs: number, tries: number): Promise<boolean> => {
      const pauseMs = backoffMs(againPauses, tries)
      if (ending.aborted || pauseMs >= restMs) return false
      await passed(clock, pauseMs)
      return true
    }
    try {
      return await this.#repeated(shard, endsAt, isUnowned, ask, isNext)
    } catch (error) {
      if (!isKeelsonError(error) || !isUnowned(error)) throw named(error, shard, member)
      throw ending.aborted ? closing(shard, error) : unanswered(error, shard, member)
    }
  }

  async askMember(
    member: string,
    question: string,
    payload: unknown,
    timeoutMs: number,
  ): Promise<unknown> {
    // A question for a member that is none would make one: links are tried to each that is named.
    if (member !== this.member && !this.others.includes(member))
      throw new KeelsonError('NO_PROCESS', `there is no member ${member}`, { details: { member } })
    const ref = this.at(member, QuestionService.name(this.#parts.instance))
    try {
      return await call(ref, 'ask', { question, payload }, { timeoutMs })
    } catch (error) {
      throw named(error, undefined, member)
    }
  }

  takes(index: number): boolean {
    if (this.#shardAt(index).isShut) return true
    const load = this.#ways.get(index)?.gate.load
    return load !== undefined && load.entered + load.waiting > 0
  }

  takesReads(index: number): boolean {
    const isComing =
      this.#shardAt(index).phase.kind === 'recovering' && !this.#members.isHere(index)
    return isComing || this.takes(index)
  }

  write(index: number, units: FrameUnits, options: CheckedWrite): Promise<RoutedWrite> {
    const shard = this.#shardAt(index)
    const frame = encodeFrame(units)
    const commands = commandsIn(units)
    checkCount(units, commands)
    const { whenFull, deadlineMs } = options
    const bytes = bytesCounted(commands, frame.length)
    const endsAt = this.#system.clock.monotonic() + deadlineMs
    const work = new Promise<RoutedWrite>((resolve, reject) => {
      const passing: Passing = { commands, bytes, whenFull, deadlineMs }
      const { gate, order } = this.#wayTo(shard)
      const admitted = (): void => {
        this.#written(shard, order, frame, options, endsAt)
          .finally(() => gate.leave(passing))
          .then(resolve, reject)
      }
      gate.enter(passing, admitted, (refusal) => reject(this.#refusal(shard, refusal)))
    })
    this.#unanswered.add(work)
    const forget = (): void => void this.#unanswered.delete(work)
    work.then(forget, forget)
    return work
  }

  async load(index: number, key: string): Promise<StoredValue | undefined> {
    await watchesBegun(this.#shardAt(index))
    const ref = this.#storeOf(index)
    const found = await this.#read(index, (leftMs) =>
      call(ref, 'load', { shard: index, key }, { timeoutMs: leftMs, waitForName: true }),
    )
    return found === null ? undefined : storedIn(found)
  }

  streamOut(index: number, key: string, from: number, to: number): Promise<Readable | undefined> {
    return streamFrom(this.#system, this, this.#shardAt(index), key, from, to)
  }

  streamIn(index: number, write: StreamTo): Promise<RoutedStream> {
    return streamTo(this.#system, this, this.#shardAt(index), write)
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#unanswered)
    const elsewhere = this.#shards.filter(({ phase }) => phase.kind === 'elsewhere')
    const asked = elsewhere.map(({ index }) =>
      this.#read(
        index,
        (timeoutMs) =>
          call(this.#storeOf(index), 'settled', index, { timeoutMs, waitForName: true }),
        Number.POSITIVE_INFINITY,
      ),
    )
    await Promise.all(asked)
  }

  async #written(
    { index }: WritingShard,
    order: WriteOrder,
    frame: Uint8Array,
    options: CheckedWrite,
    endsAt: number,
  ): Promise<RoutedWrite> {
    const mayAgain = mayWriteAgain(options.whenFull)
    const sent = order.begin()
    const ref = this.#storeOf(index)
    const ask = (leftMs: number) => {
      const request = { ...options, shard: index, frame, deadlineMs: leftMs }
      const timeoutMs = leftMs + answerSlackMs
      return call(ref, 'write', request, { timeoutMs, waitForName: true })
    }
    const isNext = (leftMs: number) => order.refused(sent, leftMs)
    const asked = this.#repeated(index, endsAt, mayAgain, ask, isNext)
    const found = await asked.then(
      (answer) => {
        order.end(sent, true)
        return answer
      },
      (error) => {
        order.end(sent, !hasNoPlace(error))
        const isOvertaken = sent.isOvertaken && isKeelsonError(error) && mayAgain(error)
        throw isOvertaken ? overtaken(index, error) : writeFailure(error, index)
      },
    )
    try {
      const { lsn, answers, removed } = writeAnswerIn(found)
      return { position: { shard: index, lsn }, answers, removed }
    } catch (error) {
      throw unknownWrite(index, error)
    }
  }

  /** Asks the owner of a shard, and again while nobody answers, within its time. */
  #read<T>(
    index: number,
    ask: (leftMs: number) => Promise<T>,
    deadlineMs = this.#shards[0]?.parts.settings.deadlineMs ?? 0,
  ): Promise<T> {
    const endsAt = this.#system.clock.monotonic() + deadlineMs
    return this.#repeated(index, endsAt, mayReadAgain, ask, async (restMs, tries) => {
      await passed(this.#system.clock, Math.min(restMs, backoffMs(againPauses, tries)))
      return true
    }).catch((error) => {
      const isClosing = this.#members.isLost(index) || this.#shards[index]?.phase.kind === 'closed'
      const isUnanswered = isKeelsonError(error) && mayReadAgain(error)
      throw isClosing && isUnanswered ? closing(index, error) : readFailure(error, index)
    })
  }

  /** `isNext`: waits until the owner may be asked again, or says that it may not. */
  async #repeated<T>(
    index: number,
    endsAt: number,
    mayRepeat: (error: KeelsonError) => boolean,
    ask: (leftMs: number) => Promise<T>,
    isNext: (leftMs: number, tries: number) => Promise<boolean>,
  ): Promise<T> {
    const { clock } = this.#system
    for (let tries = 1; ; tries++) {
      const leftMs = leftUntil(clock, endsAt)
      try {
        return await ask(leftMs)
      } catch (error) {
        if (!isKeelsonError(error) || !mayRepeat(error)) throw error
        const shard = this.#shards[index]
        if (shard?.phase.kind === 'closed') throw shard.unavailable()
        const restMs = endsAt - clock.monotonic()
        if (restMs <= 0 || this.#members.isLost(index) || !(await isNext(restMs, tries)))
          throw error
      }
    }
  }

  #shardAt(index: number): JournalShard {
    return this.#shards[index] as JournalShard
  }

  /** The store's service at the owner of a shard. */
  #storeOf(index: number): Ref<StoreService.Messages> {
    const name = StoreService.name(this.#parts.instance)
    return this.#members.refOf<StoreService.Messages>(index, name)
  }

  #wayTo(shard: WritingShard): Way {
    const { index } = shard
    const known = this.#ways.get(index)
    if (known) return known
    const { clock } = this.#system
    const gate = new Gate(clock, {
      bytesMax: shardMax.bytes,
      commandsMax: shardMax.commands,
      total: this.#total,
      watch: this.#system.monitor.bind(this.#system),
    })
    const way = { gate, order: new WriteOrder(clock, gate) }
    this.#ways.set(index, way)
    this.#moved(index)
    void shutAtClose(shard, gate)
    return way
  }

  #moved(index: number): void {
    const way = this.#ways.get(index)
    way?.order.moved()
    if (this.#members.ownerOf(index) === undefined && !this.#members.isLost(index))
      way?.gate.hold(noOwner)
    else way?.gate.release(noOwner)
  }

  /** A write that waited for an owner in vain says so. */
  #refusal({ index }: WritingShard, refusal: KeelsonError): KeelsonError {
    const isLate = refusal.code === 'NOT_SUBMITTED' && this.#members.ownerOf(index) === undefined
    return isLate ? ownerless(index, refusal) : refusal
  }
}

const shutAtClose = async (shard: WritingShard, gate: Gate): Promise<void> => {
  while (shard.phase.kind !== 'closed') await shard.changed()
  gate.shut(shard.unavailable())
}
