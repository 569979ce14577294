/**
 * Many processes at once, and deep trees: nothing overflows the stack, nothing is lost on the way.
 */
import { describe, expect, test } from 'vitest'
import {
  type ChildSpec,
  type GenServer,
  noReply,
  type Ref,
  startSupervisor,
  stopProcess,
  supervisor,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const many = 10_000

/** `depth` supervisors above one worker; the end of that is the end of all. */
const deepTree = (depth: number): ChildSpec => {
  let tree: ChildSpec = worker('leaf', Runner.server, false)
  for (let level = 0; level < depth; level++)
    tree = supervisor(`level ${level}`, { strategy: 'one_for_one', intensity: 0 }, [tree])
  return tree
}

describe('an exit', () => {
  test(`goes through ${many} processes that are linked in a ring`, async () => {
    const { system } = testSystem()
    const refs: Ref<Runner.Messages>[] = []
    for (let index = 0; index < many; index++) refs.push(await system.start(Runner.server, false))
    for (const [index, ref] of refs.entries())
      await Runner.run(ref, (context) => context.link(refs[(index + 1) % many] as Ref))
    const reasons = new Set<unknown>()
    let count = 0
    for (const ref of refs)
      system.monitor(ref, (reason) => {
        reasons.add(reason)
        count++
      })

    system.exit(refs[0] as Ref, 'storm')

    expect([count, [...reasons]]).toEqual([many, ['storm']])
    expect(system.processes()).toEqual([])
  })
})

describe(`a supervisor of ${many} children`, () => {
  test('starts each again that was killed, all at once, and ends them in reverse order', async () => {
    const { system, clock } = testSystem()
    const specs = Array.from({ length: many }, (_, index) =>
      worker(`child ${index}`, Runner.server, false),
    )
    const options = { strategy: 'one_for_one', intensity: many } as const
    const top = await startSupervisor(system, supervisor('top', options, specs))

    for (const { ref } of await whichChildren(top)) system.kill(ref as Ref)
    await clock.settle()
    expect(system.processes().filter(({ restarts }) => restarts === 1)).toHaveLength(many)
    const ends: (string | undefined)[] = []
    system.events.on('process.exited', ({ label }) => ends.push(label))
    await stopProcess(top)

    expect(ends).toEqual([
      ...Array.from({ length: many }, (_, index) => `child ${many - 1 - index}`),
      'top',
    ])
  })
})

describe('a tree of 1,000 levels', () => {
  test('falls level by level when its leaf crashes', async () => {
    const { system, clock } = testSystem()
    await startSupervisor(system, deepTree(1_000))
    expect(system.processes()).toHaveLength(1_001)

    system.kill(system.processes().find(({ kind }) => kind === 'server')?.ref as Ref)
    await clock.settle()

    expect(system.processes()).toEqual([])
  })

  test('stops from its leaf to its root', async () => {
    const { system } = testSystem()
    const ends: (string | undefined)[] = []
    const root = await startSupervisor(system, deepTree(1_000))
    system.events.on('process.exited', ({ label }) => ends.push(label))

    await stopProcess(root, 'shutdown')

    expect([ends[0], ends[1], ends.at(-1)]).toEqual(['leaf', 'level 0', 'level 999'])
    expect(system.processes()).toEqual([])
  })
})

describe('a hundred thousand timers', () => {
  type Messages = { infos: { rang: (ms: number) => void } }
  const total = 100_000

  /** Sets all timers when it starts, and notes what each message carries. */
  const clockmaker = (rang: number[]): GenServer<Messages, null> => ({
    init: (_, context) => {
      for (let index = 0; index < total; index++) {
        const ms = (index * 7_919) % 1_000
        context.sendAfter(ms, 'rang', ms)
      }
      return null
    },
    infos: {
      rang: (state, ms) => {
        rang.push(ms)
        return noReply(state)
      },
    },
  })

  test('of one process fire in the order of their time', async () => {
    const { system, clock } = testSystem()
    const rang: number[] = []

    await system.start(clockmaker(rang))
    await clock.advance(1_000)

    expect(rang).toHaveLength(total)
    expect(rang.every((ms, index) => index === 0 || ms >= (rang[index - 1] ?? 0))).toBe(true)
    expect(clock.untilNext()).toBeUndefined()
  })

  test('go with their process', async () => {
    const { system, clock } = testSystem()
    const rang: number[] = []
    const clockmakerRef = await system.start(clockmaker(rang))

    system.kill(clockmakerRef)
    await clock.settle()

    expect(clock.untilNext()).toBeUndefined()
    await clock.advance(1_000)
    expect(rang.filter((ms) => ms > 0)).toEqual([])
  })
})
