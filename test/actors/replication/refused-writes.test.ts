/** What a replica makes of writes that were refused: they have frames all the same. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { restore } from '../../../src/adapters/postgres/postgres.ts'
import { nodeDisk, shardFolder } from '../../../src/storage/index.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { verifyLog } from '../../support/verify-log.ts'
import { caughtUp, following } from '../../support/worlds/followed-instance.ts'

test('goes on after a large value that was refused, and has been freed since', {
  tags: ['slow'],
}, async () => {
  const { world, replica, app } = await following({}, { blobs: { threshold: 1_000 } })
  await caughtUp(world, app)
  replica.isAway = true
  await world.during(app.store.lock(['k'], { owner: 'other', leaseMs: 60_000 }))
  const refused = app.store.put('k', 'large'.repeat(1_000)).catch(({ code }) => code)
  expect(await world.during(refused)).toBe('LOCKED')
  await world.during(app.store.put('kept', 'other'.repeat(1_000)))
  await world.clock.advance(30 * 60_000)
  const { outcomes } = await world.during(app.control.sweepAll())
  expect(outcomes).toMatchObject([{ ok: true }])
  replica.isAway = false
  await caughtUp(world, app)
  expect([...replica.kept.keys.keys()]).toEqual(['kept'])
  expect([...replica.kept.blobs.values()].map(({ length }) => length)).toEqual([0, 5_000])

  await world.during(app.close())
  const dir = join(tempFolder(), 'new')
  await restore({ client: replica, dir })
  expect(verifyLog(nodeDisk(), shardFolder(dir, 0).wal)).toMatchObject({ verdict: 'clean' })
})

test('goes on after such a value where the rows were filled from a snapshot since', async () => {
  const required = { required: true }
  const { world, replica, app, options } = await following(required, {
    blobs: { threshold: 1_000 },
  })
  await caughtUp(world, app)
  replica.isAway = true
  await world.during(app.store.lock(['k'], { owner: 'other', leaseMs: 60_000 }))
  const refused = app.store.put('k', 'large'.repeat(1_000)).catch(({ code }) => code)
  expect(await world.during(refused)).toBe('LOCKED')
  await world.during(app.store.put('kept', 'other'.repeat(1_000)))
  await world.clock.advance(30 * 60_000)
  await world.during(app.control.sweepAll())
  await world.during(app.control.snapshot(0))
  await world.during(app.close())
  world.projections.remove('/data/shard-0/lmdb')
  const again = await world.start(options)
  replica.isAway = false

  await caughtUp(world, again)
  expect([...replica.kept.keys.keys()]).toEqual(['kept'])
  expect([...replica.kept.blobs.values()].map(({ length }) => length)).toEqual([0, 5_000])
})

test('keeps the keys of a namespace whose clear was refused', async () => {
  const { world, replica, app } = await following()
  for (const key of ['n:1', 'n:2', 'm:1', 'root']) await world.during(app.store.put(key, key))
  await world.during(app.store.lock(['n:1'], { owner: 'other', leaseMs: 60_000 }))
  const codes = [{ namespace: 'n' }, {}].map((what) =>
    app.store.clear(what).catch(({ code }) => code),
  )
  expect(await world.during(Promise.all(codes))).toEqual(['LOCKED', 'LOCKED'])
  await caughtUp(world, app)
  expect([...replica.kept.keys.keys()].sort()).toEqual(['m:1', 'n:1', 'n:2', 'root'])
})
