/**
 * Workflows beside DBOS on PostgreSQL and queues beside BullMQ on Redis, all of which sync what they acknowledge. Every result is
 * checked, and every job is done once. The long parts run only when `--only` names them.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lives } from './flow/lives.mjs'
import { startRedis } from './flow/redis-server.mjs'
import { isWanted } from './harness/options.mjs'
import { installPeers } from './harness/peers.mjs'
import { serverCpu } from './harness/server-cpu.mjs'
import { amount, table } from './harness/table.mjs'
import { race } from './harness/turns.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'
import { startPostgres } from './writes/postgres-server.mjs'

export const about = 'workflows beside DBOS, queues beside BullMQ'

const row = (label, player, order) => ({ label, player, order })

/** Each row of a peer comes after the row of Keelson that it is compared with. */
const runs = (inFlight) => ({
  title: `runs, ${inFlight} in flight`,
  rows: [
    row('put', 'keelson', { work: 'put', inFlight }),
    row('no-op run', 'keelson', { work: 'nothing', inFlight }),
    row('… of DBOS', 'DBOS', { work: 'nothing', inFlight }),
    row('run of three steps', 'keelson', { work: 'steps', inFlight }),
    row('… of DBOS', 'DBOS', { work: 'steps', inFlight }),
  ],
})

/** The same three steps in other ways. */
const ways = (inFlight) => ({
  title: `ways, ${inFlight} in flight`,
  rows: [
    row('put', 'keelson', { work: 'put', inFlight }),
    row('run of three steps', 'keelson', { work: 'steps', inFlight }),
    row('durable actor of three steps', 'keelson', { work: 'actor', inFlight }),
    row('durable machine of three steps', 'keelson', { work: 'machine', inFlight }),
  ],
})

const cases = [
  runs(1),
  runs(64),
  ways(1),
  ways(64),
  {
    title: 'jobs, from the first add to the last end',
    rows: [
      row('adds, 64 in flight', 'keelson', { work: 'add', inFlight: 64 }),
      row('… of BullMQ', 'BullMQ', { work: 'add', inFlight: 64 }),
      row('addMany of 100, 4 in flight', 'keelson', { work: 'addMany', inFlight: 4 }),
      row('… of BullMQ', 'BullMQ', { work: 'addMany', inFlight: 4 }),
    ],
  },
  {
    title: 'an idle queue, until the handler of a job begins',
    isIdle: true,
    rows: ['keelson', 'BullMQ', 'DBOS'].map((name) => row(name, name, { work: 'idle' })),
  },
]

const program = (path) => fileURLToPath(new URL(path, import.meta.url))

/** A player whose answers have the CPU time of its server too. */
const withServer = (player, pid) => ({
  ask: async (order) => {
    const before = serverCpu(pid)
    const answer = await player.ask(order)
    return { ...answer, served: (serverCpu(pid) - before) / answer.count }
  },
  stop: () => player.stop(),
})

const peers = [
  { name: 'DBOS', program: program('entities/dbos.mjs'), start: startPostgres },
  { name: 'BullMQ', program: program('flow/bullmq.mjs'), start: startRedis },
]

const startPlayers = async (folder, wanted) => {
  mkdirSync(join(folder, 'keelson'))
  const players = {
    keelson: await Player.fork(program('flow/keelson.mjs'), [join(folder, 'keelson')]),
  }
  const stops = []
  for (const { name, program, start } of peers) {
    if (!isWanted(wanted, name)) continue
    installPeers()
    const server = await start(join(folder, name))
    if (server.absent !== undefined) console.log(`– ${name}: ${server.absent}`)
    else {
      stops.push(server.stop)
      players[name] = withServer(await Player.fork(program, [server.socket]), server.pid)
    }
  }
  const stop = async () => {
    for (const player of Object.values(players)) await player.stop()
    for (const stopServer of stops) await stopServer()
  }
  return { players, stop }
}

const isPeer = ({ player }) => player !== 'keelson'

