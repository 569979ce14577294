/**
 * What a unit does to the rows: the one place that decides it. The applier runs it on the live path, the LMDB writer when
 * it follows the log, and recovery when it replays; all three reach the same rows because it is pure: no clock but the
 * frame's stamp, no state but the rows it is let read.
 */
import { KeelsonError } from '../errors.ts'
import type { Command, Expiry, Unit } from './command.ts'
import type { CommandAnswer, UnitAnswer } from './command-answer.ts'
import type { Row, RowChange } from './projection-store.ts'

/** What a unit does: at most one change a key, and its answer. A refused unit has no changes. */
export type Applied = { readonly changes: readonly RowChange[]; readonly answer: UnitAnswer }

/** Reads the row that a key has before the unit, expired or not. */
export type ReadRow = (key: string) => Row | undefined

/** Whether a row has ended at `now` (ms): from its moment on it is invisible. */
export const isExpired = (row: Row, now: number): boolean =>
  row.expiresAt !== 0 && row.expiresAt <= now

/**
 * What `unit` does in a frame stamped `time` (ms since 1970), given the rows before it. Changes nothing itself.
 */
export const applyUnit = (unit: Unit, read: ReadRow, time: number): Applied => {
  if (unit.kind === 'batch') return applyBatch(unit.commands, read, time)
  const { change, answer } = applyCommand(unit.command, read, time)
  return { changes: change ? [change] : [], answer }
}

const applyBatch = (commands: readonly Command[], read: ReadRow, time: number): Applied => {
  const changed = new Map<string, Row | undefined>()
  const readThrough: ReadRow = (key) => (changed.has(key) ? changed.get(key) : read(key))
  const answers = commands.map((command) => {
    const { change, answer } = applyCommand(command, readThrough, time)
    if (change) changed.set(...change)
    return answer
  })
  return { changes: [...changed], answer: { kind: 'batch', answers } }
}

type Step = { readonly change: RowChange | undefined; readonly answer: CommandAnswer }

const putAnswer: CommandAnswer = { kind: 'put' }

const applyCommand = (command: Command, read: ReadRow, time: number): Step => {
  if (command.kind === 'delete') {
    const row = read(command.key)
    const change: RowChange | undefined = row && [command.key, undefined]
    return {
      change,
      answer: { kind: 'delete', existed: row !== undefined && !isExpired(row, time) },
    }
  }
  if (command.kind !== 'put')
    throw new KeelsonError('UNSUPPORTED_VERSION', 'this build does not apply the command', {
      details: { what: 'command', code: command.kind },
    })
  const row: Row = { value: command.value, expiresAt: expiresAt(command.expiry, time) }
  // A value that has ended before it begins leaves the key without one.
  return { change: [command.key, isExpired(row, time) ? undefined : row], answer: putAnswer }
}

/** The moment of an expiry in a frame stamped `time`; 0 for never. */
const expiresAt = (expiry: Expiry, time: number): number => {
  switch (expiry.kind) {
    case 'none':
      return 0
    case 'at':
      return expiry.ms
    case 'after':
      return Math.min(time + expiry.ms, Number.MAX_SAFE_INTEGER)
  }
}
