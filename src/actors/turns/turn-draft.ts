/**
 * A turn while its handler runs: what it has asked for so far. When the handler has returned, the
 * draft and the new state make the next memory and the unit.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { NextStep } from '../../runtime/index.ts'
import {
  type Command,
  type EntityRowChange,
  type EntryUnit,
  encodeCause,
  entryUnit,
  markBytes,
  namedKeys,
  removalRowKey,
  type StoredValue,
  shardOf,
  type Turn,
  type TurnMark,
  unitBytesMax,
  writtenKeyRowKey,
} from '../../storage/index.ts'
import type { TraceContext } from '../../trace-context.ts'
import { type EntryInput, entryContentOf } from '../journal/entry-input.ts'
import { Batch } from '../store/batch.ts'
import { deletedStreams, TurnStreams } from '../streams/turn-streams.ts'
import type { ActorShard } from './actor-shard.ts'
import type { TurnTally } from './actor-trouble.ts'
import type { CallIds } from './call-ids.ts'
import { causesMax, type DurableTable } from './durable-table.ts'
import { ended, endIn, endName } from './lifetime.ts'
import {
  type Alarm,
  type Crash,
  type Fields,
  type Identity,
  type Memory,
  mainRow,
  nothing,
  rowChanges,
  type Step,
} from './memory.ts'
import { OwnLayer } from './own-rows.ts'
import { LoggedTurn } from './turn-log.ts'
import type { Run } from './turn-run.ts'
import type { TurnWatch } from './turn-watch.ts'

/**
 * The content of the rows (`stored`), and the memory of the actor. They differ until the first turn
 * after waking is written: the state was migrated, or `init` made it.
 */
export type Known = { readonly memory: Memory; readonly stored: Memory }

/** How long after its record a step that has not run wakes its actor, in ms. */
const stepGraceMs = 1_000

/** One turn, from its begin until it is out. */
export class TurnDraft extends LoggedTurn<Run> {
  readonly before: Known
  readonly mark: TurnMark
  /** The memory after it, once it has ended with a unit. */
  after: Memory | undefined = undefined
  /** Its times and its trace, while turns are watched. */
  watch: TurnWatch | undefined = undefined
  #undo: (() => void) | undefined = undefined
  #steps: readonly Step[]
  /** The list of this turn, once it has changed one. */
  #ownSteps: Step[] | undefined = undefined
  #recorded = 0
  #alarms: Map<string, Alarm> | undefined = undefined
  #batch: Batch | undefined = undefined
  #entries: EntryUnit[] | undefined = undefined
  /** The end of the actor, if it ends with this turn. */
  #end: Alarm | undefined = undefined
  /** Its row is written also if nothing in it changes. */
  #isWritten = false
  #own: OwnLayer | undefined = undefined
  #streams: TurnStreams | undefined = undefined
  #crash: Crash | undefined

  /** Where its end is counted; `undefined` when it was. */
  #tally: TurnTally | undefined

  constructor(run: Run, before: Known, incarnation: string, tally?: TurnTally) {
    super(run)
    this.#tally = tally
    this.before = before
    this.mark = { incarnation, seq: (before.memory.mark?.seq ?? 0) + 1 }
    this.#steps = before.memory.steps
    this.#crash = before.memory.crash
    if (run.step) this.removeStep(run.step.step)
    if (run.alarm) this.cancelAlarm(run.alarm.name)
  }

  /** The name of the turn. */
  get name(): string {
    return `${this.mark.incarnation}/${this.mark.seq}`
  }

