/** A projection that cannot be opened: what is tried again, and what takes its shard down. */
import { describe, expect, test } from 'vitest'
import { type ErrorCode, KeelsonError } from '../../../src/errors.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import type { Projections } from '../../../src/storage/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { codeOf, type Machine, machine } from '../../support/worlds/simulated-instance.ts'

const noSpace = new KeelsonError('NO_SPACE', 'no room')

/** A machine whose projections fail to open with `error`, so many times. Counts the tries. */
const refusing = async (error: Error, times: number) => {
  let left = 0
  const opened: number[] = []
  const around = (projections: Projections): Projections => ({
    ...projections,
    open: (dir, mapBytesMax) => {
      opened.push(world.clock.monotonic())
      if (left-- > 0) throw error
      return projections.open(dir, mapBytesMax)
    },
  })
  const world: Machine = machine({ around })
  const first = await world.start()
  await world.during(first.store.put('a', 1))
  await world.during(first.close())
  opened.length = 0
  left = times
  const log = capturedLog()
  const start = () =>
    world.start({ deadlineMs: 5_000, system: createSystem({ clock: world.clock, logger: log }) })
  return { world, opened, log, start }
}

describe('without room', () => {
  test('it is tried each second, and the shard opens when there is some', async () => {
    const { world, opened, start, log } = await refusing(noSpace, 3)
    const app = await start()
    expect(app.store.get('a')).toBe(1)
    const pauses = opened.slice(1).map((at, nth) => at - (opened[nth] ?? 0))
    expect(pauses).toEqual([1_000, 1_000, 1_000])
    expect(log.lines).toEqual([])
    await world.during(app.close())
  })

  test('for `deadlineMs` the shard is down, and says that its projection takes nothing', async () => {
    const { opened, start } = await refusing(noSpace, Number.POSITIVE_INFINITY)
    await expect(start()).rejects.toMatchObject({ code: 'DEGRADED' })
    expect((opened.at(-1) ?? 0) - (opened[0] ?? 0)).toBe(5_000)
  })
})

test.each<ErrorCode>(['FENCED', 'CORRUPT'])(
  'it takes the shard down at once if no restart can help: %s',
  async (code) => {
    const error = new KeelsonError(code, 'for good')
    const { opened, start } = await refusing(error, Number.POSITIVE_INFINITY)
    expect(await codeOf(start())).toBe(code)
    expect(opened).toHaveLength(1)
  },
)

test('any other error is one of its applier, which begins again', async () => {
  const { world, opened, start } = await refusing(new Error('odd'), 2)
  const app = await start()
  expect([app.store.get('a'), opened.length]).toEqual([1, 3])
  await world.during(app.close())
})
