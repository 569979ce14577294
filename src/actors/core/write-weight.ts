/** The weight of a write, which every bound counts: commands and bytes. Pure. */
import { KeelsonError } from '../../errors.ts'
import {
  type Command,
  commandsOf,
  entriesOf,
  type FrameUnits,
  isAlone,
  type Turn,
  type Unit,
} from '../../storage/index.ts'

/** A command counts at least so many bytes: its call and its entry in the overlay cost as much. */
const commandBytesMin = 256

/** How many commands the units count. A command of many entries counts each of them. */
export const commandsIn = (units: FrameUnits): number => {
  if (isAlone(units)) return commandsOfUnit(units)
  let commands = 0
  for (const unit of units) commands += commandsOfUnit(unit)
  return commands
}

const commandsOfUnit = (unit: Unit): number => {
  if (unit.kind === 'entry') return 1
  if (unit.kind === 'removal') return 1 + unit.keys.length
  if (unit.kind === 'streams') return unit.parts.length
  if (unit.kind !== 'batch' && unit.kind !== 'turn') return keysOf(unit)
  let commands = unit.kind === 'turn' ? internalRows(unit) + entriesOf(unit).length : 0
  if (unit.kind === 'turn')
    commands += (unit.own?.changes.length ?? 0) + (unit.streams?.length ?? 0)
  for (const command of commandsOf(unit)) commands += keysOf(command)
  return commands
}

/** A turn changes its main row, and rows beside it. */
const internalRows = ({ rows }: Turn): number => 1 + rows.length

/**
 * The most keys and fields of one write. It is encoded in one turn of the event loop and applied in
 * another one, because all of it takes effect at once: about 30 ms each. Alarms, index
 * rows and the like of a durable actor do not count.
 */
const writeKeysMax = 10_000

/** Refuses units that count `commands` for too many keys. @throws KeelsonError `TOO_LARGE` */
export const checkCount = (units: FrameUnits, commands: number): void => {
  const isTurn = isAlone(units) && units.kind === 'turn'
  refuseMany(isTurn ? commands - internalRows(units) : commands)
}

/** @throws KeelsonError `TOO_LARGE` for more than `writeKeysMax` */
export const refuseMany = (keys: number): void => {
  if (keys <= writeKeysMax) return
  throw new KeelsonError('TOO_LARGE', `a write has at most ${writeKeysMax} keys`, {
    details: { keys, keysMax: writeKeysMax },
  })
}

/** How many bytes `commands` commands count if their frame takes `frameBytes`. */
export const bytesCounted = (commands: number, frameBytes: number): number =>
  Math.max(commandBytesMin * commands, frameBytes)

const keysOf = (command: Command): number => {
  switch (command.kind) {
    case 'putMany':
      return Math.max(1, command.entries.length)
    case 'putFields':
      return Math.max(1, command.fields.length)
    case 'deleteMany':
    case 'lock':
    case 'extend':
    case 'unlock':
    case 'removeExpired':
      return Math.max(1, command.keys.length)
    default:
      return 1
  }
}
