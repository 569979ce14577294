/**
 * `store.typed(prefix, schema)`: the values below a prefix, each parsed once, where it is written. It is
 * apart from the store, which knows no schema, and uses it as a program does.
 */
import { argument } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { type Parse, type StandardSchema, schema } from '../../schema.ts'
import { checkedKey } from '../core/argument-check.ts'
import type { OwnedWriteOptions, PutOptions } from '../writing/write-options.ts'
import type { ExistedAnswer, ValueAnswer, Written } from './store-answers.ts'

/** The calls of a store that a typed one makes. */
interface Values {
  get(key: string): unknown
  load(key: string): Promise<unknown>
  has(key: string): boolean
  put(key: string, value: unknown, options: PutOptions): Promise<Written>
  update<T>(
    key: string,
    change: (value: T | undefined) => T,
    options: PutOptions,
  ): Promise<Written & ValueAnswer<T>>
  delete(key: string, options: OwnedWriteOptions): Promise<Written & ExistedAnswer>
}

/**
 * The values of a store whose keys begin with a prefix. A write takes an `In` and stores what the schema
 * makes of it; a read gives an `Out` as it is stored, and does not parse it: so values from before a schema
 * are given as they are. `id`: the rest of the key.
 */
export class TypedStore<In = unknown, Out = In> {
  readonly prefix: string
  readonly #store: Values
  readonly #parse: Parse

  /** @internal For `store.typed`. */
  constructor(store: Values, prefix: string, given: StandardSchema<In, Out>) {
    this.#store = store
    this.prefix = checkedKey(prefix)
    this.#parse = schema(given, argument('schema'))
  }

  /** The key of a value, for the calls of the store. @throws KeelsonError `INVALID_ARGUMENT` */
  key(id: string): string {
    if (typeof id !== 'string') throw invalidArgument('id', 'a text', id)
    return `${this.prefix}${id}`
  }

  /**
   * A value as the schema makes it, for a batch: `batch.put(users.key(id), users.parse(value))`.
   * @throws KeelsonError `INVALID_ARGUMENT`, with the first issues and their paths
   */
  parse(value: In): Out {
    return this.#parse(value, 'the value') as Out
  }

  /** Parses the value, and puts it. @throws KeelsonError as `parse`; as every write */
  async put(id: string, value: In, options: PutOptions = noOptions): Promise<Written> {
    return this.#store.put(this.key(id), this.parse(value), options)
  }

  /**
   * Changes a value as `store.update` does: `change` gets the stored one, and the one that it returns is
   * parsed. Answers the written value. @throws KeelsonError as `parse`; as `store.update`
   */
  async update(
    id: string,
    change: (value: Out | undefined) => In,
    options: PutOptions = noOptions,
  ): Promise<Written & ValueAnswer<Out>> {
    if (typeof change !== 'function') throw invalidArgument('change', 'a function', change)
    const parsed = (value: Out | undefined): Out => this.parse(change(value))
    return this.#store.update(this.key(id), parsed, options)
  }

  /** The stored value; `undefined`: there is none. @throws KeelsonError as `store.get` */
  get(id: string): Out | undefined {
    return this.#store.get(this.key(id)) as Out | undefined
  }

  /** The same, also where another member has the shard. @throws KeelsonError as `store.load` */
  async load(id: string): Promise<Out | undefined> {
    return (await this.#store.load(this.key(id))) as Out | undefined
  }

  /** Whether there is a value. @throws KeelsonError as `store.has` */
  has(id: string): boolean {
    return this.#store.has(this.key(id))
  }

  /** Removes the value. Answers whether there was one. @throws KeelsonError as every write */
  async delete(
    id: string,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & ExistedAnswer> {
    return this.#store.delete(this.key(id), options)
  }
}
