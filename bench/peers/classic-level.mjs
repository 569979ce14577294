/** classic-level: sync batches, one under way, the next formed meanwhile. */
import { ClassicLevel } from 'classic-level'
import { grouped } from '../writes/grouped.mjs'

export const open = async (dir) => {
  const db = new ClassicLevel(dir, { valueEncoding: 'buffer' })
  await db.open()
  const commit = (operations) => db.batch(operations, { sync: true })
  const write = grouped((groups) => commit(groups.flat()))
  const putting = ([key, value]) => ({ type: 'put', key, value })
  return {
    put: (key, value) => write(putting([key, value])),
    putMany: (entries) => write(entries.map(putting)),
    remove: (key) => write({ type: 'del', key }),
    // It has no conditional write: the caller looks first. No other write to the key is in flight.
    putNew: (key, value) =>
      db.getSync(key) === undefined ? write(putting([key, value])) : Promise.resolve(),
    get: (key) => db.get(key),
    count: async (prefix) => (await db.keys({ gte: `${prefix}:`, lt: `${prefix};` }).all()).length,
    close: () => db.close(),
  }
}
