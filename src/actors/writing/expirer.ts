/**
 * Removes expired rows: values, compound keys with their fields, locks; and the messages of streams
 * that are older than their stream keeps them. An expired row is absent
 * for every reader at once, so its removal has time. The expirer walks through the rows in small
 * steps, each in a turn that it shares with those of other shards, and removes with a command in the
 * log that enters the gate like any other write. Between walks it rests until the next row expires.
 * It also removes the rows that durable actors kept in births that have ended, and those of streams
 * that were deleted.
 */
import { utf8Length } from '../../bytes/utf8.ts'
import {
  type GenServer,
  noReply,
  ok,
  type Settled,
  type System,
  send,
  type Timer,
} from '../../runtime/index.ts'
import {
  birthKeyOf,
  birthRows,
  compareKeys,
  firstUserKey,
  lockRowKey,
  lockRows,
  type ProjectionStore,
  parseRemoval,
  type Removal,
  type Row,
  type RowRange,
  removalAt,
  removalRows,
  streamHeads,
  streamNameIn,
  streamOwner,
  type Unit,
  type UnitAnswer,
} from '../../storage/index.ts'
import { isIgnored, isList, isRecord, isSettled } from '../core/payload-check.ts'
import type { ReadView } from '../core/read-view.ts'
import { shardName } from '../core/shard-name.ts'
import { emit } from '../core/storage-events.ts'
import { type Submitted, submit } from './write-path.ts'
import type { WritingShard } from './writing-shard.ts'

/** The messages of the expirer. */
export type Messages = {
  calls: Record<never, never>
  casts: Record<never, never>
  infos: {
    /** Takes a turn for the next step. */
    walk: () => void
    /** The turn has come: continues the walk, or begins one. */
    step: () => void
    /** A row expires sooner than all known rows. */
    sooner: () => void
    removed: (result: Settled<Submitted>) => void
    /** A birth of a durable actor may have ended. */
    ended: () => void
    rowsRemoved: (result: Settled<void>) => void
  }
  continues: { begin: () => void }
}

/** A walk through the rows. */
type Walk = {
  /** The last row seen. */
  readonly behind: string
  /** The soonest expiry of the rows seen that have not expired. */
  readonly soonest: number
}

type State = {
  readonly shard: WritingShard
  /** `undefined` at rest. */
  walk: Walk | undefined
  /** Where the walk continues when the rows of this step are removed; `undefined`: at its end. */
  next: Walk | undefined
  /** The end of a rest. */
  timer: Timer | undefined
  /** A turn was taken for a step. */
  hasTurn: boolean
  /** Rows of ended births are being removed. */
  isRemoving: boolean
}

/** The bounds of one step: its cost for the event loop, and a command that fits any log. */
const rowsMax = 1_000
const valueBytesMax = 1024 * 1024
const keyBytesMax = 32 * 1024

/** The least pause between a walk and the next. */
const restMs = 1_000

/** A key before every row that may expire. */
const beginning = lockRows.gt

