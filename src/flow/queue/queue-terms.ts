/** The options of a queue, checked, as its runner uses them. Pure. */
import {
  type Check,
  config,
  object,
  optional,
  or,
  type Place,
  refusal,
  wholeFrom,
} from '../../check.ts'
import type { FullRetry, Retry } from '../../clock.ts'
import { type Parse, type StandardSchema, schema } from '../../schema.ts'
import { limitChecks, perKeyDefault } from '../book/queue-limits.ts'
import type { QueueLimits } from '../book/queue-types.ts'
import type { Duration } from '../runs/body.ts'
import { policyOf } from '../runs/decide.ts'
import { delay, duration, retry } from '../runs/options.ts'
import type { FlowPart } from '../runs/parts.ts'
import type { RunningTry, TryEnd } from './queue-job.ts'

/** The options of a queue. */
export type QueueOptions = {
  /** The most jobs that run at once, up to 10,000; 10 by default, and ten full batches with `batch`. */
  readonly concurrency?: number
  /** The most jobs of one key that run at once, up to 10,000, which is the default: no limit. */
  readonly perKey?: number
  /**
   * The most tries that start in any time of this length; with `key: true` of each key. Jobs without
   * a key are under no limit of a key.
   */
  readonly rate?: { readonly max: number; readonly per: Duration; readonly key?: boolean }
  /** When a try that failed is followed by another one: by default 3 tries, as of a step. */
  readonly retry?: Retry
  /** How long one try may take. Then its signal aborts, and it has failed. Without limit by default. */
  readonly timeout?: Duration
  /**
   * How long the text `unique` of a job is taken: until the job is done or dead, which is the
   * default, or for a time from when it was added.
   */
  readonly unique?: 'until-ended' | Duration
  /** The most jobs that wait or run; 1,000,000, which is also the most. Beyond it `add` is `BUSY`. */
  readonly depthMax?: number
  /**
   * How long a dead job is kept, 30 days by default; and how long `results` of jobs that are done
   * are: without it a job that is done leaves nothing. With it a handler returns a value that can be
   * stored, of at most 960 KiB: a try that returns another one has failed.
   */
  readonly keep?: { readonly dead?: Duration; readonly results?: Duration }
}

/** The schema of the jobs of a queue: each is parsed where it is added, and its handler gets what the schema makes. */
export type QueueSchema<Given, J> = { readonly input: StandardSchema<Given, J> }

/** The name, the limits and the handler of a queue, with every default filled in. */
export type QueueTerms = {
  readonly name: string
  readonly limits: QueueLimits
  readonly retry: FullRetry
  readonly timeoutMs: number | undefined
  /** Calls the handler, with one try, or with those of a batch. It does not reject. */
  readonly call: (tries: readonly RunningTry[], keepsResult: boolean) => Promise<readonly TryEnd[]>
  /** Its jobs are runs that begin with a place here: these are not looked at or removed as jobs. */
  readonly takesRuns: boolean
  /** Parses its jobs, where they are added. */
  readonly input: Parse | undefined
}

/** The jobs as they are stored: without a schema they are what callers give. */
export type StoredJob<J, K> = unknown extends K ? J : K

/**
 * A queue of jobs that are a `J`, whose handler returns an `R`. `K`: the jobs as its schema makes them;
 * without one they stay a `J`.
 */
export interface Queue<J = never, R = unknown, K = unknown> extends FlowPart {
  readonly sort: 'queue'
  /** @internal Parses its jobs. */
  readonly input: Parse | undefined
  /** It has no handler: its jobs are the runs of workflows that name it. */
  readonly takesRuns: boolean
  /** @internal Its limits, with every default filled in. */
  readonly [declaredQueue]: QueueTerms
  readonly [types]?: { readonly job: (job: J) => void; readonly result: R; readonly stored: K }
}

/** The key of what a part of `flows` declares, if it is a queue. */
export const declaredQueue = Symbol('the declaration of a queue')

declare const types: unique symbol

/** The most jobs of a queue: the numbers of ready jobs are in memory. */
const depthMax = 1_000_000

/** The most pairs of key and priority with ready jobs. */
const keysMax = 100_000

/** The most jobs of a batch: ten full ones are the most that run at once. */
const batchMax = 1_000

/** So many jobs run at once without `concurrency`, or so many full batches. */
const concurrencyDefault = 10

const untilEnded = 'until-ended'

const shared = {
  concurrency: or(limitChecks.concurrency, concurrencyDefault),
  perKey: or(limitChecks.perKey, perKeyDefault),
  rate: optional(limitChecks.rate),
  depthMax: or(wholeFrom(1, depthMax), depthMax),
}

const dead = or(duration, '30d')
const keep = or(object({ dead, results: optional(duration) }), {})

const unique: Check<number | undefined, 'until-ended' | Duration> = or(
  (found: unknown, at: Place) => (found === untilEnded ? undefined : duration(found, at)),
  untilEnded,
)

/** The options of a queue by what its jobs are: workflows have tries and times of their own. */
const tables = {
  jobs: object({
    ...shared,
    concurrency: optional(limitChecks.concurrency),
    batch: optional(object({ max: wholeFrom(1, batchMax), waitMs: or(delay, 0) })),
    keep,
    unique,
    input: optional(schema),
    retry: optional(retry),
    timeout: optional(duration),
  }),
  inputs: object({ ...shared, keep, unique }),
  runs: object({ ...shared, keep: or(object({ dead }), {}) }),
}

type Jobs = ReturnType<typeof tables.jobs>
type AnyOptions = Omit<Partial<Jobs>, 'keep' | 'concurrency'> &
  Omit<ReturnType<typeof tables.runs>, 'concurrency'> &
  Pick<Jobs, 'concurrency'> &
  Kept
type Kept = { readonly keep: { readonly results?: number | undefined } }

/**
 * The terms of a queue, with the tries of `tries` by default. `jobs`: the schema of its workflow. @throws KeelsonError `CONFIG`
 */
export const queueTerms = (
  name: string,
  of: keyof typeof tables,
  call: QueueTerms['call'],
  given: QueueOptions,
  tries?: Retry,
  jobs?: Parse,
): QueueTerms => {
  const checked: AnyOptions = tables[of](given, config(`queue.${name}`))
  const { rate, unique: uniqueMs, keep, timeout: timeoutMs, retry = tries, ...rest } = checked
  const {
    input = jobs,
    batch,
    concurrency = concurrencyDefault * (batch?.max ?? 1),
    ...bounds
  } = rest
  if (batch && batch.max > concurrency) {
    const most = `at most the concurrency of the queue, ${concurrency}: a fuller one never starts`
    throw refusal(config(`queue.${name}.batch.max`), most, batch.max)
  }
  const policy = policyOf(retry)
  const limits = {
    batch,
    concurrency,
    triesMax: policy.max,
    // A job may be the reason of the end of its process, the run of a workflow is not.
    keysMax,
    countsEnds: of === 'jobs',
    uniqueMs,
    ...bounds,
    keepMs: keep.dead,
    resultsMs: keep.results,
    rate: rate && { max: rate.max, perMs: rate.per, key: rate.key },
  }
  return { name, limits, retry: policy, timeoutMs, call, input, takesRuns: of === 'runs' }
}
