/**
 * The options of workflows and of the operations of their bodies, and the arguments that they share
 * with queues and schedules. A table here is the only place of an option's range. Pure.
 */

import type { WatchBegin } from '../../actors/index.ts'
import {
  abortSignal,
  anything,
  argument,
  below,
  type Check,
  flag,
  functionOf,
  listOf,
  mapped,
  noMore,
  numberFrom,
  object,
  oneOf,
  optional,
  or,
  orInfinite,
  recordOf,
  refusal,
  text,
  that,
  wholeFrom,
} from '../../check.ts'
import type { Retry } from '../../clock.ts'
import { invalidArgument, keptError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { isSchema, schema } from '../../schema.ts'
import { checkEntityId } from '../../storage/index.ts'
import { retryOptions } from '../../supervisors/index.ts'
import { type Attributes, attributes } from '../attributes/attributes.ts'
import type {
  CheckedOptions,
  CheckedQuery,
  CheckedUpdate,
  Duration,
  Queries,
  StepStreamOptions,
  UntypedBody,
  Where,
  Workflow,
} from './body.ts'
import type { FlowPart } from './parts.ts'
import { type RunStatus, runStatuses } from './record.ts'

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** 100,000 days: a date has no more. */
const durationMax = 8_640_000_000_000

const msIn = (duration: unknown): number => {
  const [, count, unit] =
    typeof duration === 'number'
      ? ['', duration, 'ms']
      : (/^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(typeof duration === 'string' ? duration : '') ?? [])
  return Math.ceil(Number(count) * (ownOf(unitMs, String(unit)) ?? Number.NaN))
}

/** A duration, in ms from here on. */
const durationFrom = (min: number): Check<number, Duration> =>
  mapped(
    that<Duration>(
      `ms from ${min}, or a number with ms, s, m, h or d, such as '90s', up to 100,000 days`,
      (found) => msIn(found) >= min && msIn(found) <= durationMax,
    ),
    msIn,
  )

/** A delay. */
export const delay = durationFrom(0)

/** A time that something may take or is kept. */
export const duration = durationFrom(1)

/** A duration in ms. @throws KeelsonError `INVALID_ARGUMENT` */
export const msOf = (given: Duration, path: string): number => delay(given, argument(path))

/** A name that a row has in its key, or in an index. */
export const shortText: Check<string> = that(
  'well-formed text of 1 to 256 bytes without NUL',
  (found) => {
    const isText = typeof found === 'string' && found.isWellFormed() && !found.includes('\0')
    return isText && found !== '' && Buffer.byteLength(found) <= 256
  },
)

const keyBytesMax = 256

/**
 * The key of an operation, or the name of a signal or an update. The names that are refused here
 * are used by the rows that a run makes itself.
 */
export const keyText: Check<string> = that(
  `well-formed text of 1 to ${keyBytesMax} bytes without NUL that does not begin with $ or undo:`,
  (found) =>
    typeof found === 'string' &&
    found !== '' &&
    Buffer.byteLength(found) <= keyBytesMax &&
    found.isWellFormed() &&
    !/^\$|^undo:|\0/.test(found),
)

/** The id of a run. */
const runId: Check<string> = (found, at) => checkEntityId(found, at.path)

/** A priority: the higher number goes first. */
export const priority = wholeFrom(-1_000, 1_000)

/** A policy of tries. */
export const retry: Check<Retry> = object(retryOptions) as Check<Retry>

/** Refuses more arguments than `form` shows. @throws KeelsonError `INVALID_ARGUMENT` */
export const exactly = (form: string, surplus: readonly unknown[]): void =>
  noMore(surplus, form, argument())

/** A part of `flows`, of this sort. */
export const part = <T extends FlowPart>(sort: T['sort']): Check<T> =>
  that(`a ${sort}`, (found) => {
    const { sort: its, name } = Object(found) as Partial<FlowPart>
    return its === sort && typeof name === 'string'
  })

/** The workflow of a call. @throws KeelsonError `INVALID_ARGUMENT` */
export const workflowOf = <T extends Pick<Workflow, 'sort'>>(type: T): T =>
  part('workflow')(type, argument('type')) as FlowPart & T

/** The options of `ctx.step`. */
export const stepOptions = object({
  retry: optional(retry),
  timeout: optional(duration),
  repeat: or(oneOf('safe', 'once'), 'safe'),
  undo: optional(functionOf<(did: object) => unknown>()),
})

/** The options of a stream of a step. */
export const stepStreamOptions = object({
  retry: optional(
    that<NonNullable<StepStreamOptions['retry']>>(
      "'same', 'continue' or a function",
      (found) => found === 'same' || found === 'continue' || typeof found === 'function',
    ),
  ),
})

/** The time of `ctx.sleep` that is no duration. */
export const timeAt = object({ at: wholeFrom(0) })

/** The options of `ctx.waitFor`. */
export const waitOptions = object({ key: optional(shortText), timeout: optional(delay) })

/** The options of `ctx.child`. */
export const childOptions = object({
  id: optional(runId),
  onCancel: or(oneOf('cancel', 'abandon'), 'cancel'),
  attributes: optional(attributes),
})

/** The options of `ctx.all`. */
export const allOptions = object({
  wait: or(
    that<'all' | 'any' | number>(
      'all, any, or a whole number from 0',
      (found) =>
        found === 'all' || found === 'any' || (Number.isSafeInteger(found) && Number(found) >= 0),
    ),
    'all',
  ),
  atOnce: optional(orInfinite(wholeFrom(1))),
  onFailure: or(oneOf('fail', 'collect'), 'fail'),
})

const bodies: Check<Readonly<Record<number, UntypedBody>>> = (found, at) => {
  const checked = recordOf(functionOf<UntypedBody>())(found, at)
  const wrong = Object.keys(checked).find((version) => !/^[1-9]\d{0,8}$/.test(version))
  if (wrong === undefined) return checked
  throw refusal(at, 'functions by their versions', wrong)
}

const queryTerms = object({ input: schema, answer: functionOf<CheckedQuery['answer']>() })

const queries: Check<CheckedOptions['queries'], Queries> = recordOf(
  (found, at): CheckedQuery =>
    typeof found === 'function'
      ? { answer: found as CheckedQuery['answer'] }
      : (queryTerms(found, at) as CheckedQuery),
) as Check<CheckedOptions['queries'], Queries>

const updateTerms = object({ input: schema, output: optional(schema) })

/** A schema may be a function, and so may a check. */
const updates: Check<CheckedOptions['updates'], object> = recordOf((found, at): CheckedUpdate => {
  if (isSchema(found)) return { input: schema(found, at) }
  if (typeof found === 'function') return { check: found as CheckedUpdate['check'] & object }
  return updateTerms(found, at) as CheckedUpdate
}) as Check<CheckedOptions['updates'], object>

/** The options of `workflow`. */
export const workflowOptions = object({
  input: optional(schema),
  output: optional(schema),
  signals: or(recordOf(schema), {}),
  queries: or(queries, {}),
  updates: or(updates, {}),
  version: or(wholeFrom(1), 1),
  previous: or(bodies, {}),
  deadline: optional(duration),
  retry: optional(retry),
  stepDefaults: or(object({ retry: optional(retry), timeout: optional(duration) }), {}),
  keep: or(
    object({
      completed: or(duration, '7d'),
      failed: or(duration, '30d'),
      cancelled: or(duration, '30d'),
    }),
    {},
  ),
  stepsMax: or(wholeFrom(1), 10_000),
  queue: optional(shortText),
})

/** The times of a schedule that passed while nothing could start. */
export const missed = oneOf('one', 'all', 'none')

/** The times of a schedule that come while a run goes on. */
export const overlap = oneOf('skip', 'queue', 'allow')

const startOptions = object({
  id: runId,
  delay: optional(delay),
  deadline: optional(duration),
  priority: optional(priority),
  key: optional(shortText),
  correlation: optional(shortText),
  attributes: optional(attributes),
})

/**
 * The options of a start of this workflow.
 * @throws KeelsonError `INVALID_ARGUMENT`, including for options of a queue if the workflow has no
 * queue
 */
export const startOf = (
  type: { readonly options?: Pick<CheckedOptions, 'queue'> } | undefined,
  given: Parameters<typeof startOptions>[0],
): ReturnType<typeof startOptions> => {
  const options = startOptions(given, argument('', 'a start'))
  for (const name of ['priority', 'key'] as const)
    if (options[name] !== undefined && type?.options && type.options.queue === undefined)
      throw invalidArgument(name, 'none, for a workflow without a queue', options[name])
  return options
}

/** The options of `fork`. */
export const forkOptions = object({ id: runId, from: shortText })

/** The options of `retry` of a run. */
export const retryFromOptions = object({ from: optional(shortText) })

/** The options of `result` of a handle. */
export const resultOptions = object({
  timeoutMs: or(orInfinite(wholeFrom(1)), 30_000),
  signal: optional(abortSignal),
})

/** The options of `signal` of a handle. */
export const signalOptions = object({ id: optional(shortText) })

/** The options of `update` of a handle. */
export const updateOptions = object({
  id: optional(shortText),
  timeoutMs: or(orInfinite(wholeFrom(1)), 30_000),
  signal: optional(abortSignal),
})

/** The options of `cancel` of a handle. */
export const cancelOptions = object({
  reason: or(
    mapped(
      that<string>(
        'well-formed text',
        (found) => typeof found === 'string' && found.isWellFormed(),
      ),
      (reason) => keptError(reason).message,
    ),
    'it was cancelled',
  ),
  force: or(flag, false),
})

/** The options that every page has. */
export const pageFields = { limit: or(wholeFrom(1), 100), cursor: optional(text) }

/** The options of a page. */
export const pageOptions = object(pageFields)

/** The options of a page of operations. */
export const stepsOptions = object({ ...pageFields, reverse: or(flag, false) })

const status = oneOf(...runStatuses)

const named = recordOf(anything)

/**
 * The conditions of `where`. The status is apart, because it is not an attribute. A `where` without a
 * condition is refused. Scenario: a service lists the runs of `request.customer`, and a request has no
 * customer. Without the refusal its caller would see the runs of all customers.
 */
const where: Check<
  { readonly status: RunStatus | undefined; readonly attributes: Attributes | undefined },
  Where
> = (found, at) => {
  const { status: sought, ...others } = named(found, at)
  const conditions = {
    status: sought === undefined ? undefined : status(sought, below(at, 'status')),
    attributes: attributes(others, at),
  }
  if (conditions.status === undefined && conditions.attributes === undefined)
    throw refusal(at, 'at least one condition', found)
  return conditions
}

/** The options by which `list` and `watch` choose runs. */
const choice = {
  type: part<Workflow>('workflow'),
  status: optional(status),
  parent: optional(text),
  root: optional(text),
  correlation: optional(text),
}

/** The options of `watch`. Its place and its signal are checked by the watch of entities. */
export const watchOptions = object({
  ...choice,
  where: optional(where),
  id: optional(runId),
  from: optional(anything as Check<WatchBegin['from']>),
  signal: optional(anything as Check<WatchBegin['signal']>),
})

/** The options of `list`. */
export const listOptions = object({
  ...choice,
  where: optional(where),
  since: or(numberFrom(0), 0),
  until: or(orInfinite(numberFrom(0)), Number.POSITIVE_INFINITY),
  order: optional(oneOf('newest', 'oldest', 'id')),
  limit: optional(wholeFrom(1)),
  cursor: optional(text),
  show: optional(listOf(oneOf('input', 'output'), "a list of 'input' and 'output'")),
})
