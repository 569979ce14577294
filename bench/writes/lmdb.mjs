/**
 * lmdb-js. `open`: a put is awaited until it is synced. `openEarly`: its default, whose puts are awaited as well, but resolve when
 * the transaction is committed and before the sync that makes it durable.
 */
import { open as openLmdb } from 'lmdb'

const openWith = (dir, options) => {
  const db = openLmdb({ path: dir, encoding: 'binary', ...options })
  const bounds = (prefix) => ({ start: `${prefix}:`, end: `${prefix};` })
  return {
    put: (key, value) => db.put(key, value),
    putMany: (entries) =>
      db.batch(() => {
        for (const [key, value] of entries) void db.put(key, value)
      }),
    remove: (key) => db.remove(key),
    putNew: (key, value) => db.ifNoExists(key, () => db.put(key, value)),
    get: (key) => db.get(key),
    count: (prefix) => db.getKeysCount(bounds(prefix)),
    close: () => db.close(),
  }
}

export const open = (dir) => openWith(dir, { overlappingSync: false })
export const openEarly = (dir) => openWith(dir, { overlappingSync: true })
