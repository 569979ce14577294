/** Batches, windows and changed limits of a queue whose member is killed: another one goes on with them. */
import { beforeEach, expect, test } from 'vitest'
import { type BatchJob, flow, flows, queue } from '../../../src/flow/index.ts'
import { queueId, queueKind } from '../../../src/flow/runs/parts.ts'
import { supervisor } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

const names = ['a', 'b', 'c']

let world: FolderMembers
let apps: readonly App[]
/** The calls of handlers: their member, the jobs, the keys of their tries, and their attempts. */
let calls: { member: string; jobs: string[]; keys: string[]; attempts: number[] }[]
/** How long a batch takes. */
let lastsMs = 10

const partsOf = (member: string) => {
  const rows = queue(
    'rows',
    async (jobs: readonly BatchJob<string>[]) => {
      calls.push({
        member,
        jobs: jobs.map(({ input }) => input),
        keys: jobs.map(({ key }) => key),
        attempts: jobs.map(({ attempt }) => attempt),
      })
      await new Promise<void>((resolve) => void world.clock.after(lastsMs, resolve))
      return Promise.allSettled(jobs.map(async ({ input }) => `${input} at ${member}`))
    },
    { batch: { max: 3, waitMs: '1m' }, keep: { results: '1d' } },
  )
  const mails = queue('mails', async (job: string) => {
    calls.push({ member, jobs: [job], keys: [], attempts: [] })
  })
  return { rows, mails }
}
const { rows, mails } = partsOf('none')

beforeEach(async () => {
  calls = []
  lastsMs = 10
  world = new FolderMembers(names)
  apps = await world.start(names, (member) => {
    const parts = partsOf(member)
    return { app: supervisor('app', {}, [flows({ queues: [parts.rows, parts.mails] })]) }
  })
})

/** The members: the owner of a queue first. */
const membersOf = (name: string): readonly string[] => {
  const { index } = (apps[0] as App).entities.shardOf(`${queueKind(name)}/${queueId}`)
  const isOwner = (at: number) => apps[at]?.shards[index]?.phase.kind === 'open'
  return [...names.filter((_, at) => isOwner(at)), ...names.filter((_, at) => !isOwner(at))]
}
const flowAt = (member: string) => flow(apps[names.indexOf(member)] as App)
const calledWith = () => calls.map(({ member, jobs }) => [member, ...jobs])

test('a batch that its member was killed in is handled by the next one, job by job, under the same keys', async () => {
  const [owner, other] = membersOf('rows') as [string, string]
  lastsMs = 3_600_000
  for (const job of ['x', 'y', 'z', 'later'])
    await world.during(flowAt(other).add(rows, job, { key: job }))
  await world.clock.advance(1_000)
  expect(calledWith()).toEqual([[owner, 'x', 'y', 'z']])

  lastsMs = 10
  await world.kill(owner)
  await world.clock.advance(30_000)
  const next = calls[1]?.member as string
  expect(next).not.toBe(owner)
  expect(calledWith().slice(1)).toEqual([
    [next, 'x'],
    [next, 'y'],
    [next, 'z'],
  ])
  expect(calls.slice(1).flatMap(({ keys }) => keys)).toEqual(calls[0]?.keys)
  expect(calls.slice(1).flatMap(({ attempts }) => attempts)).toEqual([2, 2, 2])

  await world.clock.advance(90_000)
  expect(calledWith().slice(4)).toEqual([[next, 'later']])
  expect(calls[4]?.attempts).toEqual([1])
  for (const [at, job] of ['x', 'y', 'z', 'later'].entries())
    expect(
      await world.during(
        flowAt(other)
          .job(rows, `${at + 1}`)
          .result(),
      ),
    ).toBe(`${job} at ${next}`)
})

test('a changed limit bounds the batches of the next member too', async () => {
  const [owner, other] = membersOf('rows') as [string, string]
  await world.during(flowAt(other).setLimits(rows, { concurrency: 2 }))
  await world.kill(owner)
  await world.clock.advance(10_000)
  for (const job of ['x', 'y', 'z', 'u']) await world.during(flowAt(other).add(rows, job), 60_000)
  await world.clock.advance(5_000)

  expect(calls.map(({ jobs }) => jobs)).toEqual([
    ['x', 'y'],
    ['z', 'u'],
  ])
  const { concurrency, changed } = await world.during(flowAt(other).limits(rows))
  expect([concurrency, changed]).toEqual([2, ['concurrency']])
})

test('a debounced job whose member was killed runs once, with the last add of every member', async () => {
  const [owner, other, third] = membersOf('mails') as [string, string, string]
  const debounce = { key: 'page', ms: 60_000 }
  await world.during(flowAt(owner).add(mails, 'first', { debounce }))
  const second = await world.during(flowAt(other).add(mails, 'second', { debounce }))
  await world.kill(owner)
  await world.clock.advance(10_000)
  const last = await world.during(flowAt(third).add(mails, 'last', { debounce }))
  expect(last).toEqual({ id: second.id, repeated: true, replaced: true })
  await world.clock.advance(120_000)

  expect(calls.map(({ jobs }) => jobs)).toEqual([['last']])
})
