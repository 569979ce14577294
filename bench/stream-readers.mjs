/**
 * Many readers of one stream by server-sent events, in one process: what each of them holds, and how long it takes until all have a
 * message. The readers are in this process. They look only for the text of a message: the server is measured, not a client.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { Client } from './streams/client.mjs'
import { quantile } from './wal/turns.mjs'

export const about = 'thousands of readers of one durable stream by server-sent events'

const program = new URL('./streams/serving.mjs', import.meta.url)

const cases = [1_000, 5_000, 10_000].map((count) => ({ title: `${count} readers`, count }))

/** So many connections are made at once. */
const atOnce = 200

/** The server in another process. */
const serving = async (dir) => {
  const child = fork(program, ['keelson', dir], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [{ port }] = await once(child, 'message')
  return {
    port,
    usage: async () => {
      child.send('usage')
      const [usage] = await once(child, 'message')
      return usage
    },
    descriptors: () => readdirSync(`/proc/${child.pid}/fd`).length,
    stop: async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** Readers of the stream from now on, as plain connections. */
class Readers {
  times = []
  ended = 0
  #port
  #sockets = []
  #wanted = ''
  #sentAt = 0
  #missing = 0
  #allHave = () => undefined

  constructor(port) {
    this.#port = port
  }

  async open(count) {
    for (let at = 0; at < count; at += atOnce)
      await Promise.all(Array.from({ length: Math.min(atOnce, count - at) }, () => this.#one()))
  }

  /** Resolves when every reader has the message that `send` appends. `times` has when each got it. */
  async hear(text, send) {
    this.times = []
    this.#wanted = `"${text}"`
    this.#missing = this.#sockets.length
    const all = new Promise((resolve) => (this.#allHave = resolve))
    this.#sentAt = performance.now()
    await send()
    await Promise.race([
      all,
      sleep(60_000, undefined, { ref: false }).then(() => {
        throw new Error(`${this.#missing} of ${this.#sockets.length} readers have not got it`)
      }),
    ])
  }

  leave() {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Resolves when the first event has come: it waits at the end of the stream. */
  #one() {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#port, '127.0.0.1')
      socket.setEncoding('latin1')
      socket.on('error', reject)
      socket.on('close', () => this.ended++)
      socket.write('GET /v1/stream/one?offset=now&live=sse HTTP/1.1\r\nHost: localhost\r\n\r\n')
      socket.on('data', (piece) => {
        if (piece.includes('event: control')) resolve()
        if (this.#wanted === '' || !piece.includes(this.#wanted)) return
        this.times.push(performance.now() - this.#sentAt)
        if (--this.#missing === 0) this.#allHave()
      })
      this.#sockets.push(socket)
    })
  }
}

const cpuOf = ({ cpu }, before) =>
  (cpu.user + cpu.system - before.cpu.user - before.cpu.system) / 1_000

const measured = async (count, quick) => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-readers-'))
  const server = await serving(folder)
  const client = new Client(server.port)
  try {
    await client.create('one')
    const warm = new Readers(server.port)
    await warm.open(200)
    await warm.hear('warm', () => client.append('one', '"warm"'))
    warm.leave()
    await sleep(1_000)

    const [before, files] = [await server.usage(), server.descriptors()]
    const readers = new Readers(server.port)
    const began = performance.now()
    await readers.open(count)
    const openMs = performance.now() - began
    const open = await server.usage()
    const descriptors = server.descriptors() - files

    // Events end after a minute: all of this is within it.
    const [firsts, medians, lasts] = [[], [], []]
    const messages = quick ? 3 : 9
    for (let at = 0; at < messages; at++) {
      await readers.hear(`m${at}`, () => client.append('one', `"m${at}"`))
      const sorted = readers.times.sort((left, right) => left - right)
      if (sorted.length !== count) throw new Error(`${sorted.length} of ${count} readers`)
      firsts.push(sorted[0])
      medians.push(quantile(sorted, 0.5))
      lasts.push(sorted.at(-1))
    }
    const heard = await server.usage()
    if (readers.ended > 0) throw new Error(`${readers.ended} readers were ended`)
    readers.leave()
    await sleep(2_000)
    const left = await server.usage()
    const middle = (times) =>
      quantile(
        times.sort((left, right) => left - right),
        0.5,
      )
    return {
      'open, ms': openMs,
      'open each, µs CPU': (cpuOf(open, before) * 1_000) / count,
      'heap each, bytes': (open.held - before.held) / count,
      'RSS each, bytes': (open.rss - before.rss) / count,
      'descriptors each': descriptors / count,
      'first reader, ms': middle(firsts),
      'middle reader, ms': middle(medians),
      'last reader, ms': middle(lasts),
      'a message each, µs CPU': (cpuOf(heard, open) * 1_000) / count / messages,
      'heap after all left, bytes each': (left.held - before.held) / count,
    }
  } finally {
    client.close()
    await server.stop()
    rmSync(folder, { recursive: true })
  }
}

/** Runs the cases that are wanted, prints their figures and answers them. */
export const run = async ({ only, quick }) => {
  const results = []
  for (const { title, count } of cases) {
    if (!isWanted(only, title)) continue
    const figures = await measured(count, quick)
    results.push({ case: title, figures })
    console.log(title)
    console.log(table(Object.entries(figures).map(([what, figure]) => [what, amount(figure)])))
    console.log()
  }
  return results
}
