/** An applier that begins again has what its projection lacks, also when that is one frame. */
import { expect, test } from 'vitest'
import { Applier, LmdbWriter } from '../../../src/actors/index.ts'
import { call, suspend } from '../../../src/runtime/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

test.each([1, 2, 3])(
  'a value in %i frames behind the projection is there again',
  async (frames) => {
    const { during, clock, app } = await started()
    await during(app.store.put('before', 0))
    await during(app.control.flush(0))
    await during(app.control.suspend(0))
    const writer = app.system.to(LmdbWriter.name(0))
    expect(await during(call(writer, 'describe', undefined))).toMatchObject({
      suspensions: [expect.anything()],
    })
    for (let at = 1; at <= frames; at++) await during(app.store.put(`k${at}`, at))

    app.system.kill(app.system.to(Applier.name(0)))
    await clock.advance(1_000)

    for (let at = 1; at <= frames; at++) expect(app.store.get(`k${at}`)).toBe(at)
    expect(app.store.get('before')).toBe(0)
  },
)

test('every request of the writer ends at its time limit', async () => {
  const { during, clock, app } = await started()
  const writer = app.system.to(LmdbWriter.name(0))
  await during(suspend(writer))
  const codes = [
    LmdbWriter.flush(writer, 50),
    LmdbWriter.request(writer, 1, 50),
    LmdbWriter.suspend(writer, 'token', false, 50),
    LmdbWriter.resume(writer, 50),
    LmdbWriter.discard(writer, 50),
  ].map((request) => codeOf(request))
  await clock.advance(50)
  expect(await Promise.all(codes)).toEqual(Array(5).fill('TIMEOUT'))
})
