/** Entries of the directory that members obey: one is asked to leave, and a shard has lost acknowledged writes. */
import { expect, test } from 'vitest'
import { entryText, factsIn } from '../../../src/members/leases/cluster-directory.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

const directoryOf = (members: Members) => members.engine.connect('c').directory

const set = async (members: Members, name: string, value: string | undefined): Promise<void> => {
  const directory = directoryOf(members)
  const { entries } = await members.during(directory.view())
  await members.during(directory.set(name, entries.get(name)?.revision ?? 0, value))
}

const facts = async (members: Members) => factsIn(await members.during(directoryOf(members).view()))

test('an owner that is asked to leave closes in order, and a standby owns at once', async () => {
  const members = new Members()
  const owner = await members.start('a')
  await members.during(owner.store.put('k', 'v'))
  const standby = members.begin('b')
  await members.clock.advance(leaseMs)
  const incarnation = (await facts(members)).members.find(
    ({ member }) => member === 'a',
  )?.incarnation

  const began = members.clock.monotonic()
  await set(members, 'drain/a', entryText('drain/a', { incarnation }))
  const app = await members.during(standby)

  expect(members.clock.monotonic() - began).toBeLessThan(leaseMs)
  expect(app.store.get('k')).toBe('v')
  expect(await members.during(owner.closed)).toBe('normal')
})

test('a standby that is asked to leave rejects its start, and a later start is not meant', async () => {
  const members = new Members()
  await members.start('a')
  const standby = members.begin('b').catch((error: unknown) => error)
  await members.clock.advance(leaseMs)
  const incarnation = (await facts(members)).members.find(
    ({ member }) => member === 'b',
  )?.incarnation

  await set(members, 'drain/b', entryText('drain/b', { incarnation }))
  await expect(members.during(standby)).resolves.toMatchObject({ code: 'CLOSED' })

  let isOver = false
  const again = members.begin('b').finally(() => {
    isOver = true
  })
  again.catch(() => undefined)
  await members.clock.advance(3 * leaseMs)
  expect(isOver).toBe(false)
})

test('a member says where it runs, and since when', async () => {
  const members = new Members()
  await members.start('a')

  const [member] = (await facts(members)).members
  expect(member).toMatchObject({ member: 'a', leaseMs, isLeaving: false })
  expect(member?.about).toMatchObject({ pid: process.pid })
})

test('who finds that commits were lost says so, and the next owner marks the shard; no member serves it before the loss is accepted, and then caches are filled again', async () => {
  const members = new Members()
  const first = await members.start('a')
  for (let number = 0; number < 20; number++) await members.during(first.store.put('k', number))
  await members.during(first.close())
  members.engine.loseTail('c', '0', 10)

  await expect(members.start('a')).rejects.toMatchObject({ code: 'CORRUPT' })
  // It is no second witness of what it reads itself.
  await expect(members.start('a')).rejects.toMatchObject({ code: 'CORRUPT', details: { shard: 0 } })
  expect(await facts(members)).toMatchObject({ losses: [], doubts: [{ shard: 0, member: 'a' }] })
  // Its empty cache knows of nothing.
  await expect(members.start('b')).rejects.toMatchObject({ code: 'CORRUPT', details: { shard: 0 } })
  expect((await facts(members)).losses).toMatchObject([{ shard: 0, member: 'a' }])

  const terms = { shards: 1, copies: 1, losses: 1 }
  await set(members, 'instance', entryText('instance', terms))
  await set(members, 'lost/0', undefined)
  await set(members, 'doubt/0', undefined)
  const again = await members.start('a')

  expect(again.store.get('k')).toBe(8)
  await members.during(again.store.put('k', 'on'))
  await members.during(again.close())
  expect((await members.start('b')).store.get('k')).toBe('on')
})

test('an owner ends when a standby has found that commits of its shard were lost', async () => {
  const members = new Members()
  const owner = await members.start('a')
  const standby = members.begin('b').catch((error: unknown) => error)
  for (let number = 0; number < 20; number++) await members.during(owner.store.put('k', number))
  await members.clock.advance(2 * leaseMs)

  members.engine.loseTail('c', '0', 10)
  await expect(members.during(standby)).resolves.toMatchObject({ code: 'CORRUPT' })

  expect(await members.during(owner.closed)).toEqual([
    'shutdown',
    expect.objectContaining({ code: 'CORRUPT' }),
  ])
})
