/** A start of a shard without some of its folders: it shows every acknowledged value, or names what is lost. */
import { expect, test } from 'vitest'
import {
  type App,
  call,
  type DurableServer,
  entity,
  isKeelsonError,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import type { StartOptions } from '../../../src/supervisors/index.ts'
import { type Machine, machine } from '../../support/worlds/simulated-instance.ts'

type Account = { calls: { add: (by: number) => number } }
const account: DurableServer<Account, number> = {
  init: () => ok(0),
  calls: { add: (balance, by) => reply(balance + by, balance + by) },
}
const accounts = entity('account', account)

const shard = '/data/shard-0'
const options: Partial<StartOptions> = {
  wal: { maxFileSize: 128 * 1024 },
  blobs: { threshold: 1_000, segmentBytes: 16_384, graceMs: 0, sweepMs: 0 },
  app: supervisor('app', {}, [accounts]),
}

const large = (at: number): Buffer => Buffer.alloc(9_000, at)

/** Blobs before and after a snapshot, entities, and a log that was given back. */
const filled = async (more: Partial<StartOptions> = {}): Promise<Machine> => {
  const world = machine()
  const { during } = world
  const app = await world.start({ ...options, ...more })
  await during(app.store.put('old', large(1)))
  // Only the log refers to this one.
  await during(app.store.put('replaced', large(3)))
  await during(app.store.put('replaced', 'small'))
  for (let at = 0; at < 40; at++)
    await during(app.store.put(`k${at % 8}`, `${at}`.padEnd(900, 'x')))
  for (let at = 0; at < 300; at++) void app.store.put('filler', 'x'.repeat(900))
  await during(call(app.entity(accounts).ref('x'), 'add', 5))
  await during(app.control.snapshot(0))
  await during(app.store.put('new', large(2)))
  await during(call(app.entity(accounts).ref('x'), 'add', 1))
  await during(app.close())
  return world
}

const remove = ({ disk, projections }: Machine, folder: string): void => {
  if (folder === 'lmdb') projections.remove(`${shard}/lmdb`)
  else disk.remove(`${shard}/${folder}`)
}

const expectAll = async ({ during }: Machine, app: App): Promise<void> => {
  expect(await during(app.store.load('old'))).toEqual(large(1))
  expect(await during(app.store.load('new'))).toEqual(large(2))
  for (let at = 32; at < 40; at++)
    expect(app.store.get(`k${at % 8}`)).toBe(`${at}`.padEnd(900, 'x'))
  expect(await during(call(app.entity(accounts).ref('x'), 'add', 0))).toBe(6)
}

const folders = ['wal', 'lmdb', 'blobs', 'snapshot']
const pairs = folders.flatMap((one, at) => [
  [one],
  ...folders.slice(at + 1).map((two) => [one, two]),
])

/** Without these a start shows everything: the rows are in the snapshot, or in the projection. */
const derived = ['lmdb', 'snapshot']

test.each(pairs)(
  'a start without %s %s shows every value, or is CORRUPT and names the loss',
  async (...gone) => {
    const world = await filled()
    for (const folder of gone) remove(world, folder)

    const started = await world.start(options).catch((error: unknown) => error)

    if (gone.length === 1 && derived.includes(gone[0] ?? '')) {
      await expectAll(world, started as App)
      return
    }
    expect(isKeelsonError(started, 'CORRUPT') && started.details.evidence).toBeTruthy()
    if (gone.includes('blobs') && !gone.includes('wal') && gone[1] !== 'snapshot')
      expect((started as { details: unknown }).details).toMatchObject({
        lost: [{ isMissing: true }, { isMissing: true }, { isMissing: true }],
      })
  },
)

test('a start without the snapshot makes another one, from which a lost projection is built', async () => {
  const world = await filled()
  remove(world, 'snapshot')
  const app = await world.start(options)
  await world.clock.advance(1_000)
  await world.during(app.close())
  remove(world, 'lmdb')

  const again = await world.start(options)

  await expectAll(world, again)
})

test('a cut segment of blobs refuses the start, after a kill too', async () => {
  const world = machine()
  const app = await world.start(options)
  await world.during(app.store.put('a', large(1)))
  await world.during(app.store.put('b', large(2)))
  world.disk.halt()
  await world.during(app.close({ deadlineMs: 0 })).catch(() => undefined)
  world.disk.killProcess()
  const file = world.disk.open(`${shard}/blobs/00000000000000000000.bloblog`, 'write')
  file.truncate(8_192)
  file.close()

  const refused = await world.start(options).catch((error: unknown) => error)

  expect(refused).toMatchObject({ code: 'CORRUPT', details: { lost: [{ isMissing: false }] } })
})

test('without the note of sizes a start goes on, and each lost value is CORRUPT for its reader', async () => {
  const world = await filled()
  remove(world, 'blobs')
  remove(world, 'blobs.sizes')

  const app = await world.start(options)

  expect(() => app.store.get('old')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  expect(app.store.get('k1')).toBe('33'.padEnd(900, 'x'))
})

test('blobs that come back after a life without them are not freed while the log refers to them', async () => {
  const more = { retention: { log: 100_000_000 } }
  const world = await filled(more)
  const { disk, during } = world
  disk.rename(`${shard}/blobs`, '/data/away')
  remove(world, 'blobs.sizes')
  remove(world, 'lmdb')
  const without = await world.start({ ...options, ...more })
  await during(without.store.put('another', 'small'))
  await during(without.control.flush(0))
  await during(without.close())
  disk.rename('/data/away', `${shard}/blobs`)

  const app = await world.start({ ...options, ...more })
  const { freedBytes } = await during(app.control.sweep(0))

  expect(freedBytes).toBe(0)
})
