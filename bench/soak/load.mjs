/**
 * A paced load on something that answers questions (`ask(what, ...words)`), and the ledger of what was acknowledged. A question
 * that is not answered is asked again, so that at the end each sum has to be exact. The ledger does not grow: a counter for
 * each key and account, and what is in flight.
 */
const keys = 2_000
const largeKeys = 8
const largeBytes = 300_000
const accounts = 300
/** Beyond so many in flight the load waits, so that a stop of some seconds leaves no flood behind it. */
const inFlightMax = 200

/** How many of each a second, at the pace 1. */
const rates = { put: 40, large: 0.5, passing: 4, add: 20, place: 4, enter: 8, trip: 1, mail: 6 }

/** Answers that another question does not change. */
const final = ['CONFLICT', 'INVALID_ARGUMENT', 'CORRUPT', 'CONFIG', 'FAILED', 'CANCELLED']

/** What a store answers when it cannot say whether a write came about. */
const mayHaveHappened = 'UNKNOWN_OUTCOME'

export class Load {
  /** How many of each were acknowledged. */
  done = {}
  /** How often an answer was an error, by its code. */
  failures = {}
  /** What cannot be, in words. */
  wrong = []
  #ask
  #pause
  #random
  #number = 0
  #inFlight = 0
  #due = {}
  #name
  #written = new Map()
  #sums = new Map()

  /** `name` makes ids of this load its own; `pause(ms)` is the time that it lives in. */
  constructor({ ask, pause, random = Math.random, name = 'load' }) {
    this.#ask = ask
    this.#pause = pause
    this.#random = random
    this.#name = name
    for (const what of Object.keys(rates)) this.done[what] = 0
  }

  /** Begins what is due after `ms` at this pace. */
  tick(ms, pace = 1) {
    for (const [what, rate] of Object.entries(rates)) {
      this.#due[what] = (this.#due[what] ?? 0) + (rate * pace * ms) / 1_000
      while (this.#due[what] >= 1) {
        this.#due[what]--
        if (this.#inFlight < inFlightMax) this.#begin(what)
      }
    }
  }

  /** Begins nothing more, and resolves when nothing is in flight. */
  async end() {
    while (this.#inFlight > 0) await this.#pause(100)
  }

  /** How much is in flight. */
  get inFlight() {
    return this.#inFlight
  }

  #begin(what) {
    this.#inFlight++
    const kinds = {
      put: () => this.#put(`key:${this.#below(keys)}`, 100 + this.#below(4) * 200),
      large: () => this.#put(`large:${this.#below(largeKeys)}`, largeBytes),
      passing: () => this.#untilDone('putForMs', `passing:${this.#below(500)}`, 5_000),
      add: () => this.#add(),
      place: () => this.#place(),
      enter: () => this.#counted('entries', 'enter', this.#id()),
      trip: () => this.#trip(),
      mail: () => this.#mail(),
    }
    kinds[what]()
      .then(
        () => this.done[what]++,
        (error) => this.#wrong(`${what}: ${error.stack}`),
      )
      .finally(() => this.#inFlight--)
  }

  #below(end) {
    return Math.floor(this.#random() * end)
  }

  #id() {
    return `${this.#name}-${++this.#number}`
  }

  #wrong(text) {
    if (this.wrong.length < 50) this.wrong.push(text)
  }

  /** Asks until there is an answer. */
  async #untilDone(what, ...words) {
    for (;;) {
      try {
        return await this.#ask(what, ...words)
      } catch (error) {
        const code = `${what} ${error.code ?? error.message}`
        this.failures[code] = (this.failures[code] ?? 0) + 1
        if (final.includes(error.code)) throw error
        await this.#pause(200)
      }
    }
  }

  /** One write at a time to each key: it holds the last one that was acknowledged, or one whose outcome is open. */
  async #put(key, bytes) {
    const state = this.#written.get(key) ?? { isBusy: false, bytes, number: 0, open: [] }
    this.#written.set(key, state)
    if (state.isBusy) return
    state.isBusy = true
    const number = ++this.#number
    try {
      await this.#ask('put', key, number, state.bytes)
      state.number = number
      state.open = []
    } catch (error) {
      const code = `put ${error.code ?? error.message}`
      this.failures[code] = (this.failures[code] ?? 0) + 1
      if (error.code === mayHaveHappened || error.code === 'GONE') state.open.push(number)
    } finally {
      state.isBusy = false
    }
  }

  async #counted(sum, ...question) {
    this.#sums.set(sum, (this.#sums.get(sum) ?? 0) + 1)
    await this.#untilDone(...question)
  }

  async #add() {
    const [name, by] = [`a${this.#below(accounts)}`, 1 + this.#below(9)]
    this.#sums.set(name, (this.#sums.get(name) ?? 0) + by)
    await this.#untilDone('add', name, by, this.#id())
  }

  async #place() {
    this.#sums.set('holds ended', (this.#sums.get('holds ended') ?? 0) + 1)
    await this.#counted('holds begun', 'place', this.#id(), 1_000 + this.#below(4_000))
  }

  async #trip() {
    const [id, name] = [this.#id(), 'trips']
    this.#sums.set(name, (this.#sums.get(name) ?? 0) + 2)
    await this.#untilDone('start', id, { name, pauseMs: 500 + this.#below(2_000) })
    await this.#pause(this.#below(4_000))
    await this.#untilDone('signal', id, id)
    const output = await this.#untilDone('result', id)
    if (output !== `${id} arrived`) this.#wrong(`the trip ${id} has ended with ${output}`)
  }

  async #mail() {
    const number = ++this.#number
    const options = { key: `k${this.#below(50)}`, unique: this.#id(), priority: this.#below(3) }
    if (number % 7 === 0) options.delay = '2s'
    await this.#counted('mails', 'mail', { name: 'mails', number }, options)
  }

  /** Compares all that is there with the ledger, once everything that goes on by itself has ended. @throws Error */
  async verify() {
    await this.#becomes('all holds have ended', async () => (await this.#untilDone('holds')) === 0)
    await this.#becomes('all jobs are done', async () => {
      const { ready, delayed, running } = await this.#untilDone('jobs')
      return ready + delayed + running === 0
    })
    for (const [name, sum] of this.#sums)
      await this.#becomes(
        `account ${name} has ${sum}`,
        async () => (await this.#untilDone('read', name)) === sum,
      ).catch(async (error) =>
        this.#wrong(`${error.message}; it has ${await this.#untilDone('read', name)}`),
      )
    const { dead } = await this.#untilDone('jobs')
    if (dead > 0) this.#wrong(`${dead} jobs are dead`)
    await this.verifyKeys()
    if (this.wrong.length > 0) throw new Error(this.wrong.join('\n'))
    return { accounts: this.#sums.size, keys: this.#written.size }
  }

  /** Compares the keys alone. */
  async verifyKeys() {
    for (const [key, { number, open, bytes }] of this.#written) {
      const found = await this.#untilDone('number', key, bytes)
      if (found !== number && !open.includes(found))
        this.#wrong(`${key} has ${found}, not ${number}`)
    }
  }

  /** The sum that this account has to have. */
  sumOf(name) {
    return this.#sums.get(name) ?? 0
  }

  async #becomes(what, isSo) {
    for (let tries = 0; tries < 150; tries++) {
      if (await isSo()) return
      await this.#pause(200)
    }
    throw new Error(`not within 30 s: ${what}`)
  }
}
