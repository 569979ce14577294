/** Workflows beside DBOS on PostgreSQL, both of which sync what they acknowledge. Every result is checked. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { installPeers } from './harness/peers.mjs'
import { serverCpu } from './harness/server-cpu.mjs'
import { amount, table } from './harness/table.mjs'
import { race } from './harness/turns.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'
import { startPostgres } from './writes/postgres-server.mjs'

export const about = 'workflows beside DBOS: runs without a step and of three steps'

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

const cases = [runs(1), runs(64)]

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

const peers = [{ name: 'DBOS', program: program('entities/dbos.mjs'), start: startPostgres }]

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

const playCase = async ({ title, rows }, players, pace) => {
  const present = rows.filter(({ player }) => players[player])
  const outcome = outcomeOf(present, await race(present, players, pace))
  console.log(`${title}\n${outcomeTable(outcome)}\n`)
  return { case: title, outcome }
}

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async ({ only, quick, repeats, with: wanted }) => {
  const pace = { turns: repeats ?? (quick ? 3 : 9), seconds: quick ? 0.3 : 1 }
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-flow-'))
  chmodSync(folder, 0o755)
  const { players, stop } = await startPlayers(folder, wanted)
  try {
    const results = []
    for (const each of cases)
      if (isWanted(only, each.title)) results.push(await playCase(each, players, pace))
    const verified = await players.keelson.ask({ kind: 'verify' })
    console.log(`${verified} runs of Keelson have answered twice\n`)
    return results
  } finally {
    await stop()
    rmSync(folder, { recursive: true })
  }
}
