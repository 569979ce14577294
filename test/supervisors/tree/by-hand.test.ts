/** A storage actor that an operator ends and starts again by hand leads back to an open shard. */
import { describe, expect, test } from 'vitest'
import {
  type Ref,
  restartChild,
  type SupervisorMessages,
  terminateChild,
} from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

const children = [
  ['shard(0)', 'blob_store(0)'],
  ['shard(0)', 'wal_writer(0)'],
  ['shard(0)', 'applier(0)'],
  ['shard(0)', 'batcher(0)'],
  ['shard(0)', 'followers(0)'],
  ['followers(0)', 'lmdb_writer(0)'],
  ['followers(0)', 'expirer(0)'],
  ['followers(0)', 'alarms(0)'],
  ['followers(0)', 'snapshotter(0)'],
  ['shards', 'shard(0)'],
  ['keelson', 'shards'],
] as const

const at = (app: App, name: string) => app.system.to(name as never) as Ref<SupervisorMessages>

/** The shard works: small and large values, projections, and expiry. */
const works = async (app: App): Promise<unknown> => ({
  small: await codeOf(app.store.put('small', 1, { ack: 'projected' })),
  large: await codeOf(app.store.put('large', Buffer.alloc(5_000))),
  windowed: await codeOf(app.store.put('windowed', 1, { windowMs: 20 })),
  ended: await codeOf(app.store.put('ended', 1, { ttlMs: 5 })),
})
const working = { small: 'ok', large: 'ok', windowed: 'ok', ended: 'ok' }

describe.each(children)('under %s, %s', (parent, id) => {
  test('is ended and started again by hand: what was written is there, and the shard is open', async () => {
    const { clock, during, app } = await started({ blobs: { threshold: 1_000 } })
    await during(app.store.put('before', 1))
    for (let round = 0; round < 2; round++) {
      expect(await during(terminateChild(at(app, parent), id))).toEqual({ ok: true })
      await clock.advance(1_000)
      expect(await during(restartChild(at(app, parent), id))).toMatchObject({ ok: true })
      expect(await during(works(app))).toEqual(working)
      await clock.advance(1_000)
      expect(app.health().shards).toMatchObject([{ phase: 'open' }])
      expect(app.store.get('before')).toBe(1)
      expect(app.store.has('ended')).toBe(false)
      expect((await during(app.control.flushAll())).outcomes).toMatchObject([{ ok: true }])
      await clock.advance(20_000)
    }
  })

  test('keeps the writes that come while it is away until it is back', async () => {
    const { clock, during, app } = await started({ blobs: { threshold: 1_000 } })
    await during(terminateChild(at(app, parent), id))
    const isDown = id === 'shard(0)'
    const small = codeOf(app.store.put('small', 1))
    const large = codeOf(app.store.put('large', Buffer.alloc(5_000)))
    await clock.advance(1_000)
    await during(restartChild(at(app, parent), id))
    const expected = isDown ? 'SHARD_DOWN' : 'ok'
    expect(await during(Promise.all([small, large]))).toEqual([expected, expected])
  })
})
