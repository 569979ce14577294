/** An applier that begins again has what its projection lacks, also when that is one frame. */
import { expect, test } from 'vitest'
import { Applier, LmdbWriter } from '../../../src/actors/index.ts'
import { call } from '../../../src/runtime/index.ts'
import { machine } from '../../support/simulated-instance.ts'

test.each([1, 2, 3])(
  'a value in %i frames behind the projection is there again',
  async (frames) => {
    const { start, during, clock } = machine()
    const app = await start()
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
