/** One case of `bench/own-streams.mjs` in a process by itself: it prints its figures as JSON. */
import { setMaxListeners } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { start } from 'keelson'
import { quantile } from '../wal/turns.mjs'

const [name, isQuick] = process.argv.slice(2)
const quick = isQuick === 'true'
const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-own-streams-'))

/** 20 bytes of JSON. */
const token = 'a token of 18 byte'

const ordered = (times) => times.sort((left, right) => left - right)
const points = (times) => {
  const sorted = ordered(times)
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}

/** What is held after a collection. */
const held = () => {
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** How long work took, and how much of a core. */
const timed = async (work) => {
  const before = process.cpuUsage()
  const began = performance.now()
  await work()
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(before)
  return { ms, cpuMs: (user + system) / 1_000 }
}

const expectAll = (found, wanted) => {
  if (found !== wanted) throw new Error(`${found} of ${wanted} messages`)
}

/** Appends until `seconds` are over, each writer one after another. */
const until = async (seconds, writers, append) => {
  let count = 0
  const times = []
  const end = performance.now() + seconds * 1_000
  const write = async (at) => {
    for (let before = performance.now(); before < end; ) {
      await append(at)
      const now = performance.now()
      times.push(now - before)
      before = now
      count++
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, at) => write(at)))
  return { count, times }
}

const cases = {
  'one after another': async (app) => {
    const log = app.streams.open('one')
    const [puts, appends] = [[], []]
    for (let turn = 0; turn < (quick ? 3 : 9); turn++) {
      const { times } = await until(0.5, 1, () => app.store.put('key', token))
      puts.push(points(times).p50)
      const { times: others } = await until(0.5, 1, () => log.append(token))
      appends.push(points(others).p50)
    }
    const [put, append] = [points(puts).p50, points(appends).p50]
    return { 'put, µs': put * 1_000, 'append, µs': append * 1_000, ratio: append / put }
  },

  'not awaited': async (app) => {
    const log = app.streams.open('one')
    const total = quick ? 50_000 : 400_000
    const { ms, cpuMs } = await timed(async () => {
      const pending = []
      for (let at = 0; at < total; at++) {
        pending[at % 1_500] = log.append(token)
        // As many as may wait, and those that wait for room.
        if (at >= 1_499) await pending[(at + 1) % 1_500]
      }
      await Promise.all(pending)
    })
    return { 'appends/s': (total / ms) * 1_000, 'µs CPU': (cpuMs * 1_000) / total }
  },

  'not awaited, by lists': async (app) => {
    const log = app.streams.open('one')
    const list = Array.from({ length: 100 }, () => token)
    const total = quick ? 1_000 : 8_000
    const { ms, cpuMs } = await timed(async () => {
      const pending = []
      for (let at = 0; at < total; at++) {
        pending[at % 8] = log.appendMany(list)
        if (at >= 7) await pending[(at + 1) % 8]
      }
      await Promise.all(pending)
    })
    return { 'appends/s': (total * 100_000) / ms, 'µs CPU': (cpuMs * 10) / total }
  },

  '500 streams, one awaited each': async (app) => {
    const logs = Array.from({ length: 500 }, (_, at) => app.streams.open(`s${at}`))
    await until(0.3, 500, (at) => logs[at].append(token))
    let count = 0
    const { ms, cpuMs } = await timed(async () => {
      count = (await until(quick ? 1 : 5, 500, (at) => logs[at].append(token))).count
    })
    return { 'appends/s': (count / ms) * 1_000, 'µs CPU': (cpuMs * 1_000) / count }
  },

  '500 streams, 100 tokens/s each': async (app) => speaking(app, 0),
  '500 streams, 100 tokens/s each, read': async (app) => speaking(app, 500),

  'append to a reader': async (app) => {
    const log = app.streams.open('one')
    const times = []
    const total = quick ? 50 : 300
    const reading = (async () => {
      for await (const { value } of log.read({ from: 'now' })) {
        times.push(performance.now() - value)
        if (times.length === total) return
      }
    })()
    await sleep(50)
    for (let at = 0; at < total; at++) {
      await log.append(performance.now())
      await sleep(20)
    }
    await reading
    const { p50, p99 } = points(times)
    return { 'p50, ms': p50, 'p99, ms': p99 }
  },

  'readers that wait': async (app) => {
    const readers = quick ? 1_000 : 10_000
    const logs = Array.from({ length: 100 }, (_, at) => app.streams.open(`s${at}`))
    await Promise.all(logs.map((log) => log.append(token)))
    let heard = 0
    const wait = (log) => {
      const reader = log.read({ from: 'now' })
      void reader.next().then(() => {
        heard++
        return reader.return()
      })
    }
    for (const log of logs) wait(log)
    await sleep(200)
    const before = held()
    for (let at = 0; at < readers; at++) wait(logs[at % 100])
    await sleep(500)
    const bytes = (held() - before) / readers
    await Promise.all(logs.map((log) => log.append(token)))
    await sleep(1_000)
    expectAll(heard, readers + 100)
    return { 'bytes of heap each': bytes }
  },

  'catch-up of 100 MB': async (app) => {
    const log = app.streams.open('one')
    const megabytes = quick ? 10 : 100
    const list = Array.from({ length: 500 }, () => 'x'.repeat(998))
    for (let at = 0; at < megabytes * 2; at++) await log.appendMany(list)
    let best = Number.POSITIVE_INFINITY
    for (let turn = 0; turn < 3; turn++) {
      let count = 0
      const { ms } = await timed(async () => {
        for await (const { value } of log.read({ live: false })) count += value.length === 998
      })
      expectAll(count, megabytes * 1_000)
      best = Math.min(best, ms)
    }
    return { 'MB/s': (megabytes * 1_000) / best }
  },

  'closed streams': async (app) => {
    const count = quick ? 5_000 : 100_000
    await app.streams.open('first').close('last')
    const before = held()
    for (let at = 0; at < count; at += 500)
      await Promise.all(
        Array.from({ length: 500 }, (_, more) => app.streams.open(`s${at + more}`).close(token)),
      )
    await app.control.flushAll()
    await sleep(1_000)
    const bytes = (held() - before) / count
    await app.close()
    const other = join(dir, 'keys')
    const keys = await start({ dir: other })
    for (let at = 0; at < count; at += 500)
      await Promise.all(
        Array.from({ length: 500 }, (_, more) => keys.store.put(`s${at + more}`, token)),
      )
    await keys.close()
    const [streamsMs, keysMs] = [[], []]
    for (let turn = 0; turn < 5; turn++) {
      streamsMs.push(await startMs(join(dir, 'app')))
      keysMs.push(await startMs(other))
    }
    const [one, two] = [points(streamsMs).p50, points(keysMs).p50]
    return { 'bytes of heap each': bytes, 'start, ms': one, 'with keys, ms': two }
  },
}

