/**
 * The appends of a shard on their way into its log: the group that fills, the groups that wait or
 * are with the log, and groups in the log without an answer. They live in the `Shard` value: a
 * writer takes the groups and an applier answers them, and the death of either costs no append its
 * answer. The next writer waits for the groups that the one before it handed to the log; the next
 * applier answers the groups that the one before it left.
 */
import type { Clock } from '../../clock.ts'
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import type { From } from '../../runtime/index.ts'
import {
  type Commit,
  type Durability,
  type FrameUnits,
  GroupFiller,
  type GroupLimits,
  GroupQueue,
  type GroupWrite,
  type LogHost,
  outcomeOf,
  type UnitAnswer,
  type WriteGroup,
} from '../../storage/index.ts'

/** A write on its way into the log, which becomes a frame. */
export interface Append extends GroupWrite {
  readonly units: FrameUnits
  /** Of its first key. */
  readonly namespace: string
  /** It is at `lsn`, and its units answered so. */
  applied(lsn: number, answers: readonly UnitAnswer[]): void
}

/** The appends that share one commit. */
export type AppendGroup = WriteGroup<Append>

/** A request to the log: its answer, and the epoch of the log that was asked. */
type Asked<Answer> = { readonly host: LogHost; readonly answer: Promise<Answer> }

/** A group in the log's queue. */
export type GroupTurn = {
  readonly kind: 'group'
  readonly group: AppendGroup
  /** The units of each append, set when the group is taken. */
  units: readonly FrameUnits[]
  /** Set when the log was asked to commit it. */
  asked: Asked<Commit> | undefined
}

/** A turn without a group: it writes a marker, or answers `settled`. */
export type Step = {
  readonly kind: 'step'
  readonly settled: From<void> | undefined
  /** Set when the log was asked for the marker. */
  asked: Asked<{ readonly durableLsn: number }> | undefined
}

/** A group in the log. The applier answers every waiter of it. */
export type CommittedGroup = {
  readonly group: AppendGroup
  /** The units of each append. There may be more than LSNs: the log refused the last ones. */
  readonly units: readonly FrameUnits[]
  readonly time: number
  /** The log was durable up to here when the group was committed. */
  readonly durableLsn: number
}

/** The facts of a group that the log has. */
export type Written = Pick<Commit, 'lsns' | 'time' | 'durableLsn'> & {
  readonly refused?: KeelsonError | undefined
}

/** Called when a windowed append gives a group a departure, or an earlier one. */
export type Departing = (group: AppendGroup, append: Append) => void

/** The groups of one shard. */
export class Appends {
  /** Turns that wait for the log or are with it. A group that is dropped has ended. */
  readonly queue = new GroupQueue<GroupTurn | Step>((turn) => {
    if (turn.kind === 'group') this.#end(turn.group)
  })
  /** Of the log that is open or was open last. */
  durability: Durability | undefined = undefined
  readonly #filler: GroupFiller<Append>
  /** Groups that were begun and have not ended, in order. */
  readonly #underWay = new Map<AppendGroup, End>()
  /** Groups in the log that were not applied, in order. */
  readonly #unheard: CommittedGroup[] = []
  #writtenLsn = 0
  #departing: Departing | undefined

  constructor(limits: GroupLimits, clock: Clock) {
    this.#filler = new GroupFiller(limits, clock)
  }

  /** Whether a batcher listens. Without one, no write may wait for a departure. */
  get keepsDepartures(): boolean {
    return this.#departing !== undefined
  }

  /**
   * Calls `departing`, in place of the last listener, at every departure from now on; `undefined`:
   * none.
   */
  listen(departing: Departing | undefined): void {
    this.#departing = departing
  }

  /**
   * Whether the group that fills is full and waits for another: then a write that will not wait is
   * refused.
   */
  isFullFor(append: Append): boolean {
    const { last } = this.#filler
    return this.#underWay.size > 1 && last?.isFilling === true && !last.takes(append)
  }

  /** The group that an append joins; `undefined` if one is to be begun. */
  groupFor(append: Append): AppendGroup | undefined {
    return this.#filler.groupFor(append)
  }

