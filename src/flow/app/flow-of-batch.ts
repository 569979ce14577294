/**
 * `flow(app).with(batch)`: starts, signals and jobs that become durable with a batch of the store. The
 * batch is the one turn of a durable actor in the shard of its keys: the turn writes the keys and
 * records the calls, which the actor makes, as those of `flow(context)`.
 */
import {
  type AddsCalls,
  addsCall,
  type Batch,
  type BatchAnswer,
  type CallTarget,
  type DurableServer,
} from '../../actors/index.ts'
import { argument, object, that } from '../../check.ts'
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import { type ChildSpec, call, noReply, reply } from '../../runtime/index.ts'
import {
  type Command,
  canonicalValue,
  namedKeys,
  shardOf,
  strayKey,
  unitWithValues,
} from '../../storage/index.ts'
import { type AppContext, kindSpec } from '../../supervisors/index.ts'
import { exactly } from '../runs/options.ts'
import { batchesKind, sharedKind } from '../runs/parts.ts'
import { earlierHashOf, hashOf } from '../runs/values.ts'
import { FlowOfTurn, type FlowTurnContext } from './flow-of-turn.ts'

/** A batch that was committed. `repeated`: one with this id and content was before. */
export type BatchCommitted = {
  readonly repeated: boolean
  /** That of its frame; of a repeated one this or a later one. */
  readonly position: { readonly shard: number; readonly lsn: number }
}

/** A call that the batch asks for. */
type Asked = CallTarget & { readonly name: string; readonly payload: unknown }

type Request = {
  readonly commands: readonly Command[]
  readonly calls: readonly Asked[]
  /** The hash of both. */
  readonly content: string
}

type Messages = {
  readonly calls: { readonly commit: (request: Request) => { readonly repeated: boolean } }
}

/** The content of a batch that was committed. */
type State = { readonly content: string } | undefined

/** How long a batch is known by its id, from the answer of its last call on: as a call with an id. */
const keepMs = 24 * 60 * 60_000

/** The process of a batch that has nothing to do stays as long as that of a run. */
const idleMs = 2_000

const server: DurableServer<Messages, State, Record<never, never>, string, unknown> = {
  init: () => undefined,
  // It ends with the turn of its last call.
  isFinal: (state) => state !== undefined,
  calls: {
    commit: (state, { commands, calls, content }, context) => {
      if (state) {
        const earlier = () => earlierHashOf({ commands, calls }, 'the batch')
        if (state.content === content || state.content === earlier())
          return reply({ repeated: true }, state)
        const text = `another batch had the id of ${context.id}`
        context.from.fail(new KeelsonError('CONFLICT', text, { details: { batch: context.id } }))
        return noReply(state)
      }
      const turn = context as unknown as AddsCalls & { readonly writes: Batch }
      turn.writes.addTaken(commands as ReturnType<Batch['taken']>)
      for (const { kind, id, name, payload } of calls)
        turn[addsCall]({ kind, id }, name, () => payload)
      return reply({ repeated: false }, { content })
    },
  },
}

/** The part of the tree with the batches: one, of all its `flows`. */
export const batchesSpec = (): ChildSpec =>
  sharedKind(kindSpec(batchesKind, server, { idleMs, keepMs }))

const batchOptions = object({
  id: that<string>('well-formed text of 1 to 200 bytes without {, } and NUL', (found) => {
    const isText = typeof found === 'string' && found.isWellFormed() && !/[{}\0]/.test(found)
    return isText && found !== '' && Buffer.byteLength(found) <= 200
  }),
})

/**
 * A batch of the store with starts, signals and jobs: `commit` writes all of it as one unit. Its calls
 * answer nothing. A refusal by a run or a queue, such as `CONFLICT` or `BUSY`, is tried again without
 * end, and is in the health of the instance.
 */
export class FlowOfBatch extends FlowOfTurn {
  readonly #app: AppContext
  readonly #id: string
  readonly #commands: readonly Command[]
  readonly #calls: Asked[]

