/**
 * How much is tried. `npm run test:all` sets `KEELSON_TIER=all` and tries everything. `npm test` tries a part of the cases:
 * fewer cuts, flips, seeds and kills. It leaves out the files `*.long.test.ts`: rounds of kills and power cuts, damage to
 * every bit, faults of the system, threads and processes that end in every way, leaks and sizes.
 */

/** Whether every case is tried. */
export const triesAll = process.env.KEELSON_TIER === 'all'

/** `quick` in `npm test`, `all` in `npm run test:all`. */
export const thorough = (quick: number, all: number): number => (triesAll ? all : quick)

/** How many seeds, rounds or bytes: the environment variable `name` if it is set, else as the tier says. */
export const countOf = (name: string, quick: number, all: number): number =>
  Number(process.env[name] ?? thorough(quick, all))

/**
 * Seeds 1, 2, 3, …: as many as `KEELSON_SEEDS` says if it is set, else as the tier says. `KEELSON_SEED` is the first one if it
 * is set, and the only one without `KEELSON_SEEDS`.
 */
export const seedsOf = (quick: number, all: number): number[] => {
  const { KEELSON_SEED: first, KEELSON_SEEDS: count } = process.env
  const length = Number(count ?? (first === undefined ? thorough(quick, all) : 1))
  return Array.from({ length }, (_, at) => Number(first ?? 1) + at)
}

/** Every case in the full tier. In the quick tier `quick` of them, evenly spread, the first included. */
export const sampled = <T>(cases: readonly T[], quick: number): readonly T[] => {
  if (triesAll || cases.length <= quick) return cases
  return Array.from(
    { length: quick },
    (_, index) => cases[Math.floor((index * cases.length) / quick)] as T,
  )
}

/** The seeds of `seedsOf` in parts of a hundred: what the lives of a part leave behind is let go of with its test. */
export const seedParts = (quick: number, all: number) => {
  const seeds = seedsOf(quick, all)
  return Array.from({ length: Math.ceil(seeds.length / partMax) }, (_, part) => {
    const some = seeds.slice(part * partMax, (part + 1) * partMax)
    return { from: some[0], to: some.at(-1), seeds: some }
  })
}

const partMax = 100
