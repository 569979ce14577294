/** The context of a durable actor: that of any process, and the parts of a turn. */

import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  type AnyContext,
  type AppContext,
  type Ref,
  ServerContext,
  type System,
} from '../../runtime/index.ts'
import { checkedKey, ownOptions, storedValue } from '../core/argument-check.ts'
import type { ShardTime } from '../core/shard-time.ts'
import { checkStreamName, type TurnStream } from '../streams/turn-streams.ts'
import {
  type AlarmTime,
  addsCall,
  type CallTarget,
  ownStreams,
  ownTime,
  whenDurable,
} from '../turns/durable-server.ts'
import { callStep, type RecordedCall } from '../turns/durable-table.ts'
import type { EndOptions } from '../turns/lifetime.ts'
import { settingOf } from '../turns/memory.ts'
import { type DurableRows, OwnRowsReader } from '../turns/own-rows.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import type { Body } from './background.ts'
import type { DurableProcess } from './durable-process.ts'
import type { DurableTerms } from './durable-terms.ts'

/** The implementation of `DurableContext`. */
export class TurnContext extends ServerContext {
  #actor!: DurableProcess
  #app: AppContext | undefined = undefined
  #rows: DurableRows | undefined = undefined

  /** Binds the context to its actor. Every turn of the actor uses this context. */
  belongTo(actor: DurableProcess): void {
    this.#actor = actor
  }

  get id(): string {
    return this.#actor.terms.identity.id
  }

  get step(): string {
    return `${this.#actor.terms.identity.entity}/${stepOf(this.#actor)}`
  }

  get writes(): TurnDraft['writes'] {
    return this.#actor.draft.writes
  }

  get rows(): DurableRows {
    this.#rows ??= new ContextRows(this.#actor, this.system)
    return this.#rows
  }

  stream(name: string): TurnStream {
    return new ContextStream(this.#actor, checkStreamName(name))
  }

  journal(entry: Parameters<TurnDraft['journal']>[0]): void {
    this.#actor.draft.journal(entry)
  }

  override get app(): unknown {
    this.#app ??= this.appFor(this.#actor.context, () => undefined)
    return this.#app
  }

  appFor(context: Pick<AnyContext, 'to'>, check: () => void): AppContext | undefined {
    return appBehind(super.app as AppContext | undefined, context, async () => {
      check()
      await this.#actor.given()
      check()
    })
  }

  get [ownStreams](): Pick<TurnDraft, 'streams' | 'streamNames'> {
    return this.#actor.draft
  }

  get [ownTime](): ShardTime {
    return this.#actor.terms.shard.time
  }

  /** For a machine: the shard's time, by which alarms go. */
  alarmNow(): number {
    const { open, terms } = this.#actor
    const { shard } = terms
    return open?.recording ? open.recording.shard(() => shard.now()) : shard.now()
  }

  override now(): number {
    const recording = this.#actor.open?.recording
    return recording ? recording.wall(() => super.now()) : super.now()
  }

  setAlarm(name: string, time: AlarmTime, payload: unknown): void {
    const self = this.#actor
    const { alarms } = self.terms.table
    if (!alarms[name])
      throw invalidArgument(
        'alarm',
        `one of its alarms: ${Object.keys(alarms).join(', ') || 'the server has none'}`,
        name,
      )
    const { draft } = self
    const at = timeOf(time, this.alarmNow(), self.terms.shard)
    const plain = { setting: draft.name, payload, at, dueAt: at, tries: 0, failure: undefined }
    const trace = draft.place
    draft.setAlarm(name, trace ? { trace, ...plain } : plain)
  }

  cancelAlarm(name: string): boolean {
    return this.#actor.draft.cancelAlarm(name)
  }

  addContinue(name: string, payload: unknown): string {
    const self = this.#actor
    return `${self.terms.identity.entity}/${self.addStep(name, payload).step}`
  }

  [addsCall]({ kind, id }: CallTarget, name: string, payloadOf: (step: string) => unknown): void {
    const self = this.#actor
    const step = `${self.terms.identity.entity}/${self.draft.nextStep}`
    self.addStep(callStep, { kind, id, name, payload: payloadOf(step) } satisfies RecordedCall)
  }

  [whenDurable](act: () => void): void {
    this.#actor.draft.hold({ leave: act })
  }

  cancelContinue(step: string): boolean {
    if (typeof step !== 'string') throw invalidArgument('step', 'a text', step)
    const { draft, terms } = this.#actor
    return draft.removeStep(step.slice(terms.identity.entity.length + 1))
  }

  background(body: Body): void {
    if (typeof body !== 'function') throw invalidArgument('background', 'a function', body)
    this.#actor.background.begin(body)
  }

  /** For a machine: as `Background.works`. */
  works(what: string): (() => void) | undefined {
    return this.#actor.background.works(what)
  }

  end(options: EndOptions = noOptions): void {
    this.#actor.end(ownOptions(options, ['keepMs', 'keys']))
  }

  override pipe(promise: Promise<unknown>, name: string): void {
    this.#actor.idleness.piped(promise)
    super.pipe(promise, name)
  }
}

/** `context.rows`: the rows that the actor keeps itself, as its current turn sees them. */
class ContextRows extends OwnRowsReader implements DurableRows {
  readonly #actor: DurableProcess

