/** What a write counts at the gate. Pure. */
import { type Command, type FrameUnits, isAlone, type Unit } from '../storage/index.ts'

/** What a command counts at least, in bytes: its ticket, its call and its entry in the overlay cost as much. */
const commandBytesMin = 256

/** How many commands the units count: one of many entries counts each. */
export const commandsIn = (units: FrameUnits): number => {
  if (isAlone(units)) return commandsOfUnit(units)
  let commands = 0
  for (const unit of units) commands += commandsOfUnit(unit)
  return commands
}

const commandsOfUnit = (unit: Unit): number => {
  if (unit.kind !== 'batch') return entriesOf(unit)
  let commands = 0
  for (const command of unit.commands) commands += entriesOf(command)
  return commands
}

/** How many bytes so many commands count, whose frame takes `frameBytes`. */
export const bytesCounted = (commands: number, frameBytes: number): number =>
  Math.max(commandBytesMin * commands, frameBytes)

const entriesOf = (command: Command): number => {
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
