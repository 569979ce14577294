/** A file as the log prepares one: zeros, synced; and the turns over it, so that a bench may write as long as it likes. */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'

/** Bytes of a segment, and the sectors on which groups begin. */
export const segmentBytes = 16 * 2 ** 20
const sectorBytes = 512

const zeros = Buffer.alloc(2 ** 20)

/** Makes the file and answers its descriptor. */
export const makeSegment = (path) => {
  const descriptor = openSync(path, 'w+')
  for (let at = 0; at < segmentBytes; at += zeros.length)
    writeSync(descriptor, zeros, 0, zeros.length, at)
  fdatasyncSync(descriptor)
  return descriptor
}

/** Where the next group of `length` bytes goes: behind the last, and at the beginning again when the file is full. */
export const places = () => {
  let next = 0
  return (length) => {
    const at = next + length > segmentBytes ? 0 : next
    next = at + Math.ceil(length / sectorBytes) * sectorBytes
    return at
  }
}

export { closeSync as closeSegment }
