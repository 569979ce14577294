/** The alarms of a run: its timer, the end of its delay, its deadline. Each acts in the statuses that it is for, and none after the end. */
import { describe, expect, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { counted, flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const never = (): Promise<never> => new Promise(() => undefined)
const hour = 3_600_000

/** A body that does as its input says. */
const body = async (ctx: Ctx<{ go: undefined }>, how: string): Promise<void> => {
  if (how === 'naps') await ctx.sleep('nap', '2h')
  if (how === 'waits') await ctx.waitFor('go')
  if (how === 'runs') await ctx.step('hang', never)
  if (how === 'once') await ctx.step('once', never, { repeat: 'once' })
  if (how === 'undoes') await ctx.step('done', () => 1, { undo: never })
  if (how === 'undoes' || how === 'fails') throw new Error('no')
}

test('no alarm of before wakes a run that has ended', async () => {
  const work = workflow('work', body)
  const w = await flowWorld([work])
  for (const how of ['ends', 'fails', 'naps', 'waits', 'runs'])
    await w.during(w.flow.start(work, how, { id: how, deadline: '5h' }))
  await w.during(w.flow.start(work, 'ends', { id: 'late', delay: '3h', deadline: '5h' }))
  await w.s.advance(10_000)
  for (const id of ['naps', 'runs', 'late'])
    await w.during(w.flow.handle(work, id).cancel({ force: true }))
  await w.during(w.flow.handle(work, 'waits').cancel())
  await w.s.advance(10_000)
  const woken: string[] = []
  w.s.system.events.on(
    'entity.ended' as never,
    (({ entity }: { entity: string }) => void woken.push(entity)) as never,
  )
  await w.s.advance(9 * hour)
  expect(woken).toEqual([])
  expect(await w.during(w.flow.counts(work))).toEqual(
    counted({ completed: 1, failed: 1, cancelled: 4 }),
  )
})

describe('a deadline', () => {
  const atDeadline = async (how: string, options: object = {}) => {
    const work = workflow('work', body, options)
    const line = queue('line', { concurrency: 1 })
    const w = await flowWorld([work], { queues: [line] })
    if ('queue' in options) await w.during(w.flow.pause(line))
    await w.during(w.flow.start(work, how, { id: '1', deadline: '1h' }))
    await w.s.advance(10_000)
    if (how === 'once') {
      await w.crash()
      await w.s.advance(1_000)
    }
    const state = () => w.s.app.entity<unknown, { status: string }>('$flow-work').state('1')
    const before = state()
    await w.s.advance(hour)
    const states = [before, state()]
    const statuses = states.map((each) => each?.status)
    return { states, statuses, run: w.flow.get(work, '1') }
  }

  test.each([
    ['naps', {}, 'waiting'],
    ['waits', {}, 'waiting'],
    ['runs', {}, 'running'],
    ['ends', { queue: 'line' }, 'waiting'],
  ])('cancels a run that %s %o, with its reason', async (how, options, before) => {
    const { statuses, run } = await atDeadline(how, options)
    expect(statuses).toEqual([before, 'cancelled'])
    expect(run?.error).toMatchObject({ code: 'CANCELLED', message: 'its deadline has passed' })
  })

  test('ends no run that is blocked', async () => {
    expect((await atDeadline('once')).statuses).toEqual(['blocked', 'blocked'])
  })

  test('changes nothing of a run that is undone for its failure', async () => {
    const { states, statuses, run } = await atDeadline('undoes')
    expect(statuses).toEqual(['undoing', 'undoing'])
    expect(states[1]).toEqual(states[0])
    expect(run?.error?.message).toBe('no')
  })

  test('keeps the reason of a cancel that came before it', async () => {
    const work = workflow('work', (ctx: Ctx) => ctx.step('hang', never, { undo: never }))
    const w = await flowWorld([work])
    const run = await w.during(w.flow.start(work, undefined, { id: '1', deadline: '1h' }))
    await w.s.advance(1_000)
    await w.during(run.cancel({ reason: 'rain' }))
    expect(await w.during(run.cancel({ reason: 'snow' }))).toMatchObject({ accepted: true })
    await w.s.advance(2 * hour)
    expect(w.status(work, '1')).toBe('cancelling')
    const error = await w.during(
      Promise.all([
        run.result().catch(({ cause }) => cause.message),
        run.cancel({ force: true, reason: 'now' }),
      ]),
    )
    expect(error[0]).toBe('now')
  })
})

test('a run that is held begins at its time alone, or never: no place in a queue begins one that has ended', {
  tags: ['slow'],
}, async () => {
  const begun: string[] = []
  const body = (ctx: Ctx) => ctx.step('begin', () => void begun.push(ctx.id))
  const held = workflow('held', body, { queue: 'line' })
  const line = queue('line', { concurrency: 1 })
  const w = await flowWorld([held], { queues: [line] })
  await w.during(w.flow.pause(line))
  for (const id of ['a', 'b', 'c', 'd']) await w.during(w.flow.start(held, undefined, { id }))
  await w.during(w.flow.start(held, undefined, { id: 'e', delay: '1h' }))
  await w.during(w.flow.handle(held, 'b').cancel({ force: true }))
  await w.during(w.flow.handle(held, 'c').cancel())
  await w.during(w.flow.handle(held, 'e').cancel())
  await w.s.advance(10_000)
  const statuses = ['a', 'b', 'c', 'd', 'e'].map((id) => w.status(held, id))
  expect(statuses).toEqual(['waiting', 'cancelled', 'cancelled', 'waiting', 'cancelled'])
  await w.during(w.flow.resume(line))
  await w.s.advance(2 * hour)
  expect(begun).toEqual(['a', 'd'])
  expect(await w.during(codeOf(w.flow.retry(held, 'b')))).toBe('ok')
  await w.s.advance(10_000)
  expect([begun, w.status(held, 'b')]).toEqual([['a', 'd', 'b'], 'completed'])
})
