/**
 * Durable actors over time: how late alarms fire, how long overdue ones take after a start while calls go on, what a million
 * entities at rest cost a start, and how soon a killed process answers again. Each part runs in processes of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { table } from './harness/table.mjs'
import { Player } from './writes/players.mjs'

export const about = 'durable actors: lateness of alarms, overdue ones, a million at rest, kill -9'

const program = fileURLToPath(new URL('./alarms/player.mjs', import.meta.url))
const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`

/** Starts a player on a folder; `startMs` is the time of its `start`. */
const playerOn = async (dir) => {
  const player = await Player.fork(program, [dir])
  return { player, ...(await player.ask({ kind: 'started' })) }
}

const inTime = async (dir, { alarms }) => {
  const { player } = await playerOn(dir)
  const { p50, p99, fired } = await player.ask({ kind: 'inTime', alarms, everyMs: 1 })
  if (fired !== alarms) throw new Error(`of ${alarms} alarms ${fired} have fired`)
  await player.stop()
  return [
    ['alarms set, one each ms', `${alarms}`],
    ['fired once each', `${fired}`],
    ['lateness p50, p99', `${ms(p50)}, ${ms(p99)}`],
  ]
}

const overdue = async (dir, { due }) => {
  const first = await playerOn(dir)
  const { until } = await first.player.ask({ kind: 'set', alarms: due })
  await first.player.stop()
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, until - Date.now())))
  const { player, startMs } = await playerOn(dir)
  const { doneMs, p50, p99, calls } = await player.ask({ kind: 'overdue', alarms: due })
  await player.stop()
  return [
    ['alarms overdue at the start', `${due}`],
    ['start', ms(startMs)],
    ['all fired after', ms(doneMs)],
    ['calls meanwhile: p50, p99', `${calls}: ${ms(p50)}, ${ms(p99)}`],
  ]
}

const atRest = async (dir, { entities }) => {
  const empty = await playerOn(join(dir, 'none'))
  await empty.player.stop()
  const first = await playerOn(join(dir, 'many'))
  const { seconds, heapMb } = await first.player.ask({ kind: 'touch', entities })
  await first.player.stop()
  const { player, startMs, heapMb: after } = await playerOn(join(dir, 'many'))
  await player.stop()
  return [
    ['entities touched once', `${entities} in ${seconds.toFixed(1)} s`],
    ['heap when all rest', `${heapMb.toFixed(1)} MB more than before`],
    ['start without them', ms(empty.startMs)],
    ['start with them', `${ms(startMs)}, heap ${after.toFixed(1)} MB`],
  ]
}

const firstAnswer = async (dir, { rounds }) => {
  const times = []
  const first = await playerOn(dir)
  await first.player.ask({ kind: 'set', alarms: 1_000 })
  let { player } = first
  for (let round = 0; round < rounds; round++) {
    await player.ask({ kind: 'load' })
    await player.kill()
    const began = performance.now()
    ;({ player } = await playerOn(dir))
    await player.ask({ kind: 'ask' })
    times.push(performance.now() - began)
  }
  await player.stop()
  times.sort((a, b) => a - b)
  return [
    ['rounds of kill -9 under load', `${rounds}`],
    ['from the kill to the first answer: p50', ms(times[times.length >> 1])],
    ['the longest', ms(times.at(-1))],
  ]
}

const parts = [
  { title: 'in time', play: inTime, quick: { alarms: 1_000 }, full: { alarms: 5_000 } },
  { title: 'overdue', play: overdue, quick: { due: 10_000 }, full: { due: 100_000 } },
  { title: 'at rest', play: atRest, quick: { entities: 50_000 }, full: { entities: 1_000_000 } },
  { title: 'kill -9', play: firstAnswer, quick: { rounds: 3 }, full: { rounds: 15 } },
]

/** Runs the parts that are wanted, prints them and answers the figures. */
export const run = async ({ only, quick }) => {
  const results = []
  for (const { title, play, ...sizes } of parts) {
    if (!isWanted(only, title)) continue
    const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-alarms-'))
    try {
      const rows = await play(dir, quick ? sizes.quick : sizes.full)
      results.push({ case: title, rows })
      console.log(`${title}\n${table(rows)}\n`)
    } finally {
      rmSync(dir, { recursive: true })
    }
  }
  return results
}
