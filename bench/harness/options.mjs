/** The command line of the benches: what they all understand. */
import { parseArgs } from 'node:util'

/** Reads `NAME [--quick] [--cpu] [--only CASE] [--with CONTENDER,…] [--repeats N] [--rows N] [--minutes N] [--pace N] [--out DIR] [--virtual] [--keep] [--json FILE]`. Throws what `parseArgs` throws. */
export const readOptions = (args) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      cpu: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      with: { type: 'string', multiple: true, default: [] },
      repeats: { type: 'string' },
      rows: { type: 'string' },
      minutes: { type: 'string' },
      pace: { type: 'string' },
      out: { type: 'string' },
      virtual: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  })
  const numbers = Object.fromEntries(
    ['repeats', 'rows', 'minutes', 'pace'].map((name) => [name, numberOf(name, values[name])]),
  )
  // Titles of cases have commas. A part of a contender's name is enough.
  const players = values.with.flatMap((text) => text.split(','))
  return { ...values, ...numbers, with: players, name: positionals[0] }
}

const numberOf = (name, text) => {
  const number = text === undefined ? undefined : Number(text)
  if (number !== undefined && !(number > 0)) throw new Error(`--${name} takes a number`)
  return number
}

const met = new Set()

/** Whether one of `words`, all of `--only` or `--with`, is part of `name`; without words everything is wanted. */
export const isWanted = (words, name) => {
  const found = words.filter((word) => name.includes(word))
  for (const word of found) met.add(word)
  return words.length === 0 || found.length > 0
}

/** The words of `--only` and `--with` that were part of no name. */
export const unmet = (options) =>
  [...options.only, ...options.with].filter((word) => !met.has(word))
