/** A projection that is ahead of every snapshot has the rows of its blobs: its opening does not read the log for them. */
import { expect, test } from 'vitest'
import type { LogHost } from '../../../src/storage/index.ts'
import { options as blobOptions } from '../../support/worlds/blob-instance.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

test('the opening of a projection that is ahead of the snapshots reads no frame', async () => {
  const read: number[] = []
  const aroundLog = (host: LogHost): LogHost => ({
    run: (kind, request) => {
      if (kind === 'read') read.push((request as { from: number }).from)
      return host.run(kind, request)
    },
    end: () => host.end(),
  })
  const { start, during } = machine({ aroundLog })
  const first = await start(blobOptions)
  await during(first.store.put('a', Buffer.alloc(9_000, 1)))
  await during(first.control.flush(0))
  await during(first.close())
  read.length = 0
  const app = await start(blobOptions)
  expect(app.store.get('a')).toEqual(Buffer.alloc(9_000, 1))
  expect(read.filter((from) => from === 1)).toEqual([])
})
