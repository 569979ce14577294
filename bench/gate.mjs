/**
 * Whether a build has become slower than the best one that there was: `npm run bench -- gate` takes twelve figures and compares them
 * with `gate/kept.json`. A figure is the CPU of one operation as a multiple of that of a floor, which runs in the same minute and has
 * nothing of Keelson: so figures of two machines can be compared. Each is the median of nine pairs, each pair of two new processes of
 * this build and one of the floor, in turns. The two processes of one build show how far it is from itself: a figure counts as worse
 * when it is so by more than a tenth, and by more than that. `--keep` runs three times and keeps the best; `--quick` takes less than one.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { verdictOf } from './gate/verdict.mjs'
import { environment } from './harness/environment.mjs'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'

export const about = 'twelve figures beside the best that were kept; --keep keeps them'

const put = (inFlight) => ({ kind: 'writing', work: 'puts', inFlight })

const figures = [
  { name: 'put, 1 in flight', floor: 'synced', order: put(1) },
  { name: 'put, 64 in flight', floor: 'objects', order: put(64) },
  { name: 'put each 5 ms', floor: 'synced', order: { kind: 'pacing', everyMs: 5 } },
  { name: 'turn, 64 in flight', floor: 'objects', order: { kind: 'turning', inFlight: 64 } },
  { name: 'journal, 64 in flight', floor: 'objects', order: { kind: 'journaling', inFlight: 64 } },
  {
    name: 'run of three steps, 64 in flight',
    floor: 'objects',
    order: { kind: 'running', work: 'three', inFlight: 64 },
    warmUp: 3,
  },
  {
    name: 'no-op run, 64 in flight',
    floor: 'objects',
    order: { kind: 'running', work: 'nothing', inFlight: 64 },
    warmUp: 2,
  },
  { name: 'job, 64 in flight', floor: 'objects', order: { kind: 'queueing', inFlight: 64 } },
  { name: 'call, 1 outstanding', floor: 'objects', order: { kind: 'messaging', inFlight: 1 } },
  { name: 'one-way message', floor: 'objects', order: { kind: 'messaging', inFlight: 0 } },
  { name: 'restart', floor: 'objects', order: { kind: 'restarting' }, warmUp: 2 },
  { name: 'spawn', floor: 'objects', order: { kind: 'spawning' } },
]

const own = dirname(dirname(fileURLToPath(import.meta.url)))
const programs = {
  keelson: fileURLToPath(new URL('./versions/player.mjs', import.meta.url)),
  floor: fileURLToPath(new URL('./gate/floor.mjs', import.meta.url)),
}
const keptFile = fileURLToPath(new URL('./gate/kept.json', import.meta.url))

const thoroughly = { pairs: 9, warmUp: 1.2, seconds: 0.3, turns: 3 }
const quickly = { pairs: 1, warmUp: 0.4, seconds: 0.2, turns: 1 }

/** The parts of a pair: two processes of this build and the floor, whose order changes from pair to pair. */
const sides = ['keelson', 'keelson', 'floor']

/** Two multiples of the floor's CPU, and the two CPUs, in µs. */
const pairOf = async (
  { floor, order, warmUp: longer = 1 },
  { warmUp, seconds, turns },
  at,
  slower,
) => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-gate-'))
  const players = []
  try {
    for (const step of sides.keys()) {
      const index = (at + step) % sides.length
      const dir = join(folder, `${index}`)
      mkdirSync(dir)
      players[index] = await Player.fork(programs[sides[index]], [own, dir])
    }
    const ask = (index, length) =>
      players[index].ask(
        sides[index] === 'floor'
          ? { kind: floor, seconds: length }
          : { ...order, seconds: length, slower },
      )
    for (const index of sides.keys())
      await ask(index, sides[index] === 'floor' ? warmUp / 2 : warmUp * longer)
    const taken = sides.map(() => [])
    for (let turn = 0; turn < turns; turn++)
      for (const step of sides.keys()) {
        const index = (turn + step) % sides.length
        taken[index].push((await ask(index, seconds)).cpu)
      }
    for (const player of players) await player.stop()
    const [one, other, bare] = taken.map(median)
    return { ratios: [one / bare, other / bare], cpus: [one, other] }
  } finally {
    for (const player of players) await player?.kill()
    rmSync(folder, { recursive: true })
  }
}

/** Takes a figure once: all its pairs. */
const take = async (figure, how, slower) => {
  const pairs = []
  for (let at = 0; at < how.pairs; at++) pairs.push(await pairOf(figure, how, at, slower))
  return pairs
}

const percent = (share) => `${(share * 100).toFixed(1)} %`

const keptFigures = () => {
  try {
    return JSON.parse(readFileSync(keptFile, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return {}
    throw error
  }
}

const keep = (kept, name, { ratio, cpu }) => {
  const { date, node, platform, cpu: model, cores } = environment()
  const machine = `${platform}, ${model} × ${cores}, Node ${node}`
  const figure = { ratio: Number(ratio.toFixed(3)), microseconds: Number(cpu.toFixed(3)) }
  const all = { ...kept, [name]: { ...figure, date: date.slice(0, 10), machine } }
  writeFileSync(keptFile, `${JSON.stringify(all, undefined, 2)}\n`)
  return all
}

/** Takes the figures that are wanted, prints the table and throws if one is worse. `slower`: what is planted, a share. */
export const run = async ({ only, quick, keep: isKept, repeats }) => {
  const how = quick ? quickly : { ...thoroughly, pairs: repeats ?? thoroughly.pairs }
  const slower = Number(process.env.KEELSON_GATE_SLOWER ?? 0)
  let kept = keptFigures()
  const rows = [['', 'µs', 'of the floor', 'best', 'worse by', 'beside itself', '']]
  const results = []
  for (const figure of figures) {
    if (!isWanted(only, figure.name)) continue
    const rounds = []
    for (let round = 0; round < (isKept ? 3 : 1); round++)
      rounds.push(await take(figure, how, slower))
    const verdicts = rounds.map((pairs) => ({
      cpu: median(pairs.flatMap(({ cpus }) => cpus)),
      ...verdictOf(
        pairs.map(({ ratios }) => ratios),
        kept[figure.name]?.ratio,
      ),
    }))
    const [best] = verdicts.toSorted((one, other) => one.ratio - other.ratio)
    const { ratio, cpu, spread, worse, isWorse } = best
    if (isKept && !(kept[figure.name]?.ratio <= ratio)) kept = keep(kept, figure.name, best)
    results.push({ case: figure.name, cpu, ratio, spread, worse, isWorse })
    rows.push([
      figure.name,
      amount(cpu),
      ratio.toFixed(2),
      kept[figure.name]?.ratio.toFixed(2) ?? '–',
      worse === undefined ? '–' : percent(worse),
      `± ${percent(spread)}`,
      isWorse ? 'WORSE' : '',
    ])
    console.error(rows.at(-1).join('  '))
  }
  console.log(table(rows))
  const worse = results.filter(({ isWorse }) => isWorse).map(({ case: name }) => name)
  if (worse.length > 0 && !quick) throw new Error(`worse than the best: ${worse.join('; ')}`)
  return results
}
