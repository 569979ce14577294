/** What reads and sweeps blobs during the end of its instance. */
import { expect, test } from 'vitest'
import { BlobStore } from '../../../src/actors/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { payload } from '../../support/worlds/blob-folder.ts'
import { options } from '../../support/worlds/blob-instance.ts'
import { codeOf, machine } from '../../support/worlds/simulated-instance.ts'

test('a sweep that an orderly close cuts off is no trouble in the log', async () => {
  const world = machine()
  const log = capturedLog()
  const system = createSystem({ clock: world.clock, logger: log })
  const app = await world.start({ ...options, system })
  await world.during(app.store.put('k', Buffer.from(payload(1, 9000))))
  await world.clock.advance(61_000)
  // As `close` does before the processes end in their order, which takes time under load.
  app.shards[0]?.close()

  const swept = codeOf(BlobStore.sweep(system.to(BlobStore.name('default', 0))))

  expect(await world.during(swept)).toBe('CLOSED')
  await world.during(app.close())
  expect(log.lines).toEqual([])
})

test('a load and a stream that are pending at a close end with CLOSED', async () => {
  const world = machine()
  const app = await world.start(options)
  const pieces = Array.from({ length: 8 }, (_, at) => payload(at, 1_000_000))
  await world.during(app.store.putStream('key', pieces))
  const stream = app.store.getStream('key')?.[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  await world.during(stream.next())
  const load = codeOf(app.store.load('key'))
  await world.during(app.close())
  const rest = async () => {
    while (!(await stream.next()).done);
  }

  expect(await world.during(Promise.all([load, codeOf(rest())]))).toEqual(['CLOSED', 'CLOSED'])
})
