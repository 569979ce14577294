/**
 * A fixed layout of bytes: the place of each fact, said once for the one that writes it and the one
 * that reads it. Numbers are little-endian. For what a file has once: rows, frames and groups have
 * loops, which make no objects.
 */
import { readU64, writeU64 } from './u64.ts'

/** A fact at a fixed place. */
export type Field<T> = {
  readonly read: (view: DataView) => T
  readonly write: (view: DataView, value: T) => void
}

/** A number of 16 bits. */
export const u16 = (at: number): Field<number> => ({
  read: (view) => view.getUint16(at, true),
  write: (view, value) => view.setUint16(at, value, true),
})

/** A number of 32 bits. */
export const u32 = (at: number): Field<number> => ({
  read: (view) => view.getUint32(at, true),
  write: (view, value) => view.setUint32(at, value, true),
})

/** A number up to 2^53: `readU64` says what a larger one gives. */
export const u64 = (at: number): Field<number> => ({
  read: (view) => readU64(view, at),
  write: (view, value) => writeU64(view, at, value),
})

/** One byte: 0 or 1. */
export const flag = (at: number): Field<boolean> => ({
  read: (view) => view.getUint8(at) === 1,
  write: (view, value) => view.setUint8(at, value ? 1 : 0),
})

/** Bytes as text in hex, two digits for each. */
export const hex = (at: number, length: number): Field<string> => {
  const bytesOf = (view: DataView) => Buffer.from(view.buffer, view.byteOffset + at, length)
  return {
    read: (view) => bytesOf(view).toString('hex'),
    write: (view, text) => void bytesOf(view).write(text, 'hex'),
  }
}

/** Several facts as an object. Other properties of the object are not written. */
export const layout = <T extends object>(
  of: {
    readonly [Name in keyof T]: Field<T[Name]>
  },
): Field<T> => {
  const fields = Object.entries(of) as [keyof T, Field<T[keyof T]>][]
  return {
    read: (view) => Object.fromEntries(fields.map(([name, { read }]) => [name, read(view)])) as T,
    write: (view, facts) => {
      for (const [name, { write }] of fields) write(view, facts[name])
    },
  }
}
