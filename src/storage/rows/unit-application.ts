/**
 * Applies units to rows: the one place that decides their effect. The applier uses it for live
 * writes, the LMDB writer to follow the log, and recovery to replay. All three produce the same
 * rows because it is pure: its only clock is the frame's time stamp, its only state the rows.
 * `*-commands.ts` have the commands.
 */
import {
  type Command,
  type FrameUnits,
  isAlone,
  ownerIn,
  type PutEntry,
  type Removal,
  type Turn,
  type Unit,
} from '../commands/command.ts'
import {
  type CommandAnswer,
  type Refusal,
  refused,
  type UnitAnswer,
} from '../commands/command-answer.ts'
import { entriesOf, hasBlobs, refsOfUnit, unitHasBlobs } from '../commands/command-values.ts'
import { rowTags, valueTags } from '../ports/projection-store.ts'
import { entityRowKey, ownRowKey, removalRowKey } from '../values/entity-key.ts'
import { entityRow, hasMark, readEntityRow } from '../values/entity-row.ts'
import { birthRowKey, streamNameOf } from '../values/stream-key.ts'
import { loggedBlobRow } from './blob-rows.ts'
import { applyAppendedEntry, applyEntry } from './entry-rows.ts'
import { applyDeleteField, applyPutFields } from './field-commands.ts'
import {
  applyClear,
  applyDeleteMany,
  applyPutMany,
  applyRemoveExpired,
  unitRowsMax,
} from './key-commands.ts'
import { applyLock, applyUnlock, lockRefusal } from './lock-commands.ts'
import { ChangedRows, isExpired, living, type RowSink, type Rows } from './rows.ts'
import { applyStreams, applyTurnStreams } from './stream-rows.ts'
import {
  applyAppend,
  applyCompareAndSet,
  applyDelete,
  applyExpiry,
  applyGetSet,
  applyPut,
  applySet,
  applySetRange,
  putRow,
} from './value-commands.ts'

type SetCommand = Extract<Command, { kind: 'set' }>

const putAnswer: CommandAnswer = { kind: 'put' }
const setAnswer: CommandAnswer = { kind: 'set', written: true, previous: undefined }
const unsetAnswer: CommandAnswer = { kind: 'set', written: false, previous: undefined }
const putManyAnswer: CommandAnswer = { kind: 'putMany' }
const removed: UnitAnswer = { kind: 'removal' }
const noWrites: UnitAnswer = { kind: 'turn', answers: [] }
const putAlone: readonly UnitAnswer[] = [putAnswer]

/** The place of a frame in the log, and its stamp in ms since 1970. */
export type FrameStamp = { readonly lsn: number; readonly time: number }

/**
 * Applies `unit` of `frame` to `into`, reading from `rows`. A refused unit writes nothing. A row may
 * be set more than once; the last time counts. `entriesBefore`: how many entries of the journal the
 * frame has before it. Returns the answer for the caller.
 * @throws KeelsonError `CORRUPT` for a damaged row; nothing is written to `into`
 */
export const applyUnit = (
  unit: Unit,
  rows: Rows,
  frame: FrameStamp,
  into: RowSink,
  entriesBefore = 0,
): UnitAnswer => {
  if (unit.kind === 'turn') return applyTurn(unit, rows, frame, into, entriesBefore)
  const { lsn, time } = frame
  if (unit.kind === 'entry')
    return applyAppendedEntry(unit, { lsn, index: entriesBefore, time }, rows, into)
  if (unit.kind === 'removal') {
    applyRemoval(unit, rows, into)
    return removed
  }
  if (unit.kind === 'streams') {
    const changed = new ChangedRows(rows)
    const answers = applyStreams(unit, changed, frame)
    for (const [rowKey, row] of changed.changes) into.set(rowKey, row)
    return { kind: 'streams', answers }
  }
  const quick = unit.kind === 'batch' ? undefined : applyQuickly(unit, rows, time, into)
  if (quick) return quick
  const changed = new ChangedRows(rows)
  const answer =
    unit.kind === 'batch'
      ? applyAll('batch', unit.commands, changed, time)
      : applyCommand(unit, changed, time)
  if (answer.kind === 'refused') return answer
  if (changed.changes.size > unitRowsMax) return refused('TOO_LARGE')
  noteBlobs(unit, changed, frame)
  for (const [rowKey, row] of changed.changes) into.set(rowKey, row)
  return answer
}

/**
 * A turn: its writes as a batch, then the rows of its entity, which no command reaches. Its rows
 * need no layer of their own, because nothing reads them in between.
 */
