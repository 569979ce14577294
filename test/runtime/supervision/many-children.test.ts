/** What a supervisor does for one of many children does not depend on their number. */
import { expect, test, vi } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import {
  countChildren,
  createSystem,
  type GenServer,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  stopProcess,
  supervisor,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { ServerLoop } from '../../../src/runtime/server/server-loop.ts'
import { silentLogger, testSystem } from '../../../src/testing/index.ts'

const idle: GenServer<object, null> = { init: () => null }

test('starts that wait when a supervisor is told to end look at no sibling', async () => {
  const { system } = testSystem()
  const top = await startDynamicSupervisor(system)
  for (let each = 0; each < 500; each++) await startDynamicChild(top, worker('child', idle))
  const starts = Array.from({ length: 100 }, () => startDynamicChild(top, worker('late', idle)))

  const looks = vi.spyOn(ServerLoop.prototype, 'status')
  await stopProcess(top, 'shutdown')
  expect(looks.mock.calls.length).toBeLessThan(200)
  looks.mockRestore()
  expect((await Promise.all(starts)).every(({ ok }) => ok)).toBe(true)
  expect(system.processes()).toEqual([])
})

test('the exits of children that died before their supervisor ends are taken at once', async () => {
  const { system, log } = testSystem()
  const top = await startDynamicSupervisor(system)
  const refs: unknown[] = []
  for (let each = 0; each < 300; each++)
    refs.push((await startDynamicChild(top, worker('child', idle, undefined, {}))).ref)
  const ended = stopProcess(top, 'shutdown')
  for (const ref of refs.reverse()) system.kill(ref as never)
  await ended
  expect(system.processes()).toEqual([])
  // Each child's own reason is told: it was killed, and not by its supervisor.
  expect(log.lines.filter(({ message }) => message.includes('killed'))).toHaveLength(300)
})

/** A System in which time passes by a ms with each look at the clock, and how often it gave way. */
const slowSystem = () => {
  const clock = virtualClock()
  let looks = 0
  let turns = 0
  const system = createSystem({
    logger: silentLogger,
    clock: {
      ...clock,
      monotonic: () => clock.monotonic() + looks++,
      soon: (action) => {
        turns++
        clock.soon(action)
      },
    },
  })
  const during = async (work: () => Promise<unknown>): Promise<number> => {
    const before = turns
    await work()
    return turns - before
  }
  return { system, during }
}

test('a supervisor gives way to others within a start, a restart and an end of many', async () => {
  const { system, during } = slowSystem()
  const children = Array.from({ length: 100 }, (_, each) => worker(`child ${each}`, idle))
  const spec = supervisor('top', { strategy: 'one_for_all', intensity: 1 }, children)
  const top = await startSupervisor(system, spec)
  const [newest] = await whichChildren(top)

  const turns = await during(async () => {
    system.kill(newest?.ref as never)
    expect(await countChildren(top)).toMatchObject({ active: 100 })
  })
  // Ends, starts and reports: 4 ms each, and each child takes a ms of each.
  expect(turns).toBeGreaterThan(60)
  expect(await during(() => stopProcess(top))).toBeGreaterThan(20)

  const dynamic = await startDynamicSupervisor(system)
  for (const child of children) await startDynamicChild(dynamic, child)
  expect(await during(() => stopProcess(dynamic))).toBeGreaterThan(20)
})
