/** A test in many orders: an actor's promises must hold in every interleaving of messages. */
import { noMore } from '../../check.ts'
import { type TestSystem, testSystem } from './test-system.ts'

/**
 * Runs `test` with the seeds from 1 to `count`, each on a separate System, which is closed
 * afterwards. When a run fails, the error names the seed, and its `cause` is the failure.
 * `KEELSON_SEED=17` in the environment runs that seed alone.
 */
export const inManyOrders = async (
  count: number,
  test: (world: TestSystem, seed: number) => unknown,
  ...surplus: []
): Promise<void> => {
  noMore(surplus, 'inManyOrders(count, test)')
  const only = process.env.KEELSON_SEED
  const seeds = only ? [Number(only)] : Array.from({ length: count }, (_, index) => index + 1)
  for (const seed of seeds) await inOrder(seed, test)
}

const inOrder = async (
  seed: number,
  test: (world: TestSystem, seed: number) => unknown,
): Promise<void> => {
  const world = testSystem({ seed })
  try {
    await test(world, seed)
  } catch (cause) {
    throw new Error(`fails with seed ${seed}: run it alone with KEELSON_SEED=${seed}`, { cause })
  } finally {
    await world.close()
  }
}