  /** For `flow(app).with`. */
  constructor(
    app: unknown,
    batch: Batch<readonly BatchAnswer[]>,
    options: { readonly id: string },
  ) {
    const { id } = batchOptions(options, argument('', 'a batch'))
    if (typeof batch?.taken !== 'function')
      throw invalidArgument('batch', 'a batch of the store', batch)
    const { store } = app as AppContext
    const commands = batch.taken()
    const keys = commands.flatMap(namedKeys)
    refuseStray(store, keys)
    const entity = actorOf(store.shardsPlan, id, keys[0] ?? '')
    const calls: Asked[] = []
    const adds: AddsCalls[typeof addsCall] = (target, name, payloadOf) => {
      if (Object.isFrozen(calls)) throw invalidArgument('batch', 'open: it is committed', name)
      // It is the same if the batch is committed again: a signal and a job come once.
      const step = `${batchesKind}/${entity}/${calls.length}`
      calls.push({ ...target, name, payload: payloadOf(step) })
    }
    super({ app, [addsCall]: adds } as unknown as FlowTurnContext)
    this.#app = app as AppContext
    this.#id = entity
    this.#commands = commands
    this.#calls = calls
  }

  /**
   * Writes the batch, and answers when it is durable and visible: then the runs begin, the signals
   * have come and the jobs are there, once, whatever crashes. It answers no command: a condition that
   * does not hold leaves the rest as it is. It takes its place among the writes of its keys when it
   * writes, as `store.update` does. Again under the same id, also by another program, it changes
   * nothing, until 24 hours after its last call was answered.
   * @throws KeelsonError `LOCKED`, `WRONG_TYPE`, `TOO_LARGE`: nothing has happened; `CONFLICT` if
   * another batch of this shard had the id; `UNKNOWN_OUTCOME`: commit it again; `NO_SPACE`, `BUSY`,
   * `SHARD_DOWN`, `CLOSED`
   */
  async commit(...surplus: []): Promise<BatchCommitted> {
    exactly('commit()', surplus)
    const [commands, calls] = [this.#commands, Object.freeze(this.#calls)]
    const content = hashOf({ commands: commands.map(canonicalCommand), calls }, 'the batch')
    const ref = this.#app.entity<Messages>(batchesKind).ref(this.#id)
    const request = { commands, calls, content }
    const { value, position } = await call(ref, 'commit', request, { position: true }).catch(
      (cause) => {
        if (!isKeelsonError(cause, 'TIMEOUT') && !isKeelsonError(cause, 'EXITED')) throw cause
        const text = 'it is unknown whether the batch is durable: commit it again'
        throw new KeelsonError('UNKNOWN_OUTCOME', text, { details: { batch: this.#id }, cause })
      },
    )
    return { ...value, position }
  }
}

/** The command with its values in canonical form, for the hash. */
const canonicalCommand = (command: Command): unknown => {
  const canonical = unitWithValues(command, canonicalValue)
  if (command.kind !== 'compareAndSet' || !command.expected) return canonical
  return { ...canonical, expected: canonicalValue(command.expected) }
}

/** The plan has each shard in several parts, or it has the shards. @throws KeelsonError `CROSS_SHARD` */
const refuseStray = (store: AppContext['store'], keys: readonly string[]): void => {
  if (strayKey(keys, store.shardsPlan) === undefined) return
  throw new KeelsonError('CROSS_SHARD', 'the keys of one unit must be in one shard', {
    details: { keys, shards: [...new Set(keys.map((key) => store.shardOf(key)))] },
  })
}

/**
 * The id of the actor that writes these keys: the first of the batch's that is where they are. Each
 * divisor of 64 chooses as 64 does, so that a folder may get more shards between two commits of a batch.
 */
const actorOf = (shardsPlan: number, id: string, key: string): string => {
  const places = 64 % shardsPlan === 0 ? 64 : shardsPlan
  const place = shardOf(key, places)
  for (let at = 0; ; at++)
    if (shardOf(`{${batchesKind}/${id}/${at}}`, places) === place) return `${id}/${at}`
}
