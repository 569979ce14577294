/**
 * Runs a recorded turn again, with the handler of another program, on the state before it. A new process
 * has the context of a real turn. Nothing leaves it: messages, timers and starts are only noted, and
 * no step, alarm or effect runs. It is apart from `turn-verdicts.ts`, which compares what came of it.
 */
import {
  Address,
  type Answerable,
  type GenServer,
  isCall,
  isThenable,
  type Message,
  type Messages,
  NextStep,
  type Outputs,
  type Process,
  processOf,
  type System,
  stop,
  unchanged,
} from '../../runtime/index.ts'
import {
  compareKeys,
  isWithin,
  ownKeyOf,
  ownRowKey,
  type Row,
  readMainRow,
  rowTags,
} from '../../storage/index.ts'
import type { ReadView } from '../core/read-view.ts'
import { TurnContext } from '../durable/durable-context.ts'
import { type TurnRecord, TurnRecording } from '../durable/turn-record.ts'
import type { Handler } from '../turns/durable-table.ts'
import { type EndOptions, endAlarm } from '../turns/lifetime.ts'
import { type Memory, nothing, readAlarm, readBody, type Step } from '../turns/memory.ts'
import { TurnDraft } from '../turns/turn-draft.ts'
import type { HeldCall, Outcome } from '../turns/turn-outputs.ts'
import { Run } from '../turns/turn-run.ts'
import { stateIn } from '../turns/waking.ts'
import type { NewServer } from './actor-verdicts.ts'
import type { RecordedTurn } from './recorded-turns.ts'

/** The reason why a turn is not run again. */
export class NotRerun extends Error {
  override readonly name = 'NotRerun'
}

/** The effects of a turn that was run again. */
export type Rerun = {
  readonly memory: Memory
  readonly draft: TurnDraft
  readonly record: Uint8Array | undefined
}

/** A turn as the program would handle it. Throws `NotRerun`, and what the handler throws. */
export const rerun = async (
  system: System,
  recorded: RecordedTurn,
  record: TurnRecord,
  server: NewServer,
  within: <T>(run: () => T) => T,
): Promise<Rerun> => {
  let found: Rerun | undefined
  let failure: { readonly error: unknown } | undefined
  const acts = (context: RerunContext): void => {
    try {
      const actor = new RerunActor(recorded, record, server, context)
      found = within(() => actor.handles())
    } catch (error) {
      failure = { error }
    }
  }
  const once = {
    kind: 'rehearsed turn',
    Context: RerunContext,
    init: (_: undefined, context: RerunContext) => {
      processOf(context).outputs = new Notes(context)
      acts(context)
      return stop('normal', undefined)
    },
  } as unknown as GenServer<Messages, undefined, undefined>
  await system.start(once, undefined).catch(() => undefined)
  if (failure) throw failure.error
  if (!found) throw new NotRerun('its process has ended')
  return found
}

/** The outputs of a turn that is run again: what is recorded of a turn is noted, and nothing leaves. */
class Notes implements Outputs {
  readonly isOpen = true
  readonly isDurable = true
  readonly #context: RerunContext

  constructor(context: RerunContext) {
    this.#context = context
  }

  send(_: unknown, message: Message, ref?: Parameters<TurnRecording['sends']>[0]): boolean {
    if (!isCall(message) && ref) this.#context.recording?.sends(ref, message)
    return true
  }

  answering(call: Answerable): Answerable {
    return call
  }

  begin(process: { withdraw(): void }): void {
    process.withdraw()
  }

  ended(notify: () => void): void {
    notify()
  }

  startTimer(): void {}

  exit(): void {}

  hold(): void {}
}

/** The context of a turn, whose names all lead to a process that takes every message. */
class RerunContext extends TurnContext {
  recording: TurnRecording | undefined
  readonly #known: KnownApp = knownApp((name) => this.#to(name))

  override get app(): unknown {
    return this.#known
  }

  override to(target: Parameters<TurnContext['to']>[0]): ReturnType<TurnContext['to']> {
    if (typeof target === 'string') return this.#to(target)
    const found = super.to(target)
    return found.name === undefined ? found : this.#to(found.name)
  }

