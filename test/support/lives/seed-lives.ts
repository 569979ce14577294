/** Lives of many seeds, one after another: the first that fails is named, and what happened in all of them is added up. */

/** What happened, counted. */
export type Tally = Record<string, number>

/**
 * Lives the life of each seed, and answers what each told.
 *
 * @throws Error that names the seed, at the first that fails.
 */
export const liveSeeds = async <Story>(
  seeds: Iterable<number>,
  live: (seed: number) => Promise<Story>,
): Promise<Story[]> => {
  const stories: Story[] = []
  for (const seed of seeds)
    stories.push(
      await live(seed).catch((cause) => {
        throw new Error(`seed ${seed} fails: KEELSON_SEED=${seed} lives it alone`, { cause })
      }),
    )
  return stories
}

/** The sum of what happened. */
export const sumOf = (stories: Iterable<Tally>): Tally => {
  const sum: Tally = {}
  for (const story of stories)
    for (const [name, count] of Object.entries(story)) sum[name] = (sum[name] ?? 0) + count
  return sum
}
