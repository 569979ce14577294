/**
 * What the world has seen of the ledgers of one life (`ledger-entity.ts`), and what each further
 * sight must agree with: histories, tries and their policies, ends. It makes nothing happen.
 */
import type { ParkedTurn } from '../../../src/actors/entities/parked-actors.ts'
import { backoffMs } from '../../../src/clock.ts'
import type { Failed } from '../../../src/index.ts'
import type { Ledger, LedgerMessages, Operation, Try } from '../lives/ledger-entity.ts'

/** The eyes of a life. */
export type Eyes = {
  /** The durable ledger of an entity; `undefined` while its shard cannot be read. */
  readonly durable: (id: string) => Ledger | undefined
  /** In ms since 1970, as shards count them. */
  readonly now: () => number
  readonly count: (what: string) => void
  /** The policy of steps, and of alarms. */
  readonly policyOf: (kind: Try['kind']) => Record<'max' | 'baseMs' | 'maxMs', number>
}

/** A step or an alarm that was tried. */
type Attempt = {
  readonly id: string
  readonly kind: Try['kind']
  readonly step: string
  /** The tries since it was recorded or unblocked, without those that a crash may have hit. */
  counted: number
  /** All tries. */
  all: number
  /** The crashes of its entity before its last try. */
  crashes: number
  /** When its last try began. */
  at: number
  /** The crashes of its entity before `onFailed` began. */
  gaveUpAt: number | undefined
  isParked: boolean
}

/** What is known of one entity, from its birth on. */
type Known = {
  /** The longest list of operations that the world has seen. */
  released: readonly number[]
  /** As the last ledger had it. */
  end: Ledger['end']
  written: number
  /** Its processes that have ended otherwise than to rest. */
  crashes: number
  /** Its removals that may happen: operations that end it, and deletions. */
  readonly ends: Set<number>
  deletions: number
  /** A deletion may have removed the key that it wrote, and nothing else. */
  isStripped: boolean
  /** The births before, by their first operations. */
  readonly gone: Map<number, { readonly written: number; readonly isRemoved: boolean | undefined }>
  /** The calls of `unblock` that may still happen. */
  unblocking: number
}

/** Everything that the world has seen in one life. */
export class LedgerClaims {
  readonly #eyes: Eyes
  readonly #wrong: string[] = []
  readonly #known = new Map<string, Known>()
  readonly #attempts = new Map<number, Attempt>()
  readonly #steps = new Set<string>()
  /** Operations that were refused at each try. */
  readonly #refused = new Set<number>()
  /** Operations whose order is not that of their numbers. */
  readonly unordered = new Set<number>()

