/**
 * Storage actors killed under load in one process, over the built package, a real folder and real
 * threads: `wal_writer(0)`, `applier(0)`, `blob_store(0)` and `batcher(0)`, N times each. While the
 * process lives no outcome may stay open, so every answer must be the true one.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as keelson from 'keelson'
import { seededRandom, systemClock } from '../../src/clock.ts'
import { killLoad } from '../support/harm/kill-load.ts'

const victims = ['wal_writer(0)', 'applier(0)', 'blob_store(0)', 'batcher(0)']

/** A shard's supervisor allows five restarts in 10 s. */
const spacingMs = 2_050

/** A wave takes about so long: the kill is somewhere within it. */
const killWithinMs = 60

/** What was killed, and how many answers were compared. */
export type Deaths = { kills: number; answers: number }

/** Kills each victim `rounds` times. Rejects when an answer was not the true one. */
export const deathRounds = async ({
  rounds,
  seed,
  progress,
}: {
  readonly rounds: number
  readonly seed: number
  readonly progress: (deaths: Deaths) => void
}): Promise<Deaths> => {
  const clock = systemClock()
  const random = seededRandom(seed)
  const pause = (ms: number) =>
    new Promise<void>((resolve) => clock.after(Math.max(0, ms), resolve))
  const dir = mkdtempSync(join(tmpdir(), 'keelson-deaths-'))
  // The built package has the types of the sources.
  const load = killLoad(keelson as unknown as Parameters<typeof killLoad>[0])
  const silent = () => undefined
  const logger = { error: silent, warn: silent, info: silent }
  const open = async () => (await keelson.start({ dir, logger, app: load.tree as never })) as never
  const deaths = { kills: 0, answers: 0 }
  let app: Parameters<typeof load.wave>[0] = await open()
  try {
    await load.wave(app)
    for (let round = 0; round < rounds; round++)
      for (const victim of victims) {
        const wave = load.wave(app)
        await pause(random() * killWithinMs)
        app.system.kill(victim as never)
        const killedAt = clock.monotonic()
        await wave
        deaths.kills++
        deaths.answers += load.answers
        await pause(spacingMs - (clock.monotonic() - killedAt))
        await load.checkLarge(app)
        if (load.wrong.length > 0) throw new Error(load.wrong.join('\n'))
        progress(deaths)
      }
    await load.check(app)
    await app.close()
    app = await open()
    await load.check(app)
    if (load.wrong.length > 0) throw new Error(load.wrong.join('\n'))
    return deaths
  } finally {
    await app.close()
    rmSync(dir, { recursive: true, force: true })
  }
}
