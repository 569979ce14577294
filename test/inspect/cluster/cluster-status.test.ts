/** `keelson cluster status` and `create`: the engine alone is read, with members and without. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { clusterHere } from '../../support/commands/cluster-here.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

const statusOf = async (members: Members) => {
  const { output } = await members.during(clusterHere(members, 'status --json'))
  return JSON.parse(output)
}

const leases = (status: { members: { member: string; lease: string }[] }) =>
  status.members.map(({ member, lease }) => `${member} ${lease}`)

test('a status shows members, owner and logs, while they run and when none does', async () => {
  const members = new Members()
  const owner = await members.start('a', { shards: 2 })
  const standby = members.begin('b')
  await members.during(owner.store.put('k', 'v'))
  await members.clock.advance(100)

  const status = await statusOf(members)
  expect(status).toMatchObject({ cluster: 'c', engine: 'simulated', shards: 2 })
  expect(status.owner).toMatchObject({ member: 'a', epoch: 1 })
  expect(leases(status)).toEqual(['a held', 'b held'])
  expect(status.members[0]).toMatchObject({ about: { pid: process.pid }, leaseMs })
  const { head } = members.engine.kept('c', '1')
  expect(status.logs[1]).toEqual({ shard: 1, ...head })

  await members.during(owner.close())
  await members.during((await members.during(standby)).close())
  expect(leases(await statusOf(members))).toEqual(['a ended', 'b ended'])
})

test('an owner that is cut off is shown as not renewed after its lease', async () => {
  const members = new Members()
  await members.start('a')
  members.sessions.get('a')?.pause(10 * leaseMs)

  const began = members.clock.monotonic()
  const { output } = await members.during(clusterHere(members, 'status'))

  expect(members.clock.monotonic() - began).toBeGreaterThanOrEqual(leaseMs)
  expect(output).toMatch(/^ +nobody owns at this moment$/m)
  expect(output).toMatch(/^a +not renewed +\S+ +\d/m)
})

test('a status says that the engine has fewer copies than members want, and shows the rest', async () => {
  const members = new Members()
  const { open } = members.engine
  members.engine.open = function (options: { cluster: string; copies: number }) {
    if (options.copies > 1) throw new KeelsonError('CONFIG', 'it has no standby')
    return open.call(this, options)
  }

  const status = clusterHere(members, 'status', { copies: 2 })

  expect((await members.during(status)).output).toMatch(
    /copies +2 machines wanted: CONFIG: it has no standby/,
  )
  const made = clusterHere(members, 'create', { copies: 2 })
  await expect(members.during(made)).rejects.toMatchObject({ code: 'CONFIG' })
})

test('a cluster is made once, with its logs, and the first member finds them', async () => {
  const members = new Members()
  expect(await statusOf(members)).toMatchObject({ members: [], logs: [] })

  const made = await members.during(clusterHere(members, 'create --shards 3'))
  expect(made.output).toBe('made the cluster c with 3 shards in simulated\n')
  const { logId } = members.engine.kept('c', '2').head
  await expect(members.during(clusterHere(members, 'create'))).rejects.toMatchObject({
    code: 'CONFLICT',
    details: { shards: 3 },
  })

  const app = await members.start('a')
  expect(app.shards).toHaveLength(3)
  expect(members.engine.kept('c', '2').head.logId).toBe(logId)
})
