/** The tree of a shard in both of its forms. */
import { expect, test } from 'vitest'
import { startSupervisor, terminateChild, whichChildren } from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { shardForms, shardTree, treeNames } from '../../../src/supervisors/tree/shard-tree.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

const names = treeNames()

/** The running actors of shard 0, in start order: the newest is listed first. */
const actorsOf = async ({ system }: App) => {
  const running = async (above: ReturnType<typeof names.shard>) =>
    (await whichChildren(system.to(above)))
      .filter(({ ref }) => ref !== undefined)
      .map(({ id }) => id.replace('(0)', ''))
      .toReversed()
  return { chain: await running(names.shard(0)), followers: await running(names.followers(0)) }
}

const expected = (form: keyof typeof shardForms) => {
  const { chain, followers } = shardForms[form]
  return { chain: [...chain, 'followers'], followers }
}

test('a follower has the actors of an owner but for those that begin something', () => {
  const { owner, follower } = shardForms
  const isLeft = (actor: string): boolean =>
    !['journal', 'expirer', 'alarms', 'snapshotter'].includes(actor)
  expect(follower).toEqual({
    chain: owner.chain.filter(isLeft),
    followers: owner.followers.filter(isLeft),
  })
})

test('the owner of a shard runs every actor', async () => {
  const { during, app } = await started({})
  expect(await during(actorsOf(app))).toEqual(expected('owner'))
})

test('a follower opens the log and shows it', async () => {
  const { during, app } = await started({})
  const [shard] = app.shards
  if (!shard) throw new Error('there is a shard')
  await during(app.store.put('before', 1))
  await during(terminateChild(app.system.to(names.shards), 'shard(0)'))
  shard.clearDown()

  await during(startSupervisor(app.system, shardTree(shard, app.entities, 'follower')))
  await during(shard.settled())

  expect(await during(actorsOf(app))).toEqual(expected('follower'))
  expect(app.store.get('before')).toBe(1)
})