const applyTurn = (
  turn: Turn,
  rows: Rows,
  frame: FrameStamp,
  into: RowSink,
  entriesBefore: number,
): UnitAnswer => {
  const key = entityRowKey(turn.entity)
  const refusal = turnRefusal(turn, key, rows)
  if (refusal) return refusal
  // Most turns write no key of users, nothing to the journal, and refer to no blob.
  const isPlain = turn.writes.length === 0 && !turn.entries && !turn.own && !turn.streams
  if (isPlain && turn.rows.length <= unitRowsMax) {
    setEntityRows(turn, key, into)
    return noWrites
  }
  const changed = new ChangedRows(rows)
  const answer =
    entriesRefusal(turn, changed, frame, entriesBefore) ??
    streamsRefusal(turn, changed, frame) ??
    applyAll('turn', turn.writes, changed, frame.time)
  if (answer.kind === 'refused') return answer
  if (changed.changes.size + rowsBeside(turn) > unitRowsMax) return refused('TOO_LARGE')
  noteBlobs(turn, changed, frame)
  for (const [rowKey, row] of changed.changes) into.set(rowKey, row)
  setEntityRows(turn, key, into)
  return answer
}

/** Applies the entries of a turn. The refusal of one is that of the turn. */
const entriesRefusal = (
  turn: Turn,
  rows: ChangedRows,
  { lsn, time }: FrameStamp,
  entriesBefore: number,
): Refusal | undefined => {
  for (const [index, entry] of entriesOf(turn).entries()) {
    const answer = applyEntry(entry, { lsn, index: entriesBefore + index, time }, rows, rows)
    if (answer.kind === 'refused') return { ...answer, command: index }
  }
  return undefined
}

/** Applies the parts of a turn for streams of its entity. The refusal of one is that of the turn. */
const streamsRefusal = (
  { streams }: Turn,
  rows: ChangedRows,
  frame: FrameStamp,
): Refusal | undefined => {
  const refusal = streams && applyTurnStreams(streams, rows, frame)
  if (!refusal) return undefined
  const { owner, why } = refusal
  const stream = streamNameOf(owner)
  return refused(why === 'closed' ? { code: 'CONFLICT', stream } : 'TOO_LARGE', stream)
}

/**
 * Applies the units of one frame in order and returns their answers. Each unit sees those before
 * it. Throws as `applyUnit`.
 */
export const applyUnits = (
  units: FrameUnits,
  rows: Rows,
  frame: FrameStamp,
  into: RowSink,
): readonly UnitAnswer[] => {
  if (!isAlone(units)) return applyList(units, rows, frame, into)
  const answer = applyUnit(units, rows, frame, into)
  return answer === putAnswer ? putAlone : [answer]
}

const applyList = (
  units: readonly Unit[],
  rows: Rows,
  frame: FrameStamp,
  into: RowSink,
): readonly UnitAnswer[] => {
  let entries = 0
  return units.map((unit) => {
    const answer = applyUnit(unit, rows, frame, into, entries)
    entries += entriesOf(unit).length
    return answer
  })
}

/** Adds a row for each blob of a unit that was not refused. */
const noteBlobs = (unit: Unit, rows: ChangedRows, { lsn }: FrameStamp): void => {
  if (unitHasBlobs(unit)) for (const ref of refsOfUnit(unit)) rows.set(...loggedBlobRow(ref, lsn))
}

/**
 * The fast paths: an overwrite of a key without locks and compounds, which reads no row; a
 * conditional set that answers no value; a delete of a plain value. `undefined` if the full path
 * must decide.
 */
const applyQuickly = (
  command: Command,
  rows: Rows,
  time: number,
  into: RowSink,
): CommandAnswer | undefined => {
  const { locks, compounds } = rows.hints
  if (locks) return undefined
  if (command.kind === 'delete') return deleteQuickly(command.key, rows, time, into)
  if (compounds) return undefined
  switch (command.kind) {
    case 'put':
      return overwrite(command, time, into) ? putAnswer : undefined
    case 'set':
      return setQuickly(command, rows, time, into)
    case 'putMany':
      if (command.entries.length > unitRowsMax || hasBlobs(command)) return undefined
      for (const entry of command.entries) overwrite(entry, time, into)
      return putManyAnswer
    default:
      return undefined
  }
}

/** Puts a value that is no blob; returns false for a blob. */
const overwrite = (entry: PutEntry, time: number, into: RowSink): boolean => {
  if (entry.value.tag === valueTags.blob) return false
  into.set(entry.key, putRow(entry, time))
  return true
}

/** A set that neither answers nor keeps anything of the previous row. */
const isReplacing = (command: SetCommand): command is SetCommand & PutEntry =>
  !command.get && command.expiry.kind !== 'keep'