  override send(
    target: Parameters<TurnContext['to']>[0],
    name: string,
    payload?: unknown,
  ): boolean {
    return super.send(this.to(target), name, payload)
  }

  override call(): Promise<never> {
    throw new NotRerun('it calls another process')
  }

  #to(name: string): ReturnType<TurnContext['to']> {
    const process = processOf(this)
    const directory = { holderOf: () => process, awaitHolder: () => never('waits for a name') }
    return new Address<Process>(directory as never, undefined, name, process)
  }
}

const never = (what: string): never => {
  throw new NotRerun(`it ${what}`)
}

type KnownApp = { readonly entity: (kind: string | { readonly id: string }) => object }

/** `context.app`: refs to entities, for messages. Anything else reads or writes outside of the turn. */
const knownApp = (to: (name: string) => unknown): KnownApp => {
  const refs = (kind: string) => ({ ref: (id: string) => to(`${kind}/${id}`) })
  const entity: KnownApp['entity'] = (kind) =>
    strict(refs(typeof kind === 'string' ? kind : kind.id), 'uses context.app.entity')
  return strict({ entity }, 'uses context.app')
}

const strict = <T extends object>(members: T, what: string): T =>
  new Proxy(members, {
    get: (target, name) => {
      if (Object.hasOwn(target, name)) return Reflect.get(target, name)
      // A look at its text, or whether it is a promise.
      if (typeof name === 'symbol' || name === 'then') return undefined
      return never(`${what}.${name}`)
    },
  })

/** The call that a turn answers. */
class Asked {
  outcome: Outcome | undefined
  readonly caller = undefined
  readonly call = { id: undefined, isSettled: false }

  reply(value: unknown): boolean {
    return this.#decides({ ok: true, value })
  }

  fail(error: unknown): boolean {
    return this.#decides({ ok: false, error })
  }

  handTo(): void {}

  #decides(outcome: Outcome): boolean {
    if (this.outcome) return false
    this.outcome = outcome
    return true
  }
}

/** An actor for one turn, as its context uses it: the parts of `DurableProcess` that a handler reaches. */
class RerunActor {
  readonly terms: {
    readonly identity: { readonly kind: string; readonly id: string; readonly entity: string }
    readonly table: NewServer['table']
    readonly shard: object
  }
  readonly context: RerunContext
  readonly memory: Memory
  readonly draft: TurnDraft
  readonly background = { begin: () => undefined, works: () => () => undefined }
  readonly idleness = { piped: () => undefined }
  readonly #server: NewServer
  readonly #recorded: RecordedTurn
  readonly #run: Run
  readonly #recording: TurnRecording
  readonly #now: number

