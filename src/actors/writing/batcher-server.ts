/**
 * The batcher of a shard: lets the writes of a namespace wait for each other, so that they share a frame. A slot is sent to the
 * log when its window is over, when it is full, when the frame before it has settled, or when somebody asks. Nothing waits in
 * a handler, so the mailbox never does; every caller is answered once, whoever dies.
 */
import { KeelsonError } from '../../errors.ts'
import {
  call,
  cast,
  type Fired,
  type From,
  type GenServer,
  noReply,
  ok,
  type Ref,
  type Settled,
  stop as stopWith,
  type Timer,
} from '../../runtime/index.ts'
import { isAlone, unitBytesMax } from '../../storage/index.ts'
import { appendToLog } from '../log/log-append.ts'
import type * as WalWriter from '../log/wal-writer.ts'
import { Arrivals, type BatchedWrite } from '../queue/arrivals.ts'
import { BatchSlot, type SlotFrame, type SlotLimits } from '../queue/batch-slot.ts'
import { PendingAppend } from '../queue/pending-append.ts'
import {
  isCount,
  isIgnored,
  isInstance,
  isRecord,
  isSettled,
  isText,
} from '../shard/payload-check.ts'
import type { Shard } from '../shard/shard.ts'
import { shardName } from '../shard/shard-name.ts'
import { tell } from '../shard/storage-events.ts'

/** What the batcher understands. */
export type Messages = {
  calls: {
    /** Writes for slots; answered when everybody who waits for one was told. */
    write: (arrivals: Arrivals) => void
    /** Answered when all that came before it has settled. */
    flush: () => void
    /** Sends what waits, answers it, ends. */
    stop: () => void
    describe: () => BatcherDescription
  }
  casts: {
    /** Somebody waits behind what is in this slot: it is sent at once. */
    hurry: (namespace: string) => void
  }
  infos: {
    /** A slot's window is over. */
    windowOver: (fired: Fired<string>) => void
    settled: (result: Settled<FrameOutcome>) => void
  }
}

/** The batcher as people look at it. */
export type BatcherDescription = {
  readonly slots: readonly {
    readonly namespace: string
    readonly writes: number
    readonly commands: number
    readonly bytes: number
  }[]
  readonly framesInFlight: number
}

type Slot = {
  readonly queue: BatchSlot
  /** The slot's timer, and when it is due by the monotonic clock. */
  timer: Timer | undefined
  dueAt: number
  /** Frames on their way. */
  inFlight: number
}

type Flight = {
  readonly slot: Slot
  readonly frame: SlotFrame
  readonly sentAt: number
}

type FrameOutcome = {
  readonly number: number
  readonly result: Settled<WalWriter.Applied>
}

type State = {
  readonly shard: Shard
  readonly slots: Map<string, Slot>
  /** By number, in the order in which they were sent. */
  readonly inFlight: Map<number, Flight>
  framesSent: number
  /** Who waits until every frame up to a number has settled. */
  barriers: { readonly upTo: number; readonly from: From<void> }[]
  /** Who waits for its end. */
  stopping: From<void>[]
}

