/**
 * Writes now and then: 100 changing bytes back to back and every 5, 50 and 500 ms, by Keelson's puts, durable turns and entries
 * of the journal, beside embedded databases and a bare thread that writes and syncs; and what an instance costs that rests.
 * All sync before they answer, and each is read back after every turn.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isWanted } from './harness/options.mjs'
import { installPeers } from './harness/peers.mjs'
import { amount, table } from './harness/table.mjs'
import { median, quantile } from './wal/turns.mjs'
import { contenders as databases, Player } from './writes/players.mjs'

export const about = 'a write now and then beside SQLite, LMDB, LevelDB; an instance at rest'

const here = (name) => new URL(`./sporadic/${name}.mjs`, import.meta.url).href
const keelson = here('keelson')
const yardstick = 'better-sqlite3'

const contenders = [
  { name: 'keelson, put', file: keelson },
  { name: 'keelson, turn', file: keelson, opener: 'openTurns' },
  { name: 'keelson, entry', file: keelson, opener: 'openEntries' },
  ...databases.filter(({ name }) => [yardstick, 'lmdb-js', 'classic-level'].includes(name)),
  { name: 'a bare thread', file: here('bare') },
  { name: 'memory alone', file: here('memory') },
]

/** Writes of a turn: enough of them for a p99 where they are quick. */
const paces = [
  { title: 'back to back', everyMs: 0, seconds: 0.5 },
  { title: 'every 5 ms', everyMs: 5, seconds: 1 },
  { title: 'every 50 ms', everyMs: 50, seconds: 2 },
  { title: 'every 500 ms', everyMs: 500, seconds: 4 },
]

const resting = [
  { name: 'keelson, 1 shard', file: keelson, extra: '1' },
  { name: 'keelson, 4 shards', file: keelson, extra: '4' },
  { name: 'node alone', file: here('memory') },
]

/** Starts who can and should take part, each in a process of its own, and says who cannot. */
const startPlayers = async (all, wanted, folder) => {
  const rows = []
  for (const contender of all.filter(({ name }) => isWanted(wanted, name))) {
    const { absent } = contender.prepare?.({}) ?? {}
    if (absent !== undefined) console.log(`– ${contender.name}: ${absent}`)
    else rows.push({ ...contender, player: await Player.start(contender, folder, contender.extra) })
  }
  return rows
}

/** A turn of writes, one after another. What Keelson brings to its projection afterwards counts as its CPU. */
const write = ({ player, file }, { everyMs = 0, seconds, inFlight = 1 }) =>
  player.ask({
    kind: 'turn',
    work: 'sporadic',
    inFlight,
    everyMs,
    seconds,
    isProjected: file === keelson,
  })

/** What `rows` cost at one pace, in turns whose order changes. */
const race = async (rows, pace, turns) => {
  const figures = rows.map(() => ({ times: [], p50s: [], cpus: [] }))
  for (let at = 0; at < turns; at++)
    for (let step = 0; step < rows.length; step++) {
      const index = (at + step) % rows.length
      const { times, cpu } = await write(rows[index], pace)
      for (const time of times) figures[index].times.push(time)
      figures[index].p50s.push(median(times))
      figures[index].cpus.push(cpu)
    }
  return figures
}

const ratio = (own, others) => median(own.map((figure, at) => figure / others[at]))

const outcomeOf = (rows, figures) => {
  const other = figures[rows.findIndex(({ name }) => name === yardstick)]
  return figures.map(({ times, p50s, cpus }, index) => {
    times.sort((left, right) => left - right)
    return {
      name: rows[index].name,
      writes: times.length,
      p50: quantile(times, 0.5),
      p99: times.length < 100 ? undefined : quantile(times, 0.99),
      cpu: median(cpus) / 1_000,
      ofWall: other && ratio(p50s, other.p50s),
      ofCpu: other && ratio(cpus, other.cpus),
    }
  })
}

const ms = (value) => (value === undefined ? '–' : `${value.toFixed(2)} ms`)
const times = (value) => (value === undefined ? '' : `${value.toFixed(2)}×`)

const outcomeTable = (outcome) =>
  table([
    ['', 'p50', 'p99', 'CPU a write', `p50 of ${yardstick}`, 'CPU of it'],
    ...outcome.map(({ name, p50, p99, cpu, ofWall, ofCpu }) => [
      name,
      ms(p50),
      ms(p99),
      ms(cpu),
      times(ofWall),
      times(ofCpu),
    ]),
  ])

const writesOf = async ({ only, with: wanted, quick, repeats }, folder) => {
  const present = paces.filter(({ title }) => isWanted(only, title))
  const rows = present.length > 0 ? await startPlayers(contenders, wanted, folder) : []
  const results = []
  try {
    // Compiled code, as a service has that runs for an hour.
    for (const row of rows) await write(row, { seconds: 1 })
    for (const pace of present) {
      const outcome = outcomeOf(rows, await race(rows, pace, repeats ?? (quick ? 2 : 5)))
      results.push({ case: pace.title, outcome })
      console.log(`${pace.title}\n${outcomeTable(outcome)}\n`)
    }
    return results
  } finally {
    for (const { player } of rows) await player.stop()
  }
}

/** After some load all rest beside each other. The first minute does not count. */
const restOf = async ({ only, with: wanted, quick, minutes = quick ? 1 : 10 }, folder) => {
  if (!isWanted(only, 'idle')) return []
  const rows = await startPlayers(resting, wanted, folder)
  const usages = () => Promise.all(rows.map(({ player }) => player.ask({ kind: 'usage' })))
  try {
    for (const row of rows.filter(({ file }) => file === keelson))
      await write(row, { seconds: 2, inFlight: 64 })
    await sleep(60_000)
    const before = await usages()
    await sleep(minutes * 60_000)
    const after = await usages()
    const outcome = rows.map(({ name }, index) => ({
      name,
      share: (after[index].cpu - before[index].cpu) / (minutes * 60e6),
      wakes: (after[index].wakes - before[index].wakes) / minutes,
      bytes: (after[index].bytes - before[index].bytes) / minutes,
    }))
    console.log(`idle, ${minutes} min\n${restTable(outcome)}\n`)
    return [{ case: 'idle', minutes, outcome }]
  } finally {
    for (const { player } of rows) await player.stop()
  }
}

const restTable = (outcome) =>
  table([
    ['', 'of a core', 'wake-ups/min', 'bytes written/min'],
    ...outcome.map(({ name, share, wakes, bytes }) => [
      name,
      `${(share * 100).toFixed(4)} %`,
      amount(wakes),
      amount(bytes),
    ]),
  ])

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async (options) => {
  installPeers()
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-sporadic-'))
  try {
    return [...(await writesOf(options, folder)), ...(await restOf(options, folder))]
  } finally {
    rmSync(folder, { recursive: true })
  }
}