  constructor(eyes: Eyes, ids: readonly string[]) {
    this.#eyes = eyes
    for (const id of ids)
      this.#known.set(id, {
        ...{ released: [], end: undefined, written: 0, crashes: 0, ends: new Set<number>() },
        ...{ deletions: 0, isStripped: false, gone: new Map(), unblocking: 0 },
      })
  }

  of(id: string): Known {
    return this.#known.get(id) as Known
  }

  /** Notes what does not hold. A throw in a handler would only be a crash of its process. */
  claim(holds: boolean, what: string): void {
    if (!holds) this.#wrong.push(what)
  }

  /** @throws Error if anything did not hold */
  judge(): void {
    if (this.#wrong.length > 0) throw new Error(this.#wrong.slice(0, 5).join('; '))
  }

  // Sights.

  /** Something that an operation of an entity caused is seen: the operation must be durable. */
  sees(what: string, id: string, number: number): void {
    const ledger = this.#eyes.durable(id)
    if (!ledger) return
    this.#eyes.count(what)
    this.claim(ledger.operations.includes(number), `${what} of ${number} of ${id} left too soon`)
    this.shows(id, ledger)
  }

  /** An answer shows a ledger. That of an earlier birth may be late. */
  answers(id: string, { number, deed }: Operation, ledger: Ledger): void {
    const { operations } = ledger
    const isLate = operations.length === 0 || this.of(id).gone.has(operations[0] as number)
    if (!isLate) this.shows(id, ledger)
    if (deed === 'look') return
    this.claim(operations.at(-1) === number, `the reply to ${number} is that to another`)
    if (!isLate) this.sees('replies', id, number)
  }

  /** A ledger was shown: it continues every one that was shown before. */
  shows(id: string, ledger: Ledger): void {
    const known = this.of(id)
    const { operations } = ledger
    if (known.released[0] !== undefined && operations[0] !== known.released[0]) this.#ends(id)
    const isLonger = operations.length >= known.released.length
    const both = [known.released, operations] as const
    const [shorter, longer] = isLonger ? both : [operations, known.released]
    this.claim(
      shorter.every((number, at) => longer[at] === number),
      `the history of ${id} has two ends: ${known.released} | ${operations}`,
    )
    if (!isLonger) return
    const wasEnded = known.end && operations.length > known.released.length
    this.claim(!wasEnded, `${id} has ended at ${known.released}, and then did ${operations}`)
    Object.assign(known, { released: operations, end: ledger.end, written: ledger.written })
    for (const number of known.ends)
      if (number <= (operations.at(-1) ?? 0)) known.ends.delete(number)
  }

  /** An entity is gone, or another is there under its id. */
  #ends(id: string): void {
    const known = this.of(id)
    const { released, end, written, ends, deletions, gone, isStripped } = known
    const isOver = end !== undefined && end.at <= this.#eyes.now()
    const mayEnd = end === undefined && ends.size > 0
    this.claim(isOver || mayEnd || deletions > 0, `${id} lost ${released}, ${end?.at}`)
    if (isOver) this.#eyes.count('ends')
    const isRemoved = isOver && deletions === 0 && !isStripped ? end.keys : undefined
    gone.set(released[0] as number, { written, isRemoved })
    if (!isOver && !mayEnd) known.deletions--
    Object.assign(known, { released: [], end: undefined, written: 0, isStripped: false })
    for (const [number, attempt] of this.#attempts)
      if (attempt.id === id && released.includes(number)) attempt.isParked = false
  }

  // Tries.

  /** A step or an alarm is tried. */
  tries({ kind, id, number, step, ledger, now }: Try): void {
    this.sees(`tries.${kind}`, id, number)
    const { crashes, unblocking } = this.of(id)
    const what = `${kind} ${number} of ${id}`
    const attempt = this.#attempts.get(number) ?? this.#first({ kind, id, number, step })
    const { max } = this.#eyes.policyOf(kind)
    this.claim(step === attempt.step, `the step of ${what} changed`)
    this.claim(!attempt.isParked, `${what} runs, and is parked`)
    const isAgain = attempt.gaveUpAt !== undefined && unblocking === 0
    this.claim(!isAgain, `${what} is tried after onFailed`)
    this.claim(!isOver(this.#eyes.durable(id), number), `${what} is tried after its end`)
    if (kind === 'alarm') {
      this.claim(ledger.alarm?.number === number, `${what} fires, and is not set`)
      this.claim(now >= (ledger.alarm?.at ?? 0), `${what} fires early`)
    }
    if (unblocking > 0) fresh(attempt)
    const isHit = attempt.crashes !== crashes
    if (!isHit && attempt.counted > 0)
      this.claim(now >= attempt.at + this.#pause(attempt), `${what} is tried early`)
    if (!isHit || attempt.counted === 0) attempt.counted++
    this.claim(attempt.counted <= max, `${what} is tried ${attempt.counted} times`)
    Object.assign(attempt, { all: attempt.all + 1, crashes, at: now })
  }

  #pause({ kind, counted }: Attempt): number {
    return backoffMs(this.#eyes.policyOf(kind), counted) * 0.8
  }

  #first({ kind, id, number, step }: Pick<Try, 'kind' | 'id' | 'number' | 'step'>): Attempt {
    this.claim(!this.#steps.has(step), `${step} is the step of two effects`)
    this.#steps.add(step)
    const attempt = {
      ...{ kind, id, step, counted: 0, all: 0, crashes: this.of(id).crashes, at: 0 },
      ...{ gaveUpAt: undefined, isParked: false },
    }
    this.#attempts.set(number, attempt)
    return attempt
  }

  /** `onFailed` has begun. */
  givesUp({ kind, id, number, step }: Try, { tries, error }: Failed<LedgerMessages>): void {
    this.sees('gave up', id, number)
    const what = `onFailed of ${kind} ${number} of ${id}`
    const attempt = this.#attempts.get(number)
    this.claim(attempt !== undefined, `${what} without a try`)
    if (!attempt) return
    const { crashes } = this.of(id)
    this.#endsAfter(what, attempt, tries, error.message === 'for good')
    this.claim(step === `${attempt.step}/failed`, `${what} has the step ${step}`)
    this.claim(attempt.gaveUpAt !== crashes, `${what} runs twice`)
    this.claim(!attempt.isParked, `${what} runs, and is parked`)
    this.claim(!isOver(this.#eyes.durable(id), number), `${what} runs after its end`)
    attempt.gaveUpAt = crashes
  }

  /** The tries have ended, after so many. */
  #endsAfter(what: string, { kind, all }: Attempt, tries: number, isForGood: boolean): void {
    const { max } = this.#eyes.policyOf(kind)
    this.claim(tries === max || (isForGood && tries < max), `${what} comes after ${tries} tries`)
    this.claim(all >= tries, `${what} says ${tries} tries, and there were ${all}`)
  }

  /** The steps and alarms of an entity that are parked. */
  parks(id: string, ledger: Ledger, parked: readonly ParkedTurn[], hasOnFailed: boolean): void {
    const byStep = new Map(parked.map((each) => [each.step, each]))
    for (const [number, attempt] of this.#attempts) {
      if (attempt.id !== id) continue
      const what = `${attempt.kind} ${number} of ${id}`
      const found = byStep.get(attempt.step)
      byStep.delete(attempt.step)
      const isOut = attempt.kind === 'alarm' && ledger.alarm?.number !== number
      const isGone = isOut || ledger.end !== undefined || !ledger.operations.includes(number)
      if (!found) {
        const isMissing = attempt.isParked && !isGone && this.of(id).unblocking === 0
        this.claim(!isMissing, `${what} was parked, and is not listed`)
        attempt.isParked &&= !isGone
        continue
      }
      this.#eyes.count('parked')
      const isThrown = found.error === 'Error: onFailed'
      this.claim(isThrown === hasOnFailed, `${what} is parked by ${found.error}`)
      this.#endsAfter(what, attempt, found.tries, isThrown || found.error === 'Error: for good')
      this.claim(!isGone && !isOver(ledger, number), `${what} is parked after its end`)
      if (this.of(id).unblocking === 0) attempt.isParked = true
    }
    this.claim(byStep.size === 0, `${id} lists what was never tried: ${[...byStep.keys()]}`)
  }

  /** What is parked runs again, with all its tries, from now on or later. */
  unblocks(id: string): void {
    this.of(id).unblocking++
    this.#refresh(id)
  }

  /** It runs again, or will not. */
  unblocked(id: string): void {
    this.of(id).unblocking = 0
    this.#refresh(id)
  }

  #refresh(id: string): void {
    for (const attempt of this.#attempts.values()) if (attempt.id === id) fresh(attempt)
  }

  /** Whether an entity has the key that it wrote. Its end removes the key first. */
  hasKey(id: string, { written, end }: Ledger, found: unknown): boolean {
    const mayBeGone = this.of(id).isStripped || (end?.keys && end.at <= this.#eyes.now())
    return found === (written || undefined) || (mayBeGone === true && found === undefined)
  }

  // Outcomes.

  refuses(number: number): void {
    this.#refused.add(number)
    for (const { ends } of this.#known.values()) ends.delete(number)
  }

  /** The process of an entity has ended, otherwise than to rest. */
  crashes(id: string): void {
    this.of(id).crashes++
  }

  /** The present ledger of an entity. */
  compare(id: string, ledger: Ledger): void {
    this.#eyes.count('looks')
    const { operations, consumed, recorded, rung, failed } = ledger
    const { gone } = this.of(id)
    this.shows(id, ledger)
    const { released } = this.of(id)
    const ordered = operations.filter((number) => !this.unordered.has(number))
    const claims: readonly (readonly [boolean, string])[] = [
      [released.length === operations.length, `lost ${released} of ${operations}`],
      [isOnce(operations), `applied a turn twice: ${operations}`],
      [isOnce([...consumed, ...rung, ...failed]), 'consumed a step or an alarm twice'],
      [consumed.every((number) => recorded.includes(number)), `made up a step: ${consumed}`],
      [failed.every((number) => operations.includes(number)), `made up a failure: ${failed}`],
      [ordered.every((number, at) => number > (ordered[at - 1] ?? 0)), `reordered: ${ordered}`],
      [!operations.some((each) => this.#refused.has(each)), `has a refused turn: ${operations}`],
      [!gone.has(operations[0] ?? 0), `is what it was before its end: ${operations}`],
    ]
    for (const [holds, what] of claims) this.claim(holds, `${id} ${what}`)
  }
}

/** It has all its tries again. */
const fresh = (attempt: Attempt): void => {
  Object.assign(attempt, { isParked: false, counted: 0, gaveUpAt: undefined })
}

/** Whether a step or an alarm was consumed. */
const isOver = (ledger: Ledger | undefined, number: number): boolean =>
  ledger !== undefined &&
  [ledger.consumed, ledger.rung, ledger.failed].some((numbers) => numbers.includes(number))

const isOnce = (numbers: readonly number[]): boolean => new Set(numbers).size === numbers.length
