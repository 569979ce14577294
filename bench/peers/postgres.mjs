/** PostgreSQL through `pg`: prepared statements, over as many connections as calls are in flight, up to 64. */
import pg from 'pg'

const connections = 64

export const open = async (_dir, socket) => {
  const pool = new pg.Pool({ host: socket, database: 'postgres', user: 'bench', max: connections })
  await pool.query('CREATE TABLE kv (key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL)')
  const statement = (name, text) => (values) => pool.query({ name, text, values })
  const onTop = 'ON CONFLICT (key) DO UPDATE SET value = excluded.value'
  const put = statement('put', `INSERT INTO kv VALUES ($1, $2) ${onTop}`)
  const putMany = statement(
    'many',
    `INSERT INTO kv SELECT * FROM unnest($1::text[], $2::bytea[]) ${onTop}`,
  )
  const putNew = statement('new', 'INSERT INTO kv VALUES ($1, $2) ON CONFLICT DO NOTHING')
  const remove = statement('remove', 'DELETE FROM kv WHERE key = $1')
  const read = statement('read', 'SELECT value FROM kv WHERE key = $1')
  const count = statement('count', 'SELECT count(*)::int AS n FROM kv WHERE key >= $1 AND key < $2')
  return {
    put: (key, value) => put([key, value]),
    putMany: (entries) => putMany([entries.map(([key]) => key), entries.map(([, value]) => value)]),
    remove: (key) => remove([key]),
    putNew: (key, value) => putNew([key, value]),
    get: async (key) => (await read([key])).rows[0]?.value,
    count: async (prefix) => (await count([`${prefix}:`, `${prefix};`])).rows[0].n,
    close: () => pool.end(),
  }
}
