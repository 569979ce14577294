/** `keelson cluster copies`: the number of copies is a term of the cluster, and changes while no member runs. */
import { expect, test } from 'vitest'
import { clusterHere } from '../../support/commands/cluster-here.ts'
import { Members } from '../../support/worlds/members.ts'

const two = { cluster: { copies: 2 } as never }

test('after a change members start with the new number alone', async () => {
  const members = new Members()
  const app = await members.start('a')
  await members.during(app.store.put('k', 'v'))
  await members.during(app.close())

  const { output } = await members.during(clusterHere(members, 'copies 2'))
  expect(output).toBe(
    '2 machines must have what c acknowledges, and not 1: start its members with copies: 2\n',
  )

  await expect(members.start('a')).rejects.toMatchObject({ code: 'CONFIG' })
  expect((await members.start('b', two)).store.get('k')).toBe('v')
})

test('a change is CONFLICT while a member runs, and NO_SEGMENTS without a cluster', async () => {
  const members = new Members()
  const change = () => members.during(clusterHere(members, 'copies 2'))
  await expect(change()).rejects.toMatchObject({ code: 'NO_SEGMENTS' })
  await members.start('a')

  await expect(change()).rejects.toMatchObject({ code: 'CONFLICT', details: { member: 'a' } })
})

test('a made cluster has the copies of its configuration, and a status names another number', async () => {
  const members = new Members()
  await members.during(clusterHere(members, 'create', { copies: 2 }))

  const { output } = await members.during(clusterHere(members, 'status', { copies: 1 }))
  expect(output).toMatch(/^copies +2, and the configuration says 1: no member starts with it$/m)
  const json = JSON.parse((await members.during(clusterHere(members, 'status --json'))).output)
  expect(json.copies).toBe(2)
  await expect(members.start('a')).rejects.toMatchObject({ code: 'CONFIG' })
})
