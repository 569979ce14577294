/**
 * Two checkouts of Keelson in turns, so that a change can show what it costs: `KEELSON_OTHER=DIR npm run bench -- versions`, where
 * DIR is the other checkout, built. Each repeat starts both anew: V8 compiles the same program in another way in each process, and
 * two processes of one checkout differ by 10 %. A ratio is the geometric mean of the ratios of the pairs, with its standard error;
 * above 1 this checkout is faster. Within a pair it is the median of the ratios of its turns. All of it is taken from logarithms:
 * the two checkouts exchanged give the reciprocal, and one beside itself gives 1.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'

export const about = 'two checkouts of Keelson, alternating: KEELSON_OTHER=DIR names the other one'

const writes = (work, sizes, isWindowed = false) =>
  sizes.map((inFlight) => ({
    title: `${work}${isWindowed ? ', window 1 ms' : ''}, ${inFlight} in flight`,
    order: { kind: 'writing', work, inFlight, isWindowed },
  }))

const cases = [
  ...writes('puts', [1, 64, 1_024]),
  ...writes('puts', [64, 1_024], true),
  ...writes('putMany', [1, 64]),
  ...writes('mixed', [64, 1_024]),
  ...writes('blobs', [1, 64]),
  ...[1, 64, 1_024].map((inFlight) => ({
    title: `log appends, ${inFlight} in flight`,
    order: { kind: 'appending', inFlight },
  })),
  ...[1, 64, 1_024].map((inFlight) => ({
    title: `turns, ${inFlight} in flight`,
    order: { kind: 'turning', inFlight },
  })),
  ...[1, 64].map((inFlight) => ({
    title: `calls that crash their actor, ${inFlight} in flight`,
    order: { kind: 'crashing', inFlight },
  })),
  ...[1, 64].map((inFlight) => ({
    title: `no-op runs, ${inFlight} in flight`,
    order: { kind: 'running', work: 'nothing', inFlight },
  })),
  ...[1, 64].map((inFlight) => ({
    title: `runs of three steps, ${inFlight} in flight`,
    order: { kind: 'running', work: 'three', inFlight },
    // A run is a hundredth of the rate of a put, and has the most code: V8 compiles for 10,000 runs.
    warmUp: 12,
  })),
  ...[1, 64].map((inFlight) => ({
    title: `runs of a step that fails three times, ${inFlight} in flight`,
    order: { kind: 'running', work: 'failing', inFlight },
  })),
  { title: 'jobs, 64 in flight', order: { kind: 'queueing', inFlight: 64 }, warmUp: 12 },
  { title: 'one-way messages', order: { kind: 'messaging', inFlight: 0 } },
  ...[1, 64].map((inFlight) => ({
    title: `calls, ${inFlight} outstanding`,
    order: { kind: 'messaging', inFlight },
  })),
]

/**
 * Turns, whose order changes. Answers `[other, own]` of each turn. Before them both warm up: V8 still compiles in the first 40,000
 * durable turns of a process, and which code it compiles then depends on when the projection first commits.
 */
const race = async (players, order, turns, warmUp) => {
  for (const player of players) await player.ask({ ...order, seconds: order.seconds * warmUp })
  const figures = []
  for (let at = 0; at < turns; at++) {
    const pair = []
    for (const index of at % 2 ? [0, 1] : [1, 0]) pair[index] = await players[index].ask(order)
    figures.push(pair)
  }
  return figures
}

const startPlayers = async (players, folder, roots) => {
  const program = fileURLToPath(new URL('./versions/player.mjs', import.meta.url))
  for (const [index, root] of roots.entries()) {
    const dir = join(folder, `${index}`)
    mkdirSync(dir)
    players.push(await Player.fork(program, [root, dir]))
  }
}

/**
 * One new process of each checkout; `warmUp` is so many times the length of a turn. Answers the medians of its turns: rates, and
 * ratios. Of a checkout beside itself the process that is started second takes up to a tenth less CPU, so the order `isTurned` in
 * every other pair.
 */
const pairOf = async (roots, { order, warmUp = 4 }, isTurned) => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-versions-'))
  const turned = (pair) => (isTurned ? pair.toReversed() : pair)
  const players = []
  try {
    await startPlayers(players, folder, turned(roots))
    const figures = (await race(players, order, turnsOfPair, warmUp)).map(turned)
    for (const player of players) await player.stop()
    const ratioOf = (key) =>
      median(figures.map(([before, after]) => Math.log(after[key] / before[key])))
    const rateOf = (index) => median(figures.map((pair) => pair[index].rate))
    return { other: rateOf(0), own: rateOf(1), ratio: ratioOf('rate'), cpu: ratioOf('cpu') }
  } finally {
    for (const player of players) await player.kill()
    rmSync(folder, { recursive: true })
  }
}

const turnsOfPair = 4

const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length

/** The geometric mean of ratios, whose logarithms are given, and its standard error. */
const ratio = (logarithms) => {
  const mean = meanOf(logarithms)
  const variance = meanOf(logarithms.map((value) => (value - mean) ** 2))
  const share = Math.sqrt(variance / Math.max(1, logarithms.length - 1))
  return { mean: Math.exp(mean), error: Math.exp(mean) * share }
}

const shown = ({ mean, error }) => `${mean.toFixed(3)} ± ${error.toFixed(3)}`

/** Runs the cases that are wanted, prints the table and answers the figures. */
export const run = async ({ only, quick, repeats }) => {
  const other = process.env.KEELSON_OTHER
  if (other === undefined) throw new Error('KEELSON_OTHER does not name another built checkout')
  const own = dirname(dirname(fileURLToPath(import.meta.url)))
  const roots = [resolve(other), own]
  const seconds = quick ? 0.2 : 0.4
  const rows = [['', 'other/s', 'this/s', 'this / other', 'CPU this / other']]
  const results = []
  for (const { title, order, warmUp } of cases) {
    if (!isWanted(only, title)) continue
    const pairs = []
    for (let at = 0; at < (repeats ?? (quick ? 3 : 15)); at++)
      pairs.push(await pairOf(roots, { order: { ...order, seconds }, warmUp }, at % 2 === 1))
    const all = (key) => pairs.map((pair) => pair[key])
    const result = {
      case: title,
      other: median(all('other')),
      own: median(all('own')),
      ratio: ratio(all('ratio')),
      cpu: ratio(all('cpu')),
    }
    results.push(result)
    rows.push([
      title,
      amount(result.other),
      amount(result.own),
      shown(result.ratio),
      shown(result.cpu),
    ])
    console.error(rows.at(-1).join('  '))
  }
  console.log(table(rows))
  return results
}
