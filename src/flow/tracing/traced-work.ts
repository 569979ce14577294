/**
 * The spans of runs and jobs: one for each activation of a run, for each try of a step, for each add of
 * jobs, and for each try of a job. Without a tracer there are none.
 */
import { type SendEnd, type System, type Traced, tracerOf } from '../../runtime/index.ts'
import type { TraceContext } from '../../trace-context.ts'

/** The span of an activation of a run that begins, in the trace of its start. */
export const tracedRun = (
  system: System,
  { type, id }: { readonly type: string; readonly id: string },
  trace: TraceContext | undefined,
): Traced | undefined =>
  tracerOf(system)?.work({
    kind: 'run',
    of: type,
    id,
    origin: trace && { trace, isLate: false },
  })

/** An activation, for the tries of its steps. */
type Activation = {
  readonly type: string
  readonly id: string
  readonly background: { readonly system: System }
  readonly traced: Traced | undefined
}

/** The outcome of a try of a step, with the error that was thrown. */
type Tried = { readonly outcome: { readonly kind: 'ok' | 'error' }; readonly error?: unknown }

/** Makes a try of a step, whose span is within that of its activation. */
export const tracedTry = <T extends Tried>(
  { traced: activation, background, type, id }: Activation,
  { key, attempt }: { readonly key: string; readonly attempt: number },
  make: (scope: Traced | undefined) => Promise<T | undefined>,
): Promise<T | undefined> => {
  if (activation === undefined) return make(undefined)
  const facts = { kind: 'step', of: type, id, key, attempt, origin: undefined } as const
  const traced = tracerOf(background.system)?.work(facts)
  const tried = make(traced)
  if (traced === undefined) return tried
  return tried.then((made) => {
    traced.end(made?.outcome.kind === 'error' ? { error: made.error } : undefined, undefined)
    return made
  })
}

/**
 * Adds jobs inside the span of their producer. `add` gets its place, which goes with the jobs: it is the
 * parent of their tries, or is linked to them.
 */
export const tracedSend = <A extends { readonly number: number }>(
  system: System | undefined,
  queue: string,
  count: number,
  add: (trace: TraceContext | undefined) => Promise<readonly A[]>,
): Promise<readonly A[]> => {
  const traced = system && tracerOf(system)?.send({ queue, count })
  return traced === undefined ? add(undefined) : tracedAdd(traced, add)
}

const tracedAdd = async <A extends { readonly number: number }>(
  traced: Traced<SendEnd>,
  add: (trace: TraceContext | undefined) => Promise<readonly A[]>,
): Promise<readonly A[]> => {
  try {
    const added = await traced.run(() => add(traced.place))
    traced.end(undefined, { ids: added.map(({ number }) => String(number)) })
    return added
  } catch (error) {
    traced.end({ error }, undefined)
    throw error
  }
}

/** A job that begins so long after it was added is no part of the trace of its producer. */
const lateMs = 60_000

/** A try of a job. */
type JobTry = {
  readonly claim: {
    readonly number: number
    readonly record: { readonly at: number; readonly trace?: TraceContext }
  }
  readonly attempt: number
  /** When it began, in ms since 1970. */
  readonly since: number
  traced: Traced | undefined
}

/** The span of a try of a job that begins. A run that waits in a queue has the spans of runs. */
export const tracedJob = (
  system: System,
  { name, takesRuns }: { readonly name: string; readonly takesRuns: boolean },
  { claim, attempt, since }: JobTry,
): Traced | undefined => {
  const tracer = takesRuns ? undefined : tracerOf(system)
  if (tracer === undefined) return undefined
  const { trace, at } = claim.record
  const origin = trace && { trace, isLate: since - at > lateMs }
  return tracer.work({ kind: 'job', of: name, id: String(claim.number), attempt, origin })
}

/** The span of a call with these jobs of a batch: a job keeps the trace of its producer, and is linked. */
export const tracedBatch = (
  system: System,
  { name }: { readonly name: string },
  jobs: readonly JobTry[],
): Traced | undefined => {
  const tracer = tracerOf(system)
  const [first] = jobs
  if (tracer === undefined || first === undefined) return undefined
  const places = jobs.flatMap(({ traced }) => traced?.place ?? [])
  const batch = { jobs: jobs.length, places }
  const id = String(first.claim.number)
  return tracer.work({ kind: 'batch', of: name, id, batch, origin: undefined })
}

/** The end of a try of a job is durable: so ends its span, and says when the next try is. */
export const endTrace = (
  end: {
    readonly job: JobTry
    readonly error?: { readonly thrown: unknown }
    readonly retryAt?: number | undefined
  },
  { clock }: System,
): void => {
  const { job, error, retryAt } = end
  const { traced, attempt, claim } = job
  if (traced === undefined) return
  const inMs = retryAt === undefined ? undefined : Math.max(0, retryAt - clock.now())
  if (inMs !== undefined) traced.retries({ of: String(claim.number), attempt, inMs })
  traced.end(error && { error: error.thrown }, undefined)
  job.traced = undefined
}
