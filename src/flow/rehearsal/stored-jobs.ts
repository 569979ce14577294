/**
 * Reads the jobs of a queue for a rehearsal, in short steps. It is apart from `stored-parts.ts`, which reads
 * actors by their main rows and knows no rows of queues.
 */
import type { ReadRows } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { delayedPrefix, numberOf, readRecord, waitingPrefix } from '../book/queue-rows.ts'

/** How many jobs of a queue have failed so often, and the first ones of them by their numbers. */
export type FailedJobs = {
  readonly tries: number
  readonly count: number
  readonly first: readonly number[]
}

/** Whether jobs wait or run in it. */
export const hasJobs = (rows: ReadRows): boolean =>
  [waitingPrefix, delayedPrefix].some(
    (prefix) => rows.range({ prefix, limit: 1, values: false }).entries.length > 0,
  )

/** So many jobs are read in one step, and so many are named. */
const jobsStep = 200
const namedMax = 10

/** The jobs that have failed, and wait for another try. @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
export const failedJobs = async (rows: ReadRows, clock: Clock): Promise<readonly FailedJobs[]> => {
  const failed = new Map<number, { count: number; first: number[] }>()
  for (const prefix of [waitingPrefix, delayedPrefix])
    for (let gt: string | undefined; ; await nextTurn(clock)) {
      const page = { prefix, limit: jobsStep, values: false, ...(gt !== undefined && { gt }) }
      const { entries, exhausted } = rows.range(page)
      for (const [row] of entries) {
        // One that cannot be read is out of the queue, whatever its tries are.
        const record = readRecord(row, rows)
        if (!record?.failure) continue
        const known = failed.get(record.tries) ?? { count: 0, first: [] }
        known.count++
        if (known.first.length < namedMax) known.first.push(numberOf(row))
        failed.set(record.tries, known)
      }
      if (exhausted) break
      gt = entries.at(-1)?.[0]
    }
  return [...failed].sort(([one], [other]) => one - other).map(([tries, of]) => ({ tries, ...of }))
}

/** A large queue leaves the loop to others. */
const nextTurn = (clock: Clock): Promise<void> => new Promise((resolve) => void clock.soon(resolve))
