/**
 * Reads the jobs of a queue for a rehearsal, in short steps. It is apart from `stored-parts.ts`, which reads
 * actors by their main rows and knows no rows of queues.
 */
import type { ReadRows } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import {
  delayedPrefix,
  type JobRecord,
  numberOf,
  readRecord,
  waitingPrefix,
} from '../book/queue-rows.ts'

/** How many jobs of a queue have failed so often, and the first ones of them by their numbers. */
export type FailedJobs = {
  readonly tries: number
  readonly count: number
  readonly first: readonly number[]
}

/** The jobs of a queue that wait or run. */
export type StoredJobs = {
  readonly hasJobs: boolean
  /** Some of them are for a handler: they are no runs of workflows. */
  readonly areHandled: boolean
  /** The jobs that have failed, and wait for another try. */
  readonly failed: readonly FailedJobs[]
}

/** So many jobs are read in one step, and so many are named. */
const jobsStep = 200
const namedMax = 10

/** Reads the jobs of a queue that wait or run. @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
export const storedJobs = async (rows: ReadRows, clock: Clock): Promise<StoredJobs> => {
  let [hasJobs, areHandled] = [false, false]
  const failed = new Map<number, { count: number; first: number[] }>()
  for (const prefix of [waitingPrefix, delayedPrefix])
    for (let gt: string | undefined; ; await nextTurn(clock)) {
      const page = { prefix, limit: jobsStep, values: false, ...(gt !== undefined && { gt }) }
      const { entries, exhausted } = rows.range(page)
      for (const [row] of entries) {
        // One that cannot be read is out of the queue, whatever its tries are.
        const record = readRecord(row, rows)
        hasJobs = true
        areHandled ||= record !== undefined && !mayBeRun(record)
        if (!record?.failure) continue
        const known = failed.get(record.tries) ?? { count: 0, first: [] }
        known.count++
        if (known.first.length < namedMax) known.first.push(numberOf(row))
        failed.set(record.tries, known)
      }
      if (exhausted) break
      gt = entries.at(-1)?.[0]
    }
  const byTries = [...failed].sort(([one], [other]) => one - other)
  return { hasJobs, areHandled, failed: byTries.map(([tries, of]) => ({ tries, ...of })) }
}

/** A run waits under its own name. */
const mayBeRun = ({ job, unique }: JobRecord): boolean => typeof job === 'string' && unique === job

/** A large queue leaves the loop to others. */
const nextTurn = (clock: Clock): Promise<void> => new Promise((resolve) => void clock.soon(resolve))
