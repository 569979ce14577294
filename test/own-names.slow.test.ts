/**
 * Names from outside are looked up by `src/own-names.ts` alone, which finds no member of `Object.prototype`. The compiler tells
 * of every other look-up by a name that its type leaves open; those stand here, each with its reason.
 */
import { describe, expect, test } from 'vitest'
import { namedLookUps } from './support/named-look-ups.ts'

const ours = 'the name is one of ours, which the type does not show'
const listed = 'the name is an own name of the same object'
const checked = 'the name is checked, or its owner is'

/** Look-ups beside the door. */
const allowed: Readonly<Record<string, string>> = {
  'src/check.ts: name in given': ours,
  'src/check.ts: copy[name]': ours,
  'src/check.ts: (options as Record<string, unknown>)[name]': ours,
  'src/check.ts: name in options': ours,
  'src/check.ts: name in copy': ours,
  'src/check.ts: name in Object.prototype': 'it asks for members of the prototype',
  'src/clock.ts: policy[name]': 'the options of a policy are checked where it is given',
  'src/runtime/words/logger.ts: facts[name]': listed,
  'src/runtime/server/acceptance.ts: name in payload': 'a server names the field, not its payload',
  'src/storage/ports/sealed-file.ts: fields[name]': listed,
  'src/storage/values/plain-data.ts: (decoded as Record<string, unknown>)[name]': listed,
  'src/storage/values/plain-data.ts: holder[last]': 'the function `own` has read that member',
  'src/storage/values/plain-data.ts: holder[step]': checked,
  'src/storage/values/plain-data.ts: (record as Record<string, unknown>)[name]': listed,
  'src/storage/values/plain-data.ts: copy[name]': '__proto__ was refused',
  'src/storage/commands/command-decoding.ts: command[name]': ours,
  'src/storage/commands/command-values.ts: command[name as keyof Command]': ours,
  'src/storage/commands/command-values.ts: command[stored[0] as keyof Command]': ours,
  'src/storage/commands/command-encoding.ts: command[name as keyof Command]': ours,
  'src/bytes/layout.ts: facts[name]': ours,
  'src/actors/turns/durable-table.ts: fields[field]': listed,
  'src/actors/durable/durable-context.ts: others[name]': checked,
  'src/members/routing/elsewhere-actors.ts: handle[method as (typeof handleMethods)[number]]':
    '`accepts` of the service lets those names alone pass',
  'src/actors/replication/readable-key.ts: (value as Record<string, unknown>)[key]': listed,
  'src/inspect/rehearsal/guard.ts: of[name]': 'its own list, or names that the module of Node has',
  'src/flow/looks/listing.ts: seen[name]': 'the names of a filter are checked',
  'src/inspect/prompt/prompt-words.ts: words[part]': 'a word is free if no prototype has it',
  'src/inspect/prompt/prompt-words.ts: words[name]': 'a word is free if no prototype has it',
  'src/inspect/prompt/prompt-words.ts: word in words': 'a word is free if no prototype has it',
  'src/inspect/prompt/prompt-words.ts: word in globalThis': 'a word is free if no prototype has it',
  'src/inspect/prompt/evaluation.ts: name in module': 'a namespace of a module has no prototype',
  'src/adapters/postgres/client-options.ts: client[name]': listed,
  'src/adapters/postgres/database.ts: row[column]': ours,
  'src/adapters/postgres/pg-database.ts: parameters[name]': ours,
  'src/adapters/postgres/pg-database.ts: defaults[name]': ours,
  'src/adapters/postgres/pg-database.ts: process.env[`PG${name.toUpperCase()}`]': ours,
  'src/storage/values/own-msgpackr.ts: require.cache[file]': 'the name is the path of a file',
  'src/runtime/machine/machine-plain.ts: record[key]': listed,
  'src/runtime/machine/machine-plain.ts: copy[key]': 'the copy has that member already',
}

describe('names from outside', () => {
  test('are looked up where no member of a prototype is found', () => {
    const found = new Set(namedLookUps('tsconfig.build.json', '/src/'))

    expect([...found].filter((each) => !Object.hasOwn(allowed, each))).toEqual([])
    expect(Object.keys(allowed).filter((each) => !found.has(each))).toEqual([])
  })
})
