/**
 * Durable streams over HTTP beside the reference server of the protocol on files. One client asks both, in turns whose order
 * changes; each ratio is the median of those within the turns. Every case reads back, or counts, what it has sent.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isWanted } from './harness/options.mjs'
import { installPeers } from './harness/peers.mjs'
import { amount, table } from './harness/table.mjs'
import { Client } from './streams/client.mjs'
import { median, quantile } from './wal/turns.mjs'

export const about = 'durable streams over HTTP beside the reference server'

const program = new URL('./streams/serving.mjs', import.meta.url)

/** A server in another process. */
class Player {
  #child
  client
  #streams = 0

  static async start(name, folder) {
    const player = new Player()
    player.name = name
    player.#child = fork(program, [name, join(folder, name)], {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const [{ port }] = await once(player.#child, 'message')
    player.client = new Client(port)
    return player
  }

  /** A new stream of this server. */
  async stream() {
    const name = `s${this.#streams++}`
    await this.client.create(name)
    return name
  }

  async usage() {
    this.#child.send('usage')
    const [usage] = await once(this.#child, 'message')
    return usage
  }

  async stop() {
    this.client.close()
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }
}

const expectAll = (what, found, wanted) => {
  if (found !== wanted) throw new Error(`${what}: ${found} of ${wanted} messages`)
}

const milliseconds = (sorted) => ({ p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) })

const ordered = (times) => times.sort((left, right) => left - right)

/** Appends of 20 bytes, each writer one after another: to one stream, or each to its own. */
const appending =
  (writers, hasOwn) =>
  async (player, { quick }) => {
    const { client } = player
    const seconds = quick ? 1 : 4
    const streams = []
    for (let at = 0; at < (hasOwn ? writers : 1); at++) streams.push(await player.stream())
    const times = []
    const before = await player.usage()
    const began = performance.now()
    const write = async (stream) => {
      for (let at = began; at < began + seconds * 1_000; ) {
        await client.append(stream, '"a token of 18 byt"')
        const now = performance.now()
        times.push(now - at)
        at = now
      }
    }
    await Promise.all(
      Array.from({ length: writers }, (_, at) => write(streams[at % streams.length])),
    )
    const rate = (times.length * 1_000) / (performance.now() - began)
    const { cpu } = await player.usage()
    let found = 0
    for (const stream of streams) found += (await client.catchUp(stream)).messages
    expectAll('appends', found, times.length)
    const us = cpu.user + cpu.system - before.cpu.user - before.cpu.system
    return { figure: rate, ...milliseconds(ordered(times)), more: us / times.length }
  }

/** A stream is read from its beginning: messages of 1 KB. It is written once, by long appends. */
const catchingUp = () => {
  const kept = new Map()
  return async (player, { quick }) => {
    const megabytes = quick ? 10 : 100
    if (!kept.has(player)) {
      const stream = await player.stream()
      const list = JSON.stringify(Array.from({ length: 500 }, () => 'x'.repeat(998)))
      for (let at = 0; at < megabytes * 2; at++) await player.client.append(stream, list)
      kept.set(player, stream)
    }
    const began = performance.now()
    const { bytes, messages } = await player.client.catchUp(kept.get(player))
    expectAll('a catch-up', messages, megabytes * 1_000)
    return { figure: bytes / 1_000 / (performance.now() - began) }
  }
}

/** From an append to each of many readers by server-sent events. */
const tailing =
  (readers) =>
  async (player, { quick }) => {
    const { client } = player
    const count = quick ? 50 : 250
    const stream = await player.stream()
    const times = []
    const sent = []
    const follow = () => client.follow(stream, (at) => times.push(performance.now() - sent[at]))
    const leaves = await Promise.all(Array.from({ length: readers }, follow))
    // The last of them has begun to wait.
    await sleep(200)
    for (let at = 0; at < count; at++) {
      sent.push(performance.now())
      await client.append(stream, `${at}`)
      await sleep(20)
    }
    for (let waited = 0; times.length < readers * count && waited < 100; waited++) await sleep(50)
    for (const leave of leaves) leave()
    expectAll('a tail', times.length, readers * count)
    const { p50, p99 } = milliseconds(ordered(times))
    return { figure: p50, p50, p99 }
  }

