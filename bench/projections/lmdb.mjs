/** lmdb-js with the same rows: bytes as they are, objects in its own encoding. */
import { join } from 'node:path'
import { open } from 'lmdb'
import { play } from '../entities/turn.mjs'
import { paging, reading } from './reading.mjs'
import { keyOf, kinds } from './rows.mjs'

const [dir, rows] = process.argv.slice(2)
const count = Number(rows)
const stores = {
  bytes: open({ path: join(dir, 'bytes'), encoding: 'binary' }),
  objects: open({ path: join(dir, 'objects') }),
}
for (const [kind, db] of Object.entries(stores)) {
  await db.batch(() => {
    for (let number = 0; number < count; number++)
      void db.put(keyOf(kind, number), kinds[kind].make(number))
  })
}
const read = reading(count)
const readPages = paging(count)

const pageFrom = (first) => {
  const entries = [...stores.objects.getRange({ start: keyOf('objects', first), limit: 100 })]
  return { length: entries.length, from: entries[0].value.number }
}

play({
  turn: (order) => read(order, (key) => stores[order.value].get(key)),
  page: (order) => readPages(order, pageFrom),
  close: () => Promise.all(Object.values(stores).map((db) => db.close())),
})