/** The batcher of a shard. */
export const server: GenServer<Messages, State, Shard> = {
  init: (shard) =>
    ok({
      shard,
      slots: new Map(),
      inFlight: new Map(),
      framesSent: 0,
      barriers: [],
      stopping: [],
    }),

  accepts: {
    calls: {
      write: isInstance(Arrivals),
      flush: isIgnored,
      stop: isIgnored,
      describe: isIgnored,
    },
    casts: { hurry: isText },
    infos: {
      windowOver: isRecord({ payload: isText }),
      settled: isSettled(isRecord({ number: isCount, result: isSettled() })),
    },
  },

  calls: {
    write: (state, arrivals, context) => {
      for (const batched of arrivals.take(context.from)) {
        if (state.stopping.length > 0) batched.failed(stopping())
        // Else its caller gave up before it came here.
        else if (batched.write.state === 'queued') enqueue(state, batched, context)
      }
      return noReply(state)
    },
    flush: (state, _, context) => {
      sendAll(state, context)
      state.barriers.push({ upTo: state.framesSent, from: context.from })
      return noReply(answerBarriers(state))
    },
    stop: (state, _, context) => {
      sendAll(state, context)
      state.stopping.push(context.from)
      return endWhenDone(state)
    },
    describe: (state, _, context) => {
      context.from.reply(describing(state))
      return noReply(state)
    },
  },

  casts: {
    hurry: (state, namespace, context) => {
      const slot = state.slots.get(namespace)
      if (slot) sendSlot(state, slot, context)
      return noReply(state)
    },
  },

  infos: {
    windowOver: (state, { timer, payload: namespace }, context) => {
      const slot = state.slots.get(namespace)
      // A message of a timer that was set anew, or of a slot that has gone meanwhile, says nothing about this one.
      if (!slot || slot.timer !== timer) return noReply(state)
      slot.timer = undefined
      // Behind a frame in flight it goes as soon as that has settled.
      if (slot.inFlight === 0) sendSlot(state, slot, context)
      return noReply(state)
    },
    settled: (state, settled, context) => {
      if (!settled.ok) throw settled.error
      settle(state, settled.value, context)
      return state.stopping.length > 0 ? endWhenDone(state) : noReply(answerBarriers(state))
    },
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['settled']>[2]

/** The name of a shard's batcher; prints as `batcher(0)`. */
export const name = shardName<Messages>('batcher')

/** Puts writes into their slots. Resolves when all have been told; their deadlines are their own. @throws KeelsonError `NO_PROCESS`, `EXITED`, `MAILBOX_FULL` */
export const write = (batcher: Ref<Messages>, arrivals: Arrivals): Promise<void> =>
  call(batcher, 'write', arrivals, { timeoutMs: Number.POSITIVE_INFINITY })

/** Sends a namespace's slot at once. */
export const hurry = (batcher: Ref<Messages>, namespace: string): void => {
  cast(batcher, 'hurry', namespace)
}

/** Resolves when every write that came before has settled, whatever came after. Sends what waits. @throws KeelsonError `NO_PROCESS`, `EXITED`, `TIMEOUT` */
export const flush = (batcher: Ref<Messages>, timeoutMs: number): Promise<void> =>
  call(batcher, 'flush', undefined, { timeoutMs })

/**
 * Sends and answers what waits, then ends it; its supervisor starts an empty one. What comes meanwhile is `NOT_SUBMITTED`.
 * @throws KeelsonError `NO_PROCESS`, `EXITED`, `TIMEOUT`
 */
export const stop = (batcher: Ref<Messages>, timeoutMs: number): Promise<void> =>
  call(batcher, 'stop', undefined, { timeoutMs })

/** How the slots stand. */
export const describe = (batcher: Ref<Messages>): Promise<BatcherDescription> =>
  call(batcher, 'describe')

const enqueue = (state: State, batched: BatchedWrite, context: Context): void => {
  const { write, windowMs } = batched
  const slot = slotOf(state, batched.slot)
  const { queue } = slot
  if (!queue.fits(write)) {
    if (write.whenFull === 'refuse') {
      batched.failed(full(queue))
      return
    }
    // What waits fills a frame already: it need not wait for a window any more.
    if (slot.inFlight === 0) sendSlot(state, slot, context)
  }
  batched.at = context.system.clock.monotonic()
  queue.push(batched)
  if (windowMs === 0) sendSlot(state, slot, context)
  else if (slot.inFlight > 0) return
  else if (queue.isFull) sendSlot(state, slot, context)
  else arm(slot, windowMs, context)
}

const slotOf = (state: State, namespace: string): Slot => {
  const found = state.slots.get(namespace)
  if (found) return found
  const queue = new BatchSlot(namespace, limitsOf(state.shard))
  const slot: Slot = { queue, timer: undefined, dueAt: Number.POSITIVE_INFINITY, inFlight: 0 }
  state.slots.set(namespace, slot)
  return slot
}

/** A frame has to fit the log whatever the options say; its head takes a few bytes as well. */
const limitsOf = ({ parts: { settings }, files }: Shard): SlotLimits => ({
  commandsMax: settings.batcher.maxCommands,
  bytesMax: Math.min(settings.batcher.maxBytes, unitBytesMax(files.parts.logOptions) - 16),
})

/** One timer a slot, set once: a later write moves it only when its own window ends before. */
const arm = (slot: Slot, windowMs: number, context: Context): void => {
  const dueAt = context.system.clock.monotonic() + windowMs
  if (slot.timer && slot.dueAt <= dueAt) return
  if (slot.timer) context.cancelTimer(slot.timer)
  slot.dueAt = dueAt
  slot.timer = context.startTimer(windowMs, 'windowOver', slot.queue.namespace)
}

const disarm = (slot: Slot, context: Context): void => {
  if (slot.timer) context.cancelTimer(slot.timer)
  slot.timer = undefined
  slot.dueAt = Number.POSITIVE_INFINITY
}

const sendAll = (state: State, context: Context): void => {
  for (const slot of [...state.slots.values()]) sendSlot(state, slot, context)
}

/** Sends everything that waits in a slot, as frames within the bounds. A slot that has nothing any more is forgotten. */
const sendSlot = (state: State, slot: Slot, context: Context): void => {
  disarm(slot, context)
  for (const frame of slot.queue.take()) sendFrame(state, slot, frame, context)
  if (slot.inFlight === 0) state.slots.delete(slot.queue.namespace)
}

const sendFrame = (state: State, slot: Slot, frame: Flight['frame'], context: Context): void => {
  const { shard } = state
  const { units, length } = frame
  const sentAt = context.system.clock.monotonic()
  const number = ++state.framesSent
  // When the last caller has given up nobody is left who would want it written.
  const endsAt = frame.members.reduce((last, { write }) => Math.max(last, write.endsAt), 0)
  const pending = new PendingAppend({ shard: shard.index, units, length, endsAt })
  appendToLog(context.system, shard, pending)
  state.inFlight.set(number, { slot, frame, sentAt })
  slot.inFlight++
  for (const member of frame.members) member.queued()
  context.pipe(
    pending.ended.then(
      (value): FrameOutcome => ({ number, result: { ok: true, value } }),
      (error: unknown): FrameOutcome => ({ number, result: { ok: false, error } }),
    ),
    'settled',
  )
}

/** A frame has settled: its callers are answered, and its slot goes on. */
const settle = (state: State, { number, result }: FrameOutcome, context: Context): void => {
  const flight = state.inFlight.get(number)
  if (!flight) return
  state.inFlight.delete(number)
  const { slot, frame } = flight
  slot.inFlight--
  if (result.ok) answer(frame, result.value)
  else for (const member of frame.members) member.failed(result.error)
  if (slot.inFlight === 0) sendSlot(state, slot, context)
  const queuedAt = frame.members[0]?.at ?? flight.sentAt
  tell(context.system, state.shard, 'batcher.flushed', {
    namespace: slot.queue.namespace,
    writes: frame.members.length,
    commands: frame.commands,
    bytes: frame.length,
    queuedMs: flight.sentAt - queuedAt,
    result: result.ok ? 'ok' : codeOf(result.error),
  })
}

const codeOf = (error: unknown): string => (error instanceof KeelsonError ? error.code : 'failed')

/** Each caller gets the answers of its own units. */
const answer = (frame: Flight['frame'], { position, answer: answers }: WalWriter.Applied): void => {
  let at = 0
  for (const member of frame.members) {
    const { units } = member.write
    const end = at + (isAlone(units) ? 1 : units.length)
    member.applied(position.lsn, answers.slice(at, end))
    at = end
  }
}

/** Barriers are by number: a steady stream of new frames holds nobody up. */
const answerBarriers = (state: State): State => {
  if (state.barriers.length === 0) return state
  const [oldest = Number.POSITIVE_INFINITY] = state.inFlight.keys()
  const open = state.barriers.filter(({ upTo }) => upTo >= oldest)
  for (const { upTo, from } of state.barriers) if (upTo < oldest) from.reply(undefined)
  state.barriers = open
  return state
}

const endWhenDone = (state: State) => {
  answerBarriers(state)
  if (state.inFlight.size > 0) return noReply(state)
  for (const from of state.stopping) from.reply(undefined)
  return stopWith('normal', state)
}

const describing = ({ slots, inFlight }: State): BatcherDescription => ({
  slots: [...slots].map(([namespace, { queue }]) => ({ namespace, ...queue.load })),
  framesInFlight: inFlight.size,
})

const full = (queue: BatchSlot): KeelsonError =>
  new KeelsonError('BUSY', 'The namespace takes no more writes until its frame is on the disk.', {
    details: { namespace: queue.namespace, ...queue.load },
  })

const stopping = (): KeelsonError =>
  new KeelsonError('NOT_SUBMITTED', 'The batcher is stopping: it is safe to repeat the write.')
