/**
 * The way of the store's calls to shards that other members have. A write waits at a gate of the
 * routes, one for each shard, in the order of the calls, while the shard has no owner or too many
 * are unanswered, so it is bounded like a write here. A call that an owner has refused undone is
 * repeated at the next one, within its time.
 */

import type { Readable } from 'node:stream'
import { againPauses, backoffMs, leftUntil, passed } from '../../clock.ts'
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { type ChildSpec, call, type Ref, type System, worker } from '../../runtime/index.ts'
import { encodeFrame, type FrameUnits, type StoredValue } from '../../storage/index.ts'
import { Allowance } from '../admission/allowance.ts'
import { Gate } from '../admission/gate.ts'
import type { ShardOwners } from '../core/owners-way.ts'
import { watchesBegun } from '../core/owners-way.ts'
import { bytesCounted, checkCount, commandsIn } from '../core/write-weight.ts'
import type { JournalShard } from '../journal/journal-shard.ts'
import type {
  CopiedRows,
  RoutedStream,
  RoutedWrite,
  Routes,
  StreamTo,
} from '../store/key-placement.ts'
import type { CheckedWrite } from '../writing/write-options.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import {
  closing,
  hasNoPlace,
  mayReadAgain,
  mayWriteAgain,
  overtaken,
  ownerless,
  readFailure,
  unknownWrite,
  writeFailure,
} from './routed-outcome.ts'
import { streamFrom, streamTo } from './routed-streams.ts'
import { storedIn, writeAnswerIn } from './store-message.ts'
import * as StoreService from './store-service.ts'
import { WriteOrder } from './write-order.ts'

/** The options of the routes. */
export type RoutesOptions = {
  readonly system: System
  readonly instance: string
  readonly shards: readonly JournalShard[]
  readonly owners: ShardOwners
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

const noOwner = 'no owner'

/** The way of the writes to one shard. */
type Way = { readonly gate: Gate; readonly order: WriteOrder }

/** The routes of one member. */
export class StoreRoutes implements Routes {
  readonly copies: CopiedRows | undefined
  readonly #system: System
  readonly #instance: string
  readonly #shards: readonly JournalShard[]
  readonly #owners: ShardOwners
  readonly #total = new Allowance(allMax.bytes, allMax.commands)
  readonly #ways = new Map<number, Way>()
  readonly #unanswered = new Set<Promise<unknown>>()

  constructor({ system, instance, shards, owners, copies }: RoutesOptions) {
    this.#system = system
    this.#instance = instance
    this.#shards = shards
    this.#owners = owners
    this.copies = copies
    owners.onMoved((shard) => this.#moved(shard))
    void owners.givenUp.then(() => {
      for (const index of this.#ways.keys()) this.#moved(index)
    })
  }

  /** The service that other members reach in this way. */
  childSpec(): ChildSpec {
    const options = { shards: this.#shards }
    return worker('store_service', StoreService.server, options, {
      name: StoreService.name(this.#instance),
      // The room of the links bounds what comes.
      mailboxMax: Number.POSITIVE_INFINITY,
    })
  }

  takes({ index, isShut }: WritingShard): boolean {
    if (isShut) return true
    const load = this.#ways.get(index)?.gate.load
    return load !== undefined && load.entered + load.waiting > 0
  }

  takesReads(shard: WritingShard): boolean {
    const isComing = shard.phase.kind === 'recovering' && !this.#owners.isHere(shard.index)
    return isComing || this.takes(shard)
  }

  write(shard: WritingShard, units: FrameUnits, options: CheckedWrite): Promise<RoutedWrite> {
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

  async load(shard: WritingShard, key: string): Promise<StoredValue | undefined> {
    await watchesBegun(shard)
    const found = await this.#read(shard.index, (ref, leftMs) =>
      call(ref, 'load', { shard: shard.index, key }, { timeoutMs: leftMs, waitForName: true }),
    )
    return found === null ? undefined : storedIn(found)
  }

  streamOut(
    shard: WritingShard,
    key: string,
    from: number,
    to: number,
  ): Promise<Readable | undefined> {
    return streamFrom(this.#system, shard, key, from, to)
  }

  streamIn(shard: WritingShard, write: StreamTo): Promise<RoutedStream> {
    return streamTo(this.#system, shard, write)
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#unanswered)
    const elsewhere = this.#shards.filter(({ phase }) => phase.kind === 'elsewhere')
    const asked = elsewhere.map(({ index }) =>
      this.#read(
        index,
        (ref, timeoutMs) => call(ref, 'settled', index, { timeoutMs, waitForName: true }),
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
    const ask = (ref: Ref<StoreService.Messages>, leftMs: number) => {
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
    ask: (ref: Ref<StoreService.Messages>, leftMs: number) => Promise<T>,
    deadlineMs = this.#shards[0]?.parts.settings.deadlineMs ?? 0,
  ): Promise<T> {
    const endsAt = this.#system.clock.monotonic() + deadlineMs
    return this.#repeated(index, endsAt, mayReadAgain, ask, async (restMs, tries) => {
      await passed(this.#system.clock, Math.min(restMs, backoffMs(againPauses, tries)))
      return true
    }).catch((error) => {
      const isClosing = this.#owners.isLost(index) || this.#shards[index]?.phase.kind === 'closed'
      const isUnanswered = isKeelsonError(error) && mayReadAgain(error)
      throw isClosing && isUnanswered ? closing(index, error) : readFailure(error, index)
    })
  }

  /** `isNext`: waits until the owner may be asked again, or says that it may not. */
  async #repeated<T>(
    index: number,
    endsAt: number,
    mayRepeat: (error: KeelsonError) => boolean,
    ask: (ref: Ref<StoreService.Messages>, leftMs: number) => Promise<T>,
    isNext: (leftMs: number, tries: number) => Promise<boolean>,
  ): Promise<T> {
    const { clock } = this.#system
    const ref = this.#owners.refOf<StoreService.Messages>(index, StoreService.name(this.#instance))
    for (let tries = 1; ; tries++) {
      const leftMs = leftUntil(clock, endsAt)
      try {
        return await ask(ref, leftMs)
      } catch (error) {
        if (!isKeelsonError(error) || !mayRepeat(error)) throw error
        const shard = this.#shards[index]
        if (shard?.phase.kind === 'closed') throw shard.unavailable()
        const restMs = endsAt - clock.monotonic()
        if (restMs <= 0 || this.#owners.isLost(index) || !(await isNext(restMs, tries))) throw error
      }
    }
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
    if (this.#owners.ownerOf(index) === undefined && !this.#owners.isLost(index))
      way?.gate.hold(noOwner)
    else way?.gate.release(noOwner)
  }

  /** A write that waited for an owner in vain says so. */
  #refusal({ index }: WritingShard, refusal: KeelsonError): KeelsonError {
    const isLate = refusal.code === 'NOT_SUBMITTED' && this.#owners.ownerOf(index) === undefined
    return isLate ? ownerless(index, refusal) : refusal
  }
}

const shutAtClose = async (shard: WritingShard, gate: Gate): Promise<void> => {
  while (shard.phase.kind !== 'closed') await shard.changed()
  gate.shut(shard.unavailable())
}
