/** Removals, changes and results of jobs, with a power cut at each call to the disk in turn. */
import { expect, test } from 'vitest'
import { flow, flows, queue } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { startSimulated } from '../../../src/testing/index.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { thorough } from '../../support/tier.ts'

/** Plays the program, with a power cut at the call `at`; answers how many calls there were. */
const play = async (at: number | undefined, seed: number): Promise<number> => {
  const starts: { readonly name: string; readonly at: number }[] = []
  const work = queue(
    'work',
    async (name: string, { log }) => {
      starts.push({ name, at: simulation.clock.now() })
      log(name)
      await new Promise<void>((resolve) => void simulation.clock.after(400, resolve))
      if (name === 'dead') throw new Error(name)
      return `${name} is done`
    },
    { concurrency: 2, retry: { max: 1 }, keep: { results: '1d' } },
  )
  const app = supervisor('app', {}, [flows({ queues: [work] })])
  const simulation = await startSimulated({ app, seed })
  const calls = simulation.disk.recordCalls()
  if (at !== undefined)
    simulation.disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
  const acknowledged = new Set<string>()
  const acts = (name: string, act: () => Promise<unknown>): Promise<void> => {
    void act().then(
      () => acknowledged.add(name),
      () => undefined,
    )
    return simulation.advance(20)
  }
  const names = ['runs', 'dead', 'waits', 'later', 'urgent', 'done', 'moved']
  for (const name of names) {
    const delay = name === 'later' ? 1_500 : name === 'moved' ? 86_400_000 : 0
    await acts(`add ${name}`, () => flow(simulation.app).add(work, name, { delay }))
  }
  // Their numbers are those of their order, unless an add before them was lost with everything after.
  const job = (name: string) => flow(simulation.app).job(work, String(names.indexOf(name) + 1))
  await acts('remove runs', () => job('runs').remove())
  await acts('remove waits', () => job('waits').remove())
  await acts('remove later', () => job('later').remove())
  await acts('update urgent', () => job('urgent').update({ priority: 9 }))
  await acts('update moved', () => job('moved').update({ delay: 3_000 }))
  await simulation.advance(1_200)
  await acts('remove dead', () => job('dead').remove())
  const removedAt = simulation.clock.now()
  await simulation.powerCut()
  await simulation.start()
  const restartedAt = simulation.clock.now()
  await simulation.advance(6_000)

  const where = `power lost at call ${at}, seed ${seed}`
  const look = (name: string) => simulation.during(job(name).get())
  for (const name of ['runs', 'waits', 'later', 'dead'])
    if (acknowledged.has(`remove ${name}`)) {
      expect(await look(name), `${where}: ${name}`).toBeUndefined()
      const late = starts.filter((start) => start.name === name && start.at >= restartedAt)
      expect(late, `${where}: ${name} runs after its removal`).toEqual([])
    }
  if (acknowledged.has('remove later'))
    expect(
      starts.map(({ name }) => name),
      where,
    ).not.toContain('later')
  if (acknowledged.has('update moved')) {
    expect(await look('moved'), where).toMatchObject({ state: 'done', result: 'moved is done' })
    expect(starts.find(({ name }) => name === 'moved')?.at, where).toBeGreaterThan(removedAt)
  }
  for (const name of ['urgent', 'done'])
    if (acknowledged.has(`add ${name}`)) {
      const found = await look(name)
      expect(found, where).toMatchObject({ state: 'done', result: `${name} is done`, log: [name] })
    }
  if (acknowledged.has('update urgent')) expect((await look('urgent'))?.priority, where).toBe(9)
  await simulation.close()
  return calls.filter(({ operation }) => changingOperations.includes(operation)).length
}

test('what was removed, changed or answered stays so, whichever call to the disk is the last', {
  tags: ['W1', 'W10'],
}, async () => {
  const calls = await play(undefined, 1)
  expect(calls).toBeGreaterThan(60)
  for (let at = 1; at <= calls; at += thorough(5, 1))
    for (let seed = 1; seed <= thorough(1, 4); seed++) await play(at, seed)
})
