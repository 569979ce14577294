/** The messages of a run's entity, and the parts of its memory. Types only. */
import type { BackgroundContext, DurableContext, OwnWork } from '../../actors/index.ts'
import type { KeptError } from '../../errors.ts'
import type { CallContext, System } from '../../runtime/index.ts'
import type { AppContext, durableActors } from '../../supervisors/index.ts'
import type { Attributes } from '../attributes/attributes.ts'
import type { Workflow } from './body.ts'
import type { FailingSteps } from './failing-work.ts'
import type { Outcome, Parent, Recorded, RunState, RunStatus } from './record.ts'
import type { Replay } from './replay.ts'
import type { Input } from './values.ts'

/** How a run ended, or why it does not go on. */
export type RunEnd =
  | { readonly status: 'completed'; readonly output: unknown }
  | { readonly status: 'failed' | 'cancelled' | 'blocked'; readonly error: KeptError }

/** The argument of a start. Times in ms, `deadlineAt` in ms since 1970. */
export type StartRequest = Input & {
  readonly delay?: number | undefined
  readonly deadline?: number | undefined
  readonly priority?: number | undefined
  readonly correlation?: string | undefined
  readonly attributes?: Attributes | undefined
  readonly key?: string | undefined
  readonly parent?: Parent
  readonly root?: string
}

/** The answer of a start. `repeated`: the run had begun before; `end`: it has completed with this start. */
export type Started = { readonly repeated: boolean; readonly end?: RunEnd | undefined }

/** The argument of a fork: the other run, of the same workflow, and the first operation that it repeats. */
export type ForkRequest = { readonly id: string; readonly from: string }

/** The argument of a cancel. `parent`: the run that cancels it as its child. */
export type CancelRequest = {
  readonly reason: string
  readonly force: boolean
  readonly parent?: Parent
}

/** A signal. A second one with the same `id` is the same. */
export type SignalRequest = {
  readonly name: string
  readonly value: unknown
  readonly id?: string | undefined
  /** Of an update whose value a schema has made: the hash of what its caller gave. */
  readonly hash?: string | undefined
}

/** The answer of an update, or the end of a run that will not answer it. */
export type UpdateAnswer = Outcome | { readonly kind: 'ended'; readonly end: RunEnd }

/** The end of a child, for its parent. */
export type ChildEnd = Omit<Parent, 'type' | 'id'> & { readonly end: RunEnd }

/** A run as its queue knows it. `run`: `type/id`. */
export type EnteringRun = {
  readonly run: string
  readonly key: string | undefined
  readonly priority: number | undefined
}

/** The message of a run to its queue: it waits there, as a job, for its beginning. */
export type EnterMessage = {
  calls: {
    /** @throws KeelsonError `BUSY` */
    enter: (run: EnteringRun) => void
  }
}

/** The messages of a run. */
export type RunMessages = {
  calls: {
    /** @throws KeelsonError `CONFLICT` */
    start: (request: StartRequest) => Started
    /** Answers when the run has ended. @throws KeelsonError `CONFLICT` if it has not begun */
    result: () => RunEnd
    /** @throws KeelsonError `CONFLICT`, `BUSY`, `TOO_LARGE` */
    signal: (request: SignalRequest) => { readonly repeated: boolean }
    /** Answers when the body has answered. @throws KeelsonError as `signal` */
    update: (request: SignalRequest) => UpdateAnswer
    /**
     * Answers with the status at that time. False: the run had ended. @throws KeelsonError `CONFLICT`
     * if it has not begun, or is no child of this parent
     */
    cancel: (request: CancelRequest) => { readonly accepted: boolean; readonly status: RunStatus }
    /** Begins with the outcomes of another run. Answers as `start`. @throws KeelsonError `CONFLICT` */
    fork: (request: ForkRequest) => { readonly repeated: boolean }
    /** Lets a run that does not go on do so; with `from`, from that operation on. */
    retry: (request: { readonly from?: string | undefined }) => void
    /** Undoes a run that was cancelled by force. */
    undo: () => void
    /** Its queue has a place for it: a run that is held begins. */
    begin: () => void
    /** Decides the outcome of a step that nobody knows. */
    settle: (request: { readonly key: string; readonly outcome: Outcome }) => void
    childEnded: (end: ChildEnd) => void
    /**
     * Resumes a live run. A run that was blocked because the program lacked a part is resumed too,
     * if the part is there again. Answers when the replay of the body has reached the end of its
     * record, or cannot reach it.
     */
    wake: () => void
  }
  continues: {
    /** The parent gets the end of its child. */
    notifyParent: () => void
    /** The run enters its queue. */
    enter: () => void
    /** The children of a run that was ended by force get a cancel. */
    cancelChildren: () => void
  }
  alarms: {
    /** A run that waits has a timer that is due. */
    timer: () => void
    deadline: () => void
  }
}

/** The state of an entity of this kind; `undefined`: no run has begun. */
export type State = RunState | undefined

/** The context of a turn of a run. */
export type RunContext = DurableContext<RunMessages, unknown, State>

/** An activation of a run beside its mailbox. */
export type RunBackground = BackgroundContext<RunMessages, unknown, State> & OwnWork

/** The turns of a run call its activation with these, once they are durable. */
export interface Notified {
  /** `undefined`: the run is not read yet. */
  readonly replay: Pick<Replay, 'hasArrived'> | undefined
  /** A signal has come, or a cancel, which has no place yet. */
  changed(wantsCancel: boolean): void
  /** The end of a child is recorded. */
  recorded(recorded: Recorded): void
  /** A child is blocked: its operation has this number. */
  childBlocked(number: number, error: KeptError): void
  /** The run was ended by force. */
  stop(): void
}

/** The memory of the process of a run. */
export type Present = {
  /** The activation whose body runs. */
  activation: Notified | undefined
  /** The turn of a cancel is durable, and the activation may not have been notified yet. */
  isCancelled: boolean
  readonly failing: FailingSteps
  /** The callers that wait until the replay of the body has reached the end of its record. */
  wakers: CallContext<RunMessages, unknown, void>['from'][] | undefined
  /** The callers that wait for its end. */
  readonly waiting: Set<CallContext<RunMessages, unknown, RunEnd>['from']>
  /** The callers that wait for answers, by the names of their updates. */
  readonly updates: Map<string, UpdateWaiters>
}

/**
 * The callers that wait for the answer of an update. `isReached`: the body has taken the update.
 */
export type UpdateWaiters = {
  readonly all: Set<CallContext<RunMessages, unknown, UpdateAnswer>['from']>
  isReached: boolean
}

/** The parts of an activation. */
export type ActivationTerms = {
  readonly workflow: Workflow
  readonly id: string
  readonly system: System
  /** The durable actors of the instance. */
  readonly entities: Pick<
    AppContext[typeof durableActors]['entities'],
    'trouble' | 'work' | 'isUnsure' | 'isElsewhere'
  >
  readonly present: Present
  /** A replay has diverged once. */
  readonly isSecond: boolean
  /**
   * The last place whose outcome an earlier body may have got, if known. Outcomes at later places
   * are new to the body.
   */
  readonly reached?: number | undefined
}