  constructor(
    recorded: RecordedTurn,
    { section, name, wall, shard: at, payload }: TurnRecord,
    server: NewServer,
    context: RerunContext,
  ) {
    const { kind, id, time, before, turn } = recorded
    const { table } = server
    if (!before) throw new NotRerun('the log begins after the turn before it')
    if ('hash' in payload) throw new NotRerun('its payload is longer than `bytesMax`')
    if (table.wake && table.machine === undefined)
      throw new NotRerun('its server has `wake`, which makes what a handler uses')
    this.context = context
    this.#server = server
    this.#recorded = recorded
    this.#now = at ?? time
    const now = (): number => this.#now
    const identity = { kind, id, entity: `${kind}/${id}` }
    const blobs = { parts: { terms: { threshold: 0 } } }
    const shard = { now, time: { aheadMs: 0, now, wall: now }, blobs }
    this.terms = { identity, table, shard: strict(shard, 'reads a value in blobs:') }
    const handler = table[section][name] as Handler | undefined
    if (!handler) throw new Error(`there is no ${section.slice(0, -1)} ${name}`)
    const from = section === 'calls' ? (new Asked() as unknown as HeldCall) : undefined
    const what = `${section.slice(0, -1)} ${name}`
    const way = from ? 'call' : 'message'
    this.#run = new Run(way, handler, payload.value, what, name, from)
    context.belongTo(this as never)
    this.memory = this.#memoryIn(before)
    const known = { memory: this.memory, stored: this.memory }
    const incarnation = turn.row ? readMainRow(turn.row).mark.incarnation : '0'.repeat(16)
    this.draft = new TurnDraft(this.#run, known, incarnation)
    this.#recording = TurnRecording.again(section, server.record, {
      wall: wall ?? time,
      shard: now(),
    })
    this.draft.recording = this.#recording
    context.recording = this.#recording
    context.from = from
  }

  get open(): TurnDraft {
    return this.draft
  }

  #memoryIn({ row, alarms }: NonNullable<RecordedTurn['before']>): Memory {
    const { table } = this.#server
    if (row === undefined) return { ...nothing, state: this.#born() }
    const stored: Row = { value: { tag: rowTags.entity, bytes: row }, expiresAt: 0 }
    const state = stateIn(this.terms.identity.entity, stored, table)
    const { mark, body } = readMainRow(row)
    const { steps, birth, streams = nothing.streams } = readBody(body)
    const set = alarms.map(([name, bytes]) => [name, readAlarm(bytes)] as const)
    const fields = table.fieldsOf(state)
    return { ...nothing, state, mark, steps, birth, streams, fields, alarms: new Map(set) }
  }

  #born(): unknown {
    const born = this.#server.table.init(this.terms.identity.id, this.context)
    if (isThenable(born)) throw new NotRerun('its `init` awaits something')
    return NextStep.is(born) ? born.state : born
  }

  /** Calls the handler. */
  handles(): Rerun {
    const { draft, memory } = this
    const run = this.#run
    const step = run.handler(memory.state, run.payload, this.context)
    if (isThenable(step) && !NextStep.is(step)) {
      Promise.resolve(step).catch(() => undefined)
      throw new NotRerun('its handler returns a promise')
    }
    if (!NextStep.is(step)) throw new Error(`its handler answered ${typeof step}`)
    const recorded = step.next as { readonly continue?: readonly [string, unknown] } | undefined
    if (recorded?.continue) this.addStep(...recorded.continue)
    if (step.kind === 'reply') run.from?.reply(step.value)
    const state = step.state === unchanged ? memory.state : step.state
    const { table, keepMs } = this.#server
    if (keepMs !== undefined && draft.mayEnd && table.isFinal(state)) this.end({})
    return {
      memory: draft.memoryOf(state, table.fieldsOf(state)),
      draft,
      record: this.#recording.bytes(run),
    }
  }

  addStep(name: string, payload: unknown): Step {
    if (!this.#server.table.continues[name]) throw new Error(`there is no continue ${name}`)
    return this.draft.addStep(name, payload, this.#now)
  }

  end({ keepMs, keys }: EndOptions): void {
    const terms = { keepMs: keepMs ?? this.#server.keepMs ?? 0, keys: keys ?? false }
    this.draft.endActor(endAlarm(this.draft.name, this.#now, terms))
  }

  given(): Promise<never> {
    return never('awaits the turns before it')
  }

  /** Its own rows, as far as they are known. */
  view(): ReadView {
    const { own, isWhole } = this.#recorded.before as NonNullable<RecordedTurn['before']>
    const keyed = new Map(own.map(([key, value]) => [key, { value, expiresAt: 0 } as Row]))
    const row = (rowKey: string): Row | undefined => {
      const found = keyed.get(ownKeyOf(rowKey))
      if (!found && !isWhole) never('reads a row that was set before the log begins')
      return found
    }
    const rows = (range: Parameters<ReadView['rows']>[0]) => {
      if (!isWhole) never('reads rows that were set before the log begins')
      const { entity } = this.terms.identity
      const birth = String(this.memory.birth)
      const all = [...keyed].map(([key, each]) => [ownRowKey(entity, birth, key), each] as const)
      const found = all.filter(([key]) => isWithin(key, range))
      found.sort(([one], [other]) => compareKeys(one, other))
      return (range.reverse ? found.reverse() : found).values()
    }
    return { row, rows } as unknown as ReadView
  }
}
