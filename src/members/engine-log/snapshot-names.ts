/** The names of a shard's snapshots and saved states in an engine. Pure. */
import { plainJson } from '../../bytes/json.ts'
import { KeelsonError } from '../../errors.ts'
import type { EngineSnapshot, NamedSnapshot } from '../../storage/index.ts'

/** The name of a snapshot that the owner of `epoch` made. */
export const engineName = (epoch: number, { lsn, bytes, sum }: NamedSnapshot): EngineSnapshot => ({
  lsn,
  file: `snapshot-${epoch}-${lsn}-${bytes}-${sum}`,
})

/** Whether a name in the engine is one of this snapshot, of any epoch. */
export const isNameOf = (name: string, { lsn, bytes, sum }: NamedSnapshot): boolean =>
  name.endsWith(`-${lsn}-${bytes}-${sum}`)

/** The epoch in a name; `Infinity` for another sort of name. */
export const epochIn = (name: string): number =>
  Number(/^snapshot-(\d+)-/.exec(name)?.[1] ?? Number.POSITIVE_INFINITY)

/**
 * The snapshots that a head names, oldest first. If two snapshots have the same LSN, only the one
 * named later is given.
 * @throws KeelsonError `CORRUPT` for another sort of name
 */
export const namedIn = (snapshots: readonly EngineSnapshot[]): readonly NamedSnapshot[] => {
  // A column of an engine may have anything.
  if (!Array.isArray(snapshots)) throw unnamable(0, plainJson(snapshots))
  const named = new Map<number, NamedSnapshot>()
  for (const { lsn, file } of snapshots) {
    const [, at, bytes, sum] = /^snapshot-\d+-(\d+)-(\d+)-(\d+)$/.exec(String(file)) ?? []
    if (Number(at) !== lsn) throw unnamable(lsn, file)
    named.set(lsn, { lsn, bytes: Number(bytes), sum: Number(sum) })
  }
  return [...named.values()]
}

const unnamable = (lsn: number, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `the log names the snapshot ${evidence}, which none can be`, {
    details: { lsn, evidence },
  })

/** A saved state in the engine. */
export type EngineState = {
  readonly name: string
  /** The epoch of the owner that saved it. */
  readonly epoch: number
  /** The number of the save, in its epoch. */
  readonly seq: number
  readonly lsn: number
  /** The checksum of the file. */
  readonly sum: number
}

/** The name of a state. No two saves have the same. */
export const stateName = ({ epoch, seq, lsn, sum }: Omit<EngineState, 'name'>): string =>
  `state-${epoch}-${seq}-${lsn}-${sum}`

/** The states among names, in the order in which they were saved. Leaves other names out. */
export const statesAmong = (names: readonly string[]): readonly EngineState[] =>
  names
    .flatMap((name) => {
      const [, ...numbers] = /^state-(\d+)-(\d+)-(\d+)-(\d+)$/.exec(name) ?? []
      const [epoch, seq, lsn, sum] = numbers.map(Number)
      if (epoch === undefined || seq === undefined || lsn === undefined || sum === undefined)
        return []
      return [{ name, epoch, seq, lsn, sum }]
    })
    .sort((one, other) => one.epoch - other.epoch || one.seq - other.seq)

/**
 * The states that count, newest first. A later save replaces each one with the same LSN or a greater
 * one: a paused owner may have saved that, without an acknowledgement.
 */
export const standing = (saved: readonly EngineState[]): readonly EngineState[] => {
  const counted: EngineState[] = []
  for (const state of saved.toReversed())
    if (state.lsn < (counted.at(-1)?.lsn ?? Number.POSITIVE_INFINITY)) counted.push(state)
  return counted
}
