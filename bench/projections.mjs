/**
 * What projections cost and give: reads beside bare lmdb-js, pages, the rate of commits with projections by users, and what
 * all of that costs a put. Each row runs in a process of its own, in turns with the others; reads and pages are verified.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { race } from './harness/turns.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'

export const about = 'projections: reads beside lmdb-js, pages, commits, and their price for a put'

const program = (name) => fileURLToPath(new URL(`./projections/${name}.mjs`, import.meta.url))

/** `projected` is a number of projections; absent: the option is left out. */
const keelson = (projected = '', options = {}) => ({ name: 'keelson', projected, options })
const lmdb = { name: 'lmdb' }

/** Reads of both kinds of values: bare lmdb-js is what the others are compared with. */
const readsOf = (value) => ({
  title: `get, ${value}`,
  players: { lmdb, projected: keelson(), held: keelson() },
  prepare: [
    ['projected', 'fill'],
    ['held', 'hold'],
  ],
  unit: 'reads/s',
  rows: [
    { label: 'bare lmdb-js', player: 'lmdb', order: { value } },
    { label: 'keelson, projected', player: 'projected', order: { value } },
    { label: 'keelson, in the overlay', player: 'held', order: { value, prefix: `held-${value}` } },
  ],
})

const pageOf = (of, isLoaded) => ({ player: 'own', order: { kind: 'page', of, isLoaded } })

const pages = {
  title: 'pages of 100',
  players: { lmdb, own: keelson(3) },
  prepare: [['own', 'fill']],
  rows: [
    { label: 'bare lmdb-js', player: 'lmdb', order: { kind: 'page' } },
    { label: 'store.range', ...pageOf('store', false) },
    { label: 'range of a projection', ...pageOf('projection', false) },
    { label: 'store.range, 64 puts in flight', ...pageOf('store', true) },
    { label: 'range of a projection, 64 puts in flight', ...pageOf('projection', true) },
  ],
}

const commits = {
  title: 'commits of lmdb_writer',
  players: { none: keelson(0), one: keelson(1), three: keelson(3) },
  prepare: ['none', 'one', 'three'].map((name) => [name, 'fill']),
  unit: 'changes/s',
  rows: [
    { label: 'no projection', player: 'none' },
    { label: '1 projection', player: 'one' },
    { label: '3 projections', player: 'three' },
  ].map((row) => ({ ...row, order: { kind: 'committing' } })),
}

/** More log than there is. */
const noSnapshots = { snapshot: { minLogBytes: 2 ** 50 } }

/** `ratio: 0` makes a snapshot for every 16 MiB of log: one follows the other. */
const manySnapshots = { snapshot: { minLogBytes: 16 * 2 ** 20, ratio: 0 } }

const putRow = (label, player) => ({ label, player, order: { kind: 'putting', inFlight: 64 } })

/** A difference of 3 % needs more turns than any other; puts with projections are slow to settle, and far apart. */
const price = {
  title: 'price for a put, 64 in flight',
  players: {
    bare: keelson(0, noSnapshots),
    asItIs: keelson(),
    snapshots: keelson('', manySnapshots),
  },
  prepare: ['bare', 'asItIs', 'snapshots'].map((name) => [name, 'fill']),
  unit: 'puts/s',
  rows: [
    putRow('projections: [], no snapshots', 'bare'),
    putRow('as it is by default', 'asItIs'),
    putRow('one snapshot after another', 'snapshots'),
  ],
  isSettled: true,
  turnsFactor: 2,
}

const puts = {
  ...commits,
  title: 'puts with projections, 64 in flight',
  unit: 'puts/s',
  rows: commits.rows.map(({ label, player }) => putRow(label, player)),
  isSettled: true,
  turnsFactor: 0.4,
}

const cases = [readsOf('bytes'), readsOf('objects'), pages, commits, puts, price]

const startPlayers = async (folder, players, rows) => {
  const started = {}
  for (const [id, { name, projected, options }] of Object.entries(players)) {
    const dir = join(folder, id)
    mkdirSync(dir, { recursive: true })
    const args = [dir, `${rows}`, `${projected}`, JSON.stringify(options ?? {})]
    started[id] = await Player.fork(program(name), args)
  }
  return started
}

/** What a column says of the answers of a row: their median, or that of the ratios to the first row within the turns. */
const column = (key) => (figures) => median(figures.map((each) => each[key]))
const ofFirst = (key) => (figures, first) =>
  median(figures.map((each, at) => each[key] / first[at][key]))

const ms = (value) => `${value.toFixed(3)} ms`
const times = (value) => `${value.toFixed(3)}×`
const micros = (value) => `${value.toFixed(2)} µs`

const columnsOf = ({ unit, isSettled }) => {
  if (unit === undefined)
    return [
      ['p50', 'p50', column('p50'), ms],
      ['p99', 'p99', column('p99'), ms],
    ]
  const inParts = (head, key, text) => [
    [head, key, column(key), text],
    ['of the first', `${key}OfFirst`, ofFirst(key), times],
  ]
  return [
    ...inParts(unit, 'rate', amount),
    ...(isSettled ? inParts('projected', 'settled', amount) : []),
    ...inParts('CPU of each', 'cpu', micros),
    ...(isSettled ? inParts('p99', 'p99', ms) : []),
  ]
}

const outcomeOf = (each, figures) =>
  each.rows.map(({ label }, index) => ({
    label,
    ...Object.fromEntries(
      columnsOf(each).map(([, key, figure]) => [key, figure(figures[index], figures[0])]),
    ),
  }))

const outcomeTable = (each, outcome) => {
  const columns = columnsOf(each)
  return table([
    ['', ...columns.map(([head]) => head)],
    ...outcome.map((row) => [row.label, ...columns.map(([, key, , text]) => text(row[key]))]),
  ])
}

const runCase = async (each, { rows, turns, seconds, changes }) => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-projections-'))
  const players = await startPlayers(folder, each.players, rows)
  try {
    for (const [player, kind] of each.prepare) await players[player].ask({ kind })
    const ordered = each.rows.map((row) => ({ ...row, order: { ...row.order, changes } }))
    const inTurns = { turns: Math.ceil(turns * (each.turnsFactor ?? 1)), seconds }
    const figures = await race(ordered, players, inTurns)
    for (const [id, { name }] of Object.entries(each.players))
      if (name === 'keelson' && id !== 'held') await players[id].ask({ kind: 'verify' })
    return outcomeOf(each, figures)
  } finally {
    for (const player of Object.values(players)) await player.stop()
    rmSync(folder, { recursive: true })
  }
}

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async ({ only, quick, repeats, rows = quick ? 20_000 : 100_000 }) => {
  const pace = {
    rows,
    turns: repeats ?? (quick ? 2 : 9),
    seconds: quick ? 0.1 : 0.4,
    changes: quick ? 10_000 : 30_000,
  }
  const results = []
  for (const each of cases) {
    if (!isWanted(only, each.title)) continue
    const outcome = await runCase(each, pace)
    results.push({ case: each.title, rows, outcome })
    console.log(`${each.title}, ${amount(rows)} rows\n${outcomeTable(each, outcome)}\n`)
  }
  return results
}
