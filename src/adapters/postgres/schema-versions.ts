/** How a schema of ours in PostgreSQL comes from version to version. */
import { KeelsonError } from '../../errors.ts'
import { type Database, inTransaction, numberIn } from './database.ts'

/** A schema that this code can read and write. */
export type SchemaVersions = {
  /**
   * Brings the schema up to date, and makes it where it is missing. Safe beside others that do the
   * same. @throws KeelsonError as `versionOf`
   */
  migrate(database: Database): Promise<void>
  /**
   * The version of the schema; 0 without one.
   * @throws KeelsonError `UNSUPPORTED_VERSION` if a newer version made it; `CORRUPT` if its table is
   * damaged
   */
  versionOf(database: Database): Promise<number>
}

/** A number of our own: PostgreSQL's advisory locks have no names. */
const lockKey = 0x6b65656c

const damaged = (name: string, version: number): KeelsonError =>
  new KeelsonError('CORRUPT', `the table ${name}.version is damaged: it has version ${version}`, {
    details: { table: `${name}.version`, evidence: String(version) },
  })

/** The schema `name`, whose versions begin at 0. `steps` lead from each version to the next. */
export const schemaVersions = (
  name: string,
  steps: readonly (readonly string[])[],
): SchemaVersions => {
  const schemaVersion = steps.length

  const versionOf = async (database: Database): Promise<number> => {
    // After a wait for the lock, `to_regclass` could still answer from this session's cache.
    const [found] = await database.query(
      `select 1 as there from pg_class join pg_namespace on pg_namespace.oid = relnamespace
       where nspname = $1 and relname = 'version'`,
      [name],
    )
    if (!found) return 0
    const [row] = await database.query(`select version from ${name}.version`)
    const version = row ? numberIn(row, 'version') : 0
    // Its table comes with the version, in one transaction.
    if (version < 1) throw damaged(name, version)
    if (version > schemaVersion)
      throw new KeelsonError(
        'UNSUPPORTED_VERSION',
        `the schema ${name} has version ${version}, and this is ${schemaVersion}: a newer keelson made it`,
        { details: { version, supported: schemaVersion } },
      )
    return version
  }

  const migrate = async (database: Database): Promise<void> => {
    if ((await versionOf(database)) === schemaVersion) return
    await inTransaction(database, async () => {
      await database.query('select pg_advisory_xact_lock($1)', [lockKey])
      const version = await versionOf(database)
      if (version === 0) {
        await database.query(`create schema if not exists ${name}`)
        await database.query(`create table ${name}.version (version integer not null)`)
        await database.query(`insert into ${name}.version values (0)`)
      }
      for (const statement of steps.slice(version).flat()) await database.query(statement)
      await database.query(`update ${name}.version set version = $1`, [schemaVersion])
    })
  }

  return { migrate, versionOf }
}
