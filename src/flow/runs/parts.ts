/**
 * The parts that `flows` puts into a tree: workflows, queues, schedules. Each brings its own
 * children, which are made at each start, so that one part may run in several instances. The entity
 * of a queue or a schedule is kept awake.
 */
import { type EntityHandle, madeOf } from '../../actors/index.ts'
import { backoffMs } from '../../clock.ts'
import {
  configError,
  errorOf,
  invalidArgument,
  isKeelsonError,
  KeelsonError,
  type KeptError,
  missingDeclaration,
} from '../../errors.ts'
import { type BareContext, type ChildSpec, call } from '../../runtime/index.ts'
import { type AppContext, durableActors } from '../../supervisors/index.ts'
import { type Operation, type Outcome, typeOfRun } from './record.ts'

export { batchesKind } from '../../storage/index.ts'

/** A part of `flows`. */
export interface FlowPart {
  readonly sort: 'workflow' | 'queue' | 'schedule'
  /** A small letter, then letters, digits, `_` and `-`; unique among the parts of its sort. */
  readonly name: string
  /** The name of the workflow whose runs a queue or a schedule starts. */
  readonly starts?: string
  /** Its children below the supervisor of `flows`, in the order of their start. */
  children(): readonly ChildSpec[]
}

/** The key of the parts of `flows` in its specification: its start function alone knows them else. */
export const flowParts = Symbol('the parts of flows')

/** Checks the name of a part. The longest kind, with its prefix, has 64 bytes. */
export const checkPartName = (sort: FlowPart['sort'], name: unknown): string => {
  if (typeof name === 'string' && /^[a-z][\w-]{0,49}$/.test(name)) return name
  const expected = 'a small letter, then letters, digits, _ and -; at most 50'
  throw configError(`${sort}.name`, expected, name)
}

/** The kind of the runs of a workflow. */
export const runKind = (workflow: string): string => `$flow-${workflow}`

/** The kind of the entity of a queue. */
export const queueKind = (queue: string): string => `$queue-${queue}`

/**
 * The entities of a part.
 * @throws KeelsonError `INVALID_ARGUMENT` if the part is not in the tree
 */
export const entitiesOf = <M>(
  app: unknown,
  sort: 'workflow' | 'queue',
  name: string,
): EntityHandle<M> => {
  const kind = sort === 'queue' ? queueKind(name) : runKind(name)
  try {
    return (app as Pick<AppContext, 'entity'>).entity<M>(kind)
  } catch (error) {
    if (!isKeelsonError(error, 'INVALID_ARGUMENT')) throw error
    throw invalidArgument(sort, `a ${sort} of the tree`, name)
  }
}

/**
 * A part as it is declared: the prompt and a schedule have its name alone, and find it in the tree.
 * `undefined`: it has not run here.
 */
export const declaredPart = <P extends { readonly name: string }>(
  app: unknown,
  sort: 'workflow' | 'queue',
  part: P,
  isWhole: (part: P) => boolean,
): P | undefined =>
  isWhole(part) ? part : (entitiesOf(app, sort, part.name)[madeOf] as P | undefined)

/**
 * The entities of a part whose name comes from stored data.
 * @throws KeelsonError a `missingDeclaration` if the part is not in the tree: an earlier program
 * had it
 */
export const recordedEntitiesOf = <M>(
  app: unknown,
  sort: 'workflow' | 'queue',
  name: string,
): EntityHandle<M> => {
  try {
    return entitiesOf<M>(app, sort, name)
  } catch (error) {
    if (!isKeelsonError(error, 'INVALID_ARGUMENT')) throw error
    throw missingDeclaration(`${sort} ${name}`)
  }
}

/** A part that is asked. */
type Asked =
  | { readonly type: string; readonly id: string }
  | { readonly queue: string }
  | { readonly schedule: string }

const namedOf = (of: Asked): string => {
  if ('id' in of) return `run ${of.id} of ${of.type}`
  return 'queue' in of ? `queue ${of.queue}` : `schedule ${of.schedule}`
}

/**
 * The answer of a run, a queue or a schedule. If there is none, the error says so in words of its
 * user: a close may end the process in order, or cut it off.
 */
export const answerOf = <T>(
  app: unknown,
  of: Asked,
  answer: Promise<T>,
  late = 'has not answered',
): Promise<T> =>
  answer.catch((cause) => {
    if (!isKeelsonError(cause, 'TIMEOUT') && !isKeelsonError(cause, 'EXITED')) throw cause
    const { timeoutMs, reason } = cause.details
    const [code, text] =
      cause.code === 'TIMEOUT'
        ? (['TIMEOUT', `${late} within ${timeoutMs} ms`] as const)
        : reason === 'shutdown' || isClosing(app)
          ? (['CLOSED', 'continues at the next start'] as const)
          : (['EXITED', 'continues in another process: ask again'] as const)
    const details = { ...of, ...(timeoutMs !== undefined && { timeoutMs }) }
    throw new KeelsonError(code, `the ${namedOf(of)} ${text}`, { details, cause })
  })