const startMs = async (where) => {
  const began = performance.now()
  const app = await start({ dir: where })
  const ms = performance.now() - began
  await app.close()
  return ms
}

/** 500 models speak a token each 10 ms. A reader of each measures from the append on. */
const speaking = async (app, readers) => {
  const logs = Array.from({ length: 500 }, (_, at) => app.streams.open(`s${at}`))
  const times = []
  const leave = new AbortController()
  setMaxListeners(0, leave.signal)
  const follow = async (log) => {
    for await (const { value } of log.read({ from: 'now', signal: leave.signal }))
      times.push(performance.now() - value)
  }
  const reading = logs.slice(0, readers).map(follow)
  await sleep(200)
  const seconds = quick ? 2 : 6
  const rounds = seconds * 100
  let done = 0
  const { ms, cpuMs } = await timed(async () => {
    const began = performance.now()
    const pending = []
    for (let round = 0; round < rounds; round++) {
      for (const log of logs) pending.push(log.append(performance.now()).then(() => done++))
      await sleep(Math.max(0, began + (round + 1) * 10 - performance.now()))
    }
    await Promise.all(pending)
  })
  await sleep(300)
  leave.abort()
  await Promise.all(reading)
  expectAll(done, rounds * 500)
  const figures = { 'tokens/s': (done / ms) * 1_000, cores: cpuMs / ms }
  if (readers === 0) return figures
  expectAll(times.length, rounds * 500)
  const { p50, p99 } = points(times)
  return { ...figures, 'p50, ms': p50, 'p99, ms': p99 }
}

/** The names of the cases. */
export const names = Object.keys(cases)

if (name) {
  try {
    const app = await start({ dir: join(dir, 'app') })
    process.send(await cases[name](app))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  process.exit()
}
