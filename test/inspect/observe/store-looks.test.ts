/** The keys of the store on the page. */
import { expect, test, vi } from 'vitest'
import { keyShown, storeShown } from '../../../src/inspect/observe/storage-looks.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { blobFiles, dir, startedWithBlobs } from '../../support/worlds/blob-instance.ts'

test('a list of keys reads no large value, so a damaged one is refused alone', async () => {
  const { world, app, store } = await startedWithBlobs()
  const values = { bytes: Buffer.alloc(5_000, 1), large: { list: 'x'.repeat(2_000) }, small: 'abc' }
  for (const [key, value] of Object.entries(values)) await world.during(store.put(key, value))
  await world.during(store.put('text', 'ü'.repeat(2_000)))
  await world.during(store.putFields('user', Object.entries({ name: 'ada', age: 36 })))
  const [segment] = blobFiles(world)
  const path = `${dir}/${segment}`
  const offset = Buffer.from(world.disk.contents(path)).indexOf(Buffer.alloc(1_000, 1))
  world.disk.poke(path, offset, Buffer.from([2]))
  const reads = vi.spyOn((app.shards[0] as App['shards'][number]).blobs, 'read')

  const { rows } = await world.during(storeShown(app, {}))

  expect(rows).toEqual([
    { key: 'bytes', type: 'bytes of 5000' },
    { key: 'large', type: expect.stringMatching(/^value of 20\d\d bytes$/) },
    { key: 'small', type: 'string of 3' },
    { key: 'text', type: 'string of 4000 bytes' },
    { key: 'user', type: 'compound of 2' },
  ])
  expect(reads).not.toHaveBeenCalled()
  const damaged = expect.objectContaining({ code: 'CORRUPT' })
  await expect(world.during(keyShown(app, { key: 'bytes' }))).rejects.toEqual(damaged)
  expect(await world.during(keyShown(app, { key: 'large' }))).toMatchObject({
    value: { members: expect.anything() },
  })
})
