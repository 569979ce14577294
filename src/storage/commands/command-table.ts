/**
 * Every kind of command, once: its code, its owner and its fields, in the order of their encoding.
 * Their bytes, the values in them and the check of commands from outside follow from it.
 */
import type { Command } from './command.ts'
import * as Fields from './command-fields.ts'

const { key, keys, field, lastValue, lastBytes, expiry } = Fields

/** The commands of a kind. */
type CommandOf<K> = Command extends infer C
  ? C extends { readonly kind: infer Kinds }
    ? K extends Kinds
      ? C
      : never
    : never
  : never

type FieldsOf<C> = {
  readonly [K in Exclude<keyof C, 'kind' | 'owner'>]-?: Fields.Field<C[K]>
}

type Row<K> = {
  /** It never changes. 8 is reserved and never written: a locked put is a put with an owner. */
  readonly code: number
  /** Whether the command names the owner of locks. */
  readonly owner: 'optional' | 'always' | 'never'
  /** A key is the first. The owner follows it, or is the first. */
  readonly fields: FieldsOf<CommandOf<K>>
}

/** The table. */
export const commandTable: { readonly [K in Command['kind']]: Row<K> } = {
  put: { code: 1, owner: 'optional', fields: { key, expiry, value: lastValue } },
  delete: { code: 2, owner: 'optional', fields: { key } },
  set: {
    code: 3,
    owner: 'optional',
    fields: {
      key,
      condition: Fields.condition,
      get: Fields.get,
      expiry: Fields.expiryOrKeep,
      value: lastValue,
    },
  },
  append: { code: 4, owner: 'optional', fields: { key, suffix: lastBytes } },
  getSet: { code: 5, owner: 'optional', fields: { key, value: lastValue } },
  setRange: {
    code: 6,
    owner: 'optional',
    fields: { key, offset: Fields.offset, patch: lastBytes },
  },
  compareAndSet: {
    code: 7,
    owner: 'optional',
    fields: { key, expiry: Fields.expiryOrKeep, expected: Fields.expected, value: lastValue },
  },
  lock: { code: 9, owner: 'always', fields: { leaseMs: Fields.leaseMs, keys } },
  extend: { code: 10, owner: 'always', fields: { leaseMs: Fields.leaseMs, keys } },
  unlock: { code: 11, owner: 'always', fields: { keys } },
  putField: { code: 12, owner: 'optional', fields: { key, field, value: lastValue } },
  putFields: { code: 13, owner: 'optional', fields: { key, fields: Fields.fields } },
  deleteField: { code: 14, owner: 'optional', fields: { key, field } },
  putMany: { code: 15, owner: 'optional', fields: { entries: Fields.entries } },
  deleteMany: { code: 16, owner: 'optional', fields: { keys } },
  expire: { code: 17, owner: 'optional', fields: { key, expiry: Fields.expiryTime } },
  persist: { code: 18, owner: 'optional', fields: { key } },
  clear: { code: 19, owner: 'optional', fields: { namespace: Fields.namespace } },
  removeExpired: { code: 20, owner: 'never', fields: { keys } },
}

/** A field of some command, by its name. */
export type NamedField = readonly [name: string, field: Fields.Field<unknown>]

/** A kind of command, with its fields as a list. */
export type CommandPlan = {
  readonly kind: Command['kind']
  readonly code: number
  readonly owner: Row<unknown>['owner']
  readonly hasKey: boolean
  /** The fields after key and owner. */
  readonly rest: readonly NamedField[]
  /** The field whose values are stored. */
  readonly stored: readonly [name: string, Fields.Stored<unknown>] | undefined
}

const planOf = (kind: Command['kind']): CommandPlan => {
  const { code, owner, fields } = commandTable[kind]
  const list: readonly NamedField[] = Object.entries(fields)
  const [name, { stored } = {}] = list.find(([, each]) => each.stored) ?? []
  return {
    kind,
    code,
    owner,
    hasKey: 'key' in fields,
    rest: list.filter(([each]) => each !== 'key'),
    stored: name !== undefined && stored ? [name, stored] : undefined,
  }
}

/** Every kind of command. */
export const commandKinds = Object.keys(commandTable) as readonly Command['kind'][]

/** The plan of each kind. */
export const commandPlans = Object.fromEntries(
  commandKinds.map((kind) => [kind, planOf(kind)]),
) as { readonly [K in Command['kind']]: CommandPlan }
