/**
 * The batcher with the functions of its reference (FerricStore's Batcher): writes that wait for
 * others to share a group with. `app.store` writes the same way. These functions serve actors that
 * have commands at hand, or a caller's `from` to answer later.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { From, System } from '../../runtime/index.ts'
import {
  type Command,
  checkCommand,
  checkCommands,
  namedKeys,
  type PutEntry,
  refusalError,
  shardOf,
  type UnitAnswer,
} from '../../storage/index.ts'
import { Admission } from '../admission/allowance.ts'
import type { Position } from '../admission/append.ts'
import type { Shard } from '../shard/shard.ts'
import * as BatcherServer from './batcher-server.ts'
import { checkWrite } from './write-options.ts'
import { type Submitted, submit, submitAdmitted, type Write } from './write-path.ts'

export {
  type BatcherDescription,
  describe,
  flush,
  type Messages,
  name,
  server,
  stop,
} from './batcher-server.ts'

/**
 * Options of a write. Defaults: the window of its first key's namespace, and the instance's
 * deadline.
 */
export type BatchTerms = {
  readonly windowMs?: number
  readonly deadlineMs?: number
  readonly whenFull?: 'wait' | 'refuse'
}

/** The same, with a token of the gate if the write has entered it already. */
export type AsyncTerms = BatchTerms & { readonly token?: Admission }

/** The position and the answer of one command. */
export type CommandWritten = { readonly position: Position; readonly answer: UnitAnswer }

/**
 * An asynchronous write: `accepted`, then `from` is answered; or the caller has the promise, and
 * keeps its token.
 */
export type AsyncOutcome<T> = 'accepted' | { readonly direct: Promise<T> }

/**
 * Writes one command, which is checked and copied first.
 * @throws KeelsonError `INVALID_ARGUMENT`; `CROSS_SHARD` for a key of another shard; as `submit`
 * does; the refusal of the state
 */
export const write = async (
  system: System,
  shard: Shard,
  command: Command,
  terms: BatchTerms = {},
): Promise<CommandWritten> =>
  onlyAnswer(await submit(system, shard, writeOf(shard, [checkCommand(command)], terms)))

/**
 * Writes commands that share only a frame: each one is applied, or `refused`, by itself.
 * @throws KeelsonError `INVALID_ARGUMENT`; as `submit` does
 */
export const writeBatch = async (
  system: System,
  shard: Shard,
  commands: readonly Command[],
  terms: BatchTerms = {},
): Promise<Submitted> => submit(system, shard, writeOf(shard, checkCommands(commands), terms))

/** Puts all entries, or none. @throws KeelsonError as `write` does */
export const writePutBatch = (
  system: System,
  shard: Shard,
  entries: readonly PutEntry[],
  terms: BatchTerms = {},
): Promise<CommandWritten> => write(system, shard, { kind: 'putMany', entries }, terms)

/** Deletes all keys, or none. @throws KeelsonError as `write` does */
export const writeDeleteBatch = (
  system: System,
  shard: Shard,
  keys: readonly string[],
  terms: BatchTerms = {},
): Promise<CommandWritten> => write(system, shard, { kind: 'deleteMany', keys }, terms)

/**
 * `writePutBatch` for a kept `from`, which is answered or failed when the write has settled,
 * whichever process dies. The token of the gate is returned at the end of the write. Without a
 * batcher the write waits for no window, and the caller keeps its promise, `from` and token.
 */
export const writePutBatchAsync = (
  system: System,
  shard: Shard,
  entries: readonly PutEntry[],
  from: From<CommandWritten>,
  terms: AsyncTerms = {},
): AsyncOutcome<CommandWritten> =>
  writeAsync(system, shard, { kind: 'putMany', entries }, from, terms)

/** `writeDeleteBatch` for a kept `from`, as `writePutBatchAsync` is. */
export const writeDeleteBatchAsync = (
  system: System,
  shard: Shard,
  keys: readonly string[],
  from: From<CommandWritten>,
  terms: AsyncTerms = {},
): AsyncOutcome<CommandWritten> =>
  writeAsync(system, shard, { kind: 'deleteMany', keys }, from, terms)

const writeAsync = (
  system: System,
  shard: Shard,
  command: Command,
  from: From<CommandWritten>,
  { token, ...terms }: AsyncTerms,
): AsyncOutcome<CommandWritten> => {
  if (token !== undefined && !(token instanceof Admission))
    throw invalidArgument('token', 'a token of the gate', token)
  if (typeof from?.reply !== 'function' || typeof from.fail !== 'function')
    throw invalidArgument('from', 'the from of a call', from)
  const batcher = system.whereis(BatcherServer.name(shard.parts.instance, shard.index))
  const work = admittedWrite(system, shard, command, terms, token)
  if (!batcher) return { direct: work }
  // From now on the write owns the token, and settles whichever process dies.
  token?.transfer(undefined)
  work.then(
    (written) => {
      token?.leave()
      from.reply(written)
    },
    (error: unknown) => {
      token?.leave()
      from.fail(error)
    },
  )
  return 'accepted'
}

const admittedWrite = async (
  system: System,
  shard: Shard,
  command: Command,
  terms: BatchTerms,
  token: Admission | undefined,
): Promise<CommandWritten> => {
  const way = token ? submitAdmitted : submit
  return onlyAnswer(await way(system, shard, writeOf(shard, [checkCommand(command)], terms)))
}

const writeOf = (shard: Shard, commands: readonly Command[], terms: BatchTerms): Write => {
  const { shardCount, settings } = shard.parts
  for (const command of commands)
    for (const key of namedKeys(command)) {
      const place = shardOf(key, shardCount)
      if (place !== shard.index)
        throw new KeelsonError('CROSS_SHARD', `the key belongs to shard ${place}`, {
          details: { key, shard: shard.index, shards: [shard.index, place] },
        })
    }
  return { units: commands, options: checkWrite('commit', terms, settings.deadlineMs) }
}

const onlyAnswer = ({ position, answers }: Submitted): CommandWritten => {
  const [answer] = answers
  if (!answer) throw new Error('a unit has no answer')
  if (answer.kind === 'refused') throw refusalError(answer)
  return { position, answer }
}
