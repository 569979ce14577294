/**
 * A day of virtual time: the tree and the load of the soak on a simulated disk, with a power cut each hour, storage actors that
 * are killed, commands of the control, snapshots and backups. After each half an hour the garbage is collected and the memory
 * is looked at; at the end the ledger is compared. `--minutes N` is virtual too.
 */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { seededRandom, startSimulated } from 'keelson/testing'
import { Load } from './load.mjs'
import { judged, told, virtualSeries } from './series.mjs'
import { desk, soakTree } from './tree.mjs'

const MiB = 2 ** 20
const tickMs = 1_000
const minutesOfDay = 24 * 60
/** So much is done in a second of virtual time, as a part of the load in real time. */
const dayPace = 0.02
const victims = ['blob_store', 'wal_writer', 'applier', 'batcher', 'journal', 'lmdb_writer']
  .concat(['followers', 'expirer', 'alarms', 'snapshotter'])
  .flatMap((name) => [`${name}(0)`, `${name}(1)`])

const capacityBytes = 1_024 * MiB
const silent = () => undefined
const options = {
  logger: { error: silent, warn: silent, info: silent },
  capacityBytes,
  ...{ shards: 2, seed: 7, wal: { maxFileSize: MiB / 4 } },
  blobs: { segmentBytes: MiB, graceMs: 60_000, sweepMs: 60_000 },
  snapshot: { minLogBytes: MiB / 2, keep: 2 },
}

/** The instance of the day: it ends with each power cut, and so does what was asked of it. */
class Day {
  counts = { kills: 0, cuts: 0, commands: 0, backups: 0 }
  refused = {}
  load
  #simulation
  #desk
  #ended = new AbortController()

  static async start(pace) {
    const day = new Day()
    day.#simulation = await startSimulated({ ...options, app: soakTree() })
    day.#desk = desk(day.#simulation.app)
    day.load = new Load({
      ask: (what, ...words) => day.#asked(() => day.#desk[what](words)),
      pause: (ms) => new Promise((resolve) => day.#simulation.clock.after(ms, resolve)),
      random: seededRandom(7),
    })
    day.pace = pace
    return day
  }

  /** What is asked, or `GONE` when the power goes before the answer. */
  #asked(ask) {
    const { signal } = this.#ended
    return new Promise((resolve, reject) => {
      const gone = () => reject(Object.assign(new Error('the power is gone'), { code: 'GONE' }))
      if (signal.aborted) return gone()
      signal.addEventListener('abort', gone, { once: true })
      Promise.resolve()
        .then(ask)
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', gone))
    })
  }

  /** Lets the seconds from `from` to `to` pass. */
  async pass(from, to) {
    for (let second = from + 1; second <= to; second++) {
      this.load.tick(tickMs, this.pace)
      if (second % 97 === 0) this.#kill()
      if (second % 241 === 0) await this.#command()
      if (second % 3_600 === 1_000) await this.#backup()
      if (second % 3_600 === 2_700) await this.#cut()
      await this.#simulation.advance(tickMs)
    }
  }

  #kill() {
    this.#simulation.app.system.kill(victims[this.counts.kills++ % victims.length])
  }

  /** Refusals are counted: a storage actor that is killed may refuse a command. */
  async #done(what, work) {
    this.counts[what]++
    await this.#simulation.during(work).catch(({ code }) => {
      this.refused[`${what} ${code}`] = (this.refused[`${what} ${code}`] ?? 0) + 1
    })
  }

  async #command() {
    const { app } = this.#simulation
    const { control, journal } = app
    const commands = [
      () => control.flushAll(),
      () => control.snapshotAll(),
      () => control.sweepAll(),
      () => control.suspendAll({ writes: true }).then(({ token }) => control.resumeAll({ token })),
      () => control.reopen(1),
      () => journal.saveState(Math.max(0, app.health().shards[0].appliedLsn - 1), 'all of it'),
    ]
    await this.#done('commands', commands[this.counts.commands % commands.length]())
  }

  async #backup() {
    await this.#done('backups', this.#simulation.app.backup('/backup', { consistent: true }))
  }

  async #cut() {
    this.counts.cuts++
    this.#ended.abort()
    this.#ended = new AbortController()
    await this.#simulation.powerCut()
    this.#desk = desk(await this.#simulation.start())
  }

  sample() {
    // The simulation keeps each line for its reader, and there is none.
    this.#simulation.log.lines.length = 0
    globalThis.gc()
    const { heapUsed, external, rss } = process.memoryUsage()
    const { app, disk } = this.#simulation
    const { done, failures, wrong, inFlight } = this.load
    const { shards } = app.health()
    return {
      ...{ heapLive: heapUsed, external, rss, actors: app.system.processes().length },
      lagBytes: shards.reduce((sum, { lagBytes = 0 }) => sum + lagBytes, 0),
      disk: capacityBytes - disk.freeBytes,
      ...{ done, failures, wrong: wrong.length, inFlight, ...this.counts },
    }
  }

  async stop() {
    const { load } = this
    const patiently = { withinMs: 3_600_000 }
    await this.#simulation.during(load.end(), patiently)
    const found = await this.#simulation.during(load.verify(), patiently)
    await this.#cut()
    await this.#simulation.during(load.verify(), patiently)
    await this.#simulation.close()
    return { ...found, done: load.done, failures: load.failures, refused: this.refused }
  }
}

/** Runs it, and answers the verdicts. */
export const runVirtual = async ({ minutes = minutesOfDay, out, pace = 1 }) => {
  setFlagsFromString('--expose-gc')
  globalThis.gc = runInNewContext('gc')
  const folder = out ?? mkdtempSync(join(tmpdir(), 'keelson-soak-'))
  mkdirSync(folder, { recursive: true })
  const day = await Day.start(pace * dayPace)
  const samples = []
  const [began, all] = [performance.now(), minutes * 60]
  const step = Math.max(60, Math.round(all / 48))
  for (let second = 0; second < all; second += step) {
    await day.pass(second, Math.min(all, second + step))
    const sample = { seconds: Math.min(all, second + step), virtual: day.sample() }
    samples.push(sample)
    told(folder, sample)
  }
  const end = await day.stop()
  const took = Math.round((performance.now() - began) / 1_000)
  console.log(`verified after ${took} s: ${JSON.stringify({ ...end, ...day.counts })}`)
  return judged(samples, { out: folder, series: virtualSeries, prefix: 'virtual' })
}
