/**
 * The turn of a durable actor whose handler runs. It is opened on the last known state. This file
 * alone changes the known state. A turn ends in one of these ways:
 *
 * | | known state | unit | answer and messages |
 * | --- | --- | --- | --- |
 * | `commit` | the new one | submitted | leave when the unit is durable |
 * | `leave` | as before | none | leave when the turns before it are durable |
 * | `drop` | as before | none | dropped: the handler runs again |
 * | `fail` | as before | none | dropped: the error is noted |
 *
 * `close` is a part of each of them: no turn is open after it.
 */

import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions, ownOf } from '../../own-names.ts'
import { NextStep, type Process, processOf } from '../../runtime/index.ts'
import { type Turn, workerKind } from '../../storage/index.ts'
import type { TurnTally } from '../turns/actor-trouble.ts'
import { type EndOptions, endAlarm } from '../turns/lifetime.ts'
import { type Memory, nothing, type Step } from '../turns/memory.ts'
import { type Known, TurnDraft } from '../turns/turn-draft.ts'
import type { TurnLog } from '../turns/turn-log.ts'
import type { HeldCall } from '../turns/turn-outputs.ts'
import { ownRun, type Run } from '../turns/turn-run.ts'
import { watchOf } from '../turns/turn-watch.ts'
import { blocked, otherKeysOf, storedOf } from '../turns/waking.ts'
import type { DurableTerms } from './durable-terms.ts'
import { type SharedContext, Try } from './try-context.ts'
import { TurnRecording } from './turn-record.ts'

/** Why the rows of an actor are removed: a caller asks for it, or the time after its end is over. */
export type Removal = 'delete' | 'end'

/** The current turn of one actor, and what the actor knows between its turns. */
export class CurrentTurn {
  #known: Known = { memory: nothing, stored: nothing }
  readonly #terms: DurableTerms
  readonly #context: SharedContext
  readonly #log: TurnLog<TurnDraft>
  readonly #process: Process
  readonly #incarnation: string
  readonly #tally: TurnTally

  constructor(terms: DurableTerms, context: SharedContext, log: TurnLog<TurnDraft>) {
    this.#terms = terms
    this.#context = context
    this.#log = log
    this.#process = processOf(context)
    this.#tally = terms.trouble.tallyOf(terms.identity.kind)
    const { clock } = this.#process.kernel
    this.#incarnation = Buffer.from(clock.randomBytes(8)).toString('hex')
  }

  /** The turn whose handler runs. */
  get open(): TurnDraft | undefined {
    return this.#log.open
  }

  get memory(): Memory {
    return this.#known.memory
  }

  /** The turn whose handler runs. @throws KeelsonError `INVALID_ARGUMENT` outside of handlers */
  get draft(): TurnDraft {
    if (this.open) return this.open
    const { entity } = this.#terms.identity
    throw new KeelsonError('INVALID_ARGUMENT', `no handler of ${entity} is running`)
  }

  /** Begins with what was read. Returns its state, as handlers get it. */
  remember(known: Known): unknown {
    this.#known = known
    return this.#terms.common.freeze(known.memory.state)
  }

