/**
 * The scripts of `flow-scripts/`, each played on Keelson and on DBOS with PostgreSQL: status, result, runs of each step. A difference
 * that its script does not list ends the bench with 1, and so does a listed one that is none. `--json test/flow/dbos-outcomes.json`
 * writes the outcomes of DBOS, with which `test/flow/beside-peers.long.test.ts` compares.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { playScripts } from './flow-scripts/play.mjs'
import { scripts } from './flow-scripts/scripts.mjs'
import { installPeers } from './harness/peers.mjs'
import { compareAll } from './harness/scripts.mjs'
import { startPostgres } from './writes/postgres-server.mjs'

export const about =
  'scripts of workflows, played on Keelson and on DBOS: the outcomes are compared'

const peers = JSON.parse(readFileSync(new URL('./peers/package.json', import.meta.url), 'utf8'))

const play = async (folder) => {
  installPeers()
  const postgres = await startPostgres(join(folder, 'postgres'))
  if (postgres.absent !== undefined) throw new Error(postgres.absent)
  try {
    const others = await playScripts('dbos', postgres.socket, folder)
    return { others, own: await playScripts('keelson', join(folder, 'keelson'), folder) }
  } finally {
    await postgres.stop()
  }
}

/** Plays and compares them all; answers the outcomes of DBOS, with its version. */
export const run = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-flow-scripts-'))
  chmodSync(folder, 0o755)
  try {
    const played = await play(folder)
    compareAll(scripts, 'DBOS', played)
    return { dbos: peers.dependencies['@dbos-inc/dbos-sdk'], outcomes: played.others }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
