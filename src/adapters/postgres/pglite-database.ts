/** PGlite: PostgreSQL within this process, in a folder of its own. To try replication without a server. */
import type { PGlite } from '@electric-sql/pglite'
import type { Columns, Database } from './database.ts'

/** Opens the folder, or memory without one. @throws the error of PGlite */
export const connectPglite = async (dir: string | undefined): Promise<Database> => {
  const { PGlite } = await import('@electric-sql/pglite')
  const database = await PGlite.create(dir === undefined ? {} : { dataDir: dir })
  return overPglite(database)
}

/** A connection to an open PGlite. It has one connection; closing it here ends PGlite. */
export const overPglite = (database: PGlite): Database => ({
  async query(sql, parameters = []) {
    const { rows } = await database.query<Columns>(sql, [...parameters])
    return rows
  },
  close: () =>
    database.close().then(
      () => undefined,
      () => undefined,
    ),
})
