/**
 * The requests to the entities of one random life: calls, casts, ends, and their background work.
 * `ledger-claims.ts` is told how each has ended.
 */
import { type App, call, cast, type KeelsonError, noReply } from '../../../src/index.ts'
import type { LedgerClaims } from '../models/ledger-claims.ts'
import {
  type Deed,
  type Ledger,
  type LedgerLife,
  type ledgers,
  lockedKey,
  noted,
  type Operation,
} from './ledger-entity.ts'

/** Codes that say that nothing of the call became durable. */
const never = [
  ...['LOCKED', 'TOO_LARGE', 'SHARD_DOWN', 'CLOSED', 'NO_PROCESS', 'MAILBOX_FULL', 'EXITED'],
  'CONFLICT',
  'NO_SPACE',
]
/** Codes that leave it open. */
const open = ['UNKNOWN_OUTCOME', 'TIMEOUT']

export const ids = ['a', 'b', 'c']
const deeds: readonly Deed[] = [
  ...(['note', 'note', 'note', 'look', 'write', 'write', 'locked', 'step', 'step'] as const),
  ...(['alarm', 'alarm', 'cancel', 'tell', 'tell', 'slow', 'throw', 'large'] as const),
  ...(['row', 'row', 'large row', 'remove row', 'background', 'background'] as const),
]

/** What requests know of their life. */
type Asked = {
  readonly app: () => App
  readonly kind: () => ReturnType<typeof ledgers>
  readonly claims: LedgerClaims
  readonly pick: <T>(from: readonly T[]) => T
  /** Whether something happens that does with this probability. */
  readonly happens: (probability: number) => boolean
  readonly count: (what: string) => void
  readonly during: <T>(work: Promise<T>, ms?: number) => Promise<T>
  readonly after: (ms: number) => Promise<void>
  /** Entities end, and are deleted. */
  readonly isMortal: boolean
}

/** The requests of one life. */
export class LedgerRequests {
  readonly #life: Asked
  readonly #pending = new Map<Promise<void>, string>()
  /** Operations that were called with an id, to be repeated with the same one. */
  readonly #repeatable: { readonly id: string; readonly operation: Operation }[] = []
  #numbers = 0
  /** The lives of each entity. */
  readonly #lives = new Map<string, number>()
  /** The background work that runs, and how many were aborted. */
  readonly working = new Set<string>()
  aborted = 0

  constructor(life: Asked) {
    this.#life = life
  }

