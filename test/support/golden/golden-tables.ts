/** The tables of a replica and of an engine: their columns with their types, as lines of text. */
import pg from 'pg'

/** The columns of the schemas of Keelson, sorted. */
export const columnsOf = async (connectionString: string): Promise<string[]> => {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    const { rows } = await client.query(
      `select table_schema || '.' || table_name || '.' || column_name || ' ' || data_type as fact
       from information_schema.columns where table_schema in ('keelson', 'keelson_cluster')`,
    )
    const { rows: versions } = await client.query(
      `select 'keelson ' || (select version from keelson.version) as fact
       union all select 'keelson_cluster ' || (select version from keelson_cluster.version)`,
    )
    return [
      ...rows.map(({ fact }) => `column ${fact}`),
      ...versions.map(({ fact }) => `schema version ${fact}`),
    ].sort()
  } finally {
    await client.end()
  }
}
