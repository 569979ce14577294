/** A wait for the projection lasts as long as it can succeed, and ends with the instance. */
import { expect, test } from 'vitest'
import { LmdbWriter } from '../../../src/actors/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

test('a put with ack `projected` outlasts a discard and the death of the projection’s writer', async () => {
  const { clock, during, app } = await started({ wal: { enableFsync: false } }, { syncMs: 100 })
  const put = app.store.put('a', 1, { ack: 'projected' })
  await clock.advance(150)
  const discard = app.control.discardAll()
  await clock.advance(20)
  app.system.kill(LmdbWriter.name(0))

  await during(put)
  await during(discard)
  expect(app.health().shards[0]?.projectedLsn).toBeGreaterThan(0)
})

test('a wait for the projection ends with the instance', async () => {
  const { during, app } = await started()
  await during(app.control.suspendAll())
  const put = codeOf(app.store.put('a', 1, { ack: 'projected', deadlineMs: 1_000_000 }))

  await during(app.close({ deadlineMs: 100 }))

  expect(await during(put, 200)).toBe('TIMEOUT')
})
