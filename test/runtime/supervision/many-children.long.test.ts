/** What a supervisor of specifications does for each of its children costs the same for thousands. */
import { expect, test } from 'vitest'
import {
  countChildren,
  createSystem,
  type GenServer,
  startChild,
  startSupervisor,
  supervisor,
  terminateChild,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { silentLogger, testSystem } from '../../../src/testing/index.ts'

const idle: GenServer<object, null> = { init: () => null }
const many = 20_000

const start = (strategy: 'one_for_one' | 'one_for_all' | 'rest_for_one', count: number) => {
  const system = createSystem({ logger: silentLogger })
  const children = Array.from({ length: count }, (_, each) => worker(`child ${each}`, idle))
  const limits = { strategy, intensity: 1_000_000, periodMs: 1 } as const
  return startSupervisor(system, supervisor('top', limits, children)).then((top) => ({
    system,
    top,
  }))
}

/** The CPU time of `work` in seconds: other programs on the machine do not count. */
const secondsOf = async (work: () => Promise<unknown>): Promise<number> => {
  const began = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(began)
  return (user + system) / 1_000_000
}

test.each(['one_for_one', 'one_for_all', 'rest_for_one'] as const)(
  'children that die together are restarted in linear time: %s',
  async (strategy) => {
    const { system, top } = await start(strategy, many)
    const oldestFirst = (await whichChildren(top)).reverse()

    const seconds = await secondsOf(async () => {
      for (const { ref } of oldestFirst) if (ref) system.kill(ref)
      expect(await countChildren(top)).toMatchObject({ specs: many, active: many })
    })

    expect(seconds).toBeLessThan(5)
    await system.stop()
  },
)

test('children are added and removed in linear time', async () => {
  const { system, top } = await start('one_for_one', 15_000)

  const seconds = await secondsOf(async () => {
    for (let each = 0; each < many; each++) await startChild(top, worker(`added ${each}`, idle))
    for (let each = 0; each < many; each++) await terminateChild(top, `added ${each}`)
  })

  expect(await countChildren(top)).toMatchObject({ specs: 35_000, active: 15_000 })
  expect(seconds).toBeLessThan(8)
  await system.stop()
})

test('an id whose child waits for its restart is present, and not started', async () => {
  const { system } = testSystem({ logger: silentLogger })
  const blocked: GenServer<object, null> = {
    init: () => {
      if (tries++ === 1) throw new Error('not again')
      return null
    },
  }
  let tries = 0
  const limits = { strategy: 'one_for_one', intensity: 1_000_000, periodMs: 1 } as const
  const top = await startSupervisor(system, supervisor('top', limits, [worker('child', blocked)]))
  const [child] = await whichChildren(top)
  if (child?.ref) system.kill(child.ref)
  const answer = startChild(top, worker('child', idle))

  expect(await answer).toEqual({ ok: false, reason: 'already_present' })
})
