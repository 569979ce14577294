/**
 * The scripts of `flow-scripts/`, each played on Keelson and on DBOS with PostgreSQL: status, result, runs of each step. A difference
 * that its script does not list ends the bench with 1, and so does a listed one that is none. `--json test/flow/dbos-outcomes.json`
 * writes the outcomes of DBOS, with which `test/flow/beside-dbos.test.ts` compares.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { expectedOf, playScripts } from './flow-scripts/play.mjs'
import { scripts } from './flow-scripts/scripts.mjs'
import { installPeers } from './harness/peers.mjs'
import { startPostgres } from './writes/postgres-server.mjs'

export const about =
  'scripts of workflows, played on Keelson and on DBOS: the outcomes are compared'

const peers = JSON.parse(readFileSync(new URL('./peers/package.json', import.meta.url), 'utf8'))

/** Says how the outcomes of one script compare; answers whether that is as its script says. */
const compare = (script, own, other) => {
  const isAsExpected = isDeepStrictEqual(own, expectedOf(script, other))
  const isIdle = script.differs !== undefined && isDeepStrictEqual(own, other)
  if (isAsExpected && !isIdle) {
    if (script.differs) console.log(`${script.title}\n  ${script.differs.why}`)
    return true
  }
  const fault = isIdle ? 'lists a difference, and there is none' : 'differs'
  console.log(`${script.title}: ${fault}`)
  for (const [name, outcome] of Object.entries({ keelson: own, DBOS: other }))
    console.log(`  ${name.padEnd(8)} ${JSON.stringify({ ...outcome, title: undefined })}`)
  return false
}

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
    const { own, others } = await play(folder)
    const wrong = scripts.filter((script, at) => !compare(script, own[at], others[at]))
    const differing = scripts.filter(({ differs }) => differs !== undefined)
    if (wrong.length > 0) throw new Error(`${wrong.length} scripts do not compare as they say`)
    console.log(`\n${scripts.length} scripts, ${differing.length} of them differ as they say`)
    return { dbos: peers.dependencies['@dbos-inc/dbos-sdk'], outcomes: others }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
