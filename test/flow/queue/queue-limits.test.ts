/** Limits of a queue that change while the program runs. */
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  flow,
  flows,
  type LimitsChange,
  type LimitsLook,
  type Queue,
  type QueueEvents,
  type QueueOptions,
  queue,
} from '../../../src/flow/index.ts'
import { supervisor, telemetry } from '../../../src/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

/** A queue whose jobs run until the test ends them, over programs that declare other limits. */
const world = async (options: QueueOptions = {}) => {
  const running = new Map<string, () => void>()
  const started: string[] = []
  const handler = (job: string): Promise<void> => {
    started.push(job)
    return new Promise((resolve) => running.set(job, resolve))
  }
  const treeOf = (declared: QueueOptions) => {
    const calls = queue('calls', handler, declared)
    return { calls, app: supervisor('app', {}, [flows({ queues: [calls] })]) }
  }
  const program = treeOf(options)
  const s = await simulated({ app: program.app })
  const w = {
    s,
    calls: program.calls as Queue<string>,
    started,
    ends: async (...jobs: string[]) => {
      for (const job of jobs) running.get(job)?.()
      await s.advance(1)
    },
    add: (...jobs: string[]) => s.during(flow(s.app).addMany(w.calls, jobs)),
    addOf: (...keys: string[]) =>
      s.during(flow(s.app).addMany(w.calls, keys, (job) => ({ key: job[0] as string }))),
    limits: () => s.during(flow(s.app).limits(w.calls)),
    set: async (change: LimitsChange) => s.during(flow(s.app).setLimits(w.calls, change)),
    reset: () => s.during(flow(s.app).resetLimits(w.calls)),
    /** Another program follows a power cut. */
    next: async (declared: QueueOptions) => {
      await s.powerCut()
      started.length = 0
      const next = treeOf(declared)
      w.calls = next.calls as Queue<string>
      await s.start({ app: next.app })
      await s.settle()
    },
  }
  return w
}

const pick = ({ concurrency, perKey, rate, changed }: LimitsLook) => ({
  ...{ concurrency, perKey, rate, changed },
})

describe('a changed limit', () => {
  test('holds at once, over a power cut, and over a program that declares another one', async () => {
    const w = await world({ concurrency: 1, rate: { max: 9, per: '1s' } })
    await w.add('a', 'b', 'c', 'd')
    expect(w.started).toEqual(['a'])
    const changed = await w.set({ concurrency: 3 })
    expect(pick(changed)).toEqual({
      ...{ concurrency: 3, perKey: 10_000, rate: { max: 9, per: 1_000, key: false } },
      changed: ['concurrency'],
    })
    await w.s.settle()
    expect(w.started).toEqual(['a', 'b', 'c'])

    await w.next({ concurrency: 2, rate: { max: 7, per: '1s' } })
    expect(pick(await w.limits())).toEqual({
      ...{ concurrency: 3, perKey: 10_000, rate: { max: 7, per: 1_000, key: false } },
      changed: ['concurrency'],
    })
    const { concurrency, declared, changed: after } = await w.reset()
    expect([concurrency, declared.concurrency, after]).toEqual([2, 2, []])
    await w.next({ concurrency: 5 })
    expect((await w.limits()).concurrency).toBe(5)
  })

  test('lets jobs that run go on, and none start until there is room', async () => {
    const w = await world({ concurrency: 3 })
    await w.add('a', 'b', 'c', 'd')
    await w.set({ concurrency: 1 })
    await w.ends('a', 'b')
    expect(w.started).toEqual(['a', 'b', 'c'])
    await w.ends('c')
    expect(w.started).toEqual(['a', 'b', 'c', 'd'])
  })

  test('lets keys start that were at the limit before', async () => {
    const w = await world({ perKey: 1 })
    await w.addOf('a1', 'a2', 'a3')
    expect(w.started).toEqual(['a1'])
    await w.set({ perKey: 2 })
    await w.s.settle()
    expect(w.started).toEqual(['a1', 'a2'])
  })

  test('of a rate counts what the earlier one has counted', async () => {
    const w = await world({ rate: { max: 2, per: '1h' } })
    await w.add('a', 'b', 'c', 'd', 'e')
    expect(w.started).toEqual(['a', 'b'])
    await w.set({ rate: { max: 3, per: '1h' } })
    await w.s.settle()
    expect(w.started).toEqual(['a', 'b', 'c'])
    await w.set({ rate: { max: 1, per: '1h' } })
    await w.s.advance(3_500_000)
    expect(w.started).toEqual(['a', 'b', 'c'])
    expect((await w.set({ rate: null })).rate).toBe(null)
    await w.s.settle()
    expect(w.started).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('may be a rate of a queue that declares none', async () => {
    const w = await world()
    await w.set({ rate: { max: 1, per: '1m' } })
    await w.add('a', 'b')
    await w.s.advance(1_000)
    expect(w.started).toEqual(['a'])
    await w.reset()
    await w.s.settle()
    expect(w.started).toEqual(['a', 'b'])
  })

  test('is one that the declaration would take, and one at least', async () => {
    const w = await world()
    const refused = [
      ...[{}, { concurrency: 0 }, { concurrency: 10_001 }, { concurrency: 1.5 }, { perKey: '2' }],
      ...[{ rate: { max: 1 } }, { rate: { max: 0, per: '1s' } }, { rate: 5 }, { depthMax: 5 }],
      ...[{ concurrency: null }, null, undefined],
    ]
    for (const change of refused)
      expect(await codeOf(w.set(change as LimitsChange))).toBe('INVALID_ARGUMENT')
    expect((await w.limits()).changed).toEqual([])
  })

  test('is shown by the health, by counts and by an event, once it is durable', async () => {
    const w = await world()
    const heard: LimitsLook[] = []
    const listen = ({ limits }: { limits: LimitsLook }) => void heard.push(limits)
    telemetry<QueueEvents>(w.s.system).on('queue.limits', listen)
    onTestFinished(() => void telemetry<QueueEvents>(w.s.system).off('queue.limits', listen))
    const changed = async () => ({
      counts: (await w.s.during(flow(w.s.app).counts(w.calls))).changedLimits,
      health: (w.s.app.health().parts['queue/calls'] as { changedLimits?: unknown }).changedLimits,
      heard: heard.length,
    })
    expect(await changed()).toEqual({ counts: undefined, health: undefined, heard: 0 })
    await w.add('a')
    expect(heard).toEqual([])
    const limits = await w.set({ rate: { max: 5, per: '1m' } })
    expect(heard).toEqual([limits])
    const rate = { max: 5, per: 60_000, key: false }
    expect(await changed()).toEqual({ counts: { rate }, health: { rate }, heard: 1 })
    await w.reset()
    expect(await changed()).toEqual({ counts: undefined, health: undefined, heard: 2 })
  })
})
