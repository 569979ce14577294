/**
 * A batch being built: commands that take effect as one unit, all of them or none, each seeing those before it. Every
 * call checks its arguments and encodes its values at once, adds one command and answers the batch, so that calls chain;
 * nothing moves until `commit`.
 */
import { invalidArgument } from '../shard/argument-check.ts'
import {
  checkTerms,
  type LockTerms,
  type OwnerOption,
  type PutTerms,
  type SetTerms,
  type WriteOptions,
} from '../writing/write-options.ts'
import type {
  BatchAnswer,
  CompareAnswer,
  CreatedAnswer,
  CreatedManyAnswer,
  DeletedAnswer,
  ExistedAnswer,
  LengthAnswer,
  NoAnswer,
  PreviousAnswer,
  ReleasedAnswer,
  SetAnswer,
  UntilAnswer,
  UserCommand,
  Written,
} from './store-answers.ts'
import * as commands from './store-commands.ts'

/** Writes the commands of a batch; answers one answer for each. */
export type CommitBatch = (
  commands: readonly UserCommand[],
  options: WriteOptions,
) => Promise<Written & { readonly answers: readonly BatchAnswer[] }>

/**
 * Commands that are to take effect together. `Done` is the list of what they answer, one type for each command of the
 * chain; a batch that is built in a loop is a `Batch<readonly BatchAnswer[]>`. All keys have to be in one shard.
 * Its methods throw `INVALID_ARGUMENT` with `details.path`, and change nothing then; once committed it takes no more.
 */
export class Batch<Done extends readonly BatchAnswer[] = readonly []> {
  readonly #commit: CommitBatch
  readonly #commands: UserCommand[] = []
  #isCommitted = false

  constructor(commit: CommitBatch) {
    this.#commit = commit
  }

  /** How many commands it has. */
  get size(): number {
    return this.#commands.length
  }

  /** As `store.put`. */
  put(key: string, value: unknown, terms: PutTerms = {}): Batch<readonly [...Done, NoAnswer]> {
    checkTerms('put', terms)
    return this.#add(commands.put(key, value, terms))
  }

  /** As `store.set`. */
  set(
    key: string,
    value: unknown,
    terms: SetTerms & { readonly get: true },
  ): Batch<readonly [...Done, SetAnswer & PreviousAnswer]>
  set(key: string, value: unknown, terms?: SetTerms): Batch<readonly [...Done, SetAnswer]>
  set(
    key: string,
    value: unknown,
    terms: SetTerms = {},
  ): Batch<readonly [...Done, SetAnswer & PreviousAnswer]> {
    checkTerms('set', terms)
    return this.#add(commands.set(key, value, terms))
  }

  /** As `store.getSet`. */
  getSet(
    key: string,
    value: unknown,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, PreviousAnswer]> {
    checkTerms('plain', terms)
    return this.#add(commands.getSet(key, value, terms))
  }

  /** As `store.append`. */
  append(
    key: string,
    suffix: string | Uint8Array,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, LengthAnswer]> {
    checkTerms('plain', terms)
    return this.#add(commands.append(key, suffix, terms))
  }

  /** As `store.setRange`. */
  setRange(
    key: string,
    offset: number,
    patch: string | Uint8Array,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, LengthAnswer]> {
    checkTerms('plain', terms)
    return this.#add(commands.setRange(key, offset, patch, terms))
  }

  /** As `store.compareAndSet`: one that does not hold is an answer, and the rest of the batch takes effect. */
  compareAndSet(
    key: string,
    expected: unknown,
    value: unknown,
    terms: PutTerms = {},
  ): Batch<readonly [...Done, CompareAnswer]> {
    checkTerms('put', terms)
    return this.#add(commands.compareAndSet(key, expected, value, terms))
  }

  /** As `store.delete`. */
  delete(key: string, terms: OwnerOption = {}): Batch<readonly [...Done, ExistedAnswer]> {
    checkTerms('plain', terms)
    return this.#add(commands.remove(key, terms))
  }

