/**
 * The part of the soak with members: `keelson run --members` on one folder, the load at all of them, and member b killed again
 * and again. The ledger is here, in a process that is not killed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Load } from './load.mjs'

const cli = fileURLToPath(new URL('../../dist/inspect/cli/cli.js', import.meta.url))
const config = fileURLToPath(new URL('./member-config.mjs', import.meta.url))
const tickMs = 50
const shards = 4
/** The last one is killed. */
const names = ['a', 'b']

const failure = (code, message) => Object.assign(new Error(`${code}: ${message}`), { code })

/** A line to one member, made again whenever it breaks. What is asked while there is none fails with `GONE`. */
class Line {
  pid
  #path
  #pending = new Map()
  #socket
  #number = 0
  #isClosed = false

  constructor(path) {
    this.#path = path
    this.#connect()
  }

  ask(what, ...words) {
    if (this.pid === undefined) return Promise.reject(failure('GONE', 'no member'))
    const number = ++this.#number
    return new Promise((resolve, reject) => {
      this.#pending.set(number, { resolve, reject })
      this.#socket.write(`${JSON.stringify({ number, what, words })}\n`)
    })
  }

  close() {
    this.#isClosed = true
    this.#socket.destroy()
  }

  #connect() {
    this.#socket = connect(this.#path)
    const lines = createInterface({ input: this.#socket })
    lines.on('line', (line) => this.#told(JSON.parse(line)))
    lines.on('error', () => undefined)
    this.#socket.on('close', () => this.#broken())
  }

  #told({ pid, number, value, code, message }) {
    if (pid !== undefined) this.pid = pid
    const asked = this.#pending.get(number)
    this.#pending.delete(number)
    if (code === undefined) asked?.resolve(value)
    else asked?.reject(failure(code, message))
  }

  #broken() {
    this.pid = undefined
    for (const { reject } of this.#pending.values()) reject(failure('GONE', 'the member has ended'))
    this.#pending.clear()
    if (!this.#isClosed) setTimeout(() => this.#isClosed || this.#connect(), 50)
  }
}

/** The members, their load and its ledger. */
export class Members {
  kills = 0
  load
  #parent
  #lines
  #ended
  #ticks
  #isOver = false
  #killing

  /** Starts them; resolves when all are ready. */
  static async start(dir, pace) {
    const members = new Members()
    await members.#start(dir)
    members.load = new Load({
      ask: (what, ...words) => members.#any(what, ...words),
      pause: (ms) => sleep(ms),
    })
    members.#ticks = setInterval(() => members.load.tick(tickMs, pace), tickMs)
    return members
  }

  async #start(dir) {
    const sockets = join(dir, 'sockets')
    mkdirSync(sockets, { recursive: true })
    const words = ['run', config, '--dir', join(dir, 'data'), '--members', `${names.length}`]
    this.#parent = spawn(process.execPath, ['--expose-gc', cli, ...words], {
      env: { ...process.env, NODE_ENV: 'production', SOAK_SOCKETS: sockets },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#ended = once(this.#parent, 'close')
    let [said, complained] = ['', '']
    this.#parent.stderr.on('data', (text) => {
      complained = `${complained}${text}`.slice(-4_000)
    })
    await new Promise((resolve, reject) => {
      this.#parent.stdout.on('data', (text) => {
        said = `${said}${text}`.slice(-4_000)
        if (said.includes('ready: ')) resolve()
      })
      this.#parent.once('exit', () => reject(new Error(`the members have ended: ${complained}`)))
    })
    this.#lines = names.map((name) => new Line(join(sockets, `${name}.sock`)))
  }

  #any(what, ...words) {
    return this.#lines[Math.floor(Math.random() * this.#lines.length)].ask(what, ...words)
  }

  /** Kills the last member each `ms`, and waits until it is back and has shards, which is part of the time. */
  killEach(ms) {
    const line = this.#lines.at(-1)
    const kills = async () => {
      while (!this.#isOver) {
        await sleep(ms)
        if (this.#isOver || line.pid === undefined) continue
        process.kill(line.pid, 'SIGKILL')
        this.kills++
      }
    }
    this.#killing = kills()
  }

  /** What each member uses, by its name, and the facts of the load. */
  async sample(isCollecting) {
    const samples = await Promise.all(
      this.#lines.map((line) =>
        line.ask('sample', isCollecting).catch(({ message }) => ({ absent: message })),
      ),
    )
    const { done, failures, wrong, inFlight } = this.load
    return {
      members: Object.fromEntries(names.map((name, at) => [name, samples[at]])),
      ...{ done: { ...done }, failures: { ...failures }, wrong: wrong.length },
      ...{ inFlight, kills: this.kills },
    }
  }

  /** Ends the load, compares everything with the ledger, and ends the members in order. */
  async stop() {
    clearInterval(this.#ticks)
    this.#isOver = true
    await this.#killing
    await this.load.end()
    await this.#whole()
    const found = await this.load.verify()
    for (const line of this.#lines) line.close()
    this.#parent.kill('SIGTERM')
    await this.#ended
    if (this.#parent.exitCode !== 0)
      throw new Error(`the members ended with ${this.#parent.exitCode}`)
    return { ...found, entries: this.load.sumOf('entries'), kills: this.kills }
  }

  /** Ends all of them at once, if they run. */
  kill() {
    for (const line of this.#lines ?? []) {
      line.close()
      if (line.pid !== undefined && this.#parent.exitCode === null)
        process.kill(line.pid, 'SIGKILL')
    }
    if (this.#parent?.exitCode === null) this.#parent.kill('SIGKILL')
  }

  async #whole() {
    for (let tries = 0; tries < 300; tries++) {
      const open = await Promise.all(this.#lines.map((line) => line.ask('open').catch(() => 0)))
      if (open.reduce((sum, each) => sum + each, 0) === shards) return
      await sleep(100)
    }
    throw new Error('not within 30 s: each shard is open at a member')
  }
}
