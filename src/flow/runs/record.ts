/**
 * The record of a run: its main row, and one row for each recorded operation. A run is replayed from
 * these rows. Pure.
 */
import type { KeptError } from '../../errors.ts'
import type { TraceContext } from '../../trace-context.ts'
import { type Attributes, attributeFields } from '../attributes/attributes.ts'

/**
 * The statuses of a run. `waiting`: it rests until a timer, a signal or a child; `undoing`: its body
 * has failed, and what it did is undone.
 */
export const runStatuses = [
  ...(['waiting', 'running', 'cancelling', 'undoing'] as const),
  ...(['blocked', 'completed', 'failed', 'cancelled'] as const),
] as const

/** The status of a run. */
export type RunStatus = (typeof runStatuses)[number]

/** The status in the index of a row without a run. */
const noRun = 'none'

/** Whether a run in this status has ended. */
export const isOver = (status: RunStatus): boolean =>
  status === 'completed' || status === 'failed' || status === 'cancelled'

/** The statuses of runs that have to run: after a crash they are woken. */
export const liveStatuses = ['running', 'cancelling', 'undoing'] as const

/** Whether a run in this status has to run. */
export const isLive = (status: RunStatus): boolean =>
  (liveStatuses as readonly RunStatus[]).includes(status)

/** Whether a run waits for the next try of its whole body, which its alarm begins. */
export const isBetweenTries = ({ status, waitsFor }: RunState): boolean =>
  status === 'waiting' && waitsFor?.kind === 'retry' && waitsFor.name === undefined

/** The code of a run that is blocked because the running program lacks a part that its rows name. */
export const lacksCode = 'UNSUPPORTED_VERSION'

/** The parent of a run. */
export type Parent = {
  readonly type: string
  readonly id: string
  readonly birth: string
  readonly lap: number
  /** The round in which it asked last; the first one by default. */
  readonly round?: number
  /** The number of its operation. */
  readonly number: number
}

/** A run as the parent of the child that its operation of this number asks for. */
export const parentOf = (
  type: string,
  id: string,
  { birth, lap, round }: Pick<RunState, 'birth' | 'lap' | 'round'>,
  number: number,
): Parent => ({ type, id, birth, lap, ...(round > 0 && { round }), number })

/** The workflow of a run that is named `type/id`. */
export const typeOfRun = (run: string): string => run.slice(0, run.indexOf('/'))

/** Why a child is cancelled with its parent. */
export const parentEnded = ({ type, id }: Pick<Parent, 'type' | 'id'>): string =>
  `its parent ${type}/${id} has ended`

/** The origin of a forked run. */
export type Fork = {
  /** The other run, as `type/id`. */
  readonly run: string
  /** The first operation whose outcome the fork did not copy. */
  readonly from: string
  /**
   * The seed of random draws and the start time of the other run. The fork replays outcomes of that
   * run, so its draws and times must be the same.
   */
  readonly seed: string
  readonly startedAt: number
}

/**
 * The event that a run waits for: a signal, an update, a timer, the end of a child, the next try of
 * a step (`retry`; without a name that of the whole run), the end of the delay of its start, or its
 * place in a queue.
 */
export type Awaited = {
  readonly kind: 'signal' | 'update' | 'timer' | 'child' | 'retry' | 'delay' | 'queue'
  /** The name of the signal, update or queue, the run of the child, or the key of the timer or step. */
  readonly name?: string
  /** When it goes on without that, in ms since 1970. */
  readonly until?: number
  /** The error of the last try. */
  readonly error?: KeptError
  /**
   * The other signals and updates that its body waits for at the same time, 15 at most. A timer, a step
   * and a child have rows of their own. Rows of earlier builds do not have it.
   */
  readonly others?: readonly Named[]
}

/** An event by its name. */
export type Named = Pick<Awaited, 'kind' | 'name'>

/** So many names a run at rest has at most, with the first one. */
export const namesMax = 16

/** The messages of a body that are in streams: how many, and a hash over all of them. */
export type Said = { readonly count: number; readonly hash: string }

