/** Files of a log that are lost together with everything that would show it are told by `floor.json`. */
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
      details: { evidence: expect.stringContaining('floor.json') },
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

test('a damaged floor is CORRUPT and left alone, and its shard alone is down when it may be', async () => {
  const { world, app } = await started({ shards: 2 })
  await world.during(app.close())
  const file = '/data/shard-1/floor.json'
  world.disk.flipBit(file, 100)
  const before = world.disk.contents(file)

  await expect(world.start()).rejects.toMatchObject({ code: 'CORRUPT', details: { file } })
  const again = await world.start({ allowDown: true })
  expect(again.health().shards.map(({ phase }) => phase)).toEqual(['open', 'down'])
  await world.during(again.close())
  expect(world.disk.contents(file)).toEqual(before)
})

test('keelson.json is written once: a life changes only the floors of its shards', async () => {
  const { world, app } = await started({ shards: 2 })
  const text = (path: string): string => Buffer.from(world.disk.contents(path)).toString()
  const made = text('/data/keelson.json')
  await world.during(app.store.put('k', 1))
  const floors = [0, 1].map((shard) => text(`/data/shard-${shard}/floor.json`))
  await world.during(app.close())

  expect(text('/data/keelson.json')).toBe(made)
  const changed = [0, 1].map((at) => text(`/data/shard-${at}/floor.json`) !== floors[at])
  expect(changed.filter(Boolean), 'the shard of the key').toHaveLength(1)
})

test('a log that lost nothing opens after each end, and a floor that cannot be written is not raised', {
  tags: ['slow'],
}, async () => {
  const world = machine()
  for (const end of ['kill', 'close', 'kill', 'kill', 'close'] as const) await live(world, end, end)
  world.disk.inject({
    at: 1,
    times: 1_000,
    path: '/data/shard-0/floor.json',
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
