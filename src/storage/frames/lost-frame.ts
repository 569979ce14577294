/**
 * What a salvaged log says of frames that are gone. LSNs of a log have no gaps, and positions that people hold name LSNs, so a
 * lost frame is not left out and nothing is renumbered: a frame of type LOST takes its LSN. The first of a range names the
 * range. Readers pass over them, as over all types from 128 on that they do not know; the loss stays to be seen. Pure.
 */
import { readU64, viewOf, writeU64 } from '../bytes/u64.ts'

/** LSNs from `from` to `to`, both included. */
export type LsnRange = { readonly from: number; readonly to: number }

/** The payload of the first LOST frame of a range. */
export const encodeLost = ({ from, to }: LsnRange): Uint8Array => {
  const bytes = new Uint8Array(16)
  writeU64(viewOf(bytes), 0, from)
  writeU64(viewOf(bytes), 8, to)
  return bytes
}

/** The range that a LOST frame names; `undefined` for one that names none. */
export const decodeLost = (bytes: Uint8Array): LsnRange | undefined => {
  if (bytes.length !== 16) return undefined
  const from = readU64(viewOf(bytes), 0)
  const to = readU64(viewOf(bytes), 8)
  return Number.isSafeInteger(to) && from >= 1 && to >= from ? { from, to } : undefined
}
