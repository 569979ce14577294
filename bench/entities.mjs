/**
 * Turns of durable actors beside puts with as many bytes in the same process, and beside a no-op workflow of DBOS on PostgreSQL.
 * Every turn is acknowledged when it is durable; the counts of all entities are read back at the end.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { installPeers } from './harness/peers.mjs'
import { amount, table } from './harness/table.mjs'
import { race } from './harness/turns.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'
import { startPostgres } from './writes/postgres-server.mjs'

export const about = 'durable actors: turns of entities beside puts, and beside DBOS on PostgreSQL'

/** Each case: its rows, whose first one the others are compared with. */
const cases = [1, 64, 1_024].map((inFlight) => ({
  title: `${inFlight} in flight`,
  rows: [
    { label: 'put of as many bytes', player: 'keelson', order: { work: 'put', inFlight } },
    { label: 'turn, an entity each', player: 'keelson', order: { work: 'turn', inFlight } },
    ...(inFlight === 1_024
      ? []
      : [{ label: 'DBOS, a no-op workflow', player: 'dbos', order: { inFlight } }]),
  ],
}))
cases.push({
  title: '64 in flight, other turns',
  rows: [
    { label: 'turn, an entity each', player: 'keelson', order: { work: 'turn', inFlight: 64 } },
    {
      label: 'turn of a durable machine',
      player: 'keelson',
      order: { work: 'machine', inFlight: 64 },
    },
    { label: 'turn, one entity', player: 'keelson', order: { work: 'one', inFlight: 64 } },
    { label: 'turn of a new entity', player: 'keelson', order: { work: 'birth', inFlight: 64 } },
    { label: 'turn with an id', player: 'keelson', order: { work: 'id', inFlight: 64 } },
    {
      label: 'call that changes nothing',
      player: 'keelson',
      order: { work: 'look', inFlight: 64 },
    },
    { label: 'first call after a rest', player: 'keelson', order: { work: 'wake', inFlight: 1 } },
  ],
})

cases.push({
  title: '64 in flight, messages of 200 bytes',
  rows: [
    { label: 'turn', player: 'keelson', order: { work: 'take', inFlight: 64 } },
    {
      label: 'turn that records its input',
      player: 'keelson',
      order: { work: 'record', inFlight: 64 },
    },
  ],
})

cases.push({
  title: '1 in flight, ten rows of one entity read and put',
  rows: [
    { label: 'of ten', player: 'keelson', order: { work: 'rowsOf10', inFlight: 1 } },
    { label: 'of 100,000', player: 'keelson', order: { work: 'rowsOf100000', inFlight: 1 } },
    {
      label: 'of 100,000, after a rest',
      player: 'keelson',
      order: { work: 'rowsWake', inFlight: 1 },
    },
  ],
})

const program = (name) => fileURLToPath(new URL(`./entities/${name}.mjs`, import.meta.url))

const startPlayers = async (folder, wanted) => {
  const dir = join(folder, 'keelson')
  mkdirSync(dir)
  const players = { keelson: await Player.fork(program('keelson'), [dir]) }
  const absent = {}
  if (!isWanted(wanted, 'DBOS')) return { players, absent: { dbos: 'not asked for' } }
  installPeers()
  const postgres = await startPostgres(join(folder, 'postgres'))
  if (postgres.absent !== undefined) absent.dbos = postgres.absent
  else players.dbos = await Player.fork(program('dbos'), [postgres.socket])
  return { players, absent, stop: postgres.stop }
}

const outcomeOf = (rows, figures) =>
  rows.map(({ label }, index) => ({
    label,
    rate: median(figures[index].map(({ rate }) => rate)),
    p50: median(figures[index].map(({ p50 }) => p50)),
    p99: median(figures[index].map(({ p99 }) => p99)),
    cpu: median(figures[index].map(({ cpu }) => cpu)),
    ratio: median(figures[index].map(({ rate }, at) => rate / figures[0][at].rate)),
  }))

const outcomeTable = (outcome) =>
  table([
    ['', 'calls/s', 'p50', 'p99', 'CPU a call', 'of the first'],
    ...outcome.map(({ label, rate, p50, p99, cpu, ratio }) => [
      label,
      amount(rate),
      `${p50.toFixed(2)} ms`,
      `${p99.toFixed(1)} ms`,
      `${cpu.toFixed(1)} µs`,
      `${ratio.toFixed(2)}×`,
    ]),
  ])

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async ({ only, quick, repeats, with: wanted }) => {
  const pace = { turns: repeats ?? (quick ? 3 : 9), seconds: quick ? 0.2 : 0.5 }
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-entities-'))
  chmodSync(folder, 0o755)
  const { players, absent, stop } = await startPlayers(folder, wanted)
  const results = []
  try {
    for (const [name, reason] of Object.entries(absent)) console.log(`– ${name}: ${reason}`)
    for (const { title, rows } of cases) {
      if (!isWanted(only, title)) continue
      const present = rows.filter(({ player }) => players[player])
      const outcome = outcomeOf(present, await race(present, players, pace))
      results.push({ case: title, outcome })
      console.log(`${title}\n${outcomeTable(outcome)}\n`)
    }
    await players.keelson.ask({ kind: 'verify' })
    return results
  } finally {
    for (const player of Object.values(players)) await player.stop()
    await stop?.()
    rmSync(folder, { recursive: true })
  }
}
