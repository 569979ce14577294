/**
 * `jiti scripts/golden-folders.ts DIR` writes the golden folders of the present build into `DIR`, such as `test/golden/1.0`: a
 * data folder that was closed, one whose process has ended without that, a backup, the tables of a replica and of an engine if
 * there is a PostgreSQL server, and the list of the formats in them. Run it once for a release, and never again for that one.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { start } from 'keelson'
import { postgres, postgresEngine } from 'keelson/postgres'
import { packed } from '../test/support/golden/golden-archive.ts'
import { formatsOf, knownFormats } from '../test/support/golden/golden-formats.ts'
import { goldenLog, goldenOptions, writeGolden } from '../test/support/golden/golden-life.ts'
import { columnsOf } from '../test/support/golden/golden-tables.ts'
import { binaries, PostgresServer } from '../test/support/worlds/postgres-server.ts'

const quickly = { deadlineMs: 500 }

/** The folder, its backup, and the replica of it. */
const folders = async (dir: string, server: PostgresServer): Promise<void> => {
  const replication = [{ client: postgres({ connectionString: server.url }), required: true }]
  const options = { ...goldenOptions(false), wal: goldenLog, replication }
  const app = await start({ dir: join(dir, 'closed'), ...options })
  await writeGolden(app)
  await app.store.put('replicated', 1, { ack: 'replicated' })
  await app.store.delete('replicated', { ack: 'replicated' })
  await app.backup(join(dir, 'backup'), { consistent: true })
  cpSync(join(dir, 'closed'), join(dir, 'killed'), { recursive: true })
  await app.close(quickly)
}

const engine = async (dir: string, server: PostgresServer): Promise<void> => {
  const made = postgresEngine({ connectionString: server.url })
  const cluster = { name: 'golden', member: 'a', engine: made }
  const app = await start({ dir: join(dir, 'cache'), ...goldenOptions(false), cluster })
  await writeGolden(app)
  await app.close(quickly)
}

const dumped = (server: PostgresServer): Buffer => {
  const words = ['--inserts', '--no-owner', '-n', 'keelson', '-n', 'keelson_cluster', server.url]
  return execFileSync(join(binaries() ?? '', 'pg_dump'), words, { maxBuffer: 2 ** 28 })
}

const main = async (out: string): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-golden-'))
  const server = new PostgresServer(join(dir, 'server'))
  try {
    await server.start()
    await folders(dir, server)
    await engine(dir, server)
    mkdirSync(out, { recursive: true })
    const facts = new Set([...knownFormats(), ...(await columnsOf(server.url))])
    for (const name of ['closed', 'killed', 'backup']) {
      for (const fact of formatsOf(join(dir, name))) facts.add(fact)
      packed(join(dir, name), join(out, `${name}.br`))
    }
    writeFileSync(join(out, 'tables.sql.br'), brotliCompressSync(dumped(server)))
    writeFileSync(join(out, 'formats.txt'), `${[...facts].sort().join('\n')}\n`)
  } finally {
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

const [out] = process.argv.slice(2)
if (out === undefined) throw new Error('golden-folders DIR')
await main(out)
