/** The command line of the benches: what they all understand. */
import { parseArgs } from 'node:util'

/** Reads `NAME [--quick] [--cpu] [--only CASE] [--with CONTENDER] [--repeats N] [--rows N] [--minutes N] [--json FILE]`. Throws what `parseArgs` throws. */
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
      json: { type: 'string' },
    },
  })
  const numbers = Object.fromEntries(
    ['repeats', 'rows', 'minutes'].map((name) => [name, numberOf(name, values[name])]),
  )
  return { ...values, ...numbers, name: positionals[0] }
}

const numberOf = (name, text) => {
  const number = text === undefined ? undefined : Number(text)
  if (number !== undefined && !(number > 0)) throw new Error(`--${name} takes a number`)
  return number
}

/** Whether one of `words`, all of `--only` or `--with`, is part of `name`; without words everything is wanted. */
export const isWanted = (words, name) =>
  words.length === 0 || words.some((word) => name.includes(word))
