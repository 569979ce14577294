/**
 * A batch under construction: commands that take effect as one unit, all or none. Each command sees
 * the effects of those before it. Every call checks its arguments, encodes its values, adds one
 * command and returns the batch. Nothing is written before `commit`.
 */

import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { namedKeys } from '../../storage/index.ts'
import {
  type LockTerms,
  type OwnerOption,
  ownTerms,
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

/** Writes the commands that `take` gives, once. Resolves to one answer for each. */
export type CommitBatch = (
  take: () => readonly UserCommand[],
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
  put(
    key: string,
    value: unknown,
    terms: PutTerms = noOptions,
  ): Batch<readonly [...Done, NoAnswer]> {
    return this.#add('put', terms, (own) => commands.put(key, value, own))
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
    terms: SetTerms = noOptions,
  ): Batch<readonly [...Done, SetAnswer & PreviousAnswer]> {
    return this.#add('set', terms, (own) => commands.set(key, value, own))
  }

  /** As `store.getSet`. */
  getSet(
    key: string,
    value: unknown,
    terms: OwnerOption = noOptions,
  ): Batch<readonly [...Done, PreviousAnswer]> {
    return this.#add('plain', terms, (own) => commands.getSet(key, value, own))
  }

  /** As `store.append`. */
  append(
    key: string,
    suffix: string | Uint8Array,
    terms: OwnerOption = noOptions,
  ): Batch<readonly [...Done, LengthAnswer]> {
    return this.#add('plain', terms, (own) => commands.append(key, suffix, own))
  }

  /** As `store.setRange`. */
  setRange(
    key: string,
    offset: number,
    patch: string | Uint8Array,
    terms: OwnerOption = noOptions,
  ): Batch<readonly [...Done, LengthAnswer]> {
    return this.#add('plain', terms, (own) => commands.setRange(key, offset, patch, own))
  }

  /**
   * As `store.compareAndSet`. A failed comparison is an answer; the rest of the batch takes effect.
   */
  compareAndSet(
    key: string,
    expected: unknown,
    value: unknown,
    terms: PutTerms = noOptions,
  ): Batch<readonly [...Done, CompareAnswer]> {
    return this.#add('put', terms, (own) => commands.compareAndSet(key, expected, value, own))
  }

  /** As `store.delete`. */
  delete(key: string, terms: OwnerOption = noOptions): Batch<readonly [...Done, ExistedAnswer]> {
    return this.#add('plain', terms, (own) => commands.remove(key, own))
  }

  /** As `store.putMany`, with at least one entry. */
  putMany(
    entries: commands.Pairs,
    terms: PutTerms = noOptions,
  ): Batch<readonly [...Done, NoAnswer]> {
    return this.#add('put', terms, (own) => named('entries', commands.putMany(entries, own)))
  }

  /** As `store.deleteMany`, with at least one key. */
  deleteMany(
    keys: Iterable<string>,
    terms: OwnerOption = noOptions,
  ): Batch<readonly [...Done, DeletedAnswer]> {
    return this.#add('plain', terms, (own) => named('keys', commands.deleteMany(keys, own)))
  }

  /** As `store.lock`. */
  lock(keys: Iterable<string>, terms: LockTerms): Batch<readonly [...Done, UntilAnswer]> {
    return this.#add('lock', terms, (own) => commands.lock('lock', keys, own))
  }

  /** As `store.extend`. */
  extend(keys: Iterable<string>, terms: LockTerms): Batch<readonly [...Done, UntilAnswer]> {
    return this.#add('lock', terms, (own) => commands.lock('extend', keys, own))
  }

  /** As `store.unlock`. */
  unlock(
    keys: Iterable<string>,
    terms: { readonly owner: string },
  ): Batch<readonly [...Done, ReleasedAnswer]> {
    return this.#add('unlock', terms, (own) => commands.unlock(keys, own))
  }

  /** As `store.putField`. */
  putField(
    key: string,
    field: string,
    value: unknown,
    terms: OwnerOption = noOptions,
  ): Batch<readonly [...Done, CreatedAnswer]> {
    return this.#add('plain', terms, (own) => commands.putField(key, field, value, own))
  }

  /** As `store.putFields`. */
  putFields(
    key: string,
    fields: commands.Pairs,
    terms: OwnerOption = noOptions,
  ): Batch<readonly [...Done, CreatedManyAnswer]> {
    return this.#add('plain', terms, (own) => commands.putFields(key, fields, own))
  }

  /** As `store.deleteField`. */
  deleteField(
    key: string,
    field: string,
    terms: OwnerOption = noOptions,
  ): Batch<readonly [...Done, ExistedAnswer]> {
    return this.#add('plain', terms, (own) => commands.deleteField(key, field, own))
  }

  /** As `store.expire`. */
  expire(
    key: string,
    ttlMs: number,
    terms: OwnerOption = noOptions,
  ): Batch<readonly [...Done, ExistedAnswer]> {
    return this.#add('plain', terms, (own) => commands.expire(key, ttlMs, own))
  }

  /** As `store.persist`. */
  persist(key: string, terms: OwnerOption = noOptions): Batch<readonly [...Done, ExistedAnswer]> {
    return this.#add('plain', terms, (own) => commands.persist(key, own))
  }

  /**
   * Writes the batch as one unit. Resolves like a put, with one answer for each command, in order.
   * An unmet condition (`nx`, `xx`, `compareAndSet`) is an answer. A refusal names its command in
   * `details.command`.
   * @throws KeelsonError `INVALID_ARGUMENT` for an empty or already committed batch; `CROSS_SHARD`;
   * `LOCKED`, `WRONG_TYPE`, `TOO_LARGE`, `CONFLICT`: no command took effect; and the errors of a
   * put. A batch whose `options` are refused is not committed: it can be used as before
   */
  async commit(options: WriteOptions = noOptions): Promise<Written & { readonly answers: Done }> {
    const written = await this.#commit(() => this.taken(), options)
    return written as Written & { readonly answers: Done }
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

  /**
   * Adds the commands that were taken from another batch.
   * @throws KeelsonError `INVALID_ARGUMENT` if this batch is committed
   */
  addTaken(commands: readonly UserCommand[]): void {
    if (!Array.isArray(commands)) throw invalidArgument('commands', 'those of a batch', commands)
    if (this.#isCommitted) throw invalidArgument('batch', 'open: it is committed', 'commands')
    this.#commands.push(...(commands as readonly UserCommand[]))
  }

  /** Adds a command; the batch gets the type with one more answer. */
  #add<Terms extends object, Next extends readonly BatchAnswer[]>(
    kind: TermKind,
    terms: Terms,
    build: (own: Terms) => UserCommand,
  ): Batch<Next> {
    const command = build(ownTerms(kind, terms))
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