  constructor(actor: DurableProcess, system: System) {
    const { shard, identity } = actor.terms
    super(system, shard, () => {
      const { open, memory } = actor
      // The birth of rows that are stored: the first turn that keeps one has none to read.
      const { birth } = open?.before.memory ?? memory
      const { own: layer } = open ?? memory
      return { entity: identity.entity, birth, layer, view: () => actor.view() }
    })
    this.#actor = actor
  }

  put(key: string, value: unknown): void {
    this.#actor.draft.setOwn(checkedKey(key), storedValue(value, ['value']))
  }

  delete(key: string): boolean {
    const { draft } = this.#actor
    if (!this.find(checkedKey(key))) return false
    draft.setOwn(key, undefined)
    return true
  }
}

/** `context.stream(name)`: it belongs to the turn in which it is used. */
class ContextStream implements TurnStream {
  readonly name: string
  readonly #actor: DurableProcess

  constructor(actor: DurableProcess, name: string) {
    this.name = name
    this.#actor = actor
  }

  append(message: unknown): void {
    this.#actor.draft.streams.append(this.name, [message])
  }

  close(...last: readonly unknown[]): void {
    this.#actor.draft.streams.append(this.name, last, true)
  }
}

/** The present step; of an alarm its setting and its name; for other messages the turn. */
const stepOf = ({ draft }: DurableProcess): string => {
  const { kind, step, alarm } = draft.run
  const recorded = step?.step ?? (alarm && settingOf(alarm.name, alarm.set))
  if (recorded === undefined) return draft.name
  return kind === 'onFailed' ? `${recorded}/failed` : recorded
}

/**
 * The time of the shard at which an alarm fires. `at` is one of the machine's clock, as handlers
 * compare it. If the shard's time is ahead, it would be over there: a handler that finds it is not, and
 * sets the alarm again, would fire without end.
 */
const timeOf = (time: AlarmTime, now: number, shard: DurableTerms['shard']): number => {
  if (typeof time !== 'object' || time === null) throw invalidArgument('time', 'inMs or at', time)
  const { inMs, at } = time
  if ((at === undefined) === (inMs === undefined))
    throw invalidArgument('time', 'either inMs or at', `${Object.keys(time)}`)
  const [name, ms] = inMs === undefined ? (['at', at] as const) : (['inMs', inMs] as const)
  const isTime = typeof ms === 'number' && ms >= 0
  const whole = isTime ? (name === 'at' ? ms : now + Math.ceil(ms)) : Number.NaN
  if (!Number.isSafeInteger(whole)) throw invalidArgument(`time.${name}`, expected[name], ms)
  if (name === 'inMs') return whole
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, shard.time.aheadMs + whole))
}

const expected = { inMs: 'ms from 0', at: 'whole ms since 1970' }

/** Resolves when the state that the handler was given is durable. */
type Given = () => Promise<void>

