/** A thread that writes what it is given, and syncs: no index, no checksum. */
import { closeSync, openSync, readSync } from 'node:fs'
import { message } from '../wal/paths.mjs'
import { places } from '../wal/segment.mjs'

export const open = async (dir) => {
  const { commit, close } = await message.open(dir)
  const descriptor = openSync(dir, 'r')
  const placeOf = places()
  const written = new Map()
  return {
    put: (key, value) => {
      written.set(key, { at: placeOf(value.length), length: value.length })
      return commit([value])
    },
    get: (key) => {
      const { at, length } = written.get(key)
      const value = Buffer.alloc(length)
      readSync(descriptor, value, 0, length, at)
      return value
    },
    close: () => {
      closeSync(descriptor)
      return close()
    },
  }
}
