/** Files of a log that are lost together with everything that would show it are told by `keelson.json`. */
import { expect, test } from 'vitest'
import { codeOf, type Machine, machine, started } from '../../support/worlds/simulated-instance.ts'

const wal = '/data/shard-0/wal'

const segments = ({ disk }: Machine): string[] =>
  disk.list(wal).filter((name) => name.endsWith('.wal'))

/** Loses MANIFEST, the projection and the newest segments, all but `count`. */
const lose = (world: Machine, count: number): void => {
  const { disk, projections } = world
  disk.remove(`${wal}/MANIFEST`)
  projections.remove('/data/shard-0/lmdb')
  for (const name of segments(world).slice(count)) disk.remove(`${wal}/${name}`)
}

/** A life that writes, and how it ends. */
const live = async (world: Machine, key: string, end: 'close' | 'kill'): Promise<void> => {
  const app = await world.start()
  await world.during(app.store.put(key, key))
  if (end === 'close') await world.during(app.close())
  else {
    await world.during(app.system.stop())
    world.disk.killProcess()
  }
}

test.each(['close', 'kill'] as const)(
  'a log without the segments of its last life, MANIFEST and projection is CORRUPT after a %s, and is left alone',
  async (end) => {
    const world = machine()
    await live(world, 'old', 'close')
    const count = segments(world).length
    await live(world, 'new', end)
    lose(world, count)
    const before = world.disk.list(wal)

    await expect(world.start()).rejects.toMatchObject({
      code: 'CORRUPT',
      details: { evidence: expect.stringContaining('keelson.json') },
    })
    expect(world.disk.list(wal)).toEqual(before)
  },
)

test('a log from before a life that wrote nothing is CORRUPT: it would begin the same epoch again', async () => {
  const world = machine()
  await live(world, 'old', 'close')
  const count = segments(world).length
  const app = await world.start()
  await world.during(app.system.stop())
  world.disk.killProcess()
  lose(world, count)

  expect(await codeOf(world.start())).toBe('CORRUPT')
})

test('a log that was closed and lost frames behind its floor is CORRUPT', async () => {
  const { world, app } = await started()
  for (let number = 0; segments(world).length < 3; number++)
    await world.during(app.store.put(`k${number}`, 'x'.repeat(20_000)))
  await world.during(app.close())
  lose(world, 2)

  expect(await codeOf(world.start())).toBe('CORRUPT')
})

test('a start that is refused says which shard the damaged file is of', async () => {
  const { world, app } = await started({ shards: 2 })
  await world.during(app.close())
  const folder = '/data/shard-1/wal'
  for (const name of world.disk.list(folder))
    if (name.endsWith('.wal')) world.disk.remove(`${folder}/${name}`)

  await expect(world.start()).rejects.toMatchObject({
    code: 'CORRUPT',
    message: expect.stringMatching(/^shard-1\/wal: the log is damaged at MANIFEST, /),
    details: { file: 'shard-1/wal/MANIFEST' },
  })
})

test('a log that lost nothing opens after each end, and a floor that cannot be written is not raised', async () => {
  const world = machine()
  for (const end of ['kill', 'close', 'kill', 'kill', 'close'] as const) await live(world, end, end)
  world.disk.inject({
    at: 1,
    times: 1_000,
    path: '/data/keelson.json',
    operation: ['create', 'rename'],
    fault: { kind: 'error', code: 'ENOSPC' },
  })
  await live(world, 'full', 'close')
  world.disk.clearFaults()
  // Without a projection and a MANIFEST everything comes from the segments.
  lose(world, Number.POSITIVE_INFINITY)
  const app = await world.start()
  expect(app.store.get('full')).toBe('full')
  await world.during(app.close())
})
