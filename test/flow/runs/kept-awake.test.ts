/** An entity that is kept awake is awake again soon after each end of its process, and later after each one that follows soon. */
import { expect, test } from 'vitest'
import { keptAwake } from '../../../src/flow/runs/parts.ts'
import { supervisor } from '../../../src/index.ts'
import { noReply } from '../../../src/runtime/index.ts'
import { kindSpec } from '../../../src/supervisors/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

test('an entity is kept awake: the pause after its end doubles, and is short again after a sound minute', async () => {
  const woken: number[] = []
  const server = {
    init: () => undefined,
    wake: () => void woken.push(s.clock.monotonic()),
    calls: { stay: (state: undefined) => noReply(state) },
  }
  const kind = kindSpec('thing', server as never)
  const s = await simulated({ app: supervisor('app', {}, [kind, keptAwake('thing', '1')]) })
  await s.advance(70_000)
  expect(woken).toHaveLength(1)

  /** How long after its end the entity is awake again. It ends so long after its wake. */
  const pauseAfter = async (awakeMs: number): Promise<number> => {
    await s.advance(awakeMs)
    const at = s.clock.monotonic()
    s.system.kill(s.app.entities.holder('thing/1')?.address as never)
    await s.advance(20_000 - awakeMs)
    const next = woken.at(-1) ?? 0
    return Math.round(next - at)
  }
  const pauses: number[] = []
  for (let failures = 1; failures <= 9; failures++) pauses.push(await pauseAfter(0))
  expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000])

  const soundAfter = async (ms: number): Promise<number> => {
    const since = woken.at(-1) ?? 0
    await s.advance(since + ms - s.clock.monotonic())
    return pauseAfter(0)
  }
  expect(await soundAfter(59_999)).toBe(10_000)
  expect(await soundAfter(60_000)).toBe(100)
  expect(await soundAfter(59_999)).toBe(200)
})
