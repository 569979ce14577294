/**
 * The unique texts of a queue: which job has each, until that job has ended or for a time. A text is
 * taken as its program says, and is free as its row says: a later program may say something else. A
 * row that cannot be read stays as it is, and its text is refused, for nobody knows whether a job has
 * it. Pure.
 */
import type { DurableRows } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import { isNumbers, recordedRow, storedIn, uniqueRow } from './queue-rows.ts'
import type { Added } from './queue-types.ts'

/** The number of the job that has a unique text, and until when (0: until it has ended). */
type Holder = readonly [number: number, until: number]

/** The unique texts of one queue. */
export class UniqueTexts {
  /** How long a text is taken, in ms; `undefined`: until its job has ended. */
  readonly #takenMs: number | undefined
  /** The texts whose rows could not be read. */
  readonly unreadable = new Set<string>()

  constructor(takenMs: number | undefined) {
    this.#takenMs = takenMs
  }

  /**
   * The job that has a text; `undefined`: nobody has it.
   * @throws KeelsonError `CORRUPT` when its row cannot be read
   */
  holder(unique: string, now: number, rows: DurableRows): number | undefined {
    const found = read(unique, rows)
    if (found === undefined) return undefined
    if (found === 'unreadable') {
      this.unreadable.add(unique)
      throw new KeelsonError('CORRUPT', `the row of the unique text ${unique} cannot be read`)
    }
    const [number, until] = found
    return until === 0 || until > now ? number : undefined
  }

  hold(unique: string, number: number, now: number, rows: DurableRows): void {
    const holder: Holder = [number, this.#takenMs === undefined ? 0 : now + this.#takenMs]
    rows.put(uniqueRow(unique), holder)
  }

  /** Whether a text is free when its job has ended. */
  get untilEnded(): boolean {
    return this.#takenMs === undefined
  }

  /** A job has ended: a text that it had until then is free. */
  free(unique: string | undefined, number: number, rows: DurableRows): void {
    if (unique === undefined) return
    const found = read(unique, rows)
    const isFree =
      found === 'unreadable' ? this.untilEnded : found?.[0] === number && found[1] === 0
    if (isFree) rows.delete(uniqueRow(unique))
  }

  /** Whether the time of a row of this value is over. */
  isOver(value: unknown, now: number): boolean {
    return isHolder(value) && value[1] !== 0 && value[1] <= now
  }
}

/** How long a queue knows the recorded calls that have added jobs. */
const recordedMs = 7 * 24 * 3_600_000

/** The job that a recorded call has added; if it has added none, the one that `add` gives it. */
export const addedOnce = (
  recorded: string | undefined,
  now: number,
  rows: DurableRows,
  add: () => Added,
): Added => {
  if (recorded === undefined) return add()
  const [known, until] = rows.get<Holder>(recordedRow(recorded)) ?? [0, 0]
  if (until > now) return { number: known, repeated: true }
  const added = add()
  rows.put(recordedRow(recorded), [added.number, now + recordedMs])
  return added
}

const read = (unique: string, rows: DurableRows): Holder | 'unreadable' | undefined => {
  const found = storedIn(uniqueRow(unique), rows)
  return found === undefined || isHolder(found) ? found : 'unreadable'
}

const isHolder = (found: unknown): found is Holder => isNumbers(found) && found.length === 2
