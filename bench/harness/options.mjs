/** The command line of the benches: what they all understand. */
import { parseArgs } from 'node:util'

/** Reads `NAME [--quick] [--cpu] [--only CASE] [--with CONTENDER] [--repeats N] [--json FILE]`. Throws what `parseArgs` throws. */
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
      json: { type: 'string' },
    },
  })
  const repeats = values.repeats === undefined ? undefined : Number(values.repeats)
  if (repeats !== undefined && !(repeats >= 1)) throw new Error('--repeats takes a number')
  return { ...values, repeats, name: positionals[0] }
}

/** Whether one of `words`, all of `--only` or `--with`, is part of `name`; without words everything is wanted. */
export const isWanted = (words, name) =>
  words.length === 0 || words.some((word) => name.includes(word))
