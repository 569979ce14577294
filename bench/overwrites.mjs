/**
 * 100,000 keys overwritten at full speed for some minutes: each second the disk by part, the memory, the projection's lag and
 * the delay of the event loop are looked at. It ends with what was to be bounded and whether it was, and draws
 * `docs/evidence/overwrites.svg`. `--minutes N`: 3 by default; `--rows N`: how many keys.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { environment } from './harness/environment.mjs'
import { amount, table } from './harness/table.mjs'
import { diskOf, freeBytes } from './overwrites/disk.mjs'
import { plot } from './soak/plot.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'

export const about = 'keys overwritten for minutes: is disk, memory and lag bounded; --minutes N'

const program = fileURLToPath(new URL('./overwrites/player.mjs', import.meta.url))
const picture = fileURLToPath(new URL('../docs/evidence/overwrites.svg', import.meta.url))
const MiB = 2 ** 20
/** The soak ends before the disk is full. */
const freeMin = 4 * 1024 * MiB
/** A row with 13 bytes before its key, and 100 of its value: what a snapshot has of it. */
const rowBytes = 13 + 14 + 100
const loopMax = 50

/** Samples each second until the time is over, or the disk is. */
const sampled = async (player, dir, seconds) => {
  const samples = []
  const began = performance.now()
  for (let at = 1; at <= seconds; at++) {
    await sleep(Math.max(0, began + at * 1_000 - performance.now()))
    const sample = { ...(await player.ask({ kind: 'sample' })), disk: diskOf(dir) }
    samples.push(sample)
    if (at % 10 === 0) tell(at, sample)
    if (freeBytes(dir) < freeMin) return { samples, why: 'the disk has no room left' }
  }
  return { samples }
}

const tell = (at, { writes, disk, rss, lag, loopP99 }) =>
  console.error(
    `  ${at} s: ${amount(writes)} writes/s, disk ${amount(disk.all)}B, memory ${amount(rss)}B, ` +
      `lag ${amount(lag)}B, loop p99 ${loopP99.toFixed(1)} ms`,
  )

/** The most that the disk may hold: LMDB, twice what lives and 512 MiB; what lives once more while a snapshot is made. */
const diskMax = ({ disk }, live) => disk.lmdb + (disk.isMaking ? 3 : 2) * live + 512 * MiB

const highest = (list) => list.reduce((most, each) => Math.max(most, each), 0)

/** The middle of the second fifth and that of the last: the first fifth warms up. */
const course = (list) => {
  const fifth = Math.max(1, Math.floor(list.length / 5))
  return { begin: median(list.slice(fifth, 2 * fifth)), end: median(list.slice(-fifth)) }
}

const boundsOf = (samples, live, loopP99) => {
  const over = samples.map((sample) => sample.disk.all - diskMax(sample, live))
  const worst = samples[over.indexOf(highest(over))] ?? samples.at(-1)
  const list = (key) => samples.map((sample) => sample[key])
  const memory = course(list('rss'))
  const growth = memory.end / memory.begin
  const behind = course(list('lag'))
  const lag = highest(list('lag'))
  const loops = list('loopP99')
  return [
    {
      what: 'disk',
      bound: 'LMDB + 2 × live + 512 MiB',
      found: `at most ${amount(highest(samples.map(({ disk }) => disk.all)))}B of ${amount(diskMax(worst, live))}B`,
      isKept: over.every((each) => each <= 0),
    },
    {
      what: 'memory',
      bound: 'flat: the end at most 1.15 of the beginning',
      found: `${growth.toFixed(2)}, at most ${amount(highest(list('rss')))}B`,
      isKept: growth <= 1.15,
    },
    {
      what: 'lag of the projection',
      bound: 'flat, or at most 16 MiB; never above 256 MiB of log',
      found: `${amount(behind.begin)}B, at the end ${amount(behind.end)}B, at most ${amount(lag)}B`,
      isKept: lag <= 256 * MiB && behind.end <= Math.max(16 * MiB, 1.5 * behind.begin),
    },
    {
      what: 'event loop, p99',
      bound: `below ${loopMax} ms`,
      found: `${loopP99.toFixed(1)} ms, in the worst second ${highest(loops).toFixed(1)} ms`,
      isKept: loopP99 < loopMax,
    },
  ]
}

const panelsOf = (samples, live) => {
  const of = (name, value) => ({ name, values: samples.map(value) })
  const mega = (value) => value / 1e6
  return [
    { title: 'Writes', unit: 'thousands a second', curves: [of('', (s) => s.writes / 1e3)] },
    {
      title: 'Disk',
      unit: 'MB',
      curves: [
        of('all', ({ disk }) => mega(disk.all)),
        of('log', ({ disk }) => mega(disk.log)),
        of('lmdb', ({ disk }) => mega(disk.lmdb)),
        of('snapshot', ({ disk }) => mega(disk.snapshot)),
        of('blobs', ({ disk }) => mega(disk.blobs)),
      ],
      limit: mega(Math.max(...samples.map((sample) => diskMax(sample, live)))),
    },
    {
      title: 'Memory',
      unit: 'MB',
      curves: [of('process', ({ rss }) => mega(rss)), of('heap', ({ heap }) => mega(heap))],
    },
    { title: 'Lag of the projection', unit: 'MB of log', curves: [of('', ({ lag }) => mega(lag))] },
    { title: 'Event loop, p99', unit: 'ms', curves: [of('', (s) => s.loopP99)], limit: loopMax },
  ]
}

const draw = (samples, live, rows) => {
  const { date, node, cores } = environment()
  const caption = `${date.slice(0, 10)}, Node ${node}, ${cores} cores: ${rows} keys overwritten, 256 puts in flight; dashed: the bound`
  writeFileSync(picture, plot(panelsOf(samples, live), { caption, seconds: samples.length }))
}

/** Runs it, prints the bounds and answers the samples. `--quick` draws nothing. */
export const run = async ({ quick, minutes = quick ? 0.1 : 3, rows = 100_000 }) => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-overwrites-'))
  try {
    const player = await Player.fork(program, [dir, `${rows}`])
    await player.ask({ kind: 'begin' })
    const { samples, why } = await sampled(player, dir, Math.max(5, Math.round(minutes * 60)))
    const { written, loopP99 } = await player.ask({ kind: 'stop' })
    await player.stop()
    const live = rows * rowBytes
    const bounds = boundsOf(samples, live, loopP99)
    const rate = median(samples.map(({ writes }) => writes))
    console.log(
      `${amount(written)} writes in ${samples.length} s, ${amount(rate)} a second; every key holds its last one`,
    )
    const snapshots = samples.filter(({ disk }) => disk.snapshot > 0).length
    console.log(`In ${snapshots} of ${samples.length} seconds there was a snapshot.`)
    if (why) console.log(`It ended early: ${why}.`)
    const head = ['', 'bound', 'found', 'kept']
    const lines = bounds.map(({ what, bound, found, isKept }) => [
      what,
      bound,
      found,
      isKept ? 'yes' : 'NO',
    ])
    console.log(`${table([head, ...lines])}\n`)
    if (!quick) draw(samples, live, rows)
    return [{ case: 'overwrites', written, bounds, samples }]
  } finally {
    rmSync(dir, { recursive: true })
  }
}