/** The medians of each row; `ratio`: of the rate of the row of Keelson before it, in the same turn. */
const outcomeOf = (rows, figures) =>
  rows.map((each, index) => {
    const of = (read) => median(figures[index].map(read))
    const isRatio = isPeer(each) && index > 0
    return {
      label: each.label,
      ...Object.fromEntries(
        ['rate', 'p50', 'p99', 'cpu', 'served'].map((name) => [
          name,
          of((turn) => turn[name] ?? 0),
        ]),
      ),
      ...(rows[0].label === 'put' && { puts: of(({ p50 }, at) => p50 / figures[0][at].p50) }),
      ...(isRatio && { ratio: of(({ rate }, at) => figures[index - 1][at].rate / rate) }),
    }
  })

const outcomeTable = (outcome) =>
  table([
    ['', 'a second', 'p50', 'p99', 'CPU each', 'with server', 'p50 in puts', 'Keelson'],
    ...outcome.map(({ label, rate, p50, p99, cpu, served, puts, ratio }) => [
      label,
      amount(rate),
      `${p50.toFixed(2)} ms`,
      `${p99.toFixed(1)} ms`,
      `${cpu.toFixed(0)} µs`,
      served > 0 ? `${(cpu + served).toFixed(0)} µs` : '',
      puts === undefined ? '' : puts.toFixed(1),
      ratio === undefined ? '' : `${ratio.toFixed(1)}×`,
    ]),
  ])

const percentiles = (times) => {
  const sorted = times.sort((a, b) => a - b)
  return { p50: sorted[sorted.length >> 1], p99: sorted[Math.floor(sorted.length * 0.99)] }
}

/** All samples of all turns are one list: DBOS polls, so a turn has few. */
const idleOutcomeOf = (rows, figures) =>
  rows.map(({ label }, index) => {
    const samples = figures[index].flatMap((turn) => turn.samples)
    return {
      label,
      count: samples.length,
      fromCall: percentiles(samples.map(({ fromCall }) => fromCall)),
      fromAnswer: percentiles(samples.map(({ fromAnswer }) => fromAnswer)),
    }
  })

const both = ({ p50, p99 }) => `${p50.toFixed(2)}, ${p99.toFixed(2)} ms`

const idleTable = (outcome) =>
  table([
    ['p50, p99', 'jobs', 'after the call of add', 'after its answer'],
    ...outcome.map(({ label, count, fromCall, fromAnswer }) => [
      label,
      `${count}`,
      both(fromCall),
      both(fromAnswer),
    ]),
  ])

const playCase = async ({ title, rows, isIdle }, players, pace) => {
  const present = rows.filter(({ player }) => players[player])
  const figures = await race(present, players, pace)
  const outcome = isIdle ? idleOutcomeOf(present, figures) : outcomeOf(present, figures)
  console.log(`${title}\n${isIdle ? idleTable(outcome) : outcomeTable(outcome)}\n`)
  return { case: title, outcome }
}

const playCases = async (wantedCases, { quick, repeats, with: wanted }) => {
  const pace = { turns: repeats ?? (quick ? 3 : 9), seconds: quick ? 0.3 : 1 }
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-flow-'))
  chmodSync(folder, 0o755)
  const { players, stop } = await startPlayers(folder, wanted)
  try {
    const results = []
    for (const each of wantedCases) results.push(await playCase(each, players, pace))
    const verified = await players.keelson.ask({ kind: 'verify' })
    if (verified > 0) console.log(`${verified} runs of Keelson have answered twice\n`)
    return results
  } finally {
    await stop()
    rmSync(folder, { recursive: true })
  }
}

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async (options) => {
  const wantedCases = cases.filter(({ title }) => isWanted(options.only, title))
  const results = wantedCases.length > 0 ? await playCases(wantedCases, options) : []
  for (const { title, play, ...sizes } of lives) {
    if (options.only.length === 0 || !isWanted(options.only, title)) continue
    const size = options.quick ? sizes.quick : sizes.full
    const rows = await play(options.rows === undefined ? size : { runs: options.rows })
    console.log(`${title}\n${table(rows)}\n`)
    results.push({ case: title, rows })
  }
  return results
}
