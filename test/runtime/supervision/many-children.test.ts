/** What a supervisor does for one of many children does not depend on their number. */
import { expect, test, vi } from 'vitest'
import {
  type GenServer,
  startDynamicChild,
  startDynamicSupervisor,
  stopProcess,
  worker,
} from '../../../src/runtime/index.ts'
import { ServerLoop } from '../../../src/runtime/server/server-loop.ts'
import { testSystem } from '../../../src/testing/index.ts'

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
