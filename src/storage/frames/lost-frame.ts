/**
 * LOST frames: placeholders for frames that a salvage could not recover. LSNs have no gaps and
 * callers keep positions by LSN, so a lost frame keeps its LSN and nothing is renumbered. The first
 * LOST frame of a range names the range. Readers skip LOST frames, and the loss stays visible.
 * Pure.
 */
import { readU64, viewOf, writeU64 } from '../../bytes/u64.ts'

/** LSNs from `from` to `to`, both included. */
export type LsnRange = { readonly from: number; readonly to: number }

/** The payload of the first LOST frame of a range. */
export const encodeLost = ({ from, to }: LsnRange): Uint8Array => {
  const bytes = new Uint8Array(16)
  writeU64(viewOf(bytes), 0, from)
  writeU64(viewOf(bytes), 8, to)
  return bytes
}

/** The range in a LOST frame's payload, or `undefined`. */
export const decodeLost = (bytes: Uint8Array): LsnRange | undefined => {
  if (bytes.length !== 16) return undefined
  const from = readU64(viewOf(bytes), 0)
  const to = readU64(viewOf(bytes), 8)
  return Number.isSafeInteger(to) && from >= 1 && to >= from ? { from, to } : undefined
}
