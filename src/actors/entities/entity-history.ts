/**
 * The turns of a durable actor that took effect, from the log of its shard, which a pin keeps until
 * then. Another thread reads the files of the log; a log in an engine is read through its port. The
 * log begins with the last snapshot, or earlier with `retention.log`.
 */
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import { hiddenText } from '../../redaction.ts'
import {
  entityRow,
  entityRowKey,
  type LoggedTurn,
  type LogHost,
  readEntityRow,
  readMainRow,
  type TurnScan,
  type WantedTurn,
} from '../../storage/index.ts'
import { ownOptions } from '../core/argument-check.ts'
import { cursorAt, fingerprintOf, keyBehind } from '../store/page-cursor.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import { readBody } from '../turns/memory.ts'
import type { Entities } from './entities.ts'
import { orBlocked, shownState, stateInRow } from './entity-listing.ts'
import { type PastTurn, pastTurn } from './past-turns.ts'
import { changesBetween, type StateChange } from './state-changes.ts'

/** Which turns of the past to look at. */
export type PastOptions = {
  /** Goes on before the page that returned this cursor, with the same `atLsn`. */
  readonly before?: string
  /** The most turns of one page; 50 by default, at most 1,000. */
  readonly limit?: number
  /** Only turns up to this LSN: the first one shows the actor as it was then. */
  readonly atLsn?: number
  /** The states as they are stored, also what `formatStatus` and the redaction hide. */
  readonly reveal?: boolean
}

/** One page of the past of a durable actor. */
export type PastPage<S = unknown> = {
  /** The newest first. */
  readonly turns: readonly PastTurn<S>[]
  /**
   * Goes on before this page; absent at the end. A page may have fewer turns than its limit, or
   * none, because it is given after two seconds.
   */
  readonly cursor?: string
  /** The first LSN that the log has. */
  readonly firstLsn: number
  /** The search came to the beginning of the log, and the log has given back earlier turns, or may have. */
  readonly isCut: boolean
}

const optionNames = ['before', 'limit', 'atLsn', 'reveal']
const limitMax = 1_000

/** One page. @throws KeelsonError as `EntityHandle.history` */
export const historyOf = async (
  entities: Entities,
  kind: string,
  id: string,
  options: PastOptions,
): Promise<PastPage> => {
  const own = ownOptions(options, optionNames)
  const { before, limit = 50, atLsn = Number.MAX_SAFE_INTEGER, reveal = false } = own
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > limitMax)
    throw invalidArgument('limit', `a whole number from 1 to ${limitMax}`, limit)
  checkLsn('atLsn', atLsn)
  if (typeof reveal !== 'boolean') throw invalidArgument('reveal', 'a boolean', reveal)
  const { entity } = entities.identity(kind, id)
  const shard = entities.shardOf(entity)
  const fingerprint = fingerprintOf('history', entity, atLsn)
  const from =
    before === undefined ? newestOf(shard, entity) : placeIn(keyBehind(before, fingerprint, place))
  // One more than the page: the last turn is compared with the one before it.
  const scan = await scanned(entities, shard, { entity, wanted: from, atLsn, limit: limit + 1 })
  const isFull = scan.turns.length > limit
  const turns = viewed(entities, { kind, id, reveal }, scan.turns).slice(0, limit)
  const next = isFull ? wantedAfter(scan.turns[limit - 1] as LoggedTurn) : scan.wanted
  const cursor = next && cursorAt(fingerprint, placeText(next))
  const { firstLsn } = scan
  return { turns, firstLsn, isCut: !next && firstLsn > 1, ...(cursor && { cursor }) }
}

/**
 * Checks what `differenceOf` is given, at the member that is called. Returns a copy of the options.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const checkDifference = (
  [lsn, lsn2]: readonly [number, number],
  options: Pick<PastOptions, 'reveal'>,
): Pick<PastOptions, 'reveal'> => {
  checkLsn('lsn', lsn)
  checkLsn('lsn2', lsn2)
  return ownOptions(options, ['reveal'])
}

const checkLsn = (name: string, lsn: unknown): void => {
  if (!Number.isSafeInteger(lsn) || (lsn as number) < 1) throw invalidArgument(name, 'an LSN', lsn)
}

/**
 * The differences of the states of an actor as of two LSNs.
 * @throws KeelsonError as `EntityHandle.diff`
 */
export const differenceOf = async (
  entities: Entities,
  kind: string,
  id: string,
  [lsn, lsn2]: readonly [number, number],
  options: Pick<PastOptions, 'reveal'>,
): Promise<readonly StateChange[]> => {
  const own = checkDifference([lsn, lsn2], options)
  const states: unknown[] = []
  for (const atLsn of [lsn, lsn2]) states.push(await stateAt(entities, kind, id, atLsn, own))
  return changesBetween(states[0], states[1])
}

