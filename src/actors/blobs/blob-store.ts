/**
 * The blob store of a shard: the only actor that writes blob files. Payloads that arrive while a
 * put is on its way to the disk share the next sync. The folder is opened when it is first needed,
 * so a shard without large values has no folder and no thread. A disk error fails the caller, not
 * this actor. The store sweeps every `blobs.sweepMs`.
 */

import { types } from 'node:util'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  call,
  type From,
  type GenServer,
  noReply,
  ok,
  type Ref,
  reply,
  type Settled,
} from '../../runtime/index.ts'
import type {
  BlobHost,
  BlobProtocol,
  BlobRef,
  BlobRequestKind,
  Extent,
} from '../../storage/index.ts'
import { answerWith } from '../core/answering.ts'
import {
  isCount,
  isIgnored,
  isInstance,
  isListOf,
  isOneOf,
  isOptional,
  isRecord,
  isSettled,
} from '../core/payload-check.ts'
import { shardName } from '../core/shard-name.ts'
import { emit } from '../core/storage-events.ts'
import { BlobPin } from './blob-pins.ts'
import type { BlobShard } from './blob-shard.ts'
import { type SweepReport, sweepBlobs } from './blob-sweep.ts'

/** The requests of streams. Each stream has one request at a time. */
const streamKinds = [
  'streamOpen',
  'streamWrite',
  'streamFinish',
  'streamAbort',
  'readOpen',
  'readNext',
  'readClose',
] as const satisfies readonly BlobRequestKind[]

type StreamKind = (typeof streamKinds)[number]

type StreamRequest = {
  [K in StreamKind]: { readonly kind: K; readonly request: BlobProtocol[K]['request'] }
}[StreamKind]

export type { SweepReport } from './blob-sweep.ts'

/** The messages of the blob store. */
export type Messages = {
  calls: {
    /**
     * Makes payloads durable, and pins them before it answers. Payloads are handed over. A caller
     * whose store died asks the next one with the same pin.
     */
    put: (request: { payloads: readonly Uint8Array[]; pin: BlobPin }) => readonly BlobRef[]
    /** A step of a stream. `pin` keeps the blob that the stream ends with. */
    stream: (request: { step: StreamRequest; pin?: BlobPin }) => unknown
    /** Sweeps now. A call during a sweep waits for the next one. */
    sweep: () => SweepReport
    describe: () => BlobStoreDescription
  }
  infos: {
    stored: (stored: Settled<undefined>) => void
    sweepDue: () => void
    swept: (report: Settled<SweepReport>) => void
  }
}

/** The state of the blob store, for `describe`. */
export type BlobStoreDescription = {
  readonly isOpen: boolean
  readonly queued: number
  readonly pinned: number
  readonly lastSweep: SweepReport | undefined
  readonly lastFailure: string | undefined
}

type Put = {
  readonly payloads: readonly Uint8Array[]
  readonly pin: BlobPin
  readonly from: From<readonly BlobRef[]>
}

type State = {
  readonly shard: BlobShard
  /** The folder, from its first use on. */
  host: Promise<BlobHost> | undefined
  isOpen: boolean
  queue: Put[]
  /** The puts whose payloads are on their way to the disk, and the number of their groups. */
  inFlight: number
  groups: number
  readonly cleared: Map<number, readonly Extent[]>
  /** The callers of the present sweep, and of the next one. */
  sweeping: readonly From<SweepReport>[] | undefined
  nextSweep: From<SweepReport>[]
  lastSweep: SweepReport | undefined
  lastFailure: string | undefined
  sweepArmed: boolean
}

/** The bytes of payloads that share a sync. One put may be larger. */
const groupBytesMax = 8 * 1024 * 1024

/**
 * A second group is submitted while the first is written, so that the disk does not wait for this
 * actor and its callers.
 */
const groupsMax = 2

