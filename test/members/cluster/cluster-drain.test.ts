/** `keelson cluster drain`: an owner ends in order, and a standby takes over without waiting for a lease. */
import { expect, test } from 'vitest'
import { clusterHere } from '../../support/commands/cluster-here.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

test('a drained owner closes in order, and the standby owns at once with all that was acknowledged', async () => {
  const members = new Members()
  const owner = await members.start('a')
  const standby = members.begin('b')
  await members.clock.advance(2 * leaseMs)
  const put = owner.store.put('k', 'v')

  const began = members.clock.monotonic()
  const drained = await members.during(clusterHere(members, 'drain a'))

  expect(drained).toEqual({
    status: 0,
    output: 'the member b owns c now\n',
    errors:
      'the member a is asked to end; it drains what it has accepted\n' +
      'the member a has given its lease back\n',
  })
  expect(members.clock.monotonic() - began).toBeLessThan(leaseMs / 2)
  expect(await owner.closed).toBe('normal')
  await members.during(put)
  expect((await members.during(standby)).store.get('k')).toBe('v')
  expect([...members.engine.inside('c').entries.keys()]).not.toContain('drain/a')
})

test('the last member is drained, nobody owns, and its next start is not asked to end', async () => {
  const members = new Members()
  const owner = await members.start('a')

  const { output } = await members.during(clusterHere(members, 'drain a'))

  expect(output).toBe('nobody owns c: no other member has taken over\n')
  expect(await owner.closed).toBe('normal')
  const again = await members.start('a')
  await members.clock.advance(2 * leaseMs)
  expect(again.health().cluster).toMatchObject({ phase: 'owner' })
})

test('a drained standby ends, and the owner goes on', async () => {
  const members = new Members()
  const owner = await members.start('a')
  const standby = members.begin('b').catch((error: unknown) => error)
  await members.clock.advance(leaseMs)

  const { output } = await members.during(clusterHere(members, 'drain b'))

  expect(output).toBe('the member a is the owner of c, as before\n')
  expect(await members.during(standby)).toMatchObject({ code: 'CLOSED' })
  expect(owner.health().cluster).toMatchObject({ phase: 'owner' })
})

test('a drain of a member that is gone, or was never there, says so', async () => {
  const members = new Members()
  await members.start('a')
  const refused = (member: string) =>
    members.during(clusterHere(members, `drain ${member}`)).catch((error: unknown) => error)

  expect(await refused('z')).toMatchObject({ code: 'INVALID_ARGUMENT' })

  members.sessions.get('a')?.pause(10 * leaseMs)
  expect(await refused('a')).toMatchObject({ code: 'NO_PROCESS' })
  expect([...members.engine.inside('c').entries.keys()]).not.toContain('drain/a')

  const next = await members.start('b')
  await members.during(next.close())
  expect(await refused('b')).toMatchObject({ code: 'NO_PROCESS' })
})
