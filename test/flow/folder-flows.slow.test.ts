/** Workflows, queues and schedules of members that share a folder work from every member, each once. */
import { beforeEach, describe, expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, schedule, workflow } from '../../src/flow/index.ts'
import { queueId, queueKind, scheduleId, scheduleKind } from '../../src/flow/runs/parts.ts'
import { supervisor } from '../../src/index.ts'
import type { App } from '../../src/supervisors/index.ts'
import { FolderMembers } from '../support/worlds/folder-members.ts'

const names = ['a', 'b', 'c']

let world: FolderMembers
let apps: readonly App[]
/** What ran, and at which member. */
let ran: { member: string; what: string }[]
/** How many jobs or runs of a limited queue are at work, and were at most. */
let atOnce = 0
let mostAtOnce = 0
/** When jobs with a rate began. */
let begun: number[] = []
/** The runs of jobs fail. */
let isAway = true

const child = workflow('child', async (ctx, input: number) => ctx.step('double', () => input * 2))

const asked = workflow(
  'asked',
  async (ctx, input: number) => {
    ctx.report(input)
    await ctx.sleep('rest', '5s')
  },
  { queries: { doubled: (reported: number) => reported * 2 } },
)

const partsOf = (member: string) => {
  const runs = (what: string): void => void ran.push({ member, what })
  const payment = workflow('payment', async (ctx, input: { cents: number }) => {
    await ctx.step('charge', () => runs(`charge ${input.cents}`))
    await ctx.sleep('rest', '5s')
    const doubled = await ctx.child('twice', child, input.cents)
    await ctx.step('ship', () => runs(`ship ${input.cents}`))
    return doubled
  })
  const gate = workflow('gate', async (ctx: Ctx<{ open: string }>) => ctx.waitFor('open'))
  const work = workflow('work', async (ctx, input: number) =>
    ctx.step('long', async () => {
      runs(`work ${input}`)
      await new Promise<void>((resolve) => void world.clock.after(3_000, resolve))
      return member
    }),
  )
  const mails = queue('mails', async (job: string) => {
    runs(`mail ${job}`)
    return `${job} is sent`
  })
  const shipped = workflow('shipped', (ctx, _: number) =>
    ctx.step('ship', () => (isAway ? Promise.reject(new Error('away')) : 'sent'), {
      retry: { max: 1 },
    }),
  )
  const orders = queue('orders', shipped)
  const narrow = queue(
    'narrow',
    async (job: number) => {
      atOnce++
      mostAtOnce = Math.max(mostAtOnce, atOnce)
      await new Promise<void>((resolve) => void world.clock.after(1_000, resolve))
      atOnce--
      runs(`narrow ${job}`)
    },
    { concurrency: 2 },
  )
  const paced = queue('paced', async () => void begun.push(world.clock.now()), {
    rate: { max: 3, per: '10s' },
  })
  const places = queue('places', { concurrency: 2 })
  const seated = workflow(
    'seated',
    async (ctx) =>
      ctx.step('sit', async () => {
        atOnce++
        mostAtOnce = Math.max(mostAtOnce, atOnce)
        await new Promise<void>((resolve) => void world.clock.after(1_000, resolve))
        atOnce--
      }),
    { queue: 'places' },
  )
  const tick = workflow('tick', async (ctx) => ctx.step('tick', () => runs('tick')))
  const each = schedule('each', '* * * * *', tick)
  const jobs = { mails, narrow, paced, places, orders }
  return { payment, gate, work, seated, shipped, tick, each, ...jobs }
}

beforeEach(async () => {
  ran = []
  begun = []
  isAway = true
  atOnce = 0
  mostAtOnce = 0
  world = new FolderMembers(names)
  apps = await world.start(names, (member) => {
    const { payment, gate, work, seated, shipped, tick, each, ...jobs } = partsOf(member)
    const workflows = [payment, gate, work, tick, child, asked, seated, shipped]
    const queues = [jobs.mails, jobs.narrow, jobs.paced, jobs.places, jobs.orders]
    return { app: supervisor('app', {}, [flows({ workflows, queues, schedules: [each] })]) }
  })
})

const { payment, gate, work, mails, narrow, paced, seated, orders } = partsOf('none')

const flowAt = (member: string) => flow(apps[names.indexOf(member)] as App)

const done = (what: string): string[] =>
  ran.filter((each) => each.what === what).map(({ member }) => member)

const minute = 60_000