/** The methods of a handle that answer with a promise. */
type Asked<T> = {
  [K in keyof T]: T[K] extends (...given: never[]) => Promise<unknown> ? K : never
}[keyof T]

/** The asked methods of a handle that write: all but `Reads`. The compiler misses none. */
type Writes<T, Reads extends Asked<T>> = Readonly<Record<Exclude<Asked<T>, Reads>, true>>

const storeWrites: Writes<AppContext['store'], 'load' | 'loadStale' | 'page' | 'settled'> = {
  put: true,
  putStream: true,
  putMany: true,
  set: true,
  getSet: true,
  update: true,
  append: true,
  setRange: true,
  compareAndSet: true,
  delete: true,
  deleteMany: true,
  lock: true,
  extend: true,
  unlock: true,
  lockedPut: true,
  expire: true,
  persist: true,
  putField: true,
  putFields: true,
  deleteField: true,
  clear: true,
}

type Journal = AppContext['journal']

const journalWrites: Writes<Journal, 'replay' | 'loadState'> = { append: true, saveState: true }

const batcherWrites: Writes<AppContext['batcher'], 'flush' | 'stop' | 'syncToken'> = {
  write: true,
  writeBatch: true,
  writePutBatch: true,
  writeDeleteBatch: true,
}

/** Those of a kind write, or end a process. */
const entityWrites: Writes<
  ReturnType<AppContext['entity']>,
  'counts' | 'count' | 'alarms' | 'history' | 'diff' | 'load' | 'page'
> = {
  delete: true,
  stop: true,
  migrateAll: true,
  unblock: true,
  retryStep: true,
  fireAlarm: true,
  cancelAlarm: true,
}

/**
 * The same `app` for one process. Messages through it are those of the process. Its writes wait for
 * `given`: no process may see an effect of a state that can still be lost.
 */
const appBehind = (
  app: AppContext | undefined,
  context: Pick<AnyContext, 'to'>,
  given: Given,
): AppContext | undefined =>
  app?.store === undefined
    ? app
    : {
        ...app,
        store: behind(app.store, storeWrites, given, {
          batch: () => batchBehind(app.store.batch(), given),
        }),
        journal: journalBehind(app.journal, given),
        batcher: behind(app.batcher, batcherWrites, given, {
          writePutBatchAsync: neverAsync,
          writeDeleteBatchAsync: neverAsync,
        }),
        registry: context.to(app.registry as Ref) as AppContext['registry'],
        entity: (kind) => {
          const handle = app.entity(kind)
          const ref = (id: string): Ref => context.to(handle.ref(id) as Ref)
          return behind(handle, entityWrites, given, { ref })
        },
        deleteWorker: (name) => given().then(() => app.deleteWorker(name)),
        unblockWorker: (name) => given().then(() => app.unblockWorker(name)),
      }

/** A handle whose `writes` wait for `given`, with some other methods. */
const behind = <T extends object>(
  handle: T,
  writes: object,
  given: Given,
  others: { readonly [method: PropertyKey]: unknown },
): T =>
  new Proxy(handle, {
    get: (target, name) => {
      if (Object.hasOwn(others, name)) return others[name]
      const found: unknown = Reflect.get(target, name, target)
      if (typeof found !== 'function') return found
      const method = found.bind(target) as (...args: unknown[]) => unknown
      if (!Object.hasOwn(writes, name)) return method
      return (...args: unknown[]) => given().then(() => method(...args))
    },
  })

const journalBehind = (journal: Journal, given: Given): Journal =>
  behind(journal, journalWrites, given, {
    on: (shard: number) => journalBehind(journal.on(shard), given),
    typed: () => journalBehind(journal, given),
  })

/** Such a write is admitted at once, and `given` is a promise. */
const neverAsync = (): never => {
  throw new KeelsonError('INVALID_ARGUMENT', 'a durable actor awaits its writes: writePutBatch')
}

type Batch = ReturnType<AppContext['store']['batch']>

const batchBehind = (batch: Batch, given: Given): Batch => {
  const commit = batch.commit.bind(batch)
  return Object.assign(batch, {
    commit: (...args: Parameters<typeof commit>) => given().then(() => commit(...args)),
  })
}
