/**
 * How much is tried, by the environment variable `KEELSON_TIER`.
 *
 * - `npm test` tries a part of the cases: fewer cuts, flips, seeds and kills. It leaves out the files
 *   `*.long.test.ts`: rounds of kills and power cuts, faults of the system, threads and processes
 *   that end in every way, commands on whole folders, leaks and sizes. It leaves out what is slow, too:
 *   the files `*.slow.test.ts`, which take over two seconds, and tests with the tag `slow`, which take
 *   over a third of one.
 * - `ci` (`npm run test:ci`, for each change) adds those, and tries a sixtieth of all cases.
 * - `all` (`npm run test:all`, before a release) tries everything.
 */
const tier = process.env.KEELSON_TIER ?? 'quick'
const tiers = ['quick', 'ci', 'all']
if (!tiers.includes(tier)) throw new Error(`KEELSON_TIER is one of ${tiers}, and not ${tier}`)

/** Whether every case is tried. */
export const triesAll = tier === 'all'

/** Whether the files `*.long.test.ts` and `*.slow.test.ts` run. */
export const triesLong = tier !== 'quick'

/**
 * `quick` in `npm test`, `all` in `npm run test:all`, and a sixtieth of `all`, but no less than `quick`,
 * between them. Of a stride or a bound, which is smaller in the full tier, `quick`.
 */
export const thorough = (quick: number, all: number): number => {
  if (triesAll) return all
  return triesLong && all > quick ? Math.max(quick, Math.ceil(all / 60)) : quick
}

/** How many seeds, rounds or bytes: the environment variable `name` if it is set, else as the tier says. */
export const countOf = (name: string, quick: number, all: number): number =>
  Number(process.env[name] ?? thorough(quick, all))

/**
 * Seeds from `begin` on: as many as `KEELSON_SEEDS` says if it is set, else as the tier says.
 * `KEELSON_SEED` is the first one if it is set, and the only one without `KEELSON_SEEDS`.
 */
export const seedsOf = (quick: number, all: number, begin = 1): number[] => {
  const { KEELSON_SEED: first, KEELSON_SEEDS: count } = process.env
  const length = Number(count ?? (first === undefined ? thorough(quick, all) : 1))
  return Array.from({ length }, (_, at) => Number(first ?? begin) + at)
}

/** As many cases as `thorough` says, evenly spread, the first included. */
export const sampled = <T>(cases: readonly T[], quick: number): readonly T[] => {
  const count = Math.ceil(thorough(Math.min(quick, cases.length), cases.length))
  return Array.from(
    { length: count },
    (_, index) => cases[Math.floor((index * cases.length) / count)] as T,
  )
}

/** The seeds of `seedsOf` in parts of a hundred: each test releases the memory of its lives. */
export const seedParts = (quick: number, all: number) => {
  const seeds = seedsOf(quick, all)
  return Array.from({ length: Math.ceil(seeds.length / partMax) }, (_, part) => {
    const some = seeds.slice(part * partMax, (part + 1) * partMax)
    return { from: some[0], to: some.at(-1), seeds: some }
  })
}

const partMax = 100
