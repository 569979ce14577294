/** better-sqlite3: WAL, `synchronous=FULL`, transactions grouped by hand. */
import Database from 'better-sqlite3'
import { grouped } from '../writes/grouped.mjs'

export const open = (dir) => {
  const db = new Database(`${dir}.sqlite`)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.exec('CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID')
  const put = db.prepare(
    'INSERT INTO kv VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  )
  const putNew = db.prepare('INSERT INTO kv VALUES (?, ?) ON CONFLICT DO NOTHING')
  const remove = db.prepare('DELETE FROM kv WHERE key = ?')
  const read = db.prepare('SELECT value FROM kv WHERE key = ?').pluck()
  const count = db.prepare('SELECT count(*) FROM kv WHERE key >= ? AND key < ?').pluck()
  const all = db.transaction((operations) => {
    for (const operation of operations) operation()
  })
  const write = grouped((operations) => {
    all(operations)
  })
  return {
    put: (key, value) => write(() => put.run(key, value)),
    putMany: (entries) =>
      write(() => {
        for (const [key, value] of entries) put.run(key, value)
      }),
    remove: (key) => write(() => remove.run(key)),
    putNew: (key, value) => write(() => putNew.run(key, value)),
    get: (key) => read.get(key),
    count: (prefix) => count.get(`${prefix}:`, `${prefix};`),
    close: () => db.close(),
  }
}