  /** Begins a new group in the log's queue; the one before it may leave. */
  begin(): AppendGroup {
    const group = this.#filler.begin()
    this.#underWay.set(group, new End())
    this.queue.push({ kind: 'group', group, units: [], asked: undefined })
    return group
  }

  /** Calls the listener: `append` has set the group's departure. */
  departs(group: AppendGroup, append: Append): void {
    this.#departing?.(group, append)
  }

  /** Resolves when a group has ended, with its failure if it failed. */
  endOf(group: AppendGroup): Promise<unknown> {
    return this.#underWay.get(group)?.promise ?? Promise.resolve()
  }

  /** The group that was begun last. */
  get last(): AppendGroup | undefined {
    return this.#filler.last
  }

  /** Resolves when every group that there is now has ended. */
  async ended(): Promise<void> {
    await Promise.all([...this.#underWay.values()].map(({ promise }) => promise))
  }

  /** Takes back the memory of a group that was written. */
  reuse(spent: Uint8Array): void {
    this.#filler.reuse(spent)
  }

  /** The last LSN of the log that is no group's in flight. */
  get writtenLsn(): number {
    return this.#writtenLsn
  }

  /** The log was opened, and has frames up to `lsn`. */
  opened(lsn: number): void {
    this.#writtenLsn = Math.max(this.#writtenLsn, lsn)
  }

  /**
   * The log has the first appends of the group in flight; the others are refused, or were never
   * written. The first wait for the applier.
   */
  committed(turn: GroupTurn, { lsns, time, durableLsn, refused }: Written): void {
    const { group, units } = turn
    this.queue.back(turn)
    group.committed(lsns, refused)
    const last = lsns.at(-1)
    if (last === undefined) {
      this.#end(group, refused)
      return
    }
    this.opened(last)
    this.#unheard.push({ group, units, time, durableLsn })
  }

  /** The log refused the group in flight before it wrote a byte; the log goes on. */
  refused(turn: GroupTurn, error: KeelsonError): void {
    this.queue.back(turn)
    turn.group.refuse(error)
    this.#end(turn.group, error)
  }

  /** The first group in the log that was not applied. */
  get unheard(): CommittedGroup | undefined {
    return this.#unheard[0]
  }

  /**
   * The last LSN that a new applier reads from the log. It takes the later groups, because their
   * callers wait for its answer.
   */
  get heardLsn(): number {
    const [first] = this.#unheard[0]?.group.lsns ?? []
    return first === undefined ? this.#writtenLsn : first - 1
  }

  /** The first unheard group was applied, and its callers were answered. */
  heard(): void {
    const first = this.#unheard.shift()
    if (first) this.#end(first.group)
  }

  /**
   * The shard is down. Groups that were not handed to the log get `error`. The others wait for the
   * next writer, or for their deadlines.
   */
  refuse(error: KeelsonError): void {
    for (const turn of this.queue.clear())
      if (turn.kind === 'group') {
        turn.group.refuse(error)
        this.#end(turn.group, error)
      }
  }

  /** No writer will come, or none may trust the log: every append ends without an answer. */
  lose(error: KeelsonError): void {
    this.queue.clear()
    for (const turn of this.queue.inFlight) this.queue.back(turn)
    this.#unheard.length = 0
    // The next epoch of the log may have less.
    this.#writtenLsn = 0
    for (const group of [...this.#underWay.keys()]) {
      group.lose(error)
      this.#end(group, error)
    }
  }

  #end(group: AppendGroup, failure?: unknown): void {
    const end = this.#underWay.get(group)
    this.#underWay.delete(group)
    end?.resolve(failure)
  }
}

/** The end of a group. It resolves with the failure, if there was one. */
class End {
  resolve: (failure: unknown) => void = () => undefined
  readonly promise = new Promise<unknown>((resolve) => {
    this.resolve = resolve
  })
}

/** The error for the caller of a write that failed before the log: a refusal is passed on. */
export const beforeTheLog = (failure: unknown): KeelsonError =>
  isKeelsonError(failure) && !callFailures.has(failure.code)
    ? failure
    : outcomeOf('unsubmitted', failure)

/** Failures of a call, which say nothing about the write. */
const callFailures: ReadonlySet<string> = new Set([
  'TIMEOUT',
  'EXITED',
  'NO_PROCESS',
  'MAILBOX_FULL',
])
