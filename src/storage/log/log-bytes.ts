/** How much of a log lies after an LSN. Pure. */
import type { LogDescription } from '../ports/log-host.ts'

/**
 * The bytes of the frames after `lsn`. Exact at the borders of segments; inside a segment, frames
 * count as equally long.
 */
export const logBytesAfter = (
  { segments }: Pick<LogDescription, 'segments'>,
  lsn: number,
): number => {
  let bytes = 0
  for (const { baseLsn, lastLsn, usedBytes } of segments) {
    const frames = lastLsn - baseLsn + 1
    const after = Math.min(frames, Math.max(0, lastLsn - lsn))
    if (frames > 0) bytes += Math.round((usedBytes * after) / frames)
  }
  return bytes
}
