/**
 * A member whose log is in PostgreSQL: what its writes cost beside a log in files, on a server alone and on one with a synchronous
 * standby; how long nobody answers after `kill -9` of the owner; how long a member starts without a cache; and three members
 * that share the shards (`--only shards`). All servers and processes share this machine and its disk, so the ratios count.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { synchronousPair } from './cluster/servers.mjs'
import { runShards } from './cluster/shards.mjs'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { race } from './harness/turns.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'
import { startPostgres } from './writes/postgres-server.mjs'

export const about =
  'a log in PostgreSQL: writes, fail-over, starts without a cache, shards at three members; --rows N of 10 kB'

const program = fileURLToPath(new URL('./cluster/player.mjs', import.meta.url))

/** Forks a member in `folder`, and begins its start. */
const member = async (folder, settings) => {
  const dir = join(folder, `${settings.name ?? 'local'}-${settings.member ?? 'a'}`)
  mkdirSync(dir, { recursive: true })
  const player = await Player.fork(program, [dir, JSON.stringify(settings)])
  return { player, dir, state: await player.ask({ kind: 'begin' }) }
}

/** The first is what the others are compared with. */
const logs = [
  { label: 'log in files', player: 'local' },
  { label: 'PostgreSQL', player: 'alone' },
  { label: '… with a synchronous standby', player: 'pair' },
]

const writes = [1, 64, 1_024].flatMap((inFlight) =>
  ['put', 'call'].map((work) => ({
    title: `${work}s, ${inFlight} in flight`,
    rows: logs.map((log) => ({ ...log, order: { work, inFlight } })),
  })),
)

const outcomeOf = (rows, figures) =>
  rows.map(({ label }, index) => ({
    label,
    rate: median(figures[index].map(({ rate }) => rate)),
    p50: median(figures[index].map(({ p50 }) => p50)),
    p99: median(figures[index].map(({ p99 }) => p99)),
    ratio: median(figures[index].map(({ rate }, at) => rate / figures[0][at].rate)),
  }))

const outcomeTable = (outcome) =>
  table([
    ['', 'a second', 'p50', 'p99', 'of files'],
    ...outcome.map(({ label, rate, p50, p99, ratio }) => [
      label,
      amount(rate),
      `${p50.toFixed(2)} ms`,
      `${p99.toFixed(1)} ms`,
      `${ratio.toFixed(3)}×`,
    ]),
  ])

/** Puts and calls on the three logs, in turns. What was answered is there at the end. */
const raceWrites = async ({ folder, alone, pair }, wanted, pace) => {
  const cases = writes.filter(({ title }) => isWanted(wanted, title))
  if (cases.length === 0) return []
  const places = {
    local: {},
    alone: { socket: alone.socket, name: 'alone' },
    pair: { socket: pair.socket, name: 'pair', copies: 2 },
  }
  const players = {}
  const results = []
  try {
    for (const [name, place] of Object.entries(places))
      players[name] = (await member(folder, place)).player
    for (const { title, rows } of cases) {
      const outcome = outcomeOf(rows, await race(rows, players, pace))
      results.push({ case: title, outcome })
      console.log(`${title}\n${outcomeTable(outcome)}\n`)
    }
    for (const player of Object.values(players)) await player.ask({ kind: 'verify' })
    return results
  } finally {
    for (const player of Object.values(players)) await player.stop()
  }
}

/** The number and the time of the last acknowledgement. */
const lastOf = (noted) => {
  const { buffer, byteOffset } = readFileSync(noted)
  const [number, at] = new BigUint64Array(buffer.slice(byteOffset, byteOffset + 16))
  return { number: Number(number), at }
}

const atPart = (sorted, part) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]

const failOvers = 'fail-over after kill -9, lease 5 s'

/** Kills the owner under load. Answers for how many ms nothing was acknowledged, and the number that the standby has found. */
const failOver = async (owner, standby, noted, from) => {
  await owner.player.ask({ kind: 'load', from })
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  await owner.player.kill()
  const last = lastOf(noted)
  const { found, at } = await standby.player.ask({ kind: 'takeOver' })
  if (found < last.number) throw new Error(`${found} is there, and ${last.number} was answered`)
  return { gap: Number(BigInt(at) - last.at) / 1e6, found }
}

