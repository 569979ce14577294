/**
 * The values that commands store, in the order of their encoding: the blob store takes large ones
 * out, and any of them may refer to a blob. `expected` of a comparison is not one of them: it is
 * compared and never stored. Pure.
 */

import { type StoredValue, valueTags } from '../ports/projection-store.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { refsOf } from '../values/rope.ts'
import type { Command, EntryUnit, Turn, Unit } from './command.ts'
import { commandPlans } from './command-table.ts'
import type { StreamPart } from './stream-unit.ts'

/** The values that a command stores. */
export const valuesOf = (command: Command): readonly StoredValue[] => {
  const [name, stored] = commandPlans[command.kind].stored ?? []
  return stored?.list(command[name as keyof Command]) ?? []
}

/**
 * The command with `replaced(value)` instead of each value; the same object if no value changed.
 */
export const withValues = (
  command: Command,
  replaced: (value: StoredValue) => StoredValue,
): Command => {
  const [name, stored] = commandPlans[command.kind].stored ?? []
  if (name === undefined || stored === undefined) return command
  const before = command[name as keyof Command]
  const after = stored.replaced(before, replaced)
  return after === before ? command : { ...command, [name]: after }
}

/** Whether a command refers to a blob. It allocates nothing, because every command is tested. */
export const hasBlobs = (command: Command): boolean => {
  if (command.kind === 'put') return isBlob(command.value)
  const { stored } = commandPlans[command.kind]
  return stored?.[1].some(command[stored[0] as keyof Command], isBlob) === true
}

/** Whether a unit refers to a blob. */
export const unitHasBlobs = (unit: Unit): boolean =>
  commandsOf(unit).some(hasBlobs) || (unit.kind === 'turn' && ownHasBlobs(unit))

const ownHasBlobs = ({ own }: Turn): boolean =>
  own?.changes.some(([, value]) => value && isBlob(value)) === true

const isBlob = ({ tag }: StoredValue): boolean => tag === valueTags.blob

/** The keys that a command names; none for `clear`. */
export const namedKeys = (command: Command): readonly string[] => {
  if (command.kind === 'clear') return []
  if (command.kind === 'putMany') return command.entries.map(({ key }) => key)
  return 'keys' in command ? command.keys : [command.key]
}

/** The commands of a unit; those on users' keys of a turn; none of an entry, a removal and streams. */
export const commandsOf = (unit: Unit): readonly Command[] => {
  switch (unit.kind) {
    case 'batch':
      return unit.commands
    case 'turn':
      return unit.writes
    case 'entry':
    case 'removal':
    case 'streams':
      return []
    default:
      return [unit]
  }
}

/** The entries of the journal in a unit. */
export const entriesOf = (unit: Unit): readonly EntryUnit[] => {
  if (unit.kind === 'entry') return [unit]
  return (unit.kind === 'turn' && unit.entries) || []
}

/** The parts for streams in a unit. */
export const streamPartsOf = (unit: Unit): readonly StreamPart[] => {
  if (unit.kind === 'streams') return unit.parts
  return (unit.kind === 'turn' && unit.streams) || []
}

/** The values that a unit stores. */
export const valuesOfUnit = (unit: Unit): readonly StoredValue[] => {
  const values: StoredValue[] = []
  for (const command of commandsOf(unit)) for (const value of valuesOf(command)) values.push(value)
  if (unit.kind === 'turn' && unit.own)
    for (const [, value] of unit.own.changes) if (value) values.push(value)
  return values
}

/** The unit with `replaced(value)` instead of each value. */
export const unitWithValues = (unit: Unit, replaced: (value: StoredValue) => StoredValue): Unit => {
  const command = (each: Command): Command => withValues(each, replaced)
  switch (unit.kind) {
    case 'entry':
    case 'removal':
    case 'streams':
      return unit
    case 'batch':
      return { kind: 'batch', commands: unit.commands.map(command) }
    case 'turn': {
      const writes = unit.writes.map(command)
      if (!unit.own) return { ...unit, writes }
      const changes = unit.own.changes.map(
        ([key, value]) => [key, value && replaced(value)] as const,
      )
      return { ...unit, writes, own: { ...unit.own, changes } }
    }
    default:
      return command(unit)
  }
}

/** The blobs that a unit refers to. @throws as `refsOf` */
export const refsOfUnit = (unit: Unit): BlobRef[] => valuesOfUnit(unit).flatMap(refsOf)