/** What 1,000 readers hold that wait for events, and whether all of them hear of a message. */
const waiting = async (player, { quick }) => {
  const { client } = player
  const readers = quick ? 200 : 1_000
  const stream = await player.stream()
  let heard = 0
  const leave = await client.follow(stream, () => heard++)
  await sleep(500)
  const before = await player.usage()
  const leaves = await Promise.all(
    Array.from({ length: readers }, () => client.follow(stream, () => heard++)),
  )
  await sleep(500)
  const after = await player.usage()
  await client.append(stream, '1')
  for (let waited = 0; heard <= readers && waited < 100; waited++) await sleep(50)
  for (const each of [leave, ...leaves]) each()
  expectAll('readers that wait', heard, readers + 1)
  await sleep(500)
  const figure = (after.held - before.held) / readers
  return { figure, more: (after.rss - before.rss) / readers }
}

const cases = [
  {
    title: 'append, 1 in flight',
    unit: 'appends/s',
    isMore: true,
    more: 'µs CPU',
    turn: appending(1),
  },
  {
    title: 'append, 64 in flight',
    unit: 'appends/s',
    isMore: true,
    more: 'µs CPU',
    turn: appending(64),
  },
  {
    title: 'append, 500 in flight',
    unit: 'appends/s',
    isMore: true,
    more: 'µs CPU',
    turn: appending(500),
  },
  {
    title: 'append, 500 streams',
    unit: 'appends/s',
    isMore: true,
    more: 'µs CPU',
    turn: appending(500, true),
  },
  { title: 'catch-up', unit: 'MB/s', isMore: true, more: '', turn: catchingUp() },
  { title: 'tail, 1 reader', unit: 'ms', isMore: false, more: '', turn: tailing(1) },
  { title: 'tail, 100 readers', unit: 'ms', isMore: false, more: '', turn: tailing(100) },
  {
    title: 'readers that wait',
    unit: 'bytes of heap',
    isMore: false,
    more: 'bytes of RSS',
    turn: waiting,
  },
]

/** A turn that takes a minute has hung. */
const tooLong = async () => {
  await sleep(60_000, undefined, { ref: false })
  throw new Error('it gave no answer for a minute')
}

/** The turns of a case. Who fails in it has no figures, and the reason is said. */
const race = async (players, { turn }, { quick, repeats }) => {
  const figures = new Map(players.map(({ name }) => [name, []]))
  const absent = new Map()
  // The first turn warms up.
  for (let at = 0; at <= repeats; at++)
    for (let step = 0; step < players.length; step++) {
      const player = players[(at + step) % players.length]
      if (absent.has(player.name)) continue
      try {
        const figure = await Promise.race([turn(player, { quick }), tooLong()])
        if (at > 0) figures.get(player.name).push(figure)
      } catch (error) {
        absent.set(player.name, error.message)
      }
    }
  return { figures, absent }
}

/** `times`: how much better than the reference, within each turn. */
const outcomeOf = (players, figures, isMore) =>
  players.map(({ name }) => {
    const own = figures.get(name)
    const other = figures.get('reference')
    const ratios = own
      .filter((_, at) => other[at])
      .map(({ figure }, at) => (isMore ? figure / other[at].figure : other[at].figure / figure))
    const of = (what) => median(own.map((each) => each[what] ?? Number.NaN))
    return {
      name,
      figure: of('figure'),
      p50: of('p50'),
      p99: of('p99'),
      more: of('more'),
      times: median(ratios),
    }
  })

const cell = (value, unit = '') => (Number.isNaN(value) ? '–' : `${value.toFixed(2)}${unit}`)

const outcomeTable = (outcome, { unit, more }) =>
  table([
    ['', unit, 'p50', 'p99', more, 'of the reference'],
    ...outcome.map((each) => [
      each.name,
      amount(each.figure),
      cell(each.p50, ' ms'),
      cell(each.p99, ' ms'),
      Number.isNaN(each.more) ? '–' : amount(each.more),
      cell(each.times, '×'),
    ]),
  ])

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async (options) => {
  const { only, quick, repeats = quick ? 2 : 7 } = options
  const present = cases.filter(({ title }) => isWanted(only, title))
  if (present.length === 0) return []
  installPeers()
  const results = []
  for (const each of present) {
    // New servers: what one case leaves behind is nothing to the next.
    const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-streams-'))
    const players = []
    try {
      for (const name of ['keelson', 'reference']) players.push(await Player.start(name, folder))
      const { figures, absent } = await race(players, each, { quick, repeats })
      for (const [name, why] of absent) console.log(`– ${name}, ${each.title}: ${why}`)
      const there = players.filter(({ name }) => !absent.has(name))
      const outcome = outcomeOf(there, figures, each.isMore)
      results.push({ case: each.title, outcome, absent: Object.fromEntries(absent) })
      console.log(`${each.title}\n${outcomeTable(outcome, each)}\n`)
    } finally {
      for (const player of players) await player.stop()
      rmSync(folder, { recursive: true })
    }
  }
  return results
}
