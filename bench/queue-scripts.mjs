/**
 * The scripts of `queue-scripts/`, each played on Keelson and on BullMQ with Redis: runs of each job, dead jobs, order. A difference
 * that its script does not list ends the bench with 1, and so does a listed one that is none. `--json test/flow/bullmq-outcomes.json`
 * writes the outcomes of BullMQ, with which `test/flow/beside-peers.long.test.ts` compares.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis } from './flow/redis-server.mjs'
import { installPeers } from './harness/peers.mjs'
import { compareAll } from './harness/scripts.mjs'
import { playScripts } from './queue-scripts/play.mjs'
import { scripts } from './queue-scripts/scripts.mjs'

export const about = 'scripts of queues, played on Keelson and on BullMQ: the outcomes are compared'

const peers = JSON.parse(readFileSync(new URL('./peers/package.json', import.meta.url), 'utf8'))

const play = async (folder) => {
  installPeers()
  const redis = await startRedis(join(folder, 'redis'))
  if (redis.absent !== undefined) throw new Error(redis.absent)
  try {
    const others = await playScripts('bullmq', redis.socket, folder)
    return { others, own: await playScripts('keelson', join(folder, 'keelson'), folder) }
  } finally {
    await redis.stop()
  }
}

/** Plays and compares them all; answers the outcomes of BullMQ, with its version. */
export const run = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-queue-scripts-'))
  try {
    const played = await play(folder)
    compareAll(scripts, 'BullMQ', played)
    return { bullmq: peers.dependencies.bullmq, outcomes: played.others }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
