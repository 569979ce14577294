/** Looks at runs, jobs and schedules of members that share a folder are the same from every member. */
import { beforeEach, describe, expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, schedule, workflow } from '../../src/flow/index.ts'
import { supervisor } from '../../src/index.ts'
import type { App } from '../../src/supervisors/index.ts'
import { FolderMembers } from '../support/worlds/folder-members.ts'

const names = ['a', 'b', 'c']
const ids = Array.from({ length: 9 }, (_, at) => `p${at}`)

let world: FolderMembers
let apps: readonly App[]

const payment = workflow('payment', async (ctx: Ctx<{ shipped: null }>, cents: number) => {
  const charged = await ctx.step('charge', () => `charged ${cents}`)
  await ctx.waitFor('shipped')
  return charged
})
const failing = workflow('failing', async (ctx) =>
  ctx.step(
    'charge',
    () => {
      throw new Error('no money')
    },
    { retry: { max: 50, baseMs: 60_000 } },
  ),
)
const large = workflow('large', async (ctx, size: number) =>
  ctx.step('print', () => 'x'.repeat(size)),
)
const mails = queue(
  'mails',
  async () => {
    throw new Error('no address')
  },
  { retry: { max: 1 } },
)
const report = workflow('report', async () => null)
const nightly = schedule('nightly', '0 3 * * *', report)

beforeEach(async () => {
  world = new FolderMembers(names)
  const workflows = [payment, failing, large, report]
  apps = await world.start(names, () => ({
    app: supervisor('app', {}, [flows({ workflows, queues: [mails], schedules: [nightly] })]),
  }))
  for (const [cents, id] of ids.entries())
    await world.during(flow(apps[0] as App).start(payment, cents, { id }))
  // Until they wait.
  await world.clock.advance(1_000)
})

const during = <T>(work: Promise<T>): Promise<T> => world.during(work)

const each = async (look: (app: App) => Promise<unknown>): Promise<unknown[]> => {
  const seen: unknown[] = []
  for (const app of apps) seen.push(await during(look(app)))
  return seen
}

const same = (found: unknown): unknown[] => names.map(() => found)

describe('from every member', () => {
  test('a run is shown with its input, and its operations', async () => {
    const looks = await each((app) => flow(app).read('get', payment, 'p3'))
    expect(looks).toEqual(same(expect.objectContaining({ id: 'p3', status: 'running', input: 3 })))
    const steps = await each(async (app) =>
      (await flow(app).read('steps', payment, 'p3')).entries.map(({ key, value }) => [key, value]),
    )
    expect(steps).toEqual(same([['charge', 'charged 3']]))
    expect(await each((app) => flow(app).read('get', payment, 'none'))).toEqual(same(undefined))
  })

  test('pages of runs go on at any other one', async () => {
    for (const options of [{}, { status: 'running' as const }, { order: 'id' as const }]) {
      const seen: string[] = []
      let cursor: string | undefined
      for (let at = 0; at === 0 || cursor !== undefined; at++) {
        const from = flow(apps[at % 3] as App)
        const more = { ...options, limit: 2, ...(cursor !== undefined && { cursor }) }
        const page = await during(from.read('list', { type: payment, ...more }))
        seen.push(...page.entries.map(({ id }) => id))
        cursor = page.cursor
      }
      expect(seen.sort()).toEqual(ids)
    }
  })

  test('a run whose step fails says why', async () => {
    await during(flow(apps[1] as App).start(failing, undefined, { id: 'f' }))
    await world.clock.advance(1_000)
    const errors = await each(async (app) => {
      const { entries } = await flow(app).read('list', { type: failing })
      return entries.map(({ error }) => error?.message)
    })
    expect(errors).toEqual(same(['no money']))
  })

  test('a large value is loaded from the member that has it', async () => {
    await during(flow(apps[1] as App).start(large, 2_000_000, { id: 'l' }))
    await world.clock.advance(1_000)
    const lengths = await each(async (app) => {
      const { entries } = await flow(app).read('steps', large, 'l')
      const value = entries[0]?.value as { length: number; load(): Promise<string> }
      return [value.length, (await value.load()).length]
    })
    expect(lengths).toEqual(same(lengths[0]))
    expect((lengths[0] as number[])[1]).toBe(2_000_000)
  })

  test('dead jobs are listed with their jobs and errors', async () => {
    for (const job of ['x', 'y', 'z']) await during(flow(apps[2] as App).add(mails, job))
    await world.clock.advance(1_000)
    const dead = await each(async (app) => {
      const first = await flow(app).read('dead', mails, { limit: 2 })
      const { cursor = '' } = first
      const rest = await flow(app).read('dead', mails, { cursor })
      return [...first.entries, ...rest.entries].map(({ job, error }) => [job, error.message])
    })
    expect(dead).toEqual(same(['x', 'y', 'z'].map((job) => [job, 'no address'])))
  })

  test('schedules of the tree and those made at run time are listed', async () => {
    await during(flow(apps[0] as App).schedules.create('weekly', '0 4 * * 1', report))
    const listed = await each(async (app) => {
      const { entries } = await flow(app).schedules.read('list')
      return entries.map(({ name, isOfTree }) => [name, isOfTree])
    })
    expect(listed).toEqual(
      same([
        ['nightly', true],
        ['weekly', false],
      ]),
    )
    expect(await each((app) => flow(app).schedules.read('get', 'weekly'))).toEqual(
      same(expect.objectContaining({ cron: '0 4 * * 1' })),
    )
  })
})

test('at once a member shows what it has; of another shard it names the promise', async () => {
  const tries = apps.map((app) => {
    try {
      return flow(app).get(payment, 'p3')?.id
    } catch (error) {
      return (error as Error).message
    }
  })
  expect(tries.filter((each) => each === 'p3')).toHaveLength(1)
  for (const each of tries.filter((found) => found !== 'p3'))
    expect(each).toMatch(/^shard \d is at the member [abc]: from here use `read`$/)
  expect(() => flow(apps[0] as App).list({ type: payment })).toThrow(/: from here use `read`$/)
})

test('a look is SHARD_DOWN if no member that is reached has the shard', async () => {
  world.links.part('a', 'b')
  world.links.part('a', 'c')
  const looking = during(flow(apps[0] as App).read('list', { type: payment }))
  await expect(looking).rejects.toMatchObject({ code: 'SHARD_DOWN' })
  world.links.heal()
})
