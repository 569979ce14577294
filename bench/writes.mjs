/**
 * The store's writes beside those of databases: puts, putMany, mixed commands and large values, 1 to 1,024 calls in flight, and
 * what a put adds to a bare write and sync. Every contender makes its writes durable before it acknowledges them, but for one
 * that says so, and each is read back.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isWanted } from './harness/options.mjs'
import { installPeers } from './harness/peers.mjs'
import { amount, table } from './harness/table.mjs'
import { median } from './wal/turns.mjs'
import { contenders, Player } from './writes/players.mjs'
import { startPostgres } from './writes/postgres-server.mjs'
import { works } from './writes/work.mjs'

export const about =
  'the store: puts, putMany, mixed, blobs of 1 MB, beside SQLite, LMDB, LevelDB, PostgreSQL'

/** Starts who can and should take part; the others with the reason. */
const present = async (folder, postgres, wanted) => {
  const players = []
  const absent = []
  for (const contender of contenders) {
    if (!isWanted(wanted, contender.name)) continue
    const { absent: reason, extra } = contender.prepare?.({ postgres }) ?? {}
    if (reason !== undefined) absent.push({ name: contender.name, reason })
    else players.push({ ...contender, player: await Player.start(contender, folder, extra) })
  }
  return { players, absent }
}

/** Every way in which a player does the work: a row of the table. */
const rowsOf = (players, work) =>
  players.flatMap(({ player, name, isEarly = false, modes = [{ label: name }] }) =>
    modes
      .filter(({ isWindowed }) => !isWindowed || work === 'puts')
      .map((mode) => ({ ...mode, player, isOwn: name === 'keelson', isEarly, turns: [] })),
  )

/** Turns, whose order changes; the first warms up. */
const race = async (rows, order, { turns, seconds }) => {
  for (let at = 0; at <= turns; at++) {
    for (let step = 0; step < rows.length; step++) {
      const { player, isProjected, isWindowed, turns: own } = rows[(at + step) % rows.length]
      const figures = await player.ask({ kind: 'turn', ...order, seconds, isProjected, isWindowed })
      if (at > 0) own.push(figures)
    }
  }
}

const outcomeOf = (rows) => {
  const figures = rows.map(({ label, turns, isOwn, isEarly }) => ({
    label,
    isOwn,
    isEarly,
    rates: turns.map(({ rate }) => rate),
    rate: median(turns.map(({ rate }) => rate)),
    p50: median(turns.flatMap(({ times }) => times)),
    cpu: median(turns.map(({ cpu }) => cpu)),
  }))
  const peers = figures.filter(({ isOwn, isEarly }) => !isOwn && !isEarly)
  const best = peers.reduce((top, each) => (top && top.rate >= each.rate ? top : each), undefined)
  return figures.map(({ rates, ...figure }) => ({
    ...figure,
    ofBest: best && median(rates.map((rate, at) => rate / best.rates[at])),
  }))
}

const outcomeTable = (outcome, absent) => {
  const rows = outcome.map(({ label, rate, p50, cpu, ofBest }) => [
    label,
    amount(rate),
    `${p50.toFixed(2)} ms`,
    `${cpu.toFixed(1)} µs`,
    ofBest === undefined ? '' : `${ofBest.toFixed(2)}×`,
  ])
  for (const { name } of absent) rows.push([name, '–', '', '', ''])
  return table([['', 'entries/s', 'p50 of a call', 'CPU an entry', 'of the best peer'], ...rows])
}

const raceWork = async (name, { players, absent }, pace) => {
  const results = []
  for (const inFlight of works[name].inFlight) {
    const rows = rowsOf(players, name)
    await race(rows, { work: name, inFlight }, pace)
    const outcome = outcomeOf(rows)
    results.push({ case: name, inFlight, outcome })
    console.log(`${name}, ${inFlight} in flight\n${outcomeTable(outcome, absent)}\n`)
  }
  for (const { player } of players) await player.ask({ kind: 'count', work: name })
  return results
}

const idle = async (players, folder, rounds) => {
  const own = players.find(({ name }) => name === 'keelson')
  if (own === undefined) return []
  const order = { kind: 'idle', path: join(folder, 'idle.bare') }
  await own.player.ask({ ...order, rounds: Math.ceil(rounds / 4) })
  const { put, bare } = await own.player.ask({ ...order, rounds })
  const figures = { put: median(put), bare: median(bare) }
  const added = (figures.put - figures.bare) * 1_000
  console.log(`idle: p50 of a bare write + fdatasync ${(figures.bare * 1_000).toFixed(0)} µs,`)
  console.log(`of a put ${(figures.put * 1_000).toFixed(0)} µs: it adds ${added.toFixed(0)} µs\n`)
  return [{ case: 'idle', ...figures, added }]
}

const runCases = async ({ only, quick, repeats, with: wanted }, folder, postgres) => {
  const pace = { turns: repeats ?? (quick ? 2 : 5), seconds: quick ? 0.1 : 0.3 }
  const taking = await present(folder, postgres, wanted)
  const results = []
  try {
    for (const { name, reason } of taking.absent) console.log(`– ${name}: ${reason}`)
    if (isWanted(only, 'idle'))
      results.push(...(await idle(taking.players, folder, quick ? 500 : 3_000)))
    for (const name of Object.keys(works))
      if (isWanted(only, name)) results.push(...(await raceWork(name, taking, pace)))
    return results
  } finally {
    for (const { player } of taking.players) await player.stop()
  }
}

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async (options) => {
  installPeers()
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-writes-'))
  chmodSync(folder, 0o755)
  const postgres = isWanted(options.with, 'PostgreSQL')
    ? await startPostgres(join(folder, 'postgres'))
    : { absent: 'not asked for' }
  try {
    return await runCases(options, folder, postgres)
  } finally {
    await postgres.stop?.()
    rmSync(folder, { recursive: true })
  }
}