  /** Commands on users' keys. */
  get writes(): Batch {
    this.#batch ??= new Batch(async () => {
      throw invalidArgument('batch', 'left to the turn, which commits it', 'commit')
    })
    return this.#batch
  }

  /** Journals an entry with this turn. */
  journal(entry: EntryInput): void {
    this.#entries ??= []
    this.#entries.push(entryUnit(entryContentOf(entry)))
  }

  /** Writes the row, in the version of the server, whatever the handler changes. */
  writeRow(): void {
    this.#isWritten = true
  }

  /** The own rows that it sees. */
  get own(): OwnLayer | undefined {
    return this.#own ?? this.before.memory.own
  }

  /**
   * The birth under which the actor keeps its own rows. The turn that sets the first own row begins
   * the birth.
   */
  get birth(): string | undefined {
    return this.before.memory.birth ?? (this.#own && this.mark.incarnation)
  }

  /** Sets an own row; `undefined` removes it. */
  setOwn(key: string, value: StoredValue | undefined): void {
    this.#own ??= new OwnLayer(this.before.memory.own)
    this.#own.set(key, value)
  }

  /** Its changes of streams. */
  get streams(): TurnStreams {
    this.#streams ??= new TurnStreams(this.before.memory.streams)
    return this.#streams
  }

  /** The names of the streams of the actor, with those of this turn. */
  get streamNames(): readonly string[] {
    return this.#streams?.names ?? this.before.memory.streams
  }

  /** Keeps the record of a crash; `undefined`: what crashed has succeeded. */
  keepCrash(crash: Crash | undefined): void {
    this.#crash = crash
  }

  override leave(): void {
    this.#own?.leave()
    super.leave()
    if (this.#tally) this.#tally.ok++
    this.#tally = undefined
    this.watch?.over()
  }

  override drop(error?: unknown): void {
    super.drop(error)
    this.watch?.dropped(this.refusal)
  }

  /** It has no effect, because of `error`. */
  failed(error: unknown): void {
    this.#tally?.fails(error)
    this.#tally = undefined
    this.watch?.over({ error })
  }

  /** Its unit was refused. Of a step or an alarm the failure is a separate turn, which comes next. */
  refused(error: unknown): void {
    if (!this.run.isRecorded) this.failed(error)
  }

  /** Its place in a trace, for what it records. */
  get place(): TraceContext | undefined {
    return this.watch?.place
  }

  /** The name of the next step that it records. */
  get nextStep(): string {
    return `${this.name}/${this.#recorded}`
  }

  /** Records a step. */
  addStep(name: string, payload: unknown, now: number): Step {
    const step = this.nextStep
    this.#recorded++
    const wakeAt = now + stepGraceMs
    const plain = { step, name, payload, tries: 0, notBefore: 0, wakeAt, failure: undefined }
    const trace = this.place
    const added: Step = trace ? { trace, ...plain } : plain
    this.#ownSteps ??= [...this.#steps]
    this.#ownSteps.push(added)
    this.#steps = this.#ownSteps
    return added
  }

  /** The actor ends with this turn. The turn records neither steps nor alarms. */
  endActor(end: Alarm): void {
    this.#end = end
  }

  /** Whether the actor ends with this turn, or could: no step waits. */
  get mayEnd(): boolean {
    return (
      this.#end === undefined && endIn(this.before.memory) === undefined && this.#steps.length === 0
    )
  }

  /** Takes a step back. Returns false if there is none of this name. */
  removeStep(step: string): boolean {
    const left = this.#steps.filter((each) => each.step !== step)
    if (left.length === this.#steps.length) return false
    this.#steps = this.#ownSteps = left
    return true
  }

  /** Keeps a step that has failed in its place, to be tried again. */
  keepStep(step: Step): void {
    this.#steps = this.#steps.map((each) => (each.step === step.step ? step : each))
  }

  setAlarm(name: string, alarm: Alarm): void {
    this.#alarms ??= new Map(this.before.memory.alarms)
    this.#alarms.set(name, alarm)
  }

  cancelAlarm(name: string): boolean {
    if (!(this.#alarms ?? this.before.memory.alarms).has(name)) return false
    this.#alarms ??= new Map(this.before.memory.alarms)
    return this.#alarms.delete(name)
  }

  /** Remembers the outcome of a call with an id. Returns the rows to change, if there are any. */
  remember(ids: CallIds, step: NextStep, now: number): Turn['rows'] | undefined {
    const { call, outcome } = this.run.from ?? {}
    if (call?.id === undefined) return undefined
    // The reply of a `stopReply` leaves later.
    const last = step.kind === 'stopReply' ? ({ ok: true, value: step.value } as const) : outcome
    const { rows, undo } = ids.remember(call, last, now, this.mark.seq)
    this.#undo = undo
    return rows
  }

  /** Its writes beside the rows of its actor, for a turn that is run again. */
  othersOf(entity: string): Required<Pick<Turn, 'writes' | 'entries' | 'streams'>> {
    const writes = this.#batch && this.#batch.size > 0 ? this.#batch.taken() : []
    const streams = this.#streams?.partsFor(entity) ?? []
    return { writes, entries: this.#entries ?? [], streams }
  }

  /** Takes back what it did to the remembered ids. */
  undo(): void {
    this.#undo?.()
    this.#undo = undefined
  }

  /** The memory after this turn, with a new state. */
  memoryOf(state: unknown, fields: Fields): Memory {
    const { mark, birth, own } = this
    const crash = this.#crash
    const streams = this.streamNames
    // Nothing of an actor runs after its end.
    if (this.#end) {
      const alarms = new Map([[endName, this.#end]])
      return { state, mark, steps: [], alarms, fields, birth, own, streams, crash }
    }
    const alarms = this.#alarms ?? this.before.memory.alarms
    return { state, mark, steps: this.#steps, alarms, fields, birth, own, streams, crash }
  }

  /** Whether it asked for something that must be durable, beside its state. */
  get hasRecords(): boolean {
    return this.#isWritten || this.#hasChanges || this.#crash !== this.before.memory.crash
  }

  get #hasChanges(): boolean {
    const { steps } = this.before.memory
    const hasWrites = this.#batch !== undefined || this.#entries !== undefined
    const hasRows =
      this.#alarms !== undefined || this.#own !== undefined || this.#streams !== undefined
    return hasRows || hasWrites || this.#end !== undefined || this.#steps !== steps
  }

  /** Whether it records a step or an alarm. */
  get #recordsMore(): boolean {
    const { name } = this
    return (
      this.#steps.some(({ step }) => step.startsWith(name)) ||
      [...(this.#alarms?.values() ?? [])].some(({ setting }) => setting.startsWith(name))
    )
  }

  /**
   * Requires that a turn with this new state agrees with the end of its actor.
   * @throws KeelsonError `CONFLICT` for a change after the end; `INVALID_ARGUMENT` for a turn that
   * ends the actor, and records what would run later
   */
  checkEnd(state: unknown, entity: string): void {
    const { memory } = this.before
    const end = endIn(memory)
    if (end && (state !== memory.state || this.#hasChanges)) throw ended(entity, end)
    if (this.#end && this.#recordsMore)
      throw new KeelsonError(
        'INVALID_ARGUMENT',
        `${entity} ends with this turn, and no step or alarm runs after its end: end it with theirs`,
        { details: { path: 'end' } },
      )
  }

  /**
   * Ends it with a unit that leads to `after`. `rows`: to be changed beside those of the memory.
   * `shards`: its keys share one of so many, those of the plan.
   * @throws KeelsonError `INVALID_ARGUMENT` for a state that cannot be stored, `TOO_LARGE`,
   * `CROSS_SHARD`; `BUSY` if it journals while the journal takes no entry
   */
  end(
    after: Memory,
    terms: UnitTerms,
    rows: readonly EntityRowChange[],
    shards = terms.shard.parts.shardsPlan,
  ): void {
    const { identity, table, shard } = terms
    const refusal = this.#entries && shard.journal.refusal(shard.index)
    if (refusal) throw shard.gate.counts(refusal)
    const row = mainRow(after, this.mark, table.version, table.shape)
    checkSize(row.length - markBytes, identity.entity, shard)
    const writes = this.#batch === undefined ? [] : ownCommands(this.#batch, terms, shards)
    const changes = rowChanges(identity, this.before.stored, after)
    const noted = terms.common.keys ? notedKeys(identity, writes) : []
    const unit: { -readonly [K in keyof Turn]: Turn[K] } = {
      kind: 'turn',
      entity: identity.entity,
      follows: this.before.stored.mark,
      row,
      rows: noted.length + rows.length === 0 ? changes : [...changes, ...noted, ...rows],
      writes,
      cause: causeIn(this.run, table),
    }
    if (this.#entries) unit.entries = this.#entries
    const recorded = this.recording?.bytes(this.run)
    if (recorded) unit.recorded = recorded
    if (this.#own && this.birth) unit.own = { birth: this.birth, changes: [...this.#own.changes] }
    if (this.#streams) unit.streams = this.#streams.partsFor(identity.entity)
    this.unit = unit
    this.after = after
  }

  /**
   * Ends it with a unit that removes the rows that note these keys of users, and with `isDeep` the
   * keys. Nothing else changes.
   */
  endKeys(keys: ReadonlyMap<string, string>, isDeep: boolean, terms: UnitTerms): void {
    const { identity, table, shard } = terms
    const { memory } = this.before
    // They were written before there was a plan, and before a split, which leaves those of other shards.
    const { shardCount } = shard.parts
    const own = [...keys.values()].filter((key) => shardOf(key, shardCount) === shard.index)
    if (isDeep && own.length > 0) this.writes.deleteMany(own)
    const removed = [...keys.keys()].map((rowKey): EntityRowChange => [rowKey, undefined])
    this.end(
      { ...memory, mark: this.mark },
      { identity, table, shard, common: { keys: false } },
      removed,
      shardCount,
    )
  }

  /** Ends it with a unit that removes every row. `others`: rows that its memory does not know. */
  endAll({ identity, table }: UnitTerms, others: readonly string[]): void {
    const unit = removalOf(identity, this.before.stored, others)
    this.unit = { ...unit, cause: causeIn(this.run, table) }
    this.after = nothing
  }
}

/**
 * The unit that removes every row of an actor. `callIds`: the keys of remembered calls. Its own
 * rows may be many: a row says that their birth has ended, and `expirer.ts` removes them.
 */
export const removalOf = (identity: Identity, stored: Memory, callIds: readonly string[]): Turn => {
  const changes = rowChanges(identity, stored, nothing)
  const { entity } = identity
  const ids = callIds.map((key): EntityRowChange => [key, undefined])
  const own: EntityRowChange[] =
    stored.birth === undefined ? [] : [[removalRowKey(entity, stored.birth), new Uint8Array(0)]]
  const unit: Turn = {
    kind: 'turn',
    entity,
    follows: stored.mark,
    row: undefined,
    rows: [...changes, ...ids, ...own],
    writes: [],
  }
  const streams = deletedStreams(entity, stored.streams)
  return streams.length === 0 ? unit : { ...unit, streams }
}

/** The facts about its actor that a unit has. */
export type UnitTerms = {
  readonly identity: Identity
  readonly table: DurableTable
  readonly shard: ActorShard
  readonly common: {
    /** Turns note the keys that they write. */
    readonly keys: boolean
  }
}

/** The rows that note the keys of these commands. */
const notedKeys = ({ entity }: Identity, writes: readonly Command[]): readonly EntityRowChange[] =>
  writes.flatMap(namedKeys).map((key) => [writtenKeyRowKey(entity, key), Buffer.from(key)])

/** A state takes at most 1 MiB, and half of a unit: the turn may carry more. */
const checkSize = (bytes: number, entity: string, shard: ActorShard): void => {
  const bytesMax = Math.min(1024 * 1024, unitBytesMax(shard.files.parts.logOptions) >> 1)
  if (bytes <= bytesMax) return
  throw new KeelsonError('TOO_LARGE', `the state of ${entity} takes ${bytes} bytes`, {
    details: { bytes, bytesMax },
  })
}

/** The commands of a batch, all on keys in the shard of the actor, of so many shards. */
const ownCommands = (batch: Batch, { identity }: UnitTerms, shards: number): readonly Command[] => {
  const commands = batch.size === 0 ? [] : batch.taken()
  const keys = commands.flatMap(namedKeys)
  if (keys.length === 0) return commands
  const own = shardOf(`{${identity.entity}}`, shards)
  for (const key of keys)
    if (shardOf(key, shards) !== own)
      throw new KeelsonError('CROSS_SHARD', `${key} is not in the shard of ${identity.entity}`, {
        details: { keys: [key], entity: identity.entity },
      })
  return commands
}

/** The bytes of the cause of a turn: its message, and the caller if it called through `context.to`. */
const causeIn = (run: Run, { causes, eventOf }: DurableTable): Uint8Array => {
  const event = eventOf?.(run.name, run.payload)
  const what = event === undefined ? run.what : `${run.from ? 'call' : 'event'} ${event}`
  const caller = run.from?.call.maker
  // The background work of an actor calls the actor itself.
  if (caller && run.kind !== 'apply') return encodeCause(what, String(caller))
  const found = causes.get(what)
  if (found !== undefined) return found
  const bytes = encodeCause(what)
  // A text that was cut may be long.
  if (causes.size < causesMax && what.length <= bytes.length) causes.set(what, bytes)
  return bytes
}