/** The expirer of a shard. */
export const server: GenServer<Messages, State, WritingShard> = {
  init: (shard) =>
    ok(
      {
        shard,
        walk: undefined,
        next: undefined,
        timer: undefined,
        hasTurn: false,
        isRemoving: false,
      },
      { continue: ['begin'] },
    ),

  continues: {
    begin: (state, _, context) => {
      state.shard.expiry.listen(() => send(context.self, 'sooner'))
      state.shard.removals.listen(() => send(context.self, 'ended'))
      context.sendAfter(restMs, 'ended').unref()
      // Rows that were written before this process began are not known yet.
      return noReply(arm(state, restMs, context))
    },
  },

  accepts: {
    calls: {},
    casts: {},
    infos: {
      walk: isIgnored,
      step: isIgnored,
      sooner: isIgnored,
      removed: isSettled(isRecord({ answers: isList })),
      ended: isIgnored,
      rowsRemoved: isSettled(isIgnored),
    },
  },

  calls: {},
  casts: {},

  infos: {
    walk: (state, _, context) => {
      state.timer = undefined
      return noReply(takeTurn(state, context))
    },
    step: (state, _, context) => {
      state.hasTurn = false
      return noReply(step(state, context))
    },
    sooner: (state, _, context) => noReply(isWalking(state) ? state : rest(state, context)),
    removed: (state, result, context) => {
      if (!result.ok) {
        // The shard is held, full or going down: this step is retried later.
        state.next = undefined
        return noReply(arm(state, restMs, context))
      }
      const keys = result.value.answers.reduce((sum, answer) => sum + removedBy(answer), 0)
      emit(context.system, state.shard, 'expiry.removed', { keys })
      return noReply(advance(state, context))
    },
    ended: (state, _, context) => {
      const { shard } = state
      if (state.isRemoving) return noReply(state)
      state.isRemoving = true
      context.pipe(removeEndedRows(context.system, shard, context.signal), 'rowsRemoved')
      return noReply(state)
    },
    rowsRemoved: (state, result, context) => {
      const { shard } = state
      state.isRemoving = false
      if (!result.ok || shard.phase.kind !== 'open') context.sendAfter(restMs, 'ended').unref()
      else if (shard.removals.soonest === 0) send(context.self, 'ended')
      return noReply(state)
    },
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['step']>[2]

/** The name of a shard's expirer; prints as `expirer(0)`. */
export const name = shardName<Messages>('expirer')

const arm = (state: State, ms: number, context: Context): State => {
  state.timer ??= context.sendAfter(Math.ceil(ms), 'walk').unref()
  return state
}

const takeTurn = (state: State, context: Context): State => {
  if (state.hasTurn) return state
  state.hasTurn = true
  context.sendAfter(Math.ceil(state.shard.parts.walks.take()), 'step').unref()
  return state
}

const isWalking = ({ walk, next, hasTurn }: State): boolean =>
  hasTurn || walk !== undefined || next !== undefined

/** Rests until the next row expires; without one, until one is noted. */
const rest = (state: State, context: Context): State => {
  const { expiry } = state.shard
  if (state.timer) context.cancelTimer(state.timer)
  state.timer = undefined
  if (expiry.soonest === Number.POSITIVE_INFINITY) return state
  return arm(state, Math.max(restMs, expiry.soonest - state.shard.now()), context)
}

const step = (state: State, context: Context): State => {
  const { shard } = state
  if (shard.phase.kind !== 'open') return arm(state, restMs, context)
  const view = shard.view()
  if (!state.walk) shard.expiry.begin(view.layers.overlay.soonest)
  state.walk ??= { behind: beginning, soonest: Number.POSITIVE_INFINITY }
  const { walk } = state
  const found = shard.parts.walks.walk(() => look(view, walk, shard.now()))
  const { keys, streams, behind, soonest, isEnd } = found
  state.walk = { ...walk, soonest }
  state.next = isEnd ? undefined : { behind, soonest }
  if (keys.length === 0 && streams.length === 0) return advance(state, context)
  const options = {
    ack: 'applied',
    deadlineMs: shard.parts.settings.deadlineMs,
    whenFull: 'refuse',
    windowMs: 0,
  } as const
  const parts = streams.map((owner) => ({ owner, act: 'expire' }) as const)
  const units: Unit[] = []
  if (keys.length > 0) units.push({ kind: 'removeExpired', keys })
  if (parts.length > 0) units.push({ kind: 'streams', parts })
  context.pipe(submit(context.system, shard, { units, options }), 'removed')
  return state
}

/** How many expired keys and streams a unit has removed. */
const removedBy = (answer: UnitAnswer): number => {
  if (answer.kind === 'removeExpired') return answer.removed
  if (answer.kind !== 'streams') return 0
  return answer.answers.filter((each) => each.kind === 'removed' && each.existed).length
}

/** The rows of the step are removed: the walk continues, or rests at its end. */
const advance = (state: State, context: Context): State => {
  const { walk, next } = state
  state.walk = next
  state.next = undefined
  if (next) return takeTurn(state, context)
  state.shard.expiry.note(walk?.soonest ?? Number.POSITIVE_INFINITY)
  return rest(state, context)
}

/** The result of one step: the keys and streams with expired rows, and where the step stopped. */
type Look = Walk & {
  readonly keys: readonly string[]
  readonly streams: readonly string[]
  readonly isEnd: boolean
}

/**
 * Walks through the projection's rows only: sorting the overlay's rows would cost more than the
 * walk. A row of the overlay is met after its projection.
 */
const look = (view: ReadView, walk: Walk, now: number): Look => {
  const keys = new Set<string>()
  const streams: string[] = []
  let { behind, soonest } = walk
  let rows = 0
  let valueBytes = 0
  let keyBytes = 0
  for (const [rowKey, row] of expiringRows(view.layers.projection, behind)) {
    if (rows >= rowsMax || valueBytes >= valueBytesMax || keyBytes >= keyBytesMax)
      return { keys: [...keys], streams, behind, soonest, isEnd: false }
    behind = rowKey
    rows++
    valueBytes += row.value.bytes.length
    const at = removalAt(row)
    if (at === 0) continue
    if (at > now) soonest = Math.min(soonest, at)
    else if (isStillThere(view, rowKey, now)) {
      if (rowKey.startsWith(headPrefix)) streams.push(streamOwner(streamNameIn(rowKey)))
      else keys.add(userKeyOf(rowKey))
      keyBytes += utf8Length(rowKey)
    }
  }
  return { keys: [...keys], streams, behind, soonest, isEnd: true }
}

/** The rows after a key that may expire: locks, then streams, then users' keys. */
function* expiringRows(
  projection: ProjectionStore,
  behind: string,
): IterableIterator<readonly [rowKey: string, row: Row]> {
  if (behind < headPrefix) yield* projection.range({ ...lockRows, gt: behind })
  if (behind < firstUserKey) yield* projection.range(restOf(heads, behind))
  yield* projection.range(behind < firstUserKey ? { gte: firstUserKey } : { gt: behind })
}

/** The heads of all streams by themselves. */
const heads = streamHeads('')
const headPrefix = heads.gte ?? ''

/** Whether the row was neither written nor removed since it was projected. */
const isStillThere = ({ layers }: ReadView, rowKey: string, now: number): boolean => {
  const newer = layers.overlay.get(rowKey)
  if (!newer) return newer === undefined
  const at = removalAt(newer)
  return at !== 0 && at <= now
}

const lockPrefix = lockRowKey('')

const userKeyOf = (rowKey: string): string =>
  rowKey.startsWith(lockPrefix) ? rowKey.slice(lockPrefix.length) : rowKey

/** The bounds of one piece: a few ms of the event loop, and a frame that fits any log. */
const keysMax = 250
const unitsMax = 100

/** The pieces of which one waits for the projection. They bound what the overlay takes. */
const piecesUnprojected = 32

/** Where the removal goes on: after an ended birth, or within it after the row of a key. */
type Place = { readonly removal: string; readonly key: string | undefined }

/**
 * Removes the rows of all births that have ended by now.
 * @throws KeelsonError as every write: what is left is removed by another call
 */
const removeEndedRows = async (
  system: System,
  shard: WritingShard,
  signal: AbortSignal,
): Promise<void> => {
  shard.removals.begin(Number.POSITIVE_INFINITY)
  const { deadlineMs } = shard.parts.settings
  let place: Place | undefined
  for (let pieces = 1; !signal.aborted && shard.phase.kind === 'open'; pieces++) {
    const { units, next } = piece(shard, place)
    if (units.length === 0) break
    const ack = pieces % piecesUnprojected === 0 ? 'projected' : 'applied'
    const options = { ack, deadlineMs, whenFull: 'wait', windowMs: 0 } as const
    await submit(system, shard, { units, options })
    place = next
    const rows = units.reduce((sum, { keys }) => sum + keys.length, 0)
    emit(system, shard, 'entity.rowsRemoved', { rows })
  }
}

/** The next piece after a place. */
const piece = (shard: WritingShard, from: Place | undefined): { units: Removal[]; next: Place } => {
  const units: Removal[] = []
  let next: Place = from ?? { removal: removalRows.gt, key: undefined }
  let [keysLeft, keyBytesLeft, valueBytesLeft] = [keysMax, keyBytesMax, valueBytesMax]
  const isFull = (): boolean => keysLeft <= 0 || keyBytesLeft <= 0 || valueBytesLeft <= 0
  for (const [removal] of shard.view().rows(ended(next))) {
    const { entity, birth } = parseRemoval(removal)
    const keys: string[] = []
    const after = next.removal === removal ? next.key : undefined
    for (const range of birthRows(entity, birth)) {
      if (isFull()) break
      for (const [rowKey, { value }] of shard.view().rows(restOf(range, after))) {
        keys.push(birthKeyOf(entity, rowKey))
        next = { removal, key: rowKey }
        keysLeft--
        keyBytesLeft -= utf8Length(rowKey)
        valueBytesLeft -= value.bytes.length
        if (isFull()) break
      }
    }
    const isLast = !isFull()
    units.push({ kind: 'removal', entity, birth, keys, isLast })
    if (isLast) next = { removal, key: undefined }
    if (!isLast || units.length === unitsMax) break
  }
  return { units, next }
}

/** The rows of a range after a row; no row if the range is before that. */
const restOf = (range: RowRange, after: string | undefined): RowRange => {
  if (after === undefined || compareKeys(after, range.gte ?? range.gt ?? '') < 0) return range
  return { gt: after, ...(range.lt && { lt: range.lt }) }
}

/** The rows of ended births from a place on. */
const ended = ({ removal, key }: Place): RowRange => {
  const { lt } = removalRows
  return { ...(key === undefined ? { gt: removal } : { gte: removal }), ...(lt && { lt }) }
}
