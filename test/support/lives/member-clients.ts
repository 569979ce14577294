/** The clients in the processes of members: what they ask, and what they were answered, for the claims of the life. */
import { type App, call, isKeelsonError, type KeelsonError } from '../../../src/index.ts'
import { type MemberClaims, type Moment, markOf } from '../models/member-claims.ts'
import type { MemberProcess } from '../worlds/member-process.ts'
import type { Account, accounts } from './member-accounts.ts'

/** A process as its clients know it. */
export type Client = {
  readonly process: MemberProcess
  readonly kind: ReturnType<typeof accounts>
  /** Calls without an answer. */
  pending: number
}

/** The life of the clients. */
export type ClientLife = {
  readonly claims: MemberClaims
  pick<T>(from: readonly T[]): T
  count(what: string): void
}

/** A call of an account, with an id. */
export type Addition = { readonly number: number; readonly id: string }

/** The keys and the accounts of a life. */
export const keys = ['a', 'b', 'c']
export const ids = ['1', '2']

/** Codes that say that nothing was written, and nothing ever will be. */
const neverWritten = ['NOT_SUBMITTED', 'BUSY', 'CLOSED', 'SHARD_DOWN', 'FENCED', 'CORRUPT']

/** The code of an error, or its text. */
export const codeOf = (error: unknown): string => (error as KeelsonError).code ?? String(error)

/** What clients do. */
export class MemberClients {
  readonly additions: Addition[] = []
  readonly #life: ClientLife
  /** Calls with an id whose outcome is open: another owner may be asked again. */
  readonly #repeats: Addition[] = []
  #numbers = 0

  constructor(life: ClientLife) {
    this.#life = life
  }

  /** What one client does next. */
  async act(of: Client, app: App): Promise<void> {
    const what = this.#life.pick([
      'put',
      'put',
      'get',
      'get',
      'add',
      'add',
      'read',
      'again',
    ] as const)
    of.pending++
    try {
      if (what === 'put') await this.#put(of, app)
      else if (what === 'get') this.#get(of, app)
      else if (what === 'read') await this.#read(of, app)
      else await this.#add(of, app, what === 'again' ? this.#repeats.shift() : undefined)
    } finally {
      of.pending--
    }
  }

  async #put({ process }: Client, app: App): Promise<void> {
    const mark = markOf('put', ++this.#numbers)
    const key = this.#life.pick(keys)
    const began = this.#life.claims.begins()
    this.#life.claims.writes(key, mark)
    try {
      await app.store.put(key, mark, { deadlineMs: this.#life.pick([30, 400, 5_000]) })
      this.#life.count('puts')
      this.#life.claims.wrote(process, mark, began)
    } catch (error) {
      this.#failed(process, mark, error)
    }
  }

  #failed(process: MemberProcess, mark: string, error: unknown): void {
    const code = codeOf(error)
    this.#life.count(`put ${code}`)
    const isKnown = code === 'UNKNOWN_OUTCOME' || neverWritten.includes(code)
    this.#life.claims.refute(!isKnown, `M3: a write ended with ${error}`)
    const hasEnded = (error as KeelsonError).details.state === 'down'
    if (isKnown) this.#life.claims.failed(process, mark, code, hasEnded)
  }

  #get({ process }: Client, app: App): void {
    const key = this.#life.pick(keys)
    try {
      const began = this.#life.claims.begins()
      this.#life.claims.read(process, key, app.store.get<string>(key), began)
      this.#life.count('gets')
    } catch (error) {
      this.#refused('get', error)
    }
  }

  async #read({ process, kind }: Client, app: App): Promise<void> {
    const id = this.#life.pick(ids)
    const began = this.#life.claims.begins()
    try {
      const account = await call(app.entity(kind).ref(id), 'read', undefined, { timeoutMs: 2_000 })
      this.reads(process, id, account, began)
      this.#life.count('reads')
    } catch (error) {
      this.#refused('read', error)
    }
  }

  reads(process: MemberProcess, id: string, { last }: Account, began: Moment): void {
    const mark = last === 0 ? undefined : markOf('add', last)
    this.#life.claims.read(process, `account ${id}`, mark, began)
  }

  async #add({ process, kind }: Client, app: App, again?: Addition): Promise<void> {
    const addition = again ?? this.#addition()
    const { number, id } = addition
    const mark = markOf('add', number)
    const began = this.#life.claims.begins()
    try {
      const ref = app.entity(kind).ref(id)
      const timeoutMs = this.#life.pick([100, 3_000])
      const found = await call(ref, 'add', number, { id: `add-${number}`, timeoutMs })
      this.#life.count(again ? 'repeated adds' : 'adds')
      this.#life.claims.wrote(process, mark, began, again !== undefined)
      this.#life.claims.refute(found.last !== number, `M6: ${mark} got the answer of ${found.last}`)
    } catch (error) {
      this.#refused('add', error)
      this.#repeats.push(addition)
    }
  }

  #addition(): Addition {
    const addition = { number: ++this.#numbers, id: this.#life.pick(ids) }
    this.#life.claims.writes(`account ${addition.id}`, markOf('add', addition.number))
    this.additions.push(addition)
    return addition
  }

  #refused(what: string, error: unknown): void {
    this.#life.count(`${what} ${codeOf(error)}`)
    this.#life.claims.refute(!isKeelsonError(error), `${what} ended with ${error}`)
  }
}
