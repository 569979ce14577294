/**
 * Writes of actors that already have commands, or a caller's `from` to answer later: the functions
 * of FerricStore's Batcher. They go the way of every write, as those of `app.store` do.
 */

import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { From, System } from '../../runtime/index.ts'
import {
  type Command,
  checkCommand,
  namedKeys,
  refusalError,
  shardOf,
  strayKey,
  type UnitAnswer,
} from '../../storage/index.ts'
import { Admission, type SyncToken } from '../admission/gate-token.ts'
import { answerWith } from '../core/answering.ts'
import { ownOptions } from '../core/argument-check.ts'
import { crossShard } from '../core/cross-shard.ts'
import type { Position } from '../core/shard-core.ts'
import { name } from './batcher.ts'
import {
  commandsFor,
  type PreparedCommand,
  prepareCommand,
  writingPrepared,
} from './prepared-command.ts'
import { checkWrite, ownWriteOptions } from './write-options.ts'
import { type Submitted, submit, submitAdmitted, type Write } from './write-path.ts'
import type { WritingShard } from './writing-shard.ts'

export type { SyncToken } from '../admission/gate-token.ts'

/**
 * Options of a write. Defaults: the window of its first key's namespace, and the instance's
 * deadline.
 */
export type BatchTerms = {
  readonly windowMs?: number
  readonly deadlineMs?: number
  readonly whenFull?: 'wait' | 'refuse'
}

/** The same, with a token of the gate if the write has entered it already. It is for one write. */
export type AsyncTerms = BatchTerms & { readonly token?: SyncToken }

/** The position and the answer of one command. */
export type CommandWritten = { readonly position: Position; readonly answer: UnitAnswer }

/**
 * An asynchronous write: `accepted`, then `from` is answered; or the caller has the promise, and
 * keeps its token unless the command is wrong.
 */
export type AsyncOutcome<T> = 'accepted' | { readonly direct: Promise<T> }

/**
 * Writes one command, which is checked and copied first.
 * @throws KeelsonError `INVALID_ARGUMENT`; `CROSS_SHARD` for a key of another shard; as `submit`
 * does; the refusal of the state
 */
export const write = async (
  system: System,
  shard: WritingShard,
  command: Command | PreparedCommand,
  terms: BatchTerms = noOptions,
): Promise<CommandWritten> => onlyAnswer(await writeBatch(system, shard, [command], terms))

/**
 * Writes commands that share only a frame: each one is applied, or `refused`, by itself.
 * @throws KeelsonError `INVALID_ARGUMENT`; as `submit` does
 */
export const writeBatch = async (
  system: System,
  shard: WritingShard,
  commands: readonly (Command | PreparedCommand)[],
  terms: BatchTerms = noOptions,
): Promise<Submitted> => {
  const given = Array.isArray(commands) ? [...commands] : commands
  const own = writeOf(shard, commandsFor(shard, given), terms)
  return writingPrepared(shard, given, () => submit(system, shard, own))
}

/**
 * Makes the large values of a command durable before its write.
 * @throws KeelsonError as `prepareCommand`; `CROSS_SHARD` for a key of another shard
 */
export const prepareAt = async (
  system: System,
  shard: WritingShard,
  command: Command,
  terms: Pick<BatchTerms, 'deadlineMs' | 'whenFull'>,
): Promise<PreparedCommand> => {
  const own = ownOptions(terms, ['deadlineMs', 'whenFull'])
  const { units, options } = writeOf(shard, [checkCommand(command)], own)
  return prepareCommand(system, shard, units, options)
}

/**
 * Writes one command for a kept `from`, which is answered or failed when the write has settled,
 * whichever process dies. The token of the gate is returned at the end of the write. Without a
 * batcher the write waits for no window, and the caller keeps its promise and `from`,
 * and its token unless the command is wrong.
 * @throws KeelsonError `INVALID_ARGUMENT` for a wrong `from`, token or set of options: the caller keeps
 * both. Any other refusal is the answer of `from`
 */
export const writeAsync = (
  system: System,
  shard: WritingShard,
  command: Command,
  from: From<CommandWritten>,
  given: AsyncTerms = noOptions,
): AsyncOutcome<CommandWritten> => {
  const { token, ...terms } = ownWriteOptions('token', given)
  if (token !== undefined && !(token instanceof Admission && shard.gate.hasMade(token)))
    throw invalidArgument('token', 'a token of the gate of this shard', token)
  if (typeof from?.reply !== 'function' || typeof from.fail !== 'function')
    throw invalidArgument('from', 'the from of a call', from)
  if (token && !token.use())
    throw invalidArgument('token', 'a token that no write has, and that was not released', token)
  const batcher = system.whereis(name(shard.parts.instance, shard.index))
  const work = admittedWrite(system, shard, command, terms, token)
  if (!batcher) return { direct: work }
  // From now on the write owns the token, and settles whichever process dies.
  token?.transfer(undefined)
  void answerWith(from, token ? work.finally(() => token.leave()) : work)
  return 'accepted'
}

const admittedWrite = async (
  system: System,
  shard: WritingShard,
  command: Command,
  terms: BatchTerms,
  token: Admission | undefined,
): Promise<CommandWritten> => {
  const own = writeOrLeave(shard, command, terms, token)
  return onlyAnswer(
    await (token ? submitAdmitted(system, shard, own, token) : submit(system, shard, own)),
  )
}

/** The write, checked. The token of one that is refused is given back: nothing comes of it. */
const writeOrLeave = (
  shard: WritingShard,
  command: Command,
  terms: BatchTerms,
  token: Admission | undefined,
): Write => {
  try {
    return writeOf(shard, [checkCommand(command)], terms)
  } catch (error) {
    token?.leave()
    throw error
  }
}

const writeOf = (
  shard: WritingShard,
  commands: readonly Command[],
  terms: BatchTerms,
): Write & { readonly units: readonly Command[] } => {
  const { shardCount, shardsPlan, settings } = shard.parts
  const { isFollowed } = shard.replication
  for (const command of commands) {
    const keys = namedKeys(command)
    for (const key of keys) {
      const place = shardOf(key, shardCount)
      if (place !== shard.index)
        throw new KeelsonError('CROSS_SHARD', `the key belongs to shard ${place}`, {
          details: { key, shard: shard.index, shards: [shard.index, place] },
        })
    }
    const stray = strayKey(keys, shardsPlan)
    if (stray !== undefined) throw crossShard([keys[0] ?? '', stray], shardCount, shardsPlan)
  }
  const own = ownWriteOptions('commit', terms)
  return { units: commands, options: checkWrite(own, settings.deadlineMs, isFollowed) }
}

const onlyAnswer = ({ position, answers }: Submitted): CommandWritten => {
  const [answer] = answers
  if (!answer) throw new Error('a unit has no answer')
  if (answer.kind === 'refused') throw refusalError(answer)
  return { position, answer }
}