  /** As `store.putMany`, with at least one entry. */
  putMany(entries: commands.Pairs, terms: PutTerms = {}): Batch<readonly [...Done, NoAnswer]> {
    checkTerms('put', terms)
    return this.#add(named('entries', commands.putMany(entries, terms)))
  }

  /** As `store.deleteMany`, with at least one key. */
  deleteMany(
    keys: Iterable<string>,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, DeletedAnswer]> {
    checkTerms('plain', terms)
    return this.#add(named('keys', commands.deleteMany(keys, terms)))
  }

  /** As `store.lock`. */
  lock(keys: Iterable<string>, terms: LockTerms): Batch<readonly [...Done, UntilAnswer]> {
    checkTerms('lock', terms)
    return this.#add(commands.lock('lock', keys, terms))
  }

  /** As `store.extend`. */
  extend(keys: Iterable<string>, terms: LockTerms): Batch<readonly [...Done, UntilAnswer]> {
    checkTerms('lock', terms)
    return this.#add(commands.lock('extend', keys, terms))
  }

  /** As `store.unlock`. */
  unlock(
    keys: Iterable<string>,
    terms: { readonly owner: string },
  ): Batch<readonly [...Done, ReleasedAnswer]> {
    checkTerms('unlock', terms)
    return this.#add(commands.unlock(keys, terms))
  }

  /** As `store.putField`. */
  putField(
    key: string,
    field: string,
    value: unknown,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, CreatedAnswer]> {
    checkTerms('plain', terms)
    return this.#add(commands.putField(key, field, value, terms))
  }

  /** As `store.putFields`. */
  putFields(
    key: string,
    fields: commands.Pairs,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, CreatedManyAnswer]> {
    checkTerms('plain', terms)
    return this.#add(commands.putFields(key, fields, terms))
  }

  /** As `store.deleteField`. */
  deleteField(
    key: string,
    field: string,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, ExistedAnswer]> {
    checkTerms('plain', terms)
    return this.#add(commands.deleteField(key, field, terms))
  }

  /** As `store.expire`. */
  expire(
    key: string,
    ttlMs: number,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, ExistedAnswer]> {
    checkTerms('plain', terms)
    return this.#add(commands.expire(key, ttlMs, terms))
  }

  /** As `store.persist`. */
  persist(key: string, terms: OwnerOption = {}): Batch<readonly [...Done, ExistedAnswer]> {
    checkTerms('plain', terms)
    return this.#add(commands.persist(key, terms))
  }

  /**
   * Writes the batch as one unit. Resolves like a put, with one answer for each command, in their order. A condition that
   * does not hold (`nx`, `xx`, `compareAndSet`) is an answer; `details.command` of a refusal says which one it is of.
   * @throws KeelsonError `INVALID_ARGUMENT` for a batch without commands, or committed before; `CROSS_SHARD`; `LOCKED`,
   * `WRONG_TYPE`, `TOO_LARGE`, `CONFLICT`: nothing of it took effect; and what a put throws
   */
  async commit(options: WriteOptions = {}): Promise<Written & { readonly answers: Done }> {
    if (this.#isCommitted) throw invalidArgument('batch', 'committed once', 'a second commit')
    if (this.#commands.length === 0)
      throw invalidArgument('batch', 'of at least one command', 'none')
    this.#isCommitted = true
    return (await this.#commit(this.#commands, options)) as Written & { readonly answers: Done }
  }

  /** The batch under its new type: what it answers has grown by one. */
  #add<Next extends readonly BatchAnswer[]>(command: UserCommand): Batch<Next> {
    if (this.#isCommitted) throw invalidArgument('batch', 'open: it is committed', command.kind)
    this.#commands.push(command)
    return this as unknown as Batch<Next>
  }
}

/** A command that names a key: what names none would have no shard. */
const named = <Some extends UserCommand>(path: string, command: Some): Some => {
  if (commands.keysNamed(command).length === 0)
    throw invalidArgument(path, 'a list of at least one', 'none')
  return command
}
