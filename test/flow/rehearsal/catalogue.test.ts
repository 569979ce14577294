/** Parts that stored data name, and that another tree lacks. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, schedule, workflow } from '../../../src/flow/index.ts'
import { type ChildSpec, supervisor } from '../../../src/index.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const child = workflow('child', async (ctx: Ctx<{ grow: string }>) => ctx.waitFor('grow'))
const parent = workflow('parent', (ctx: Ctx) => ctx.child('own', child, undefined))
const other = workflow('other', async () => undefined)
const night = workflow('night', async () => undefined)
const places = queue('places', undefined as never)
const held = workflow('held', async (ctx: Ctx) => ctx.sleep('long', '1d'), { queue: 'places' })
const mails = queue('mails', async () => undefined)
const nightly = (starts: typeof night | typeof other) =>
  schedule('nightly', '0 3 * * *', starts as never)

/** The parts of a tree, each of which a program may lack. */
const all = {
  workflows: { child, parent, night, held, other },
  queues: { places, mails },
  schedules: { nightly: nightly(night) },
}

type Without = { readonly [S in keyof typeof all]?: readonly string[] }

const treeOf = (without: Without = {}, more: readonly ChildSpec[] = [], changed: object = {}) => {
  const left = <T>(sort: keyof typeof all): T[] =>
    Object.entries({ ...all[sort], ...(sort === 'schedules' && changed) })
      .filter(([name]) => !without[sort]?.includes(name))
      .map(([, part]) => part as T)
  const parts = {
    workflows: left<never>('workflows'),
    queues: left<never>('queues'),
    schedules: left<never>('schedules'),
  }
  return supervisor('app', {}, [flows(parts), ...more])
}

/** A parent that waits for its child, a job that is delayed, and a schedule. */
const written = async () => {
  const s = await simulated({ app: treeOf() })
  await s.during(flow(s.app).start(parent, undefined, { id: 'p' }))
  await s.during(flow(s.app).add(mails, { text: 'hello' } as never, { delay: '1d' }))
  await s.advance(5_000)
  return s
}

const judged = async (app: ReturnType<typeof treeOf>) => {
  const s = await written()
  const { findings } = await s.during(rehearse({ from: s.app, app }))
  return findings.map(({ level, kind, what, examples }) => [level, kind, what, examples[0]?.reason])
}

test('a tree with all parts lacks nothing', { tags: ['RE3'] }, async () => {
  expect(await judged(treeOf())).toEqual([])
})

test('a workflow that is gone stops its runs, and those that wait for them', async () => {
  expect(await judged(treeOf({ workflows: ['child'] }))).toEqual([
    ['blocks', 'workflow child', 'UNSUPPORTED_VERSION', 'there is no workflow child'],
    [
      'blocks',
      'workflow parent',
      'UNSUPPORTED_VERSION',
      'there is no workflow child, of its child',
    ],
  ])
})

test('a queue that is gone stops its jobs', async () => {
  expect(await judged(treeOf({ queues: ['mails'] }))).toEqual([
    ['blocks', 'queue mails', 'UNSUPPORTED_VERSION', 'there is no queue mails'],
  ])
})

test('a schedule that is gone starts nothing more, and one of another workflow is named', async () => {
  expect(await judged(treeOf({ schedules: ['nightly'] }))).toEqual([
    ['acts', 'schedule nightly', 'is gone', 'it is not in the tree: it starts nothing more'],
  ])
  expect(await judged(treeOf({}, [], { nightly: nightly(other) }))).toEqual([
    ['acts', 'schedule nightly', 'starts others', 'it starts other in the place of night'],
  ])
})

test('a wrong option of a rehearsal is refused', async () => {
  const refused = rehearse({ from: {} as never, app: treeOf() })

  await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
