/** The journal of a shard, from every member of a folder: appends, and one reader for each name. */
import { beforeEach, expect, test } from 'vitest'
import { passed } from '../../../src/clock.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

const names = ['a', 'b']
let world: FolderMembers
let apps: Map<string, App>
/** What handlers got, and at which member. */
let got: { member: string; number: number }[]
/** How long a handler is at an entry, in ms. */
let lastsMs: (number: number) => number
/** The entries at which handlers are, and which two had at one time. */
let present: Set<number>
let twice: number[]

const begin = async (of: readonly string[]): Promise<void> => {
  const started = await world.start(of)
  for (const [at, member] of of.entries()) {
    const app = started[at] as App
    apps.set(member, app)
    for (const shard of [0, 1, 2, 3])
      app.journal.on(shard).subscribe({
        name: 'mailer',
        handler: async ({ type, id }) => {
          if (type !== `of ${shard}`) return
          const number = Number(id.slice(2))
          got.push({ member, number })
          if (present.size > 0) twice.push(number)
          present.add(number)
          const ms = lastsMs(number)
          if (ms > 0) await passed(world.clock, ms)
          present.delete(number)
        },
      })
  }
}

const at = (member: string): App => apps.get(member) as App

/** A shard of this member. */
const shardOf = (member: string): number =>
  at(member).shards.find(({ phase }) => phase.kind === 'open')?.index ?? -1

const append = async (member: string, shard: number, ...numbers: number[]): Promise<void> => {
  for (const number of numbers) {
    const entry = { id: `e-${number}`, type: `of ${shard}`, command: number }
    await world.during(at(member).journal.on(shard).append(entry))
  }
  await world.clock.advance(100)
}

beforeEach(async () => {
  got = []
  lastsMs = () => 0
  present = new Set()
  twice = []
  apps = new Map()
  world = new FolderMembers(names)
  await begin(names)
})

test('an entry is appended at the owner of its shard, once for its id, and says where', async () => {
  const shard = shardOf('b')
  const entry = { id: 'e-1', type: 'paid', command: { cents: 5 } }
  const first = await world.during(at('a').journal.on(shard).append(entry))
  const second = await world.during(at('b').journal.on(shard).append(entry))

  expect(first).toMatchObject({ shard, repeated: false })
  expect(second).toMatchObject({ shard, lsn: first.lsn, repeated: true })
  await expect(
    world.during(
      at('a')
        .journal.on(shard)
        .append({ ...entry, command: 6 }),
    ),
  ).rejects.toMatchObject({ code: 'CONFLICT' })
})

test('a named subscription has one reader, the owner of the shard, and goes on at the next one', async () => {
  const shard = shardOf('b')
  await append('a', shard, 1, 2, 3)
  await append('b', shard, 4)
  expect(got).toEqual([1, 2, 3, 4].map((number) => ({ member: 'b', number })))

  await world.kill('b')
  await append('a', shard, 5, 6)
  expect(got.slice(4)).toEqual([5, 6].map((number) => ({ member: 'a', number })))
})

test('a member that gets a shard back goes on where the other one has come to', async () => {
  const shard = shardOf('b')
  await append('b', shard, 1)
  await world.kill('b')
  await append('a', shard, 2)
  await begin(['b'])
  // Its shards come back.
  await world.clock.advance(30_000)
  await append('a', shard, 3, 4)
  await world.kill('b')
  await append('a', shard, 5)

  expect(got.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5])
  expect(got.map(({ member }) => member)).toEqual(['b', 'a', 'b', 'b', 'a'])
})

test('a shard leaves when the handler of its entry has ended, and the next owner begins after that entry', async () => {
  const shard = shardOf('b')
  lastsMs = (number) => (number === 2 ? 3_000 : 0)
  await append('b', shard, 1, 2, 3)
  expect(present).toEqual(new Set([2]))
  await world.during(at('b').close())
  await append('a', shard, 4)

  expect(got.map(({ number }) => number)).toEqual([1, 2, 3, 4])
  expect(got.map(({ member }) => member)).toEqual(['b', 'b', 'a', 'a'])
  expect(twice).toEqual([])
})

test('a handler that is at an entry for long keeps its shard, which works on and leaves later', {
  tags: ['slow'],
}, async () => {
  const shard = shardOf('b')
  await world.stop('b')
  lastsMs = (number) => (number === 1 ? 60_000 : 0)
  await append('a', shard, 1, 2)
  await begin(['b'])
  await world.clock.advance(30_000)
  expect(at('a').shards[shard]?.phase.kind).toBe('open')
  expect(shardOf('b')).toBeGreaterThanOrEqual(0)
  await append('b', shard, 3)
  await world.clock.advance(150_000)
  expect(at('b').shards[shard]?.phase.kind).toBe('open')
  await append('a', shard, 4)

  expect(got.map(({ number }) => number)).toEqual([1, 2, 3, 4])
  expect(got.map(({ member }) => member)).toEqual(['a', 'a', 'a', 'b'])
  expect(twice).toEqual([])
})

test('a state of the application is saved and loaded at every member', async () => {
  const shard = shardOf('b')
  const journalAt = (member: string) => at(member).journal.on(shard)
  const { lsn } = await world.during(journalAt('b').append({ id: 'e-1', type: 'paid', command: 1 }))
  expect(await world.during(journalAt('a').loadState())).toBe(undefined)
  await world.during(journalAt('a').saveState(lsn, { cents: 7 }))

  const found = [
    await world.during(journalAt('a').loadState()),
    await world.during(journalAt('b').loadState()),
  ]
  expect(found).toEqual([found[0], found[0]])
  expect(found[0]).toMatchObject({ lsn, value: { cents: 7 } })
  await expect(world.during(journalAt('a').saveState(lsn + 1_000, {}))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
})
