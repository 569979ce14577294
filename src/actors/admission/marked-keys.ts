/** The keys that units change: what a write marks. Pure. */
import { type Command, commandsOf, type FrameUnits, unitsIn } from '../../storage/index.ts'
import type { MarkedKeys } from './order-marks.ts'

/** The keys of all units, `'all'` when one of them changes keys that it does not name. */
export const markedKeys = (units: FrameUnits): MarkedKeys => {
  const keys: string[] = []
  for (const unit of unitsIn(units))
    for (const command of commandsOf(unit)) {
      if (command.kind === 'clear') return 'all'
      keys.push(...keysIn(command))
    }
  return keys
}

const keysIn = (command: Exclude<Command, { kind: 'clear' }>): readonly string[] => {
  if (command.kind === 'putMany') return command.entries.map(({ key }) => key)
  return 'keys' in command ? command.keys : [command.key]
}
