/** How the head of a shared log names the snapshots of a shard. Pure. */
import { KeelsonError } from '../../errors.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import type { SharedSnapshot } from '../ports/shared-log.ts'

/** The name of a snapshot that the owner of `epoch` made. */
export const sharedName = (epoch: number, { lsn, bytes, sum }: NamedSnapshot): SharedSnapshot => ({
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
 * The snapshots that a head names, oldest first, one for each LSN: of two the one that was named
 * later. @throws KeelsonError `CORRUPT` for another sort of name
 */
export const namedIn = (snapshots: readonly SharedSnapshot[]): readonly NamedSnapshot[] => {
  const named = new Map<number, NamedSnapshot>()
  for (const { lsn, file } of snapshots) {
    const [, bytes, sum] = /^snapshot-\d+-\d+-(\d+)-(\d+)$/.exec(file) ?? []
    if (bytes === undefined)
      throw new KeelsonError('CORRUPT', `the log names the snapshot ${file}, which none can be`, {
        details: { lsn, evidence: file },
      })
    named.set(lsn, { lsn, bytes: Number(bytes), sum: Number(sum) })
  }
  return [...named.values()]
}
