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

test('a write that the state refuses waits for no projection: its refusal is the answer', async () => {
  const { during, app, store } = await started()
  await during(store.put('structured', { x: 1 }))
  await during(store.lock(['locked'], { owner: 'me', leaseMs: 600_000 }))
  await during(app.journal.append({ id: 'entry', type: 't', command: 1 }))
  await during(app.control.suspendAll())
  const ack = 'projected'
  const refused: [Promise<unknown>, string][] = [
    [store.put('locked', 1, { ack }), 'LOCKED'],
    [store.append('structured', 'x', { ack }), 'WRONG_TYPE'],
    [store.batch().put('free', 1).put('locked', 1).commit({ ack }), 'LOCKED'],
    [store.putMany([['locked', 1]], { ack }), 'LOCKED'],
    [store.putStream('locked', [Buffer.of(1)], { ack }), 'LOCKED'],
    [store.clear({ ack }), 'LOCKED'],
    [app.journal.append({ id: 'entry', type: 't', command: 2 }, { ack }), 'CONFLICT'],
  ]
  const codes = Promise.all(refused.map(([write]) => codeOf(write)))

  expect(await during(codes, 1_000)).toEqual(refused.map(([, code]) => code))
})

test('an update between whose read and write another one came is written before it waits', async () => {
  const { during, app, store } = await started()
  await during(app.control.suspendAll())
  const put = store.put('n', 1)
  const add = (value = 0): number => value + 10
  const updated = codeOf(store.update<number>('n', add, { ack: 'projected', deadlineMs: 500 }))
  await during(put)

  expect(await during(updated)).toBe('TIMEOUT')
  expect(store.get('n')).toBe(11)
})
