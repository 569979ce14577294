/** Shards that come back to a member of a folder after another one has had them. */
import { describe, expect, test } from 'vitest'
import { encodeValue } from '../../../src/storage/index.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const openAt = (member: App): readonly number[] =>
  member.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)

/** Members a and b that have all four shards. */
const joined = async (given: () => Partial<StartOptions>) => {
  const world = new FolderMembers(['a', 'b', 'c'], {}, { arrivalMs: 500 })
  const [a, b] = (await world.start(['a', 'b'], given)) as [App, App]
  await world.clock.advance(3_000)
  return { world, a, b, during: world.during.bind(world) }
}

/** A key of a shard. */
const keyIn = (member: App, shard: number): string =>
  Array.from({ length: 100 }, (_, at) => `k${at}`).find(
    (key) => member.store.shardOf(key) === shard,
  ) as string

/** Lets c have shards for a while, which come back then. Returns one of them, and its owner. */
const returned = async (
  { world, a, b, during }: Awaited<ReturnType<typeof joined>>,
  given: () => Partial<StartOptions>,
  meanwhile: (c: App, shard: number) => Promise<unknown> = async () => undefined,
) => {
  const before = openAt(a)
  const [c] = (await world.start(['c'], given)) as [App]
  await world.clock.advance(6_000)
  const [shard = -1] = openAt(c)
  await during(meanwhile(c, shard))
  await during(c.close())
  await world.clock.advance(6_000)
  const owner = before.includes(shard) ? a : b
  expect(openAt(owner)).toContain(shard)
  return { shard, owner }
}

test('a member that gets a shard back takes entries only after another replay', async () => {
  const given = () => ({ journal: { replay: 'required' as const } })
  const members = await joined(given)
  const { a, b, during } = members
  const replay = async (member: App, shard: number): Promise<readonly string[]> => {
    const found: string[] = []
    await member.journal.on(shard).replay({ handler: ({ id }) => void found.push(id) })
    return found
  }
  const append = (member: App, shard: number, id: string) =>
    member.journal.on(shard).append({ id, type: 'paid', command: 1 })
  for (const member of [a, b])
    for (const shard of openAt(member)) {
      await during(replay(member, shard))
      await during(append(member, shard, 'first'))
    }

  const { shard, owner } = await returned(members, given, async (c, moved) => {
    expect(await replay(c, moved)).toEqual(['first'])
    await append(c, moved, 'second')
  })

  expect(await during(codeOf(append(owner, shard, 'third')))).toBe('BUSY')
  expect(await during(replay(owner, shard))).toEqual(['first', 'second'])
  expect(await during(codeOf(append(owner, shard, 'third')))).toBe('ok')
})

describe('a large value that is prepared', () => {
  const given = () => ({ blobs: { threshold: 1_000, graceMs: 60_000, sweepMs: 0 } })
  const prepare = (member: App, shard: number) => {
    const value = encodeValue('x'.repeat(5_000))
    const expiry = { kind: 'none' } as const
    return member.blobs.prepare(shard, { kind: 'put', key: keyIn(member, shard), value, expiry })
  }

  test('cannot be written when another member has had its shard', async () => {
    const members = await joined(given)
    const { a, b, during } = members
    const prepared = new Map<number, Awaited<ReturnType<typeof prepare>>>()
    for (const member of [a, b])
      for (const shard of openAt(member)) prepared.set(shard, await during(prepare(member, shard)))

    const { shard, owner } = await returned(members, given)

    const command = prepared.get(shard) as Awaited<ReturnType<typeof prepare>>
    expect(await during(codeOf(owner.batcher.write(shard, command)))).toBe('DISCARDED')
  })

  test('is kept for its grace by a member that gets its shard', async () => {
    const { world, a, b, during } = await joined(given)
    await world.clock.advance(120_000)
    const [shard = -1] = openAt(b)
    await during(prepare(b, shard))
    await during(b.close())
    const swept = () => during(a.control.sweep(shard))

    expect((await swept()).freedBytes).toBe(0)
    await world.clock.advance(61_000)
    expect((await swept()).freedBytes).toBeGreaterThan(5_000)
  })
})

test('a stream that another member has had the shard of is SHARD_DOWN, whatever is freed since', async () => {
  const given = () => ({ blobs: { threshold: 1_000, graceMs: 1_000, sweepMs: 0 } })
  const members = await joined(given)
  const { world, a, b, during } = members
  const streams = new Map<number, NonNullable<ReturnType<App['store']['getStream']>>>()
  for (const member of [a, b])
    for (const shard of openAt(member)) {
      const key = keyIn(member, shard)
      await during(member.store.put(key, Buffer.alloc(5_000, 1)))
      streams.set(shard, member.store.getStream(key) as never)
    }

  const { shard } = await returned(members, given, async (c, moved) => {
    await c.store.put(keyIn(c, moved), 'small')
    await c.control.snapshot(moved)
    await new Promise<void>((resolve) => void world.clock.after(2_000, resolve))
    await c.control.sweep(moved)
  })

  const read = async () => {
    for await (const _ of streams.get(shard) ?? []);
  }
  expect(await during(codeOf(read()))).toBe('SHARD_DOWN')
})
