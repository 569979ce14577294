/**
 * Plays all scripts at once on one engine, in one life of the process: `node player.mjs ENGINE PLACE LEDGER LIFE`. The bench kills
 * each life. The last one answers the outcome of each script, from the storage of the engine and the ledger.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { play } from '../entities/turn.mjs'
import { Ledger } from '../flow-scripts/ledger.mjs'
import { scripts } from './scripts.mjs'

const [, , engineName, place, ledgerFile, lifeText] = process.argv
const life = Number(lifeText)
const ledger = new Ledger(ledgerFile)
const queueName = (number) => `s${number}`

const words = [
  ...['add', 'addMany', 'pause', 'resume', 'retry', 'drain'],
  ...['remove', 'reprioritize', 'postpone', 'look', 'limitTo'],
  ...['schedule', 'unschedule', 'scheduled', 'trigger', 'pauseSchedule'],
]

/** The host of one script: it acts from outside, and sees the jobs that run in this life. */
class Host {
  notes = {}
  /** The jobs in the order in which their handlers began, and when. */
  started = []
  times = []
  most = 0
  #running = 0
  #number
  #engine
  #waiting = []

  constructor(number, engine) {
    this.#number = number
    this.#engine = engine
    for (const word of words) this[word] = (...given) => engine[word](queueName(number), ...given)
  }

  /** Waits until every job is done or dead. */
  async idle() {
    while ((await this.#engine.open(queueName(this.#number))) > 0) await wait(10)
  }

  /** Waits until so many handlers have begun in this life. */
  async reached(count) {
    while (this.started.length < count) await new Promise((resolve) => this.#waiting.push(resolve))
  }

  note(name, value) {
    this.notes[name] = value
  }

  async try(name, work) {
    this.notes[name] = await Promise.resolve(work()).then(
      () => 'accepted',
      () => 'refused',
    )
  }

  async runs(job, handler, final, says) {
    const run = ledger.ran(this.#number, job.name ?? job)
    this.started.push(job)
    this.times.push(performance.now())
    this.most = Math.max(this.most, ++this.#running)
    for (const resolve of this.#waiting.splice(0)) resolve()
    try {
      return await handler?.(job, {
        run,
        life,
        host: this,
        final,
        ...says,
        crash: () => crash(life),
      })
    } finally {
      this.#running--
    }
  }
}

/** The handler does not end in a life that the bench kills. */
const crash = (present) => present < 3 && new Promise(() => undefined)

const engine = {}
const hosts = scripts.map((_, number) => new Host(number, engine))
const queues = scripts.map(({ options = {}, handler }, number) => ({
  ...{ name: queueName(number), options },
  run: (job, final, says) => hosts[number].runs(job, handler, final, says),
}))
Object.assign(engine, await (await import(`./${engineName}.mjs`)).open(place, queues))

const titled = async ({ title }, work) => {
  try {
    return await work
  } catch (error) {
    throw new Error(`${title}: ${error.stack}`)
  }
}

const playLife = (script, number) => titled(script, script.lives[life - 1]?.(hosts[number]))

const outcomeOf = async (script, number) => ({
  runs: ledger.of(number),
  dead: await titled(script, engine.dead(queueName(number))),
})

play({
  /** Answers what the hosts of this life have noted. */
  life: async () => {
    await Promise.all(scripts.map(playLife))
    return hosts.map(({ notes }) => notes)
  },
  outcomes: () => Promise.all(scripts.map(outcomeOf)),
})