/** The blob store of a shard. */
export const server: GenServer<Messages, State, BlobShard> = {
  init: (shard, context) => {
    shard.blobs.onDamage = (evidence) => emit(context.system, shard, 'blobs.corrupt', { evidence })
    const state = initialState(shard)
    if (shard.blobs.parts.isCache || shard.blobs.hasFolder()) armSweep(state, context)
    return ok(state)
  },

  accepts: {
    calls: {
      put: isRecord({ payloads: isListOf(types.isUint8Array), pin: isInstance(BlobPin) }),
      stream: isRecord({
        step: isRecord({ kind: isOneOf(...streamKinds) }),
        pin: isOptional(isInstance(BlobPin)),
      }),
      sweep: isIgnored,
      describe: isIgnored,
    },
    casts: {},
    infos: {
      stored: isSettled(),
      sweepDue: isIgnored,
      swept: isSettled(isRecord({ freedBytes: isCount })),
    },
  },

  calls: {
    put: (state, { payloads, pin }, context) => {
      const { from } = context
      if (!pin.stored) state.queue.push({ payloads, pin, from })
      // The store before this one had handed them to the files.
      else void answerWith(from, pin.stored)
      return noReply(submit(state, context))
    },
    stream: (state, { step, pin }, context) => {
      // Outside the mailbox: the host keeps the order of each stream, and no put waits for it.
      void answerWith(context.from, carryOut(state, step, pin, context))
      return noReply(state)
    },
    sweep: (state, _, context) => {
      state.nextSweep.push(context.from)
      return noReply(beginSweep(state, context))
    },
    describe: (state) =>
      reply(
        {
          isOpen: state.isOpen,
          queued: state.queue.length + state.inFlight,
          pinned: state.shard.blobs.pins.size,
          lastSweep: state.lastSweep,
          lastFailure: state.lastFailure,
        },
        state,
      ),
  },

  casts: {},

  infos: {
    stored: (state, _, context) => noReply(submit(state, context)),
    sweepDue: (state, _, context) => {
      state.sweepArmed = false
      armSweep(state, context)
      return noReply(beginSweep(state, context))
    },
    swept: (state, report, context) => {
      for (const from of state.sweeping ?? [])
        if (report.ok) from.reply(report.value)
        else from.fail(report.error)
      state.sweeping = undefined
      if (report.ok) {
        state.lastSweep = report.value
        state.lastFailure = undefined
        emit(context.system, state.shard, 'blobs.swept', report.value)
      } else {
        state.lastFailure = String(report.error)
        // An end of the instance or of the shard cuts a sweep off; the next start sweeps again.
        if (!state.shard.isStill)
          context.system.logger.warn(
            `the blob sweep of shard ${state.shard.index} failed: ${report.error}`,
          )
      }
      return noReply(state.nextSweep.length > 0 ? beginSweep(state, context) : state)
    },
  },

  terminate: async (state) => {
    await state.shard.blobs.end()
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['stored']>[2]

/** The name of a shard's blob store; prints as `blob_store(0)`. */
export const name = shardName<Messages>('blob_store')

/**
 * Makes payloads durable and returns their references in order. `pin` keeps them from then on.
 * Payloads are handed over.
 * @throws KeelsonError `TOO_LARGE`, `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN`; `EXITED`, `NO_PROCESS`,
 * `TIMEOUT`: no row or frame refers to the payloads
 */
export const put = (
  store: Ref<Messages>,
  payloads: readonly Uint8Array[],
  pin: BlobPin,
  timeoutMs: number,
): Promise<readonly BlobRef[]> => call(store, 'put', { payloads, pin }, { timeoutMs })

/**
 * A step of a stream in either direction, as `BlobProtocol` defines it.
 * @throws as `BlobProtocol` says; `EXITED`, `NO_PROCESS` if the store has ended
 */
export const stream = async <K extends StreamKind>(
  store: Ref<Messages>,
  kind: K,
  request: BlobProtocol[K]['request'],
  pin?: BlobPin,
): Promise<BlobProtocol[K]['answer']> => {
  const step = { kind, request } as StreamRequest
  const asked = pin ? { step, pin } : { step }
  // The answer is of the same kind as the step.
  return (await call(store, 'stream', asked, {
    timeoutMs: Number.POSITIVE_INFINITY,
  })) as BlobProtocol[K]['answer']
}

/**
 * Sweeps now, and resolves with the report.
 * @throws KeelsonError if the sweep failed: no blob in use was touched
 */
export const sweep = (
  store: Ref<Messages>,
  timeoutMs: number = Number.POSITIVE_INFINITY,
): Promise<SweepReport> => call(store, 'sweep', undefined, { timeoutMs })

/** Describes the store. */
export const describe = (store: Ref<Messages>): Promise<BlobStoreDescription> =>
  call(store, 'describe')

const initialState = (shard: BlobShard): State => ({
  shard,
  host: undefined,
  isOpen: false,
  queue: [],
  inFlight: 0,
  groups: 0,
  cleared: new Map(),
  sweeping: undefined,
  nextSweep: [],
  lastSweep: undefined,
  lastFailure: undefined,
  sweepArmed: false,
})

/**
 * Opens the folder on first use. If that fails, or the thread of the files dies, the next use opens
 * it again.
 */
const hostOf = (state: State, context: Context): Promise<BlobHost> => {
  armSweep(state, context)
  if (state.host) return state.host
  const opening = state.shard.blobs.lease(context.signal).then(
    (host) => {
      state.isOpen = true
      void host.died?.then(() => closed(state, opening))
      return host
    },
    (error) => {
      closed(state, opening)
      throw error
    },
  )
  state.host = opening
  return opening
}

/** The files of this opening are closed, and perhaps there is another one since. */
const closed = (state: State, opening: Promise<BlobHost>): void => {
  if (state.host !== opening) return
  state.host = undefined
  state.isOpen = false
}

/** Submits the next groups, up to `groupsMax` in flight. */
const submit = (state: State, context: Context): State => {
  while (state.groups < groupsMax && state.queue.length > 0) {
    const puts = takeGroup(state.queue)
    state.groups += 1
    state.inFlight += puts.length
    context.pipe(settling(state, puts, context), 'stored')
  }
  return state
}

/** Answers outside the mailbox, as with streams: the host keeps the order of the groups. */
const settling = async (
  state: State,
  puts: readonly Put[],
  context: Context,
): Promise<undefined> => {
  try {
    const stored = await storing(state, puts, context)
    puts.forEach(({ from }, at) => {
      from.reply(stored[at] ?? [])
    })
    const sizes = stored.flat().map(({ size }) => size)
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    state.shard.snapshots.blobsGrew(bytes)
    emit(context.system, state.shard, 'blobs.stored', { blobs: sizes.length, bytes })
  } catch (error) {
    if (isKeelsonError(error)) state.shard.snapshots.refused(error)
    for (const { from } of puts) from.fail(error)
  } finally {
    state.groups -= 1
    state.inFlight -= puts.length
  }
}

const takeGroup = (queue: Put[]): Put[] => {
  let bytes = 0
  let count = 0
  for (const { payloads } of queue) {
    bytes += payloads.reduce((sum, { length }) => sum + length, 0)
    if (count > 0 && bytes > groupBytesMax) break
    count++
  }
  return queue.splice(0, count)
}

/** The references of each put, in order. */
const storing = async (
  state: State,
  puts: readonly Put[],
  context: Context,
): Promise<readonly (readonly BlobRef[])[]> => {
  const host = await hostOf(state, context)
  // The callers have their payloads still, and give them to the next store.
  if (context.signal.aborted) throw new KeelsonError('EXITED', 'the blob store has ended')
  const payloads = puts.flatMap((each) => each.payloads)
  const stored = state.shard.blobs.put(host, payloads)
  let end = 0
  return Promise.all(
    puts.map(({ payloads: { length }, pin }) => {
      end += length
      pin.stored = storedFor(pin, stored, end - length, end)
      return pin.stored
    }),
  )
}

const storedFor = async (
  pin: BlobPin,
  stored: Promise<readonly BlobRef[]>,
  from: number,
  to: number,
): Promise<readonly BlobRef[]> => {
  const own = (await stored).slice(from, to)
  pin.add(own)
  return own
}

const carryOut = async (
  state: State,
  { kind, request }: StreamRequest,
  pin: BlobPin | undefined,
  context: Context,
): Promise<unknown> => {
  const host = await hostOf(state, context)
  const answer = await host.run(kind, request).catch((error) => {
    if (isKeelsonError(error, 'CORRUPT')) state.shard.blobs.onDamage(error.details)
    throw error
  })
  if (answer && 'ref' in answer) {
    state.shard.blobs.born([answer.ref])
    pin?.add([answer.ref])
    state.shard.snapshots.blobsGrew(answer.ref.size)
    emit(context.system, state.shard, 'blobs.stored', { blobs: 1, bytes: answer.ref.size })
  }
  return answer
}

/** Starts the sweep timer, once there may be blobs. A shard without blobs has no timer. */
const armSweep = (state: State, context: Pick<Context, 'sendAfter'>): void => {
  const { sweepMs } = state.shard.blobs.parts.settings
  if (state.sweepArmed || sweepMs === 0) return
  state.sweepArmed = true
  context.sendAfter(sweepMs, 'sweepDue').unref()
}

/** Begins a sweep, unless one runs. Its report answers every call so far. */
const beginSweep = (state: State, context: Context): State => {
  if (state.sweeping) return state
  state.sweeping = state.nextSweep
  state.nextSweep = []
  context.pipe(sweeping(state, context), 'swept')
  return state
}

const sweeping = async (state: State, context: Context): Promise<SweepReport> => {
  const { shard, cleared } = state
  if (!state.isOpen && !shard.blobs.hasFolder()) return { segments: 0, cleared: 0, freedBytes: 0 }
  const host = await hostOf(state, context)
  return sweepBlobs({ shard, host, cleared, signal: context.signal })
}
