/**
 * The world outside of the orders and jobs of `programs/flow-orders.mjs`: what it has seen over all
 * of their lives, and what of it breaks a promise.
 */

/** How the orders of each kind end. */
const ends: Readonly<Record<string, string>> = {
  plain: 'completed',
  approved: 'completed Eve',
  failing: 'failed no carrier',
  cancelled: 'cancelled rain',
  retried: 'completed',
  again: 'completed',
  parcels: 'completed 3',
  once: 'completed',
  reborn: 'completed',
}

/** The steps of an order, in the order of its body. */
const steps = ['reserve', 'charge', 'ship']
const parcelsOfOrder = 3
const jobsAtOnce = 3

/** The work under one key. `closed`: why it never runs again. */
type Work = { readonly of: string; attempt: number; life: number; closed?: string }

/** The ledger of the world outside. */
export class FlowLedger {
  readonly wrong: string[] = []
  /** How many lines of each kind it has read. */
  readonly counts: Record<string, number> = {}
  readonly #kinds = new Map<string, string>()
  readonly #ends = new Map<string, string>()
  /** What was acknowledged: starts, signals and cancels of orders, and added jobs. */
  readonly #acknowledged = new Set<string>()
  readonly #works = new Map<string, Work>()
  /** The steps that were tried, and undone, of each round of a run, by the beginning of its keys. */
  readonly #tried = new Map<string, Set<string>>()
  readonly #undone = new Map<string, Set<string>>()
  readonly #handled = new Set<string>()
  readonly #dead = new Set<string>()
  /** The status of each run in the end. */
  readonly #listed = new Map<string, string>()
  readonly #running = new Set<string>()
  #life = 0
  #next = 0

  /** Another life begins: nothing of the last one runs. */
  begins(): void {
    this.#life++
    this.#running.clear()
  }

