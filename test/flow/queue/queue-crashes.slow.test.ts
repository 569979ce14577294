/** A small program with a queue, whose power goes at each call to the disk in turn. */
import { expect, test } from 'vitest'
import { flow, flows, queue } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { startSimulated } from '../../../src/testing/index.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { thorough } from '../../support/tier.ts'

const max = 3
const perMs = 1_000

type Job = { readonly name: string; readonly key: string; readonly fails: number }

const jobs: readonly (Job & { readonly unique?: string; readonly delay?: number })[] = [
  { name: 'a', key: 'x', fails: 0 },
  { name: 'b', key: 'x', fails: 1 },
  { name: 'c', key: 'y', fails: 9 },
  { name: 'd', key: '', fails: 0, unique: 'u' },
  { name: 'd', key: '', fails: 0, unique: 'u' },
  { name: 'e', key: 'y', fails: 0, delay: 500 },
]

/** Plays the program, with a power cut at the call `at`; answers how many calls there were. */
const play = async (at: number | undefined, seed: number): Promise<number> => {
  let life = 0
  let running: Job[] = []
  const starts: { readonly name: string; readonly attempt: number; readonly at: number }[] = []
  const acknowledged = new Set<string>()
  const work = queue(
    'work',
    async (job: Job, { attempt }) => {
      const own = life
      starts.push({ name: job.name, attempt, at: simulation.clock.now() })
      running.push(job)
      expect(running.length).toBeLessThanOrEqual(2)
      expect(running.filter(({ key }) => key !== '' && key === job.key).length).toBeLessThan(2)
      await new Promise<void>((resolve) => void simulation.clock.after(120, resolve))
      if (own === life) running = running.filter((other) => other !== job)
      if (attempt <= job.fails) throw new Error(job.name)
    },
    {
      ...{ concurrency: 2, perKey: 1, rate: { max, per: perMs } },
      retry: { max: 3, baseMs: 200, jitter: 0 },
    },
  )
  const app = supervisor('app', {}, [flows({ queues: [work] })])
  const simulation = await startSimulated({ app, seed })
  const calls = simulation.disk.recordCalls()
  if (at !== undefined)
    simulation.disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
  for (const { key, unique, delay, ...job } of jobs) {
    const options = { ...(key && { key }), ...(unique && { unique }), ...(delay && { delay }) }
    flow(simulation.app)
      .add(work, { ...job, key }, options)
      .then(
        () => acknowledged.add(job.name),
        () => undefined,
      )
    await simulation.advance(40)
  }
  await simulation.advance(3_000)
  await simulation.powerCut()
  life++
  running = []
  await simulation.start()
  await simulation.advance(12_000)

  const where = `power lost at call ${at}, seed ${seed}`
  const counts = await simulation.during(flow(simulation.app).counts(work))
  expect(counts, where).toMatchObject({ ready: 0, delayed: 0, running: 0 })
  const dead = flow(simulation.app).dead(work).entries
  expect(dead.map(({ job }) => job.name)).toEqual(acknowledged.has('c') || dead.length ? ['c'] : [])
  for (const name of acknowledged) expect(starts.map((start) => start.name)).toContain(name)
  for (const { name, fails } of jobs) {
    const tries = starts.filter((start) => start.name === name).map(({ attempt }) => attempt)
    // The crash may come after a claim is durable, and before its handler starts: that try counts.
    const [first = 1] = tries
    expect(tries, `${where}: tries of ${name}`).toEqual([...new Set(tries)].sort())
    expect((tries.at(-1) ?? 0) - tries.length, where).toBeLessThanOrEqual(1)
    expect(first, where).toBeLessThanOrEqual(2)
    if (tries.length > 0) expect(tries.at(-1), where).toBeGreaterThanOrEqual(Math.min(3, fails + 1))
  }
  for (const { at: from } of starts)
    expect(
      starts.filter((start) => start.at >= from && start.at < from + perMs).length,
      where,
    ).toBeLessThanOrEqual(max)
  await simulation.close()
  return calls.filter(({ operation }) => changingOperations.includes(operation)).length
}

test('limits, tries and acknowledged jobs hold, whichever call to the disk is the last', {
  tags: ['W1', 'W10'],
}, async () => {
  const calls = await play(undefined, 1)
  expect(calls).toBeGreaterThan(100)
  // Of `npm test`: every second call, from its first one on.
  for (let at = 1; at <= calls; at += thorough(5, 1))
    for (let seed = 1; seed <= thorough(1, 4); seed++) await play(at, seed)
})