  get #handle() {
    return this.#life.app().entity(this.#life.kind())
  }

  /** An entity wakes. */
  wakes(id: string): void {
    this.#lives.set(id, (this.#lives.get(id) ?? 0) + 1)
  }

  /** Background work of an operation: changes of its own. */
  async works(id: string, number: number, life: LedgerLife): Promise<void> {
    const born = this.#lives.get(id)
    const name = `${number} of ${id}`
    this.#life.claims.sees('background', id, number)
    this.working.add(name)
    life.signal.addEventListener('abort', () => {
      if (this.working.delete(name)) this.aborted++
    })
    for (let change = 0; change < 1 + (number % 4); change++) {
      // It does not listen to the end of its life.
      await this.#life.after(number % 30)
      const mine = ++this.#numbers
      this.#life.claims.unordered.add(mine)
      const applied = life.apply((ledger, context) => {
        this.#life.claims.claim(this.#lives.get(id) === born, `${mine} is applied to another life`)
        if (mine % 7 === 0) context.writes.put(lockedKey(id), mine)
        return noReply(noted(ledger, mine))
      })
      await this.#settles(
        applied.then(
          () => this.#life.claims.sees('applied', id, mine),
          (error: KeelsonError) => this.#failed(mine, error, false, 'refused'),
        ),
        `change ${mine} of ${id}`,
      )
    }
    this.working.delete(name)
    if (number % 11 === 0) throw new Error('thrown')
  }

  #operation(id: string): Operation {
    const number = ++this.#numbers
    const isLast = this.#life.isMortal && this.#life.happens(0.05)
    if (isLast) this.#ends(id).ends.add(number)
    const deed = isLast ? 'end' : this.#life.pick(deeds)
    return { number, deed, ms: this.#life.pick([0, 3, 30, 400, 3_000]) }
  }

  /** An entity will end. What it remembers ends with it: no call to it is repeated any more. */
  #ends(id: string) {
    for (let at = this.#repeatable.length - 1; at >= 0; at--)
      if (this.#repeatable[at]?.id === id) this.#repeatable.splice(at, 1)
    return this.#life.claims.of(id)
  }

  call(): void {
    const again = this.#life.happens(0.15) ? this.#life.pick(this.#repeatable) : undefined
    const id = again?.id ?? this.#life.pick(ids)
    const operation = again?.operation ?? this.#operation(id)
    const withId = again !== undefined || this.#life.happens(0.2)
    if (withId && !again && operation.deed !== 'end') {
      this.#repeatable.push({ id, operation })
      this.#life.claims.unordered.add(operation.number)
    }
    const timeoutMs = this.#life.pick([2, 40, 5_000, Number.POSITIVE_INFINITY])
    const options = withId ? { timeoutMs, id: `call-${operation.number}` } : { timeoutMs }
    this.#life.count('calls')
    const work = call(this.#handle.ref(id), 'run', operation, options)
    void this.#settles(
      work.then(
        (ledger) => this.#answered(id, operation, ledger),
        (error: KeelsonError) => this.#failed(operation.number, error, withId),
      ),
      `${operation.number} ${operation.deed} of ${id}, ${JSON.stringify(options)}`,
    )
  }

  /** `work` is pending until it has settled. */
  #settles(work: Promise<void>, text: string): Promise<void> {
    this.#pending.set(work, text)
    const done = () => void this.#pending.delete(work)
    return work.then(done, (error) => {
      done()
      this.#life.claims.claim(false, `${text}: ${error}`)
    })
  }

  #answered(id: string, operation: Operation, ledger: Ledger): void {
    this.#life.count('answers')
    this.#life.claims.answers(id, operation, ledger)
  }

  #failed(number: number, error: KeelsonError, withId: boolean, what = 'failed'): void {
    this.#life.count(`${what}.${error.code ?? error.message}`)
    if (error.message === 'thrown' || never.includes(error.code)) {
      if (!withId) this.#life.claims.refuses(number)
    } else if (!open.includes(error.code)) throw error
  }

  cast(): void {
    this.#life.count('casts')
    const id = this.#life.pick(ids)
    cast(this.#handle.ref(id), 'run', this.#operation(id))
  }

  delete(): void {
    const id = this.#life.pick(ids)
    const options = { keys: this.#life.pick([true, false]), timeoutMs: this.#life.pick([5, 5_000]) }
    const known = this.#ends(id)
    known.deletions++
    known.isStripped ||= options.keys
    const deleted = this.#handle.delete(id, options)
    const isIn = (is: boolean, what: string): void => {
      this.#life.count(`delete.${what}`)
      if (!is) known.deletions--
    }
    void this.#settles(
      deleted.then(
        (is) => isIn(is, `${is}`),
        ({ code }: KeelsonError) => isIn(!never.includes(code), code),
      ),
      `delete of ${id}`,
    )
  }

  stop(): void {
    const id = this.#life.pick(ids)
    this.#life.count('stops')
    const stopped = this.#handle.stop(id, { timeoutMs: 5_000 })
    const done = () => undefined
    void this.#settles(stopped.then(done, done), `stop of ${id}`)
  }

  /** Lets what is parked run again. */
  unblock(timeoutMs = this.#life.pick([5, 5_000])): void {
    const handle = this.#handle
    for (const id of handle.blocked().keys()) {
      if (this.#life.claims.of(id).unblocking > 0) continue
      this.#life.claims.unblocks(id)
      const unblocked = handle.unblock(id, { timeoutMs })
      void this.#settles(
        unblocked.then(
          (is) => {
            this.#life.claims.unblocked(id)
            if (is) this.#life.count('unblocked')
          },
          ({ code }: KeelsonError) => {
            if (!open.includes(code)) this.#life.claims.unblocked(id)
          },
        ),
        `unblock of ${id}`,
      )
    }
  }

  migrate(): void {
    const migrated = this.#handle.migrateAll()
    void this.#settles(
      migrated.then(
        (report) => {
          this.#life.claims.claim(report.blocked === 0, `${report.blocked} are blocked`)
          if (report.migrated > 0) this.#life.count('migrated')
        },
        ({ code }: KeelsonError) => this.#life.count(`migrate.${code}`),
      ),
      'migration',
    )
  }

  /** Every call settles, exactly once. */
  async settled(): Promise<void> {
    await this.#life.during(Promise.all([...this.#pending.keys()]), 5_500).catch((error) => {
      throw error.code === 'TIMEOUT'
        ? new Error(`never settled: ${[...this.#pending.values()].join('; ')}`)
        : error
    })
  }

  /** Every entity answers, also one with parked steps. */
  async answer(): Promise<void> {
    const handle = this.#handle
    for (const id of ids) {
      const look = { number: ++this.#numbers, deed: 'look', ms: 0 } as const
      const ledger = await this.#life.during(call(handle.ref(id), 'run', look))
      this.#life.claims.answers(id, look, ledger)
    }
  }
}
