/** Several frames' payloads as one: their units one after another behind one stamp. Pure. */
import { frameUnitsMax, stampBytes } from './command.ts'

/** Bytes before the first unit: the stamp, and the number of units (u16, little-endian). */
const headBytes = stampBytes + 2

/** How many units a payload that was encoded here holds. */
const unitsOf = (payload: Uint8Array): number =>
  (payload[stampBytes] ?? 0) | ((payload[stampBytes + 1] ?? 0) << 8)

/** How many bytes each further payload adds to a joined one. */
export const joinedLength = (payload: Uint8Array): number => payload.length - headBytes

/**
 * The payload with all units of `payloads`, in their order: what `encodeFrame` makes of them together, without encoding again.
 * In memory of its own, but for a single one, which is answered as it is.
 * @throws RangeError for none, and beyond 65,535 units
 */
export const joinFrames = (payloads: readonly Uint8Array[]): Uint8Array => {
  const [only] = payloads
  if (only !== undefined && payloads.length === 1) return only
  const units = payloads.reduce((sum, payload) => sum + unitsOf(payload), 0)
  if (units === 0 || units > frameUnitsMax) throw new RangeError(`a frame of ${units} units`)
  const length = payloads.reduce((sum, payload) => sum + joinedLength(payload), headBytes)
  const joined = new Uint8Array(length)
  joined[stampBytes] = units
  joined[stampBytes + 1] = units >>> 8
  let at = headBytes
  for (const payload of payloads) {
    joined.set(payload.subarray(headBytes), at)
    at += joinedLength(payload)
  }
  return joined
}