/** Kills the owner under load, again and again, and times the gap between two acknowledgements. The killed one is the next standby. */
const timeFailOvers = async ({ folder, pair }, rounds) => {
  const noted = join(folder, 'noted')
  const place = { socket: pair.socket, name: 'fails', copies: 2, noted }
  let owner = await member(folder, { ...place, member: 'a' })
  let standby = await member(folder, { ...place, member: 'b' })
  const gaps = []
  try {
    for (let round = 0, from = 1; round < rounds; round++) {
      const { gap, found } = await failOver(owner, standby, noted, from)
      gaps.push(gap)
      const [name] = owner.dir.split('-').slice(-1)
      owner = standby
      standby = await member(folder, { ...place, member: name })
      from = found + 1
    }
  } finally {
    await owner.player.stop()
    await standby.player.kill()
  }
  const sorted = gaps.toSorted((one, other) => one - other)
  const [p50, p99] = [atPart(sorted, 0.5), atPart(sorted, 0.99)]
  const head = ['', 'rounds', 'p50', 'p99', 'longest']
  const row = [failOvers, `${rounds}`, ...[p50, p99, sorted.at(-1)].map(seconds)]
  console.log(`${table([head, row])}\n`)
  return { case: failOvers, gaps }
}

const seconds = (ms) => `${(ms / 1_000).toFixed(2)} s`

/** A tenth of the rows is in the log behind the snapshot. */
const snapshotPart = 0.9

/** When a file of the folder was last written, in ms since 1970, once there was no such write for `quietMs`. */
const lastWrite = async (dir, quietMs) => {
  for (;;) {
    const files = readdirSync(dir, { recursive: true }).map((name) => statSync(join(dir, name)))
    const last = Math.max(...files.map(({ mtimeMs }) => mtimeMs))
    if (files.length > 0 && Date.now() - last > quietMs) return last
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

/** Fills the instance, starts it without a cache, and lets a new member join it and take over. */
const timeStarts = async ({ folder, alone }, { title, name, rows }, rounds) => {
  const place = { socket: alone.socket, name, noted: join(folder, 'noted') }
  const first = await member(folder, place)
  const middle = Math.round(rows * snapshotPart)
  await first.player.ask({ kind: 'fill', from: 0, to: middle, snapshot: true })
  await first.player.ask({ kind: 'fill', from: middle, to: rows })
  await first.player.stop()
  const starts = []
  for (let round = 0; round < rounds; round++) {
    rmSync(first.dir, { recursive: true })
    const { player } = await member(folder, place)
    starts.push(await player.ask({ kind: 'opened' }))
    await player.ask({ kind: 'verifyRows', rows })
    await player.stop()
  }
  const ms = median(starts)
  const bytes = rows * 10_000
  console.log(`${title}: ${seconds(ms)}, ${amount((bytes * 1_000) / ms)}B/s`)
  const owner = await member(folder, place)
  await owner.player.ask({ kind: 'opened' })
  const began = Date.now()
  const standby = await member(folder, { ...place, member: 'b' })
  try {
    const joined = (await lastWrite(standby.dir, 10_000)) - began
    console.log(`new member beside the owner: ${seconds(joined)}`)
    const { gap } = await failOver(owner, standby, place.noted, 1)
    await standby.player.ask({ kind: 'verifyRows', rows })
    console.log(`fail-over to it after kill -9, lease 5 s: ${seconds(gap)}\n`)
    return { case: title, rows, starts, joined, gap }
  } finally {
    await owner.player.kill()
    await standby.player.stop()
  }
}

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async ({ only, quick, repeats, rows = quick ? 6_700 : 107_400 }) => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-cluster-'))
  chmodSync(folder, 0o755)
  const alone = await startPostgres(join(folder, 'alone'))
  const pair = await synchronousPair(folder)
  const absent = alone.absent ?? pair.absent
  if (absent !== undefined) throw new Error(`PostgreSQL: ${absent}`)
  const servers = { folder, alone, pair }
  const starts = [
    { title: 'start without a cache, 1,000 rows of 10 kB', name: 'small', rows: 1_000 },
    { title: `start without a cache, ${amount(rows)} rows of 10 kB`, name: 'large', rows },
  ]
  try {
    const pace = { turns: repeats ?? (quick ? 3 : 9), seconds: quick ? 0.2 : 0.5 }
    const results = await raceWrites(servers, only, pace)
    if (isWanted(only, failOvers))
      results.push(await timeFailOvers(servers, repeats ?? (quick ? 3 : 20)))
    for (const each of starts)
      if (isWanted(only, each.title))
        results.push(await timeStarts(servers, each, repeats ?? (quick ? 1 : 3)))
    results.push(...(await runShards(servers, { only, quick, repeats })))
    return results
  } finally {
    await pair.stop()
    await alone.stop()
    rmSync(folder, { recursive: true })
  }
}
