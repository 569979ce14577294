/**
 * Searches a log for the turns of one durable actor, part by part from the end. A frame is decoded
 * only if its bytes have the name of the actor. Changes nothing. In files it reads the segments; a
 * log without files is read through its port, stretch by stretch.
 */
import { viewedBytes } from '../../bytes/u64.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { OwnChange, Turn } from '../commands/command.ts'
import { decodeFrame } from '../commands/command-decoding.ts'
import { namedKeys } from '../commands/command-values.ts'
import { groupFlag, readFrameHeader, roundUp } from '../frames/frame.ts'
import { type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { type DataTaker, dataFrames, walkingFrames } from '../frames/frame-walk.ts'
import { corruption } from '../frames/log-errors.ts'
import type { SegmentHeader } from '../frames/segment-header.ts'
import { closing, type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import type { LogHost } from '../ports/log-host.ts'
import type { StoredValue } from '../ports/projection-store.ts'
import { soundSurvey } from '../segments/log-survey.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { readMainRow, type TurnMark } from '../values/entity-row.ts'
import { decodeCause } from '../values/turn-cause.ts'
import type {
  LoggedTurn,
  TurnScan,
  TurnScannerFactory,
  TurnScanRequest,
  UnitPlace,
  WantedTurn,
} from './logged-turn.ts'

/**
 * Searches, and yields the bytes that it read. It ends after the part of a segment during which
 * `isLate` becomes true.
 * @throws KeelsonError as `TurnScanner`; DiskError
 */
export function* scanningTurns(
  disk: Disk,
  { dir, to, newest, entity, atLsn, limit, ...request }: TurnScanRequest,
  isLate: () => boolean,
  partBytes = usualPartBytes,
): Generator<number, TurnScan> {
  const { segments } = soundSurvey(disk, dir)
  const firstLsn = segments[0]?.header.baseLsn
  if (firstLsn === undefined)
    throw new KeelsonError('NO_SEGMENTS', `there is no log in ${dir}`, { details: { dir } })
  const turns: LoggedTurn[] = []
  let { wanted } = request
  for (let at = segments.length - 1; at >= 0; at--) {
    const segment = segments[at] as SegmentEntry
    const { baseLsn } = segment.header
    const last = Math.min(to, lastLsnBefore(wanted))
    if (baseLsn > last) continue
    let end = within(disk, dir, segment, (file) =>
      endAfter(file, segment.header, endOf(segment, segments[at + 1], newest, to), last),
    )
    while (end.lsn >= baseLsn) {
      const begin = within(disk, dir, segment, (file) =>
        partBefore(file, segment.header, end, partBytes),
      )
      if (begin.lsn >= last) {
        end = begin
        continue
      }
      const stretch = { from: begin, to: end, last }
      const { found, from } = yield* turnsBefore(disk, dir, segment, stretch, entity)
      const part = chainIn(found, wanted, { atLsn, limit: limit - turns.length })
      turns.push(...part.turns)
      if (turns.length === limit) return { turns, wanted: part.wanted, firstLsn }
      // The part has no more of the chain.
      wanted = { ...part.wanted, before: { lsn: from.lsn + 1, unit: 0 } }
      if (from.lsn >= firstLsn && isLate()) return { turns, wanted, firstLsn }
      end = from
    }
  }
  return { turns, firstLsn }
}

/** The frame that has the last unit before a wanted one. */
const lastLsnBefore = ({ before: { lsn, unit } }: WantedTurn): number => (unit > 0 ? lsn : lsn - 1)

const within = <T>(
  disk: Disk,
  dir: string,
  { name }: SegmentEntry,
  look: (file: DiskFile) => T,
): T => closing(disk.open(pathIn(dir, name), 'read'), look)

/** Where the frames of a segment end: its successor says so, or the log itself of its newest one. */
const endOf = (
  { name, size }: SegmentEntry,
  next: SegmentEntry | undefined,
  newest: TurnScanRequest['newest'],
  to: number,
): PartEnd => {
  const prev = next?.header.prev
  if (prev) return { lsn: prev.lastLsn, offset: prev.endOffset, crc: prev.lastCrc }
  return { lsn: to, offset: newest?.file === name ? newest.offset : size }
}

/** The bytes of a part, about. */
const usualPartBytes = 2 * 1024 * 1024

type FoundTurns = { readonly found: readonly LoggedTurn[]; readonly from: FrameEnd }

/**
 * The turns of the actor in a part of a segment, up to LSN `last`. If the part is none, because its
 * first group is not one, the whole segment before its end is read.
 */
function* turnsBefore(
  disk: Disk,
  dir: string,
  segment: SegmentEntry,
  { from, to, last }: { readonly from: FrameEnd; readonly to: PartEnd; readonly last: number },
  entity: string,
): Generator<number, FoundTurns> {
  const { name, header } = segment
  const lsn = Math.min(to.lsn, last)
  const start = segmentStart(header)
  const walk = (begin: FrameEnd) => turnsIn(disk, dir, segment, begin, { ...to, lsn }, entity)
  const part = yield* walk(from)
  if (part.end.lsn >= lsn && isSamePlace(part.end, to)) return { found: part.found, from }
  const whole = from.offset === start.offset ? part : yield* walk(start)
  if (whole.end.lsn >= lsn) return { found: whole.found, from: start }
  const evidence = 'a durable frame has been damaged'
  const { offset } = whole.end
  throw corruption({ file: name, offset, lsn: whole.end.lsn + 1, evidence })
}

/** Whether a walk that came as far as `end` came to that frame, and not to one that looks like it. */
const isSamePlace = (walked: FrameEnd, { lsn, crc }: PartEnd): boolean =>
  walked.lsn < lsn || crc === undefined || walked.crc === crc

/** The turns of the actor from one place of a segment to another, and where the walk ended. */
function* turnsIn(
  disk: Disk,
  dir: string,
  { name, header }: SegmentEntry,
  from: FrameEnd,
  { lsn, offset }: PartEnd,
  entity: string,
): Generator<number, { readonly found: readonly LoggedTurn[]; readonly end: FrameEnd }> {
  const found: LoggedTurn[] = []
  const take = dataFrames(turnsOf(entity, found))
  const end = yield* walkingFrames(disk, dir, { name, header, from, to: { offset, lsn } }, take)
  return { found, end }
}

/** Adds the turns of the actor in each DATA frame to `found`. */
const turnsOf = (entity: string, found: LoggedTurn[]): DataTaker => {
  const mention = asMention(entity)
  return (lsn, time, payload) => {
    if (asBuffer(payload).indexOf(mention) < 0) return
    for (const [unit, turn] of decodeFrame(payload).units.entries())
      if (turn.kind === 'turn' && turn.entity === entity)
        found.push({ lsn, unit, time, ...kept(turn) })
  }
}

/** The bytes of an actor's name in its turns. */
const asMention = (entity: string): Buffer => {
  const name = Buffer.from(entity)
  return Buffer.from([name.length & 0xff, name.length >> 8, ...name])
}

/** The parts of a turn that are kept, as copies: the decoded ones are views of a whole window. */
const kept = ({ entity, follows, row, rows, writes, entries = [], own, cause }: Turn) => {
  const main = row && readMainRow(row)
  return {
    mark: main?.mark,
    follows,
    cause: cause && decodeCause(cause),
    row: row?.slice(),
    rows: rows.map(([key, bytes]) => [key, bytes?.slice()] as const),
    writes: writes.map((command) => ({ kind: command.kind, keys: namedKeys(command) })),
    entries: entries.map(({ id }) => id),
    own: own?.changes.map(([key]) => key) ?? [],
    ownValues: entity.startsWith('$') ? shortValues(own?.changes ?? []) : [],
  }
}

const shortMax = 4_096

const shortValues = (changes: readonly OwnChange[]): readonly StoredValue[] =>
  changes.flatMap(([, value]) =>
    value === undefined || value.bytes.length > shortMax
      ? []
      : [{ ...value, bytes: value.bytes.slice() }],
  )

// Parts of a segment, from its end to its beginning: so that a search may end after any of them. A
// part begins with a group, which is found at a sector boundary by its header. Bytes of a user may
// look like one, so a part counts only if its frames lead to the beginning of the part after it.

/** The bytes that are read at once to find a group. */
const windowBytes = 64 * 1024

/** The place after a part: its last LSN, and where its frames end at the latest. */
export type PartEnd = {
  readonly lsn: number
  readonly offset: number
  /** The CRC of its last header, where it is known. */
  readonly crc?: number
}

/** Where a part of about `partBytes` begins that ends at `end`. */
const partBefore = (
  file: DiskFile,
  header: SegmentHeader,
  end: PartEnd,
  partBytes: number,
): FrameEnd => {
  const start = segmentStart(header)
  const from = end.offset - partBytes
  if (from <= start.offset) return start
  const place = groupFrom(file, header, from, end.offset)
  return place && place.lsn < end.lsn ? place : start
}

/**
 * A place not long after frame `lsn`: the first group after it, or `end`. Groups are found by halving
 * the segment.
 */
const endAfter = (file: DiskFile, header: SegmentHeader, end: PartEnd, lsn: number): PartEnd => {
  let after = end
  let low = segmentStart(header).offset
  let high = end.offset
  while (high - low > windowBytes) {
    const middle = Math.floor((low + high) / 2)
    const place = groupFrom(file, header, middle, high)
    if (place && place.lsn < lsn) low = place.offset + 1
    else {
      high = middle
      if (place) after = place
    }
  }
  return after
}

/** The place before the first group from `offset` on. */
const groupFrom = (
  file: DiskFile,
  { salt, sectorBytes }: SegmentHeader,
  offset: number,
  end: number,
): FrameEnd | undefined => {
  const window = viewedBytes(new Uint8Array(windowBytes))
  for (let at = roundUp(offset, sectorBytes); at < end; at += windowBytes) {
    const size = file.read(window.bytes.subarray(0, Math.min(windowBytes, end - at)), at)
    for (let index = 0; index < size; index += sectorBytes) {
      const header = readFrameHeader(window, index, salt)
      if (header && header.flags & groupFlag)
        return { offset: at + index, lsn: header.lsn - 1, crc: header.prevCrc }
    }
  }
  return undefined
}

/** After which time a search gives what it has, in ms. */
const scanMs = 2_000

/** The LSNs of the first stretch, and the most of any: frames may be small. */
const [firstLsns, lsnsMax] = [128, 65_536]

/** The bytes that one request reads, and the aim for the bytes of a stretch. */
const readBytes = 1024 * 1024

/** Makes a scanner that reads through the log. */
export const engineTurnScanner =
  (clock: Clock): TurnScannerFactory =>
  (signal) =>
  async (request, log) => {
    const late = clock.monotonic() + scanMs
    const isLate = (): boolean => {
      if (signal.aborted) throw new KeelsonError('CLOSED', 'the history was ended')
      return clock.monotonic() >= late
    }
    return scanned(log, request, isLate)
  }

const scanned = async (
  log: LogHost,
  { to, entity, atLsn, limit, ...request }: TurnScanRequest,
  isLate: () => boolean,
): Promise<TurnScan> => {
  const { firstLsn } = await log.run('describe', null)
  const turns: LoggedTurn[] = []
  let { wanted } = request
  let lsns = firstLsns
  for (let last = Math.min(to, lastLsnBefore(wanted)); last >= firstLsn; ) {
    const from = Math.max(firstLsn, last - lsns + 1)
    const { found, bytes } = await turnsBetween(log, entity, from, last)
    const part = chainIn(found, wanted, { atLsn, limit: limit - turns.length })
    turns.push(...part.turns)
    if (turns.length === limit) return { turns, wanted: part.wanted, firstLsn }
    // The stretch has no more of the chain.
    wanted = { ...part.wanted, before: { lsn: from, unit: 0 } }
    if (from > firstLsn && isLate()) return { turns, wanted, firstLsn }
    last = from - 1
    lsns = bytes > readBytes ? Math.ceil(lsns / 2) : Math.min(2 * lsns, lsnsMax)
  }
  return { turns, firstLsn }
}

/** The turns of the actor from one LSN to another, and the bytes of all frames there. */
const turnsBetween = async (
  log: LogHost,
  entity: string,
  from: number,
  to: number,
): Promise<{ readonly found: readonly LoggedTurn[]; readonly bytes: number }> => {
  const found: LoggedTurn[] = []
  const take = turnsOf(entity, found)
  let bytes = 0
  for (let next = from; next <= to; ) {
    const read = await log.run('read', { from: next, to, maxBytes: readBytes })
    for (const { lsn, time, offset, length } of read.frames)
      take(lsn, time, read.bytes.subarray(offset, offset + length))
    bytes += read.bytes.length
    next = read.next
  }
  return { found, bytes }
}

/** A part of the chain, the newest turn first, and the turn to find before it. */
export type ChainPart = { readonly turns: readonly LoggedTurn[]; readonly wanted: WantedTurn }

/**
 * Which turns of an actor took effect. Refused turns stay in the log, and so do late turns of killed
 * processes. A turn that took effect names the one that it follows. So the chain is walked backward,
 * from the main row that is there now. Forward it cannot be found: a refused turn and the next one
 * may have the same mark.
 *
 * Answers the part of the chain that is in a stretch of the log, at most `limit` turns up to `atLsn`.
 * `found`: all turns of the actor in the stretch, in the order of the log.
 */
export const chainIn = (
  found: readonly LoggedTurn[],
  from: WantedTurn,
  { atLsn, limit }: { readonly atLsn: number; readonly limit: number },
): ChainPart => {
  const turns: LoggedTurn[] = []
  let wanted = from
  for (let at = found.length - 1; at >= 0 && turns.length < limit; at--) {
    const turn = found[at] as LoggedTurn
    if (!isWanted(turn, wanted)) continue
    if (turn.lsn <= atLsn) turns.push(turn)
    // A birth follows nothing. Before it there may be an end.
    wanted = { before: { lsn: turn.lsn, unit: turn.unit }, mark: turn.follows ?? 'removal' }
  }
  return { turns, wanted }
}

/**
 * Of the turns with a mark, the last one took effect: after it nothing leaves its mark again. Of the
 * ends before a birth too: a refused end leaves the actor alive, until a later one ends it. (Only if
 * a birth is refused together with an end after it, both are taken for true.)
 */
const isWanted = (turn: LoggedTurn, { before, mark }: WantedTurn): boolean => {
  if (!isBefore(turn, before)) return false
  return mark === 'removal' ? isEnd(turn) : isSame(turn.mark, mark)
}

const isBefore = ({ lsn, unit }: UnitPlace, place: UnitPlace): boolean =>
  lsn < place.lsn || (lsn === place.lsn && unit < place.unit)

const isEnd = ({ mark, follows }: LoggedTurn): boolean =>
  mark === undefined && follows !== undefined

const isSame = (left: TurnMark | undefined, right: TurnMark): boolean =>
  left?.seq === right.seq && left.incarnation === right.incarnation
