/** What a stale read may show: the state of its key after a prefix of the log, which ends at its position (invariant M5). Pure. */

/** A write of one key, with the frame of its acknowledgement if there was one. */
export type PlacedWrite = { readonly value: unknown; readonly lsn?: number | undefined }

/** A value, and the frame up to which it was said to be the key's. */
export type PlacedRead = { readonly value: unknown; readonly lsn: number }

/** Why no prefix of the log that ends at its position shows this; `undefined` if one may. */
export const staleFault = (
  writes: readonly PlacedWrite[],
  { value, lsn }: PlacedRead,
): string | undefined => {
  const shown = writes.find((write) => write.value === value)
  const placed = writes.flatMap((write) => write.lsn ?? [])
  const last = Math.max(0, ...placed.filter((each) => each <= lsn))
  if (value === undefined)
    return last > 0 ? `nothing at lsn ${lsn}, and a write at ${last}` : undefined
  if (!shown) return `${value} at lsn ${lsn}, which nobody wrote`
  if (shown.lsn === undefined) return undefined
  if (shown.lsn > lsn) return `${value} at lsn ${lsn}, which was written at ${shown.lsn}`
  return shown.lsn < last ? `${value} at lsn ${lsn}, and a later write at ${last}` : undefined
}
