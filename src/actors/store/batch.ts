/**
 * A batch under construction: commands that take effect as one unit, all or none. Each command sees
 * the effects of those before it. Every call checks its arguments, encodes its values, adds one
 * command and returns the batch. Nothing is written before `commit`.
 */
import { invalidArgument } from '../../errors.ts'
import { namedKeys } from '../../storage/index.ts'
import {
  checkTerms,
  type LockTerms,
  type OwnerOption,
  type PutTerms,
  type SetTerms,
  type TermKind,
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

/** Writes the commands of a batch. Resolves to one answer for each. */
export type CommitBatch = (
  commands: readonly UserCommand[],
  options: WriteOptions,
) => Promise<Written & { readonly answers: readonly BatchAnswer[] }>

/**
 * Commands that take effect together. `Done` lists the types of their answers, one for each call in
 * the chain. A batch that is built in a loop is a `Batch<readonly BatchAnswer[]>`. All keys must be
 * in one shard. Methods throw `INVALID_ARGUMENT` with `details.path` and then change nothing. A
 * committed batch accepts no more commands.
 */
export class Batch<Done extends readonly BatchAnswer[] = readonly []> {
  readonly #commit: CommitBatch
  readonly #commands: UserCommand[] = []
  #isCommitted = false

  /** @internal */
  constructor(commit: CommitBatch) {
    this.#commit = commit
  }

  /** The number of commands. */
  get size(): number {
    return this.#commands.length
  }

  /** As `store.put`. */
  put(key: string, value: unknown, terms: PutTerms = {}): Batch<readonly [...Done, NoAnswer]> {
    return this.#add('put', terms, () => commands.put(key, value, terms))
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
    return this.#add('set', terms, () => commands.set(key, value, terms))
  }

  /** As `store.getSet`. */
  getSet(
    key: string,
    value: unknown,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, PreviousAnswer]> {
    return this.#add('plain', terms, () => commands.getSet(key, value, terms))
  }

  /** As `store.append`. */
  append(
    key: string,
    suffix: string | Uint8Array,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, LengthAnswer]> {
    return this.#add('plain', terms, () => commands.append(key, suffix, terms))
  }

  /** As `store.setRange`. */
  setRange(
    key: string,
    offset: number,
    patch: string | Uint8Array,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, LengthAnswer]> {
    return this.#add('plain', terms, () => commands.setRange(key, offset, patch, terms))
  }

  /**
   * As `store.compareAndSet`. A failed comparison is an answer; the rest of the batch takes effect.
   */
  compareAndSet(
    key: string,
    expected: unknown,
    value: unknown,
    terms: PutTerms = {},
  ): Batch<readonly [...Done, CompareAnswer]> {
    return this.#add('put', terms, () => commands.compareAndSet(key, expected, value, terms))
  }

  /** As `store.delete`. */
  delete(key: string, terms: OwnerOption = {}): Batch<readonly [...Done, ExistedAnswer]> {
    return this.#add('plain', terms, () => commands.remove(key, terms))
  }

  /** As `store.putMany`, with at least one entry. */
  putMany(entries: commands.Pairs, terms: PutTerms = {}): Batch<readonly [...Done, NoAnswer]> {
    return this.#add('put', terms, () => named('entries', commands.putMany(entries, terms)))
  }

  /** As `store.deleteMany`, with at least one key. */
  deleteMany(
    keys: Iterable<string>,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, DeletedAnswer]> {
    return this.#add('plain', terms, () => named('keys', commands.deleteMany(keys, terms)))
  }

  /** As `store.lock`. */
  lock(keys: Iterable<string>, terms: LockTerms): Batch<readonly [...Done, UntilAnswer]> {
    return this.#add('lock', terms, () => commands.lock('lock', keys, terms))
  }

  /** As `store.extend`. */
  extend(keys: Iterable<string>, terms: LockTerms): Batch<readonly [...Done, UntilAnswer]> {
    return this.#add('lock', terms, () => commands.lock('extend', keys, terms))
  }

  /** As `store.unlock`. */
  unlock(
    keys: Iterable<string>,
    terms: { readonly owner: string },
  ): Batch<readonly [...Done, ReleasedAnswer]> {
    return this.#add('unlock', terms, () => commands.unlock(keys, terms))
  }

  /** As `store.putField`. */
  putField(
    key: string,
    field: string,
    value: unknown,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, CreatedAnswer]> {
    return this.#add('plain', terms, () => commands.putField(key, field, value, terms))
  }

  /** As `store.putFields`. */
  putFields(
    key: string,
    fields: commands.Pairs,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, CreatedManyAnswer]> {
    return this.#add('plain', terms, () => commands.putFields(key, fields, terms))
  }

  /** As `store.deleteField`. */
  deleteField(
    key: string,
    field: string,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, ExistedAnswer]> {
    return this.#add('plain', terms, () => commands.deleteField(key, field, terms))
  }

  /** As `store.expire`. */
  expire(
    key: string,
    ttlMs: number,
    terms: OwnerOption = {},
  ): Batch<readonly [...Done, ExistedAnswer]> {
    return this.#add('plain', terms, () => commands.expire(key, ttlMs, terms))
  }

  /** As `store.persist`. */
  persist(key: string, terms: OwnerOption = {}): Batch<readonly [...Done, ExistedAnswer]> {
    return this.#add('plain', terms, () => commands.persist(key, terms))
  }

  /**
   * Writes the batch as one unit. Resolves like a put, with one answer for each command, in order.
   * An unmet condition (`nx`, `xx`, `compareAndSet`) is an answer. A refusal names its command in
   * `details.command`.
   * @throws KeelsonError `INVALID_ARGUMENT` for an empty or already committed batch; `CROSS_SHARD`;
   * `LOCKED`, `WRONG_TYPE`, `TOO_LARGE`, `CONFLICT`: no command took effect; and the errors of a
   * put
   */
  async commit(options: WriteOptions = {}): Promise<Written & { readonly answers: Done }> {
    const commands = this.taken()
    return (await this.#commit(commands, options)) as Written & { readonly answers: Done }
  }

  /**
   * Its commands, for a unit that is written in another way. It takes no more.
   * @throws KeelsonError `INVALID_ARGUMENT` for an empty or already committed batch
   */
  taken(): readonly UserCommand[] {
    if (this.#isCommitted) throw invalidArgument('batch', 'committed once', 'a second commit')
    if (this.#commands.length === 0)
      throw invalidArgument('batch', 'of at least one command', 'none')
    this.#isCommitted = true
    return this.#commands
  }

  /** Adds the commands that were taken from another batch. */
  addTaken(commands: readonly UserCommand[]): void {
    this.#commands.push(...commands)
  }

  /** Adds a command; the batch gets the type with one more answer. */
  #add<Next extends readonly BatchAnswer[]>(
    kind: TermKind,
    terms: object,
    build: () => UserCommand,
  ): Batch<Next> {
    checkTerms(kind, terms)
    const command = build()
    if (this.#isCommitted) throw invalidArgument('batch', 'open: it is committed', command.kind)
    this.#commands.push(command)
    return this as unknown as Batch<Next>
  }
}

/** Requires a command to name a key: without one it has no shard. */
const named = <Some extends UserCommand>(path: string, command: Some): Some => {
  if (namedKeys(command).length === 0) throw invalidArgument(path, 'a list of at least one', 'none')
  return command
}
