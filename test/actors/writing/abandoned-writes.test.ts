/** Abandoned writes cost no memory, however long the disk hangs. */
import { describe, expect, test } from 'vitest'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

describe('memory', () => {
  test('does not grow with abandoned writes on a disk that hangs', { tags: ['slow'] }, async () => {
    const { clock, during, app } = await started({}, { syncMs: 1_000 })
    const first = codeOf(app.store.put('first', 1, { deadlineMs: 60_000 }))
    await clock.settle()
    for (let round = 0; round < 40; round++) {
      const puts = Array.from({ length: 200 }, (_, at) =>
        codeOf(app.store.put(`k${at}`, 1, { deadlineMs: 5 })),
      )
      await clock.advance(5)
      expect(new Set(await Promise.all(puts))).toEqual(new Set(['NOT_SUBMITTED']))
    }
    expect(app.shards[0]?.appends.queue.length).toBeLessThan(2_000)

    await during(first)
  })
})
