/**
 * Searches a log for the turns of one durable actor, segment by segment from the end. A frame is
 * decoded only if its bytes have the name of the actor. Changes nothing.
 */
import { KeelsonError } from '../../errors.ts'
import { asBuffer } from '../bytes/utf8.ts'
import { type Command, type OwnChange, type Turn, unitsIn } from '../commands/command.ts'
import { decodeFrame } from '../commands/command-decoding.ts'
import { soundSurvey } from '../examination/log-survey.ts'
import { segmentStart } from '../frames/frame-cursor.ts'
import { dataFrames, walkingFrames } from '../frames/frame-walk.ts'
import type { Disk } from '../ports/disk.ts'
import type { StoredValue } from '../ports/projection-store.ts'
import { corruption } from '../segments/log-errors.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { readMainRow } from '../values/entity-row.ts'
import type { LoggedTurn, TurnScan, TurnScanRequest } from './logged-turn.ts'
import { chainIn } from './turn-chain.ts'

/**
 * Searches, and yields the bytes that it read. It ends after the segment during which `isLate`
 * becomes true.
 * @throws KeelsonError as `TurnScanner`; DiskError
 */
export function* scanningTurns(
  disk: Disk,
  { dir, to, entity, atLsn, limit, ...request }: TurnScanRequest,
  isLate: () => boolean,
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
    const last = Math.min(to, wanted.before.lsn)
    if (baseLsn > last) continue
    const found = yield* turnsIn(disk, dir, segment, segments[at + 1], last, entity)
    const part = chainIn(found, wanted, { atLsn, limit: limit - turns.length })
    turns.push(...part.turns)
    if (turns.length === limit) return { turns, wanted: part.wanted, firstLsn }
    // The segment has no more of the chain.
    wanted = { ...part.wanted, before: { lsn: baseLsn, unit: 0 } }
    if (at > 0 && isLate()) return { turns, wanted, firstLsn }
  }
  return { turns, firstLsn }
}

/** The turns of the actor in a segment, up to LSN `last`. */
function* turnsIn(
  disk: Disk,
  dir: string,
  segment: SegmentEntry,
  next: SegmentEntry | undefined,
  last: number,
  entity: string,
): Generator<number, readonly LoggedTurn[]> {
  const { name, header } = segment
  const prev = next?.header.prev
  const lsn = Math.min(prev?.lastLsn ?? last, last)
  const stretch = {
    ...{ name, header, from: segmentStart(header) },
    to: { lsn, ...(prev && { offset: prev.endOffset }) },
  }
  const mention = asMention(entity)
  const found: LoggedTurn[] = []
  const take = dataFrames((at, time, payload) => {
    if (asBuffer(payload).indexOf(mention) < 0) return
    for (const [unit, turn] of unitsIn(decodeFrame(payload).units).entries())
      if (turn.kind === 'turn' && turn.entity === entity)
        found.push({ lsn: at, unit, time, ...kept(turn) })
  })
  const end = yield* walkingFrames(disk, dir, stretch, take)
  if (end.lsn >= lsn) return found
  const evidence = 'a durable frame has been damaged'
  throw corruption({ file: name, offset: end.offset, lsn: end.lsn + 1, evidence })
}

/** The bytes of an actor's name in its turns. */
const asMention = (entity: string): Buffer => {
  const name = Buffer.from(entity)
  return Buffer.from([name.length & 0xff, name.length >> 8, ...name])
}

/** The parts of a turn that are kept, as copies: the decoded ones are views of a whole window. */
const kept = ({ entity, follows, row, rows, writes, entries = [], own }: Turn) => {
  const main = row && readMainRow(row)
  return {
    mark: main?.mark,
    follows,
    row: row?.slice(),
    rows: rows.map(([key, bytes]) => [key, bytes?.slice()] as const),
    writes: writes.map((command) => ({ kind: command.kind, keys: keysOf(command) })),
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

const keysOf = (command: Command): readonly string[] => {
  if ('key' in command) return [command.key]
  if ('keys' in command) return command.keys
  return 'entries' in command ? command.entries.map(({ key }) => key) : []
}
