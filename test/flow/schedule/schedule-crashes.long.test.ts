/** Schedules made at run time, whose power goes at each call to the disk in turn. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, type Scheduled, workflow } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { startSimulated } from '../../../src/testing/index.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { thorough } from '../../support/tier.ts'

const minute = 60_000

/** Plays the program, with a power cut at the call `at`; answers how many calls there were. */
const play = async (at: number | undefined): Promise<number> => {
  const began: string[] = []
  const report = workflow('report', async (ctx: Ctx, { at: time }: Scheduled) => {
    await ctx.step('note', ({ key }) => void began.push(`${key.split('/').slice(2, 4)} ${time}`))
  })
  const simulation = await startSimulated({
    app: supervisor('app', {}, [flows({ workflows: [report] })]),
    seed: 1,
  })
  const calls = simulation.disk.recordCalls()
  if (at !== undefined)
    simulation.disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
  const done = new Set<string>()
  const triggered: string[] = []
  const { schedules } = flow(simulation.app)
  const note = (what: string, work: Promise<unknown>): void =>
    void work.then(
      () => done.add(what),
      () => undefined,
    )
  const options = { missed: 'all', overlap: 'allow' } as const
  note('a', schedules.create('a', '* * * * *', report, options))
  note('b', schedules.create('b', '* * * * *', report, options))
  await simulation.advance(2.5 * minute)
  note('pause', schedules.pause('a'))
  note(
    'trigger',
    schedules.trigger('b').then(({ id }) => triggered.push(id)),
  )
  await simulation.advance(minute)
  note('delete', schedules.delete('b'))
  await simulation.advance(minute)
  await simulation.powerCut()
  await simulation.start()
  await simulation.advance(3.5 * minute)

  const where = `power lost at call ${at}`
  const after = flow(simulation.app)
  const ids = after.list({ type: report, limit: 100 }).entries.map(({ id }) => id)
  const timesOf = (name: string) => ids.filter((id) => id.startsWith(`${name}/2026`)).length
  // Each run has run, and no trigger or time has two.
  expect(new Set(began).size, where).toBe(ids.length)
  for (const id of triggered) expect(ids, where).toContain(id)
  const [a, b] = [after.schedules.get('a'), after.schedules.get('b')]
  if (done.has('a')) expect(a, where).toBeDefined()
  if (done.has('pause')) expect(a?.isPaused, where).toBe(true)
  if (done.has('delete')) expect(b, where).toBe(undefined)
  // Nobody has lost a time: of eight minutes, or of two before the pause.
  if (a) expect(timesOf('a'), where).toBe(a.isPaused ? 2 : 8)
  if (b) expect(timesOf('b'), where).toBeGreaterThanOrEqual(8)
  await simulation.close()
  return calls.filter(({ operation }) => changingOperations.includes(operation)).length
}

test('schedules keep their times and what was acknowledged, whichever call to the disk is the last', {
  tags: ['W1', 'W7'],
}, async () => {
  const calls = await play(undefined)
  expect(calls).toBeGreaterThan(20)
  for (let at = 1; at <= calls; at += thorough(8, 1)) await play(at)
})
