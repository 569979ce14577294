/**
 * What the logs and stores under test were answered, kept by the process that is not struck: the truth that each recovery is
 * held against. Uses the public API only, as built.
 */
import { rmSync } from 'node:fs'
import { KeelsonError, start } from 'keelson'
import { Wal } from 'keelson/wal'
import { systemClock } from '../../src/clock.ts'

/** One folder under test. */
export type Place = {
  readonly kind: 'wal' | 'store'
  readonly dir: string
  /** The number with which its next life begins: none is used twice. */
  first: number
  /** Number of each answered entry, by its LSN (of a log) or by itself (of a store). */
  readonly answered: Map<number, number>
}

/** Folders for one run: of five, four are logs and one is a store. */
export const newPlaces = (dir: string, count: number): Place[] =>
  Array.from({ length: count }, (_, at) => ({
    kind: at % 5 === 4 || (at > 0 && at === count - 1) ? 'store' : 'wal',
    dir: `${dir}/${at}`,
    first: 1,
    answered: new Map(),
  }))

/** The content of entry `number`. */
export const textOf = (number: number): string => `${number} ${'x'.repeat((number * 37) % 900)}`

/** Takes a line that the child reported; answers whether it was an acknowledgement. */
export const note = (places: readonly Place[], line: string): boolean => {
  const [at, number, lsn] = line.split(' ').map(Number)
  const place = places[at ?? Number.NaN]
  if (!place || number === undefined || lsn === undefined || Number.isNaN(lsn)) return false
  place.answered.set(place.kind === 'wal' ? lsn : number, number)
  place.first = Math.max(place.first, number + 1)
  return true
}

/** What a recovery came to. */
export type Recovery = { readonly promised: number; readonly found: number; readonly tail?: string }

/**
 * Opens what is there, holds it against the ledger, and closes it in order or not at all.
 * @throws Error naming what is lost, wrong or out of order.
 */
export const recover = async (place: Place): Promise<Recovery> => {
  // What was on its way had numbers too.
  place.first += 200
  const open = place.kind === 'wal' ? recoverWal : recoverStore
  for (let tries = 1; ; tries++) {
    try {
      return await open(place)
    } catch (error) {
      // Struck in the middle of locking: the tool that it had asked for the lock may outlive it by some ms.
      if (!(error instanceof KeelsonError) || error.code !== 'LOCKED_DIR' || tries === 50)
        throw error
      await new Promise<void>((resolve) => systemClock().after(20, resolve))
    }
  }
}

/** Begins anew in an empty folder, so that rounds stay short. */
export const renew = (place: Place): void => {
  rmSync(place.dir, { recursive: true, force: true })
  place.answered.clear()
}

const recoverWal = async ({ dir, answered }: Place): Promise<Recovery> => {
  const wal = await Wal.open({ dir, maxFileSize: 128 * 1024 })
  const found = new Map<number, number>()
  const seen = new Set<number>()
  let last = 0
  for await (const { lsn, bytes } of wal.readAll()) {
    const text = Buffer.from(bytes).toString()
    const number = Number.parseInt(text, 10)
    if (text !== textOf(number)) throw new Error(`${dir}: lsn ${lsn} is ${text.slice(0, 40)}`)
    if (lsn <= last || seen.has(number)) throw new Error(`${dir}: lsn ${lsn} is out of order`)
    last = lsn
    found.set(lsn, number)
    seen.add(number)
  }
  const lost = [...answered].filter(([lsn, number]) => found.get(lsn) !== number)
  if (lost.length > 0)
    throw new Error(`${dir}: ${lost.length} answered entries are lost: ${lost[0]}`)
  const { tail } = wal.report
  await wal.close()
  return { promised: answered.size, found: found.size, tail }
}

const recoverStore = async ({ dir, answered }: Place): Promise<Recovery> => {
  const app = await start({ dir, wal: { maxFileSize: 256 * 1024 } })
  const lost = [...answered.keys()].filter(
    (number) => app.store.get(`key:${number}`) !== textOf(number),
  )
  if (lost.length > 0) throw new Error(`${dir}: ${lost.length} answered keys are lost: ${lost[0]}`)
  await app.close()
  return { promised: answered.size, found: answered.size }
}