/** How long a caller waits for the end of a run or a job, or for the answer of a body. */
export type EndOptions = {
  /** 30,000 by default; `Infinity`: without a limit. */
  readonly timeoutMs?: number
  /** Gives the wait up: it rejects with the reason of the signal. The run or the job continues. */
  readonly signal?: AbortSignal
}

/**
 * The answer of a wait that may last for days. Scenario: a step waits for the result of a run, and the
 * instance closes. The close lets no run begin, and waits for the step. So the close rejects the wait
 * with `CLOSED`, unless `endsInTime` answers that the awaited work runs, and ends before the close
 * does. A signal that ends the call too took 4 to 5 µs of each run (bench/NOTES.md).
 */
export const lastingAnswer = <T>(
  app: unknown,
  of: Asked,
  ask: () => Promise<T>,
  endsInTime: () => Promise<boolean> = async () => false,
): Promise<T> => {
  const { work } = (app as Pick<AppContext, typeof durableActors>)[durableActors].entities
  return new Promise((resolve, reject) => {
    const close = async (): Promise<void> => {
      if (!(await endsInTime().catch(() => false))) reject(closed(of))
    }
    const forget = work.whenCloses(() => void close())
    ask().then(resolve, reject).finally(forget)
  })
}

const closed = (of: Asked): KeelsonError =>
  new KeelsonError('CLOSED', `the ${namedOf(of)} continues at the next start`, {
    details: { ...of },
  })

const codes = { failed: 'FAILED', cancelled: 'CANCELLED', blocked: 'BLOCKED' } as const

/** Why a run gives no output: how it has ended, or that it does not go on. */
export const failure = (
  type: string,
  id: string,
  status: keyof typeof codes,
  error: KeptError,
): KeelsonError => {
  const cause = errorOf(error)
  const message = `the run ${id} of ${type} is ${status}: ${error.message}`
  return new KeelsonError(codes[status], message, { details: { type, id, status }, cause })
}

/**
 * The error with which an operation rejects. A child rejects with the error of `result` of its run.
 */
export const rejectionOf = (
  { child }: Pick<Operation, 'child'>,
  { error, ended }: Extract<Outcome, { kind: 'error' }>,
): Error => {
  if (child === undefined || ended === undefined) return errorOf(error)
  const type = typeOfRun(child)
  return failure(type, child.slice(type.length + 1), ended, error)
}

const isClosing = (app: unknown): boolean =>
  !(app as Pick<AppContext, typeof durableActors>)[durableActors].entities.work.mayBegin

/** The id of the one entity of its kind. */
export const queueId = 'queue'

/** Whether entities of this kind are in the tree of this program. */
export const isInTree = (app: unknown, kind: string): boolean => {
  try {
    ;(app as Pick<AppContext, 'entity'>).entity(kind)
    return true
  } catch (error) {
    if (isKeelsonError(error, 'INVALID_ARGUMENT') || isKeelsonError(error, 'NO_PROCESS'))
      return false
    throw error
  }
}

/** A kind that all `flows` of a tree share. The first `flows` of the tree starts it. */
export const sharedKind = (spec: ChildSpec): ChildSpec => ({
  ...spec,
  start: async (context) => {
    const { entities } = (context.app as AppContext)[durableActors]
    return entities.kind(spec.id) ? { ignore: true } : spec.start(context)
  },
})

/** The kind of the schedules that are made at run time. */
export const schedulesKind = '$made-schedules'

/** The id of the one entity of the kind of a schedule of the tree. */
export const scheduleId = 'schedule'

/** The kind of the entity of a schedule of the tree. */
export const scheduleKind = (schedule: string): string => `$schedule-${schedule}`

/** The messages of an entity that is kept awake. */
type Stays = { readonly calls: { readonly stay: () => void } }

const pauses = { baseMs: 100, maxMs: 10_000 }

/** A call that has lasted so long was answered by a sound process: its end is the first failure. */
const soundMs = 60_000

/**
 * The process that keeps the entity of this kind and id awake, from the start of its tree on. It
 * holds a call that the entity never answers. The call fails when the process of the entity ends,
 * and is made again.
 */
export const keptAwake = (kind: string, id: string): ChildSpec => ({
  id: `${kind}-awake`,
  start: (context) => {
    const ref = context.spawnLink((own) => stays(own as never, kind, id), {
      label: `what keeps ${kind}/${id} awake`,
    })
    return { ok: true, ref: ref as never }
  },
})

const stays = async (own: BareContext<Stays, AppContext>, kind: string, id: string) => {
  const ref = own.to(own.app.entity<Stays>(kind).ref(id) as never) as never
  for (let failures = 0; ; ) {
    const since = own.system.clock.monotonic()
    try {
      await call<Stays, 'stay'>(ref, 'stay', undefined, { timeoutMs: Number.POSITIVE_INFINITY })
    } catch {
      const isSound = own.system.clock.monotonic() - since >= soundMs
      failures = isSound ? 1 : failures + 1
      await own.sleep(backoffMs(pauses, failures))
    }
  }
}
