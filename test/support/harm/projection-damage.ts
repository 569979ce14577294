/** Ways to damage a projection's file, as data, so that a failing one can be printed and tried again. */
import type { Disk, DiskFile } from '../../../src/storage/ports/disk.ts'

/** One damage. Offsets and sizes are bytes; `page` counts pages of 4 KiB, or of whatever `pageBytes` says. */
export type Damage =
  | { readonly kind: 'flip'; readonly offset: number; readonly bit: number }
  | { readonly kind: 'cut'; readonly size: number }
  | { readonly kind: 'zero'; readonly page: number; readonly pageBytes: number }
  | {
      readonly kind: 'garbage'
      readonly page: number
      readonly pageBytes: number
      readonly seed: number
    }
  /** A misdirected write: page `from` also replaces `page`. */
  | {
      readonly kind: 'misplaced'
      readonly page: number
      readonly pageBytes: number
      readonly from: number
    }

  /** Bytes that changed: offset and new value. */
  | { readonly kind: 'patch'; readonly bytes: readonly (readonly [offset: number, byte: number])[] }

/** A copy of `whole` with `damage` done to it. */
export const damaged = (whole: Uint8Array, damage: Damage): Uint8Array => {
  // Not `slice`, which on a Buffer is a view: the damage would stay for the next one.
  if (damage.kind === 'cut') return new Uint8Array(whole.subarray(0, damage.size))
  const bytes = new Uint8Array(whole)
  if (damage.kind === 'flip') {
    bytes[damage.offset] = (bytes[damage.offset] ?? 0) ^ (1 << damage.bit)
    return bytes
  }
  if (damage.kind === 'patch') {
    for (const [offset, byte] of damage.bytes) bytes[offset] = byte
    return bytes
  }
  const { page, pageBytes } = damage
  const target = bytes.subarray(page * pageBytes, (page + 1) * pageBytes)
  if (damage.kind === 'zero') target.fill(0)
  else if (damage.kind === 'misplaced')
    target.set(whole.subarray(damage.from * pageBytes, (damage.from + 1) * pageBytes))
  else {
    let state = damage.seed
    for (let at = 0; at < target.length; at++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      target[at] = state >>> 16
    }
  }
  return bytes
}

/** A disk with one file, `dir/data.mdb`, that can only be read. */
export const diskWith = (bytes: Uint8Array): Disk => {
  const file: DiskFile = {
    path: 'dir/data.mdb',
    size: () => bytes.length,
    read(into, offset) {
      const part = bytes.subarray(offset, offset + into.length)
      into.set(part)
      return part.length
    },
    write: readOnly,
    sync: readOnly,
    truncate: readOnly,
    rename: readOnly,
    close: () => undefined,
  }
  return {
    open: () => file,
    openFolder: readOnly,
    entry: (path) => (path === file.path ? { kind: 'file', size: bytes.length } : undefined),
    list: readOnly,
    makeFolder: readOnly,
    rename: readOnly,
    remove: readOnly,
    syncFolder: readOnly,
    identity: () => undefined,
    isVolatile: () => false,
    free: () => Number.POSITIVE_INFINITY,
    lock: readOnly,
  }
}

const readOnly = (): never => {
  throw new Error('an examination changes nothing')
}
