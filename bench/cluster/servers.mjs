/** A PostgreSQL server with a standby that it waits for at each commit. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { startPostgres } from '../writes/postgres-server.mjs'

/** Starts both. Answers what `startPostgres` does, of the first server. */
export const synchronousPair = async (folder) => {
  const primary = await startPostgres(join(folder, 'primary'))
  if (primary.absent !== undefined) return primary
  const standby = await startPostgres(join(folder, 'standby'), { primary: primary.socket })
  if (standby.absent !== undefined) {
    await primary.stop()
    return standby
  }
  const stop = async () => {
    await standby.stop()
    await primary.stop()
  }
  const ask = (sql) => {
    const where = ['-h', primary.socket, '-U', 'bench', '-d', 'postgres']
    const { status, stdout, stderr } = spawnSync(
      join(primary.bin, 'psql'),
      [...where, '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', sql],
      { encoding: 'utf8' },
    )
    if (status !== 0) throw new Error(`psql: ${stderr}`)
    return stdout.trim()
  }
  ask("alter system set synchronous_standby_names = '*'")
  ask('select pg_reload_conf()')
  while (ask('select max(sync_state) from pg_stat_replication') !== 'sync')
    await new Promise((resolve) => setTimeout(resolve, 50))
  return { ...primary, stop }
}
