/**
 * Who may ask the server of the page: nobody without its token, and no page of another origin. The
 * token is in no address; the code of an address is good once, for half a minute.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { Action, Planned, Proposed } from '../../observe/index.ts'

/** The parts of a request that decide. */
export type Asking = {
  readonly path: string
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly site: string | undefined
}

/** Why a request is refused, with its status. */
export type Refused = { readonly status: number; readonly code: string; readonly message: string }

const codeMs = 30_000
const nonceMs = 60_000
const noncesMax = 100

/** Names of this machine that no other machine can be meant by. */
const loopback = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/

/** The refusal of a request of another page, or to another name: DNS may name any address. */
export const refusedOrigin = (
  { path, host = '', origin, site }: Asking,
  port: number | undefined,
): Refused | undefined => {
  const isOurs = port === undefined || (loopback.test(host) && host.endsWith(`:${port}`))
  if (!isOurs) {
    const message = `the page is at 127.0.0.1:${port} only: forward that port under its own number`
    return refused(421, message)
  }
  // A proxy may serve the page over https.
  const origins = [`http://${host}`, ...(port === undefined ? [`https://${host}`] : [])]
  if (origin !== undefined && !origins.includes(origin))
    return refused(403, 'the request is of another origin')
  const sites = path === '/' ? ['same-origin', 'none'] : ['same-origin']
  return site === undefined || sites.includes(site)
    ? undefined
    : refused(403, 'the request is of another site')
}

const refused = (status: number, message: string): Refused => ({
  status,
  code: 'FORBIDDEN',
  message,
})

/** The token of a server, and the codes that are exchanged for it. */
export class Tokens {
  readonly #clock: Clock
  readonly #token: string
  readonly #codes = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#token = secretFrom(clock)
  }

  /** A new code, good for 30 s. */
  code(): string {
    const code = secretFrom(this.#clock)
    this.#codes.set(code, this.#clock.monotonic() + codeMs)
    return code
  }

  /** The token for a code; `undefined`: it was never made, was used, or is too old. */
  exchanged(given: unknown): string | undefined {
    for (const [code, until] of this.#codes) {
      if (until < this.#clock.monotonic()) this.#codes.delete(code)
      else if (isSame(code, given)) {
        this.#codes.delete(code)
        return this.#token
      }
    }
    return undefined
  }

  /** Whether a header `Authorization` has the token. */
  admits(authorization: string | undefined): boolean {
    return isSame(`Bearer ${this.#token}`, authorization)
  }
}

/** The numbers of planned actions: each performs its action once. */
export class Nonces {
  readonly #clock: Clock
  readonly #plans = new Map<string, Planned & { readonly action: string; readonly until: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A nonce for an action that the instance has planned, good for a minute. */
  plan(action: Proposed, { effect, start }: Planned): string {
    const [oldest] = this.#plans.keys()
    if (this.#plans.size >= noncesMax && oldest !== undefined) this.#plans.delete(oldest)
    const nonce = secretFrom(this.#clock)
    const until = this.#clock.monotonic() + nonceMs
    this.#plans.set(nonce, { effect, start, action: textOf(action), until })
    return nonce
  }

  /** The plan of this nonce, if it is of this action. The nonce is used up then. */
  used(nonce: unknown, given: Action): Planned | undefined {
    const plan = this.#plans.get(String(nonce))
    this.#plans.delete(String(nonce))
    if (!plan) return undefined
    const { action, until, ...planned } = plan
    const isGood = until >= this.#clock.monotonic() && action === textOf(given)
    return isGood ? planned : undefined
  }
}

/** The reason is given after the plan. */
const textOf = ({ reason: _, ...proposed }: Partial<Action>): string =>
  JSON.stringify(Object.entries(proposed).sort())

const secretBytes = 32

const secretFrom = (clock: Clock): string =>
  Buffer.from(clock.randomBytes(secretBytes)).toString('base64url')

/** Compares in a time that says nothing of the secret. */
const isSame = (secret: string, given: unknown): boolean => {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
  return typeof given === 'string' && timingSafeEqual(hash(secret), hash(given))
}