/** The main row of a run. */
export type RunState = {
  readonly status: RunStatus
  /** The version of the body that it began with. */
  readonly version: number
  /** 64 random bits, as 16 hex digits: the run among all runs that ever had its id. */
  readonly birth: string
  /**
   * The number in the keys of tries. A new one begins with `again`, and when undone steps run again.
   */
  readonly round: number
  /** How often `again` has begun it once more. Its operations are kept under this number. */
  readonly lap: number
  /** The place of the last outcome. */
  readonly outcomes: number
  /** The number of the last operation. */
  readonly operations: number
  /** The number of the last signal, and how many are unread. */
  readonly signals: number
  readonly unread: number
  /** The try of the whole run, from 1. */
  readonly attempt: number
  readonly startedAt: number
  /** When the status was set. */
  readonly since: number
  /** The hash of the input, to know a start that is repeated. */
  readonly inputHash: string
  /** The run waits for its delay, or in its queue. */
  readonly isHeld?: boolean
  /** Its body had begun before it entered its queue once more: there may be steps to undo. */
  readonly hasBegun?: boolean
  /** A cancel is acknowledged. `isPlaced`: it has its place among the outcomes. */
  readonly cancel?: { readonly reason: string; readonly isPlaced: boolean }
  /** Why it has failed, was cancelled, or is blocked. */
  readonly error?: KeptError
  /** The number of the operation whose error has ended it. */
  readonly failedBy?: number
  readonly progress?: unknown
  readonly parent?: Parent
  /** The parent has its end. */
  readonly isParentNotified?: boolean
  /** The first run of its lineage, as `type/id`. */
  readonly root?: string
  readonly correlation?: string
  /** Absent: it has none. Rows of earlier builds have none. */
  readonly attributes?: Attributes
  readonly priority?: number
  /** The event that it waits for, as it was when it last came to rest. */
  readonly waitsFor?: Awaited
  /** The key in its queue. */
  readonly queueKey?: string
  /** The queue from which it has begun. Absent: from none, or an earlier build began it. */
  readonly queue?: string
  readonly fork?: Fork
  /** The messages of its body that are in streams. Absent: it has said nothing. */
  readonly said?: Said
  /** Where its start is in a trace. Absent: in none, or an earlier build wrote the row. */
  readonly trace?: TraceContext
}

/**
 * The outcome of an operation. `undefined` is a value. `isApart`: a long value, which has another
 * row, so that the rows of operations are short. `ended`: how a child has ended whose error it is; rows
 * of earlier programs do not have it.
 */
export type Outcome =
  | { readonly kind: 'ok'; readonly value?: unknown; readonly isApart?: boolean }
  | { readonly kind: 'error'; readonly error: KeptError; readonly ended?: 'failed' | 'cancelled' }

/**
 * The kinds of operations. `cancel`: the place of a cancel; `patch`: a change of the body; `settled`:
 * one whose row could not be read, with the outcome that an operator gave; `update`: one that the
 * body takes, and `answer`: what it answered; `attributes`: changes of these, which are its value.
 */
export type OperationKind =
  | ('step' | 'sleep' | 'wait' | 'child' | 'patch' | 'cancel' | 'settled')
  | ('update' | 'answer' | 'attributes')

/** One operation of a run, as its row has it. */
export type Operation = {
  readonly kind: OperationKind
  readonly key: string
  /** Its place among the outcomes of the run; `undefined`: it has none yet. */
  readonly place?: number
  readonly outcome?: Outcome
  /** When the row was written last, in ms since 1970. */
  readonly at: number
  /** How many tries have failed. */
  readonly tries?: number
  /** The last failure of a try. */
  readonly failure?: KeptError
  /** When its first try failed, and how many it has; rows of earlier builds have neither. */
  readonly failingSince?: number
  readonly triesMax?: number
  /** When a timer fires, or the next try begins, in ms since 1970. */
  readonly dueAt?: number
  /** The start mark of a step that runs once. */
  readonly hasBegun?: boolean
  /** The run of a child, as `type/id`. */
  readonly child?: string
  /** The child goes on when its parent ends. */
  readonly isAbandoned?: boolean
  /** Of a cancel: how many operations the body had asked for. */
  readonly asked?: number
  /** Of a patch: the place of the last outcome that the body had got. */
  readonly after?: number
  /** Of an update and its answer: its name in this run. */
  readonly update?: string
  /** Of a step: the round of its last try; the first one by default. */
  readonly round?: number
  /** The messages of the body that were in streams when it got its outcome. Absent: none. */
  readonly said?: Said
  /** Of a step whose outcome a fork has copied: the run that tried it, as `type/id/birth`. */
  readonly triedBy?: string
}