  /** The first state. Records of `init` make a first turn; a bare state waits for one. */
  async bear(): Promise<void> {
    const { init } = this.#terms.table
    const draft = this.begin(ownRun('birth', 'init'))
    const answer = await init(this.#terms.arg, this.#context)
    const isStep = NextStep.is(answer)
    if (isStep && answer.kind !== 'ok')
      throw blocked(this.#terms.identity.entity, new Error(`its init answered ${answer.kind}`))
    const state = isStep ? answer.state : answer
    this.addContinue(draft, isStep ? answer : undefined)
    if (draft.hasRecords) this.commit(draft, state)
    else {
      this.close()
      draft.on('unchanged')
      draft.on('left')
      draft.leave()
      this.remember({ stored: nothing, memory: { ...nothing, state } })
    }
  }

  /** Opens a turn on the known state. */
  begin(run: Run): TurnDraft {
    const draft = new TurnDraft(run, this.#known, this.#incarnation, this.#tally)
    if (this.#process.kernel.watchesTurns) draft.watch = watchOf(this.#terms, this.#process, draft)
    const { table, common } = this.#terms
    if (common.record) draft.recording = TurnRecording.of(run, table, common.record)
    this.#log.open = draft
    this.#context.from = run.from
    return draft
  }

  /** A try of a step or an alarm. It is closed when its turn is dropped: then it has failed. */
  try(draft: TurnDraft, shared: SharedContext): Try {
    const one = new Try(
      shared,
      `${this.#terms.identity.entity}, ${draft.run.what}`,
      this.#terms.work,
    )
    draft.hold({ leave: () => one.end(), drop: () => one.close() })
    return one
  }

  /** No turn is open: what the process sends belongs to the last one on its way. */
  close(): void {
    this.#log.open = undefined
    // An idle actor keeps no call in memory.
    this.#context.from = undefined
  }

  /** Nothing of it leaves, and its calls stay open. */
  drop(draft: TurnDraft): void {
    this.close()
    draft.drop()
  }

  /** It has no effect, because of `error`. */
  fail(draft: TurnDraft, error: unknown): void {
    draft.on('failed')
    draft.failed(error)
    this.drop(draft)
  }

  /** The actor ends with this turn. @throws KeelsonError `INVALID_ARGUMENT` */
  endActor(draft: TurnDraft, { keepMs, keys }: EndOptions = noOptions): void {
    const { common, shard, identity } = this.#terms
    if (identity.kind === workerKind)
      throw new KeelsonError('INVALID_ARGUMENT', 'a durable worker ends with its place in the tree')
    if (keys && !common.keys)
      throw invalidArgument('keys', `false, or the option keys of the kind ${identity.kind}`, keys)
    const terms = { keepMs: keepMs ?? common.keepMs ?? 0, keys: keys ?? false }
    draft.endActor(endAlarm(draft.name, shard.now(), terms))
  }

  /** Records the `continue` of a handler's answer. */
  addContinue(draft: TurnDraft, step: NextStep | undefined): void {
    const recorded = ownOf(step?.next, 'continue')
    if (recorded === undefined) return
    const [name, payload] = recorded
    this.addStep(draft, name, payload)
  }

  /** Records a step. @throws KeelsonError `INVALID_ARGUMENT` without a handler of that name */
  addStep(draft: TurnDraft, name: string, payload: unknown): Step {
    const { table, identity, shard } = this.#terms
    if (!table.continues[name])
      throw new KeelsonError('INVALID_ARGUMENT', `${identity.entity} has no continue ${name}`)
    return draft.addStep(name, payload, shard.now())
  }

  /** Sends the turn on its way with a new state. @throws as `TurnDraft.end` */
  commit(draft: TurnDraft, state: unknown, rows: Turn['rows'] = []): void {
    const { table, common, identity } = this.#terms
    draft.checkEnd(state, identity.entity)
    if (common.keepMs !== undefined && draft.mayEnd && table.isFinal(state)) this.endActor(draft)
    const fields =
      state === draft.before.memory.state && draft.before.stored.mark
        ? draft.before.memory.fields
        : table.fieldsOf(state)
    const after = draft.memoryOf(common.freeze(state), fields)
    draft.end(after, this.#terms, rows)
    this.#known = { memory: after, stored: after }
    this.leave(draft)
  }

  /** The actor knows again what it knew before this turn, which was refused. */
  takeBack({ before }: TurnDraft): void {
    this.#known = before
  }

  /**
   * Submits the removal of all rows, also of a blocked actor, and answers whether a call asked for it.
   * False: it has none.
   * @throws KeelsonError `UNSUPPORTED_VERSION`, `CORRUPT` if a blocked one cannot be read at all;
   * `SHARD_DOWN`
   */
  remove(from: HeldCall, why: Removal, isBlocked: boolean): boolean {
    const { shard, identity } = this.#terms
    if (isBlocked) this.#known = { memory: nothing, stored: storedOf(shard, identity) }
    if (this.#known.stored.mark === undefined) return false
    // No draft is open while rows are read: it would hold the notice of a failure.
    const others = otherKeysOf(shard, identity.entity)
    const draft = this.begin(ownRun('call', why, from))
    draft.endAll(this.#terms, others)
    from.reply(why === 'delete')
    draft.hold({ leave: () => this.#terms.removed() })
    this.leave(draft)
    return true
  }

  /** Sends the removal of rows that note keys of users on its way; with `isDeep` of the keys too. */
  removeKeys(
    keys: ReadonlyMap<string, string>,
    isDeep: boolean,
    from: HeldCall,
    why: Removal,
  ): void {
    const draft = this.begin(ownRun('call', `${why} keys`, from))
    try {
      draft.endKeys(keys, isDeep, this.#terms)
    } catch (error) {
      this.fail(draft, error)
      throw error
    }
    this.#known = { memory: draft.after as Memory, stored: draft.after as Memory }
    this.leave(draft)
  }

  /** Closes it, and sends it on its way as it is: without a unit, unless it has one. */
  leave(draft: TurnDraft): void {
    this.close()
    draft.watch?.ran()
    this.#log.commit(draft)
  }
}
