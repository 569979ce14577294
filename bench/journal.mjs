/**
 * Entries of the journal, acknowledged after their sync: plain, with commitments, with a replicator to PostgreSQL at work, and
 * with both, beside INSERTs of the same entries into PostgreSQL. All take turns in one run; at the end every entry is counted
 * where it was written, and in the replica.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { race } from './harness/turns.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'
import { startPostgres } from './writes/postgres-server.mjs'

export const about = 'the journal: acknowledged entries beside INSERTs of PostgreSQL'

/** The rows of each case; the others are compared with the first. Each way of Keelson is a process of its own. */
const rows = [
  { label: 'PostgreSQL, an INSERT each', player: 'postgres', order: { work: 'insert' } },
  { label: 'PostgreSQL, pipelined INSERTs', player: 'postgres', order: { work: 'pipelined' } },
  { label: 'PostgreSQL, grouped INSERTs', player: 'postgres', order: { work: 'grouped' } },
  { label: 'journal', player: 'plain', order: {} },
  { label: 'journal, commitments', player: 'commitments', order: {} },
  { label: 'journal, replicated', player: 'replicated', order: {}, needsServer: true },
  { label: 'journal, both', player: 'both', order: {}, needsServer: true },
]

const program = (name) => fileURLToPath(new URL(`./journal/${name}.mjs`, import.meta.url))

const startPlayers = async (folder, wanted) => {
  const players = {}
  const server = isWanted(wanted, 'PostgreSQL')
    ? await startPostgres(join(folder, 'postgres'))
    : { absent: 'not asked for' }
  if (server.absent === undefined)
    players.postgres = await Player.fork(program('postgres'), [server.socket])
  const there = rows.filter(({ needsServer }) => server.socket || !needsServer)
  for (const way of new Set(there.map(({ player }) => player))) {
    if (way === 'postgres') continue
    const dir = join(folder, way)
    mkdirSync(dir)
    players[way] = await Player.fork(program('keelson'), [dir, way, server.socket ?? ''])
  }
  return { players, absent: server.absent, stop: server.stop }
}

const middle = (figures, field) => median(figures.map((figure) => figure[field]))

const outcomeOf = (present, figures) =>
  present.map(({ label }, index) => ({
    label,
    rate: middle(figures[index], 'rate'),
    p50: middle(figures[index], 'p50'),
    p99: middle(figures[index], 'p99'),
    cpu: middle(figures[index], 'cpu'),
    ratio: median(figures[index].map(({ rate }, at) => rate / figures[0][at].rate)),
  }))

const outcomeTable = (outcome) =>
  table([
    ['', 'entries/s', 'p50', 'p99', 'CPU an entry', 'of the first'],
    ...outcome.map(({ label, rate, p50, p99, cpu, ratio }) => [
      label,
      amount(rate),
      `${p50.toFixed(2)} ms`,
      `${p99.toFixed(2)} ms`,
      `${cpu.toFixed(1)} µs`,
      `${ratio.toFixed(2)}×`,
    ]),
  ])

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async ({ only, quick, repeats, with: wanted }) => {
  const pace = { turns: repeats ?? (quick ? 3 : 9), seconds: quick ? 0.2 : 0.5 }
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-journal-'))
  chmodSync(folder, 0o755)
  const { players, absent, stop } = await startPlayers(folder, wanted)
  const results = []
  try {
    if (absent) console.log(`– PostgreSQL: ${absent}`)
    for (const inFlight of [1, 64, 1_024]) {
      if (!isWanted(only, `${inFlight} in flight`)) continue
      const present = rows
        .filter(({ player }) => players[player])
        .map((row) => ({ ...row, order: { ...row.order, inFlight } }))
      const outcome = outcomeOf(present, await race(present, players, pace))
      results.push({ case: `${inFlight} in flight`, outcome })
      console.log(`${inFlight} in flight\n${outcomeTable(outcome)}\n`)
    }
    for (const player of Object.values(players)) await player.ask({ kind: 'verify' })
    return results
  } finally {
    for (const player of Object.values(players)) await player.stop()
    await stop?.()
    rmSync(folder, { recursive: true })
  }
}
