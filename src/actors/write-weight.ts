/** What a write counts at the gate. Pure. */
import type { Command, Unit } from '../storage/index.ts'
import type { Weight } from './allowance.ts'

/** What a command counts at least, in bytes: its ticket, its call and its entry in the overlay cost as much. */
const commandBytesMin = 256

/** The weight of units that make a frame of so many bytes: a command of many entries counts each. */
export const weightOf = (units: readonly Unit[], frameBytes: number): Weight => {
  let commands = 0
  for (const unit of units) {
    if (unit.kind === 'command') commands += entriesOf(unit.command)
    else for (const command of unit.commands) commands += entriesOf(command)
  }
  return { commands, bytes: Math.max(commandBytesMin * commands, frameBytes) }
}

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
