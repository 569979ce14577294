/** The long parts of the bench of workflows: what many runs cost a start, when they are live and when they sleep. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Player } from '../writes/players.mjs'

const program = fileURLToPath(new URL('./lives-player.mjs', import.meta.url))
const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`
const count = (value) => value.toLocaleString('en')

/** With the figures without the waits for a processor in brackets. */
const calls = ({ calls, all, own }) =>
  `${count(calls)}: ${ms(all.p50)}, ${ms(all.p99)} (${ms(own.p50)}, ${ms(own.p99)})`

const share = (time) =>
  `ran ${percent(time.ranMs, time.ms)}, waited for a processor ${percent(time.waitedMs, time.ms)}`

const percent = (part, all) => `${((100 * part) / all).toFixed(0)} %`

/** Starts a player on a folder, which is made if need be; `startMs` is the time of its `start`. */
const playerOn = async (dir) => {
  mkdirSync(dir, { recursive: true })
  const player = await Player.fork(program, [dir])
  return { player, ...(await player.ask({ kind: 'started' })) }
}

const inFolder = (play) => async (sizes) => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-flow-'))
  try {
    return await play(dir, sizes)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** Runs in their second step when the process is killed: each gets its first outcome again, and its second step begins again. */
const live = async (dir, { runs }) => {
  const first = await playerOn(dir)
  const { seconds } = await first.player.ask({ kind: 'hold', runs })
  await first.player.kill()
  const { player, startMs } = await playerOn(dir)
  const { waking, awake, heapMb } = await player.ask({ kind: 'held', runs })
  const { releasedMs } = await player.ask({ kind: 'release', runs })
  await player.stop()
  return [
    ['runs in their second step', `${count(runs)} in ${seconds.toFixed(1)} s`],
    ['start after a kill', ms(startMs)],
    ['all in their second step again after', ms(startMs + waking.ms)],
    ['calls in this time: p50, p99', calls(waking)],
    ['… when all are awake', calls(awake)],
    ['the main thread in this time', share(waking)],
    ['… when all are awake', share(awake)],
    ['heap with all of them', `${heapMb.toFixed(0)} MB`],
    ['all completed, their results checked', `${ms(releasedMs)} later`],
  ]
}

const asleep = async (dir, { runs }) => {
  const empty = await playerOn(join(dir, 'none'))
  await empty.player.stop()
  const first = await playerOn(join(dir, 'many'))
  const { seconds, heapMb } = await first.player.ask({ kind: 'sleep', runs })
  await first.player.stop()
  const { player, startMs, heapMb: after } = await playerOn(join(dir, 'many'))
  await player.stop()
  return [
    ['runs that sleep for a day', `${count(runs)} in ${seconds.toFixed(1)} s`],
    ['heap when all sleep', `${(heapMb - empty.heapMb).toFixed(1)} MB more than without`],
    ['start without them', ms(empty.startMs)],
    ['start with them', `${ms(startMs)}, heap ${(after - empty.heapMb).toFixed(1)} MB more`],
  ]
}

export const lives = [
  {
    title: 'live runs at a start',
    play: inFolder(live),
    quick: { runs: 5_000 },
    full: { runs: 100_000 },
  },
  {
    title: 'runs asleep',
    play: inFolder(asleep),
    quick: { runs: 20_000 },
    full: { runs: 1_000_000 },
  },
]