describe('a run', () => {
  test('is started, and waited for, at every member; its steps run at one', async () => {
    const outcomes = []
    for (const member of names)
      for (const cents of [1, 2, 3, 4]) {
        const id = `${member}-${cents}`
        const run = await world.during(flowAt(member).start(payment, { cents: cents * 10 }, { id }))
        outcomes.push(run)
      }
    const ends = await world.during(
      Promise.all(outcomes.map((run) => run.result({ timeoutMs: minute }))),
    )

    expect(ends).toEqual(names.flatMap(() => [20, 40, 60, 80]))
    expect(done('charge 10')).toHaveLength(3)
    expect(new Set(ran.map(({ member }) => member)).size).toBe(3)
  })

  test('of one id is one run, whichever members start it', async () => {
    const runs = []
    for (const member of names)
      runs.push(await world.during(flowAt(member).start(payment, { cents: 7 }, { id: 'same' })))
    const ends = await world.during(
      Promise.all(runs.map((run) => run.result({ timeoutMs: minute }))),
    )

    expect(runs.map(({ repeated }) => repeated)).toEqual([false, true, true])
    expect(ends).toEqual([14, 14, 14])
    expect(done('charge 7')).toHaveLength(1)
  })

  test('gets signals from every member', async () => {
    const ends = []
    for (const [at, member] of names.entries()) {
      const id = `g${at}`
      const run = await world.during(flowAt(member).start(gate, undefined, { id }))
      const from = flowAt(names[(at + 1) % 3] as string).handle(gate, id)
      await world.during(from.signal('open', member))
      ends.push(await world.during(run.result()))
    }

    expect(ends).toEqual(names)
  })

  test('answers queries at every member', async () => {
    const answers = []
    for (const [number, member] of names.entries()) {
      const run = await world.during(flowAt(member).start(asked, number, { id: `q${number}` }))
      const from = flowAt(names[(number + 1) % 3] as string).handle(asked, run.id)
      await world.clock.advance(1_000)
      answers.push(await world.during(from.query('doubled')))
    }

    expect(answers).toEqual([0, 2, 4])
  })

  test('goes on at another member when its own has ended, with what is recorded', async () => {
    const ids = Array.from({ length: 8 }, (_, at) => `r${at}`)
    for (const id of ids)
      await world.during(flowAt('a').start(payment, { cents: Number(id.slice(1)) }, { id }))
    await world.clock.advance(1_000)
    const before = ran.filter(({ member }) => member === 'b').length
    await world.kill('b')
    await world.clock.advance(20_000)

    expect(before).toBeGreaterThan(0)
    for (const id of ids) {
      const result = await world.during(flowAt('c').handle(payment, id).result())
      expect(result).toBe(2 * Number(id.slice(1)))
      expect(done(`charge ${id.slice(1)}`)).toHaveLength(1)
      expect(done(`ship ${id.slice(1)}`)).toHaveLength(1)
    }
  })
})

test('a step that was under way when its member ended is tried again by the keeper of the next one', async () => {
  const ids = Array.from({ length: 8 }, (_, at) => `w${at}`)
  for (const id of ids) await world.during(flowAt('a').start(work, Number(id.slice(1)), { id }))
  await world.kill('b')
  await world.clock.advance(8_000)

  expect(ran.some(({ member }) => member === 'b')).toBe(true)
  const left = ran.filter(({ member }) => member !== 'b').map(({ what }) => what)
  expect(left.sort()).toEqual(ids.map((id) => `work ${id.slice(1)}`))
})

test('jobs are added at every member, and each is handled once, at the owner of the queue', async () => {
  const added = []
  for (const member of names)
    for (const job of ['x', 'y'])
      added.push(await world.during(flowAt(member).add(mails, `${member}${job}`)))
  await world.clock.advance(1_000)

  const handled = ran.map(({ what }) => what).filter((what) => what.startsWith('mail'))
  expect(handled.sort()).toEqual(['ax', 'ay', 'bx', 'by', 'cx', 'cy'].map((job) => `mail ${job}`))
  expect(new Set(ran.map(({ member }) => member)).size).toBe(1)
  expect(new Set(added.map(({ id }) => id)).size).toBe(6)
})

test('a dead job that is retried lets its run go on, at whichever member that is', async () => {
  const ids: string[] = []
  for (let job = 0; job < 6; job++) ids.push((await world.during(flowAt('a').add(orders, job))).id)
  await world.clock.advance(5_000)
  expect(await world.during(flowAt('a').counts(orders))).toMatchObject({ dead: 6 })
  isAway = false

  for (const id of ids) await world.during(flowAt('a').retry(orders, id))
  await world.clock.advance(minute)

  expect(await world.during(flowAt('a').counts(orders))).toMatchObject({
    ...{ dead: 0, delayed: 0, running: 0 },
  })
})

describe('over all members holds', () => {
  test('the limit of a queue, for its jobs', async () => {
    for (let job = 0; job < 9; job++)
      await world.during(flowAt(names[job % 3] as string).add(narrow, job))
    await world.clock.advance(10_000)

    expect(mostAtOnce).toBe(2)
    expect(ran.filter(({ what }) => what.startsWith('narrow'))).toHaveLength(9)
  })

  test('the limit of a queue, for the runs that begin with a place there', async () => {
    const ids = Array.from({ length: 9 }, (_, at) => `s${at}`)
    const runs = []
    for (const [at, id] of ids.entries())
      runs.push(
        await world.during(flowAt(names[at % 3] as string).start(seated, undefined, { id })),
      )
    await world.during(Promise.all(runs.map((run) => run.result({ timeoutMs: minute }))))

    expect(mostAtOnce).toBe(2)
  })

  test('the rate of a queue, also after its owner has ended', async () => {
    for (let job = 0; job < 12; job++)
      await world.during(flowAt(names[job % 3] as string).add(paced, job))
    await world.clock.advance(8_000)
    const { entities } = apps[0] as App
    const { index } = entities.shardOf(`${queueKind('paced')}/${queueId}`)
    await world.kill(
      names.find((_, at) => apps[at]?.shards[index]?.phase.kind === 'open') as string,
    )
    await world.clock.advance(60_000)

    expect(begun).toHaveLength(12)
    for (const [at, time] of begun.entries())
      if (at >= 3) expect(time - (begun[at - 3] as number)).toBeGreaterThanOrEqual(10_000)
  })
})

test('a schedule starts one run for each of its times, also after its member has ended', async () => {
  await world.clock.advance(3 * minute)
  expect(done('tick')).toHaveLength(3)
  const { entities } = apps[0] as App
  const { index } = entities.shardOf(`${scheduleKind('each')}/${scheduleId}`)
  const owner = names.find((_, at) => apps[at]?.shards[index]?.phase.kind === 'open')
  await world.kill(owner as string)
  await world.clock.advance(3 * minute)

  expect(done('tick')).toHaveLength(6)
})