const setQuickly = (
  command: SetCommand,
  rows: Rows,
  time: number,
  into: RowSink,
): CommandAnswer | undefined => {
  if (!isReplacing(command) || command.value.tag === valueTags.blob) return undefined
  const { condition } = command
  const isThere = condition === 'always' || living(rows.get(command.key), time) !== undefined
  if (condition === 'absent' ? isThere : !isThere) return unsetAnswer
  return overwrite(command, time, into) ? setAnswer : undefined
}

const deleteQuickly = (
  key: string,
  rows: Rows,
  time: number,
  into: RowSink,
): CommandAnswer | undefined => {
  const row = rows.get(key)
  if (!row) return { kind: 'delete', existed: false }
  if (row.value.tag === rowTags.compound) return undefined
  into.set(key, undefined)
  return { kind: 'delete', existed: !isExpired(row, time) }
}

const applyAll = (
  kind: 'batch' | 'turn',
  commands: readonly Command[],
  rows: ChangedRows,
  time: number,
): UnitAnswer => {
  const answers: CommandAnswer[] = []
  for (const [index, command] of commands.entries()) {
    const answer = applyCommand(command, rows, time)
    if (answer.kind === 'refused') return { ...answer, command: index }
    answers.push(answer)
  }
  return { kind, answers }
}

const applyCommand = (
  command: Command,
  rows: ChangedRows,
  time: number,
): CommandAnswer | Refusal => {
  if ('key' in command) {
    const refusal = lockRefusal(rows, command.key, ownerIn(command), time)
    if (refusal) return refusal
  }
  return (effects[command.kind] as Effect<Command>)(rows, command, time)
}

type Effect<C> = (rows: ChangedRows, command: C, time: number) => CommandAnswer | Refusal

type CommandOf<K, C = Command> = C extends Command ? (K extends C['kind'] ? C : never) : never

/** The effect of each command, when no lock refuses it. */
const effects: { readonly [K in Command['kind']]: Effect<CommandOf<K>> } = {
  put: (rows, command, time) => {
    applyPut(rows, command, time)
    return putAnswer
  },
  delete: (rows, { key }, time) => ({ kind: 'delete', existed: applyDelete(rows, key, time) }),
  set: applySet,
  append: applyAppend,
  getSet: applyGetSet,
  setRange: applySetRange,
  compareAndSet: applyCompareAndSet,
  lock: applyLock,
  extend: applyLock,
  unlock: applyUnlock,
  putField: (rows, { key, field, value }, time) => {
    const created = applyPutFields(rows, key, [[field, value]], time)
    return 'kind' in created ? created : { kind: 'putField', created: created[0] === true }
  },
  putFields: (rows, { key, fields }, time) => {
    const created = applyPutFields(rows, key, fields, time)
    return 'kind' in created ? created : { kind: 'putFields', created }
  },
  deleteField: applyDeleteField,
  putMany: applyPutMany,
  deleteMany: applyDeleteMany,
  expire: applyExpiry,
  persist: applyExpiry,
  clear: applyClear,
  removeExpired: applyRemoveExpired,
}

// The effect of a turn on the rows of its durable actor. It takes effect only if the main row has
// the mark that it follows. So a late unit of a killed incarnation changes nothing. Pure.

/** The refusal of a turn that follows another main row, at `key`, than the present one. */
const turnRefusal = ({ entity, follows }: Turn, key: string, rows: Rows): Refusal | undefined => {
  const row = rows.get(key)
  const isNext = row && follows ? hasMark(row, follows) : !row && !follows
  if (isNext) return undefined
  return refused({ code: 'CONFLICT', present: row && readEntityRow(row).mark }, entity)
}

/** Sets the rows of a turn that was not refused. `key`: of its main row. */
const setEntityRows = ({ entity, row, rows, own }: Turn, key: string, into: RowSink): void => {
  into.set(key, row && entityRow(row))
  for (const [rowKey, bytes] of rows) into.set(rowKey, bytes && entityRow(bytes))
  if (own)
    for (const [ownKey, value] of own.changes)
      into.set(ownRowKey(entity, own.birth, ownKey), value && { value, expiresAt: 0 })
}

/** How many rows a turn sets beside the main row. */
const rowsBeside = ({ rows, own }: Turn): number => rows.length + (own?.changes.length ?? 0)

/**
 * Removes rows of a birth that has ended, of an entity or a stream. Applied again, or while the birth has not ended, it
 * changes nothing.
 */
const applyRemoval = (
  { entity, birth, keys, isLast }: Removal,
  rows: Rows,
  into: RowSink,
): void => {
  const removal = removalRowKey(entity, birth)
  if (!rows.get(removal)) return
  for (const key of keys) into.set(birthRowKey(entity, birth, key), undefined)
  if (isLast) into.set(removal, undefined)
}
