/**
 * The log: ways to the disk, acknowledged appends by several writers, recovery, verification and memory; each against the
 * least that could do the same work, in alternating turns on the same disk.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isWanted } from './harness/options.mjs'
import { table } from './harness/table.mjs'
import { log, loop, store } from './wal/appends.mjs'
import { paths } from './wal/paths.mjs'
import { bytesOf, canForget, fillAndKill, memoryOfOpening, round } from './wal/recovery.mjs'
import { median, outcomeTable, race } from './wal/turns.mjs'

export const about = 'the log: appends by 1 to 1,024 writers, ways to the disk, recovery, memory'

const MiB = 2 ** 20
const writerCounts = [1, 8, 64, 1_024]

const opened = async (contenders, folder, kind, work) => {
  const open = []
  try {
    for (const [at, contender] of contenders.entries())
      open.push({ ...contender, ...(await contender.open(join(folder, `${kind}-${at}`))) })
    return await work(open)
  } finally {
    for (const { close } of open) await close()
  }
}

const raceAppends = async (folder, pace, frameBytes, contenders) =>
  opened(contenders, folder, `append-${frameBytes}`, async (open) => {
    const frame = Buffer.alloc(frameBytes, 7)
    const results = []
    for (const writers of writerCounts) {
      const outcome = await race(open, pace, ({ turn }, until) => turn({ writers, frame, until }))
      results.push({ case: 'appends', frameBytes, writers, outcome })
      console.log(`${writers} writers, ${frameBytes} bytes each, every append waited for`)
      console.log(`${outcomeTable('acks', outcome)}\n`)
    }
    return results
  })

const appends = async (folder, pace) => [
  ...(await raceAppends(folder, pace, 256, [loop, log, store])),
  ...(await raceAppends(folder, pace, 4_096, [loop, log])),
]

const racePaths = (folder, pace) =>
  opened(paths, folder, 'path', async (open) => {
    const results = []
    for (const size of writerCounts) {
      const frames = Array.from({ length: size }, (_, at) => new Uint8Array(256).fill(at))
      const outcome = await race(open, pace, async ({ commit }, until) => {
        const times = []
        for (let now = performance.now(); now < until; ) {
          await commit(frames)
          const done = performance.now()
          times.push(done - now)
          now = done
        }
        return { count: times.length * size, times }
      })
      results.push({ case: 'paths', size, outcome })
      console.log(`Groups of ${size} frames of 256 bytes, nothing of a log around them`)
      console.log(`${outcomeTable('frames', outcome)}\n`)
    }
    return results
  })

const recoverOne = async ({ dir, size, entries }, turns, cold) => {
  const rounds = []
  for (let turn = 0; turn < turns; turn++) rounds.push(await round(dir, cold))
  const wrong = rounds.find((each) => each.entries < entries)
  if (wrong) throw new Error(`${wrong.entries} of ${entries} entries came back`)
  const figure = (pick) => ({
    seconds: median(rounds.map(pick)),
    ofReading: median(rounds.map((each) => each.files / pick(each))),
  })
  return {
    size,
    'reading the files': figure(({ files }) => files),
    'opening after kill -9': figure(({ opening }) => opening),
    verify: figure(({ verify }) => verify),
    'reading all entries': figure(({ reading }) => reading),
  }
}

/**
 * Of a small and a large log: what every opening costs, and what each byte does. The one weighs most in small logs, the other in
 * large ones.
 */
const lineThrough = (small, large, name) => {
  const slope = (large[name].seconds - small[name].seconds) / (large.size - small.size)
  return { fixed: small[name].seconds - slope * small.size, rate: 1 / slope }
}

const recoveryTable = (labels, figures) => {
  const [small, large] = [figures[0], figures.at(-1)]
  const names = Object.keys(small).filter((name) => name !== 'size')
  const head = ['', ...labels.flatMap((label) => [label, 'of reading']), 'fixed', 'each byte']
  const rows = names.map((name) => {
    const { fixed, rate } = lineThrough(small, large, name)
    const cells = figures.flatMap(({ size, [name]: { seconds, ofReading } }) => [
      `${(size / 1e6 / seconds).toFixed(0)} MB/s`,
      ofReading.toFixed(2),
    ])
    return [name, ...cells, `${Math.round(fixed * 1e3) || 0} ms`, `${(rate / 1e6).toFixed(0)} MB/s`]
  })
  return table([head, ...rows])
}

const recover = async (folder, { sizes, turns }) => {
  const results = []
  for (const frameBytes of [256, 4_096]) {
    const logs = []
    for (const megabytes of sizes) {
      const dir = join(folder, `recovery-${frameBytes}-${megabytes}`)
      await fillAndKill(dir, megabytes * MiB, frameBytes)
      logs.push({ dir, size: bytesOf(dir), entries: (megabytes * MiB) / frameBytes })
    }
    for (const cold of canForget(logs[0].dir) ? [true, false] : [false]) {
      const figures = []
      for (const log of logs) figures.push(await recoverOne(log, turns, cold))
      results.push({ case: 'recovery', frameBytes, cold, figures })
      const labels = sizes.map((megabytes) => `${megabytes} MiB`)
      console.log(`Frames of ${frameBytes} bytes, ${cold ? 'not ' : ''}in the page cache`)
      console.log(`${recoveryTable(labels, figures)}\n`)
    }
    for (const { dir } of logs) rmSync(dir, { recursive: true })
  }
  return results
}

const remember = async (folder, sizes) => {
  const results = []
  for (const megabytes of sizes) {
    const dir = join(folder, `memory-${megabytes}`)
    await fillAndKill(dir, megabytes * MiB, 4_096)
    results.push({ case: 'memory', megabytes, ...(await memoryOfOpening(dir)) })
    rmSync(dir, { recursive: true })
  }
  const rows = results.map(({ megabytes, bytes, seconds }) => [
    `${megabytes} MiB`,
    `${(bytes / 1e6).toFixed(0)} MB`,
    `${seconds.toFixed(2)} s`,
  ])
  console.log('Opening after kill -9 in a process of its own: its greatest memory')
  console.log(`${table([['log', 'memory', 'time'], ...rows])}\n`)
  return results
}

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async ({ only, quick, repeats }) => {
  const pace = { turns: repeats ?? (quick ? 3 : 9), seconds: quick ? 0.2 : 0.5 }
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-wal-'))
  const results = []
  try {
    if (isWanted(only, 'appends')) results.push(...(await appends(folder, pace)))
    // How frames get to the disk was decided once; a quick look at the log does without.
    if (!(quick && only.length === 0) && isWanted(only, 'paths'))
      results.push(...(await racePaths(folder, { ...pace, turns: 5 })))
    if (isWanted(only, 'recovery'))
      results.push(
        ...(await recover(folder, { sizes: quick ? [1, 64] : [1, 64, 1_024], turns: 3 })),
      )
    if (isWanted(only, 'memory'))
      results.push(...(await remember(folder, quick ? [64, 256] : [64, 1_024])))
    return results
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
