/**
 * An instance that has many rows: how long it takes to start after a close, after `kill -9` under load, and when its projection
 * is gone and comes from the log or from a snapshot. After each start the rows are counted. `--rows N`: 1,000,000 by default.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'

export const about = 'many rows: starts after a close, kill -9, and without a projection; --rows N'

const program = fileURLToPath(new URL('./years/player.mjs', import.meta.url))
const ms = (value) => `${value.toFixed(0)} ms`

/** Starts an instance; `start` is what it says of its own start. */
const opened = async ({ dir, rows }, what) => {
  console.error(`  ${what} …`)
  const player = await Player.fork(program, [dir, `${rows}`])
  return { player, start: await player.ask({ kind: 'started' }) }
}

/** Starts, counts the rows, and closes. Answers what the start said. */
const reopened = async (place, what) => {
  const { player, start } = await opened(place, what)
  await player.ask({ kind: 'verify' })
  await player.stop()
  return start
}

const filled = async (place) => {
  const { player } = await opened(place, `writing ${place.rows} rows`)
  const { ms: took } = await player.ask({ kind: 'fill' })
  await player.stop()
  return { what: 'written and projected', ms: took, rate: (place.rows * 1_000) / took }
}

const middle = (what, starts) => ({
  what,
  ms: median(starts.map(({ startMs }) => startMs)),
  bytes: median(starts.map(({ bytes }) => bytes)),
})

const afterClose = async (place, what, rounds) => {
  const starts = []
  for (let round = 0; round < rounds; round++) starts.push(await reopened(place, 'after a close'))
  return middle(what, starts)
}

const afterKill = async (place, what, rounds) => {
  const starts = []
  for (let round = 0; round < rounds; round++) {
    const { player } = await opened(place, 'under load, to be killed')
    await player.ask({ kind: 'load' })
    await player.kill()
    starts.push(await reopened(place, 'after kill -9'))
  }
  return middle(what, starts)
}

const withoutProjection = async (place, what) => {
  rmSync(join(place.dir, 'shard-0', 'lmdb'), { recursive: true })
  const { startMs, bytes, source } = await reopened(place, 'without its projection')
  return { what, source, ms: startMs, rate: (place.rows * 1_000) / startMs, bytes }
}

/** Starts an instance that kills itself so many ms after its start has begun. */
const cutOff = async ({ dir, rows }, afterMs) => {
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc']
  const [, signal] = await once(fork(program, [dir, `${rows}`, `${afterMs}`], { stdio }), 'exit')
  if (signal !== 'SIGKILL') throw new Error(`the start was not killed: ${signal}`)
}

/** Killed at three places of a rebuild, by the time that a whole one takes. The time is that of all four starts. */
const interrupted = async (place, what) => {
  const whole = await withoutProjection(place, what)
  rmSync(join(place.dir, 'shard-0', 'lmdb'), { recursive: true })
  const began = performance.now()
  for (const share of [0.25, 0.5, 0.75]) {
    console.error(`  without its projection, to be killed after ${share * 100} % of that time …`)
    await cutOff(place, share * whole.ms)
  }
  const killedMs = performance.now() - began
  const { startMs, source, bytes } = await reopened(place, 'without its projection')
  const took = killedMs + startMs
  return { what, source, ms: took, rate: (place.rows * 1_000) / took, bytes }
}

const snapshotMade = async (place, what) => {
  const { player } = await opened(place, 'making a snapshot')
  const made = await player.ask({ kind: 'snapshot' })
  await player.stop()
  const rate = (place.rows * 1_000) / made.ms
  return { what, ms: made.ms, rate, size: made.bytes }
}

const row = ({ what, ms: took, rate, bytes, size }) => [
  size === undefined ? what : `${what}, ${amount(size)}B`,
  took < 10_000 ? ms(took) : `${(took / 1_000).toFixed(1)} s`,
  rate === undefined ? '' : amount(rate),
  bytes === undefined ? '' : `${amount(bytes)}B`,
]

/** In order: the log is whole until a snapshot is made. */
const cases = [
  ['start after a close', afterClose],
  ['start after kill -9 under load', afterKill],
  ['start without lmdb/, from the log', withoutProjection],
  ['from the log, killed three times on the way', interrupted],
  ['a snapshot made', snapshotMade],
  ['start without lmdb/, from the snapshot', withoutProjection],
  ['from the snapshot, killed three times on the way', interrupted],
]

/** Runs all of it in one folder, prints the table and answers the figures. */
export const run = async ({ only, quick, repeats, rows = quick ? 50_000 : 1_000_000 }) => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-years-'))
  const place = { dir, rows }
  const rounds = repeats ?? (quick ? 1 : 3)
  try {
    const results = [await filled(place)]
    for (const [what, play] of cases)
      if (isWanted(only, what)) results.push(await play(place, what, rounds))
    const head = ['', 'time', 'rows/s', 'greatest memory']
    console.log(`\n${amount(rows)} rows\n${table([head, ...results.map(row)])}\n`)
    return results
  } finally {
    rmSync(dir, { recursive: true })
  }
}