/** An operation with the number of its row. */
export type Recorded = Operation & { readonly number: number }

/** The key of the operation that is the place of a cancel. */
export const cancelKey = '$cancel'

/** The key of the step that undoes a step. */
export const undoKey = (key: string): string => `undo:${key}`

/** The prefix of the rows of operations. */
export const allOperations = 'op/'

/** The prefix of the rows of the operations of a lap. */
export const operationsPrefix = (lap: number): string => `${allOperations}${padded(lap)}/`

/** The key of the row of an operation. */
export const operationKey = (lap: number, number: number): string =>
  `${operationsPrefix(lap)}${padded(number)}`

/** The key of the row of a long value. */
export const valueKey = (lap: number, number: number): string =>
  `${allOperations}${padded(lap)}v${padded(number)}`

/** The prefix of the rows of unread signals with this name. */
export const signalsPrefix = (name: string): string => `signal/${encodeURIComponent(name)}/`

/** The key of the row of an unread signal. */
export const signalKey = (name: string, number: number): string =>
  `${signalsPrefix(name)}${padded(number)}`

/** The key of the row that remembers the id of a signal. */
export const signalIdKey = (id: string): string => `signal-id/${id}`

/**
 * The prefix of the rows of unread updates with this name; without a name, of all unread updates.
 * No row of a signal has this prefix, because `$` is encoded in names of signals.
 */
export const updatesPrefix = (name?: string): string =>
  name === undefined ? 'signal/$' : `signal/$${encodeURIComponent(name)}/`

/** The prefix of the rows of all unread signals and updates. */
export const unreadPrefix = 'signal/'

/** Which signal or update the row of this key has. */
export const unreadOf = (key: string): { kind: 'signal' | 'update'; name: string } => {
  const [, coded = ''] = key.split('/')
  const isUpdate = coded.startsWith('$')
  return {
    kind: isUpdate ? 'update' : 'signal',
    name: decodeURIComponent(isUpdate ? coded.slice(1) : coded),
  }
}

/** The row of an unread update. */
export type UnreadUpdate = { readonly update: string; readonly value?: unknown }

/** The name of an update in its run: by the id that its caller gave, or by its number. */
export const updateName = (id: string | undefined, number: number): string =>
  id === undefined ? `#${number}` : `=${id}`

/** Whether an update has an id, by which its answer is remembered. */
export const isRemembered = (update: string): boolean => update.startsWith('=')

/** The key of the row that remembers an update with an id. */
export const updateKey = (update: string): string => `update/${update}`

/**
 * The row of an update with an id. `hash`: the hash of its name and value, absent in rows of
 * earlier programs. `lap`: the lap whose body has taken the update. `outcome`: its answer.
 */
export type UpdateRow = {
  readonly hash?: string
  readonly lap?: number
  readonly outcome?: Outcome
}

/** A number as text in its order. */
export const padded = (number: number): string => String(number).padStart(14, '0')

/**
 * The fields by which runs are found, beside one for each attribute. `at`: the status and since when, in
 * the order of time.
 * `status` is there for its counters. A run that is running has none: one more index row would cost
 * it a fifth of its CPU time, and the number of these runs follows from that of all.
 */
export type RunFields = {
  readonly status: string | undefined
  readonly at: string | undefined
  readonly parent: string | undefined
  readonly root: string | undefined
  readonly correlation: string | undefined
}

/** The fields of a run in its index. */
export const fieldsOf = (state: RunState | undefined): RunFields => {
  // A row without a run is counted apart.
  if (!state)
    return {
      status: noRun,
      at: undefined,
      parent: undefined,
      root: undefined,
      correlation: undefined,
    }
  const { status, since, parent, root, correlation, attributes } = state
  const time = padded(since)
  const fields: RunFields = {
    root,
    correlation,
    at: `${status}/${time}`,
    status: status === 'running' ? undefined : status,
    parent: parent && `${parent.type}/${parent.id}`,
  }
  return attributes ? Object.assign(fields, attributeFields(attributes, time)) : fields
}
