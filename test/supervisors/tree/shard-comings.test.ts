/** A shard that goes to another member and comes back. */
import { expect, test } from 'vitest'
import { type Name, resume, suspend } from '../../../src/runtime/index.ts'
import { endShard, openArrived } from '../../../src/supervisors/tree/instance-tree.ts'
import type { Shard } from '../../../src/supervisors/tree/shard.ts'
import { treeNames } from '../../../src/supervisors/tree/shard-tree.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'

test('a shard that comes back before its supervisor was asked how it had ended is open, and not down', async () => {
  const machine = new SimulatedMachine()
  const app = await machine.start({ dir: '/data' })
  const { system, instance } = app
  const names = treeNames(instance)
  const [shard] = app.shards as unknown as readonly [Shard]
  const supervisor = system.to(names.shards)
  // It ends before the supervisor of the shard does.
  system.monitor('wal_writer(0)' as Name, () => void suspend(supervisor))

  shard.beElsewhere()
  await machine.during(endShard(system, shard))
  const opening = openArrived(system, shard)
  await machine.during(resume(supervisor))
  await machine.during(opening)
  await machine.clock.advance(1_000)

  expect(shard.phase.kind).toBe('open')
  await machine.during(app.close())
})

test('a write to a shard that comes back waits at the gate until it is open', async () => {
  const machine = new SimulatedMachine()
  const app = await machine.start({ dir: '/data' })
  const { system } = app
  const [shard] = app.shards as unknown as readonly [Shard]
  shard.beElsewhere()
  await machine.during(endShard(system, shard))

  const opening = openArrived(system, shard)
  const put = app.store.put('a', 1)
  expect([shard.phase.kind, shard.gate.load]).toMatchObject([
    'recovering',
    { entered: 0, waiting: 1 },
  ])
  await machine.during(opening)
  await machine.during(put)

  expect(await app.store.get('a')).toBe(1)
  await machine.during(app.close())
})
