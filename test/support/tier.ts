/**
 * How much a test tries. `npm test` runs every claim once, on a part of its cases. `npm run test:all` sets
 * `KEELSON_TIER=all` and tries every case: each cut, each flip, more seeds, more kills.
 */

/** Whether every case is tried. */
export const triesAll = process.env.KEELSON_TIER === 'all'

/** `quick` in `npm test`, `all` in `npm run test:all`. */
export const thorough = (quick: number, all: number): number => (triesAll ? all : quick)

/** How many seeds, rounds or bytes: the environment variable `name` if it is set, else as the tier says. */
export const countOf = (name: string, quick: number, all: number): number =>
  Number(process.env[name] ?? thorough(quick, all))

/** Seeds 1, 2, 3, …: as many as `KEELSON_SEEDS` says if it is set, else as the tier says. */
export const seedsOf = (quick: number, all: number): number[] =>
  Array.from({ length: countOf('KEELSON_SEEDS', quick, all) }, (_, index) => index + 1)

/** Every case in the full tier. In the quick tier `quick` of them, evenly spread, the first included. */
export const sampled = <T>(cases: readonly T[], quick: number): readonly T[] => {
  if (triesAll || cases.length <= quick) return cases
  return Array.from(
    { length: quick },
    (_, index) => cases[Math.floor((index * cases.length) / quick)] as T,
  )
}

/**
 * As many seeds as the tier or `KEELSON_SEEDS` says, from 1 or `KEELSON_SEED` on, in parts of a hundred: what the
 * lives of a part leave behind is let go of with its test.
 */
export const seedParts = (
  quick: number,
  all: number,
): readonly { readonly from: number; readonly to: number }[] => {
  const seeds = countOf('KEELSON_SEEDS', quick, all)
  const first = Number(process.env.KEELSON_SEED ?? 1)
  return Array.from({ length: Math.ceil(seeds / partMax) }, (_, part) => {
    const from = first + part * partMax
    return { from, to: Math.min(from + partMax, first + seeds) - 1 }
  })
}

const partMax = 100