  /** The orders that have begun, and of which no end is known. */
  get open(): readonly string[] {
    return [...this.#kinds.keys()].filter((id) => !this.#ends.has(id))
  }

  /** The number of the next order. */
  get next(): number {
    return this.#next
  }

  /** Reads a line: a word, what it is about, and more words. */
  read(line: string): void {
    const [what = '', about = '', ...words] = line.split(' ')
    this.counts[what] = (this.counts[what] ?? 0) + 1
    this.#readers[what]?.(about, ...words)
  }

  readonly #readers: Readonly<Record<string, (about: string, ...words: string[]) => unknown>> = {
    begun: (id, kind = '') => {
      this.#kinds.set(id, kind)
      this.#next = Math.max(this.#next, Number(id) + 1)
    },
    started: (id, repeated) => this.#acknowledges('start', id, repeated),
    signalled: (id, repeated) => this.#acknowledges('signal', id, repeated),
    cancelled: (id) => this.#acknowledged.add(`cancel ${id}`),
    try: (id, step = '', key = '', attempt = '') => {
      const isNew = !this.#works.has(key)
      this.#runs(id, key, Number(attempt))
      setOf(this.#tried, roundOf(key)).add(step)
      if (isNew && this.#acknowledged.has(`cancel ${id}`)) this.#fails('W6', `${key} is cancelled`)
      const isOnce = this.#kinds.get(id) === 'once' && step === 'charge'
      if (isOnce && !isNew) this.#fails('W3', `${key} of once runs again`)
    },
    got: (_id, _step, key = '') => this.#closes(key, 'its outcome was durable'),
    undo: (_id, step = '', key = '') => {
      this.#closes(key, 'it was undone')
      setOf(this.#undone, roundOf(key)).add(step)
    },
    gone: (id) => {
      for (const [key, { of }] of this.#works)
        if (of === id) this.#closes(key, 'its run was deleted')
    },
    ended: (id, ...end) => this.#ends.set(id, end.join(' ')),
    added: (number) => this.#acknowledged.add(`job ${number}`),
    job: (number, key = '', attempt = '') => {
      // A claim counts its try, so that a kill does not give another one.
      this.#runs(`job ${number}`, key, Number(attempt), true)
      this.#running.add(key)
      if (this.#running.size > jobsAtOnce) this.#fails('W10', `${[...this.#running]} run at once`)
    },
    handled: (number, key = '') => {
      this.#running.delete(key)
      this.#handled.add(number)
    },
    done: (key) => this.#closes(key, 'it was done'),
    dead: (number) => this.#dead.add(number),
    listed: (run, status = '') => this.#listed.set(run, status),
  }

  /** Only the first of these requests begins something, in whatever life it is made again. */
  #acknowledges(what: string, id: string, repeated: string | undefined): void {
    const request = `${what} ${id}`
    const isLost = this.#acknowledged.has(request) && repeated === 'false'
    if (isLost && this.#kinds.get(id) !== 'reborn') this.#fails('W1', `the ${request} is lost`)
    this.#acknowledged.add(request)
  }

  #runs(of: string, key: string, attempt: number, isCounted = false): void {
    const work = this.#works.get(key)
    this.#works.set(key, { ...work, of, attempt, life: this.#life })
    if (!work) return
    const least = work.attempt + (isCounted || work.life === this.#life ? 1 : 0)
    if (work.of !== of) this.#fails('W3', `${key} is of ${work.of}, and of ${of}`)
    if (work.closed) this.#fails('W2', `${key} runs again, though ${work.closed}`)
    if (attempt < least) this.#fails('W3', `try ${attempt} of ${key} after try ${work.attempt}`)
  }

  #closes(key: string, closed: string): void {
    const work = this.#works.get(key)
    if (work) work.closed = closed
  }

  #fails(promise: string, text: string): void {
    this.wrong.push(`${promise}: ${text}`)
  }

  /** Judges the end of all lives. */
  judge(): void {
    for (const [id, kind] of this.#kinds) {
      const end = this.#ends.get(id) ?? ''
      if (end !== ends[kind]) this.#fails('W1', `the order ${id}, ${kind}, is ${end}`)
      if (!end.startsWith(this.#listed.get(`order/${id}`) ?? '?')) this.#fails('W11', `${id}`)
      this.#judgeUndos(id, kind)
    }
    const parcels = [...this.#listed].filter(([run]) => run.startsWith('parcel/'))
    const sent = [...this.#kinds.values()].filter((kind) => kind === 'parcels')
    if (parcels.length !== sent.length * parcelsOfOrder)
      this.#fails('W9', `${sent.length} orders have ${parcels.length} parcels`)
    for (const [run, status] of parcels) if (status !== 'completed') this.#fails('W9', run)
    for (const request of this.#acknowledged) {
      const [what, number = ''] = request.split(' ')
      if (what !== 'job' || this.#dead.has(number)) continue
      // A job of which three lives have ended while it ran alone is dead too.
      if (!this.#handled.has(number) || fails(number)) this.#fails('W10', `the ${request} is lost`)
    }
  }

  /** Every step that was tried is undone, the newest first, in rounds that do not complete. */
  #judgeUndos(id: string, kind: string): void {
    const rounds = [...this.#tried].filter(([round]) => round.startsWith(`flow/order/${id}/`))
    for (const [at, [round, tried]] of rounds.entries()) {
      const undone = [...(this.#undone.get(round) ?? [])]
      const isRetried = kind === 'retried' && at < rounds.length - 1
      const isUndone = isRetried || !ends[kind]?.startsWith('completed')
      const missing = [...tried].filter((step) => !undone.includes(step))
      const newestFirst = steps.filter((step) => undone.includes(step)).reverse()
      if (isUndone ? missing.length > 0 : undone.length > 0)
        this.#fails('W6', `of ${round} ${[...tried]} were tried, and ${undone} undone`)
      if (undone.join() !== newestFirst.join()) this.#fails('W6', `${round}: ${undone} undone`)
    }
  }
}

/** Whether each try of a job fails. */
const fails = (number: string): boolean => Number(number) % 5 === 0

/** The beginning of the keys of a round: `flow/type/id/birth/round`. */
const roundOf = (key: string): string => key.split('/').slice(0, 5).join('/')

const setOf = (sets: Map<string, Set<string>>, key: string): Set<string> => {
  const set = sets.get(key) ?? new Set()
  sets.set(key, set)
  return set
}
