/** Wrong options of one member of a cluster: they are refused at that member, and hurt no other one. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, workflow } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

test('a standby with a shorter lease waits for as long as the lease of the owner says', {
  tags: ['slow'],
}, async () => {
  const members = new Members()
  const long = { cluster: { leaseMs: 10 * leaseMs } as never }
  const owner = await members.start('a', long)
  const standby = members.begin('b')
  await members.during(owner.store.put('k', 1))

  await members.clock.advance(30 * leaseMs)
  expect(owner.health().cluster).toMatchObject({ phase: 'owner', epoch: 1 })
  members.sessions.get('a')?.pause(60 * leaseMs)
  await members.clock.advance(6 * leaseMs)
  expect(owner.health().cluster?.phase).toBe('owner')
  const app = await members.during(standby)

  expect(app.store.get('k')).toBe(1)
})

test('a position that no log ever had is refused, and no shard is lost by it', async () => {
  const members = new Members()
  const owner = await members.start('a')
  await members.during(owner.store.put('k', 1))
  await members.during(owner.close())
  const position = owner.shards[0]?.appliedLsn ?? 0

  const wrong = members.start('b', { wal: { minDurable: [{ shard: 0, lsn: position + 100 }] } })

  await expect(wrong).rejects.toMatchObject({ code: 'CORRUPT' })
  const again = await members.start('a')
  expect(again.store.get('k')).toBe(1)
})

test('a folder that another process holds is refused before the member waits', async () => {
  const members = new Members()
  await members.start('a')
  const { disk } = members.machine('b')
  disk.makeFolder('/taken')
  disk.lock('/taken/LOCK', 'another process')

  const wrong = members.start('b', { dir: '/taken' })

  await expect(wrong).rejects.toMatchObject({ code: 'LOCKED_DIR' })
  expect(members.steps.filter((step) => step.startsWith('b'))).toEqual([])
  expect(disk.list('/taken')).toEqual(['LOCK'])
})

test('the health of an owner that is unsure says so, and why its workflows are not known', async () => {
  const members = new Members()
  const work = workflow('work', async (_: Ctx, input: number) => input)
  const owner = await members.start('a', {
    app: supervisor('app', {}, [flows({ workflows: [work] })]),
  })
  const phases: string[] = []
  owner.events.on('cluster.phase', ({ phase }) => phases.push(phase))

  members.sessions.get('a')?.pause(3 * leaseMs)
  await members.clock.advance(2 * leaseMs)

  expect(phases).toEqual(['unsure'])
  const { cluster, parts } = owner.health()
  expect(cluster?.phase).toBe('unsure')
  expect(parts.flow).toEqual({ unknown: expect.stringContaining('may have another owner') })
  await members.clock.advance(3 * leaseMs)
  const none = { count: 0, first: [] }
  expect(owner.health().parts.flow).toEqual({
    blocked: none,
    failed: none,
    schedules: none,
    unread: none,
  })
})

test('an owner that is unsure when it looks for old runs keeps its workflows, and goes on', async () => {
  const members = new Members()
  const work = workflow('work', async (_: Ctx, input: number) => input)
  const owner = await members.start('a', {
    app: supervisor('app', {}, [flows({ workflows: [work] })]),
  })
  // The look comes after a minute.
  await members.clock.advance(60_000 - leaseMs)
  members.sessions.get('a')?.pause(3 * leaseMs)
  await members.clock.advance(2 * leaseMs)
  expect(owner.health().cluster?.phase).toBe('unsure')
  const phases = () => owner.shards.map(({ phase }) => phase.kind)
  expect(phases()).not.toContain('closed')
  await members.clock.advance(4 * leaseMs)
  expect(owner.health().cluster?.phase).toBe('owner')
  expect(phases()).not.toContain('closed')
  const run = await members.during(flow(owner).start(work, 7, { id: '7' }))
  expect(await members.during(run.result())).toBe(7)
})