const stateAt = async (
  entities: Entities,
  kind: string,
  id: string,
  atLsn: number,
  options: Pick<PastOptions, 'reveal'>,
): Promise<unknown> => {
  let before: string | undefined
  do {
    const given = { ...options, atLsn, limit: 1, ...(before && { before }) }
    const { turns, cursor, isCut, firstLsn } = await historyOf(entities, kind, id, given)
    if (turns[0]) return turns[0].state
    if (isCut)
      throw new KeelsonError(
        'BAD_CURSOR',
        `the turn that made the state at LSN ${atLsn} is not in the log: ${cutText(firstLsn)}`,
        { details: { lsn: atLsn, firstLsn } },
      )
    before = cursor
  } while (before !== undefined)
  return undefined
}

/** Why the past ends where it does. */
export const cutText = (firstLsn: number): string =>
  `the log begins at LSN ${firstLsn}; of a log in files, \`retention.log\` keeps more`

/** The turn that the main row is of now. Without one: the turn that removed the last one. */
const newestOf = (shard: ActorShard, entity: string): WantedTurn => {
  const row = shard.view().row(entityRowKey(entity))
  return row
    ? { before: { lsn: Number.MAX_SAFE_INTEGER, unit: 0 }, mark: readEntityRow(row).mark }
    : { before: { lsn: shard.appliedLsn + 1, unit: 0 }, mark: 'removal' }
}

const wantedAfter = ({ lsn, unit, follows }: LoggedTurn): WantedTurn => ({
  before: { lsn, unit },
  mark: follows ?? 'removal',
})

const placeText = ({ before: { lsn, unit }, mark }: WantedTurn): string =>
  `${lsn}:${unit}:${mark === 'removal' ? mark : `${mark.incarnation}:${mark.seq}`}`

const placeForm = /^(\d{1,16}):(\d{1,5}):(?:removal|([\da-f]{16}):(\d{1,16}))$/

const place = (text: unknown): string => {
  if (typeof text === 'string' && placeForm.test(text)) return text
  throw new Error('not a place')
}

const placeIn = (text: string): WantedTurn => {
  const [, lsn, unit, incarnation, seq] = placeForm.exec(text) ?? []
  return {
    before: { lsn: Number(lsn), unit: Number(unit) },
    mark: incarnation === undefined ? 'removal' : { incarnation, seq: Number(seq) },
  }
}

type Search = {
  readonly entity: string
  readonly wanted: WantedTurn
  readonly atLsn: number
  readonly limit: number
}

const scanned = async (
  entities: Entities,
  shard: ActorShard,
  search: Search,
): Promise<TurnScan> => {
  const log = shard.files.log()
  const { appliedLsn } = shard
  const pin = await pinned(log)
  try {
    const { durableLsn, segments } = await log.run('describe', null)
    // Frames that readers see are in the files, also before they are synced.
    const to = Math.max(durableLsn, appliedLsn)
    const last = segments.at(-1)
    const newest = last && { file: last.file, offset: last.usedBytes }
    return await entities.scanTurns({ dir: shard.parts.folders.wal, to, newest, ...search }, log)
  } finally {
    // A log that has ended has no pins.
    await log.run('unpin', { pin }).catch(() => undefined)
  }
}

const pinned = async (log: LogHost): Promise<number> => {
  for (;;) {
    const { firstLsn } = await log.run('state', null)
    try {
      return (await log.run('pin', { from: firstLsn })).pin
    } catch (error) {
      // A release may have removed it since.
      if (!isKeelsonError(error, 'BAD_CURSOR')) throw error
    }
  }
}

type Shown = { readonly kind: string; readonly id: string; readonly reveal: boolean }

/** The turns with their states. Changes are those of the shown states: hidden names stay hidden. */
const viewed = (
  entities: Entities,
  shown: Shown,
  turns: readonly LoggedTurn[],
): readonly PastTurn[] => {
  const states = turns.map((turn) => stateAfter(entities, shown, turn))
  // Without its server nothing of a state is shown, so that nothing can be compared.
  const isShown = shown.reveal || entities.tableOf(shown.kind, shown.id) !== undefined
  return turns.map((turn, at) => {
    const before = turns[at + 1]
    const isKnown = isShown && (before !== undefined || turn.follows === undefined)
    const earlier = turn.follows === undefined ? undefined : states[at + 1]
    const changes = isKnown ? changesBetween(earlier, states[at]) : undefined
    return pastTurn(`${shown.kind}/${shown.id}`, turn, before, states[at], changes)
  })
}

/** The state after a turn, as this program's version has it if it can be used. */
const stateAfter = (
  entities: Entities,
  { kind, id, reveal }: Shown,
  { row }: LoggedTurn,
): unknown => {
  if (row === undefined) return undefined
  return orBlocked(
    () => {
      const state = stateInRow(entities, kind, id, entityRow(row))
      return reveal ? state : shownState(entities, kind, state, id)
    },
    () => {
      const { state } = readBody(readMainRow(row).body)
      return reveal ? state : hiddenText(state)
    },
  )
}
