/** The books of a night: what orders, shows, bank, mails and report must agree on at its end. */
import type { Charge } from '../orders/fake-bank.ts'
import type { Mail } from './fake-mails.ts'
import { centsOfSeat, type End, ends, type Placed } from './order.ts'
import type { Show } from './show.ts'

export type Books = {
  /** The orders that were accepted, as they were placed. */
  readonly accepted: ReadonlyMap<string, Placed>
  /** The state of each order, `undefined` for one that is unknown. */
  readonly states: ReadonlyMap<string, string | undefined>
  readonly shows: ReadonlyMap<string, Show>
  readonly ledger: ReadonlyMap<string, Charge>
  readonly mails: ReadonlyMap<string, Mail>
  readonly report: Readonly<Record<string, unknown>>
}

const isEnd = (state: string | undefined): state is End => ends.some((end) => end === state)

/** Orders that have not come to their end. */
export const unended = ({ accepted, states }: Pick<Books, 'accepted' | 'states'>): string[] =>
  [...accepted.keys()].filter((id) => !isEnd(states.get(id)))

const faultsOf = (id: string, { show, seats }: Placed, books: Books): string[] => {
  const isSold = books.states.get(id) === 'sold'
  const { isTaken = false, isReleased = false, cents } = books.ledger.get(id) ?? {}
  const owned = seats.filter((seat) => {
    const taken = books.shows.get(show)?.[seat]
    return taken?.order === id && taken.until === undefined
  })
  const faults = [
    !isEnd(books.states.get(id)) && `is ${books.states.get(id)}`,
    owned.length !== (isSold ? seats.length : 0) && `owns ${owned.length} of ${seats.length} seats`,
    (isTaken && !isReleased) !== isSold && `taken: ${isTaken}, released: ${isReleased}`,
    isSold && cents !== seats.length * centsOfSeat && `was charged ${cents}`,
    isSold !== books.mails.has(id) && `mailed: ${books.mails.has(id)}`,
  ]
  return faults.filter((fault) => fault !== false).map((fault) => `${id} ${fault}`)
}

const reportFaults = ({ accepted, states, report }: Books): string[] => {
  const sold = [...accepted].filter(([id]) => states.get(id) === 'sold')
  const expected: Record<string, number> = {}
  for (const [, { show, seats }] of sold) {
    expected[`${show}/seats`] = (expected[`${show}/seats`] ?? 0) + seats.length
    expected[`${show}/cents`] = (expected[`${show}/cents`] ?? 0) + seats.length * centsOfSeat
  }
  return [...new Set([...Object.keys(expected), ...Object.keys(report)])]
    .filter((key) => expected[key] !== report[key])
    .map((key) => `the report has ${report[key]} for ${key}, and ${expected[key]} were sold`)
}

/** Everything that is not as it must be. */
export const audit = (books: Books): string[] => [
  ...[...books.accepted].flatMap(([id, placed]) => faultsOf(id, placed, books)),
  ...reportFaults(books),
]
