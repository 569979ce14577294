/** Reads that last over several turns find every key, although the shards move in between. */
import { describe, expect, test, vi } from 'vitest'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = { calls: { add: (by: number) => number } }

const sum: DurableServer<Messages, number> = {
  init: () => 0,
  calls: { add: (state, by) => reply(state + by, state + by) },
}

const tree = () => ({ app: supervisor('app', {}, [entity('sum', sum)]) })

const keys = Array.from({ length: 40 }, (_, at) => `k${100 + at}`)
const large = 'x'.repeat(1_500_000)

/** Members a and b that have all shards, with keys and entities in each shard. */
const filled = async () => {
  const world = new FolderMembers(['a', 'b', 'c'], { seed: 1, delayMs: 20 }, { arrivalMs: 500 })
  const [a, b] = (await world.start(['a', 'b'], tree)) as [App, App]
  const during = world.during.bind(world)
  await world.clock.advance(3_000)
  await during(a.store.putMany(keys.map((key, at) => [key, at] as const)))
  for (const key of keys) await during(call(a.entity<Messages>('sum').ref(key), 'add', 1))
  return { world, a, b, during }
}

/** Reads again and again while `move` moves shards. Answers what each read found. */
const readWhile = async (
  { world, during }: Awaited<ReturnType<typeof filled>>,
  read: readonly (() => Promise<unknown>)[],
  move: () => Promise<unknown>,
  everyMs = 25,
): Promise<readonly PromiseSettledResult<unknown>[]> => {
  const found: Promise<unknown>[] = []
  let isOver = false
  const loop = (async () => {
    while (!isOver) {
      for (const each of read) found.push(each())
      for (const each of found.slice(-read.length)) each.catch(() => undefined)
      await new Promise<void>((resolve) => world.clock.after(everyMs, resolve))
    }
  })()
  await move().finally(() => {
    isOver = true
  })
  await during(loop)
  return during(Promise.allSettled(found))
}

const owners = (app: App): readonly unknown[] => app.health().shards.map(({ member }) => member)

/** A third member comes, takes shards, and leaves: the others stay. */
const comesAndGoes =
  ({ world, a }: Awaited<ReturnType<typeof filled>>) =>
  async (): Promise<void> => {
    const before = owners(a)
    await world.start(['c'], tree)
    await world.clock.advance(6_000)
    expect(owners(a)).not.toEqual(before)
    await world.stop('c')
    await world.clock.advance(2_000)
    expect(owners(a)).not.toContain('c')
  }

const walked = async (app: App): Promise<readonly unknown[]> => {
  const found: unknown[] = []
  for await (const [key] of app.store.entries({ prefix: 'k', limit: 15 })) found.push(key)
  return found
}

describe('while shards come to a third member and back, at the members that stay', () => {
  test('a page, and a walk over pages, have every key', async () => {
    const members = await filled()
    const { a, b } = members
    const page = async (app: App) => {
      const { entries } = await app.store.page({ prefix: 'k', limit: 1_000 })
      return entries.map(([key]) => key)
    }
    const reads = [a, b].flatMap((app) => [() => page(app), () => walked(app)])

    const found = await readWhile(members, reads, comesAndGoes(members))

    expect(found.length).toBeGreaterThan(500)
    expect(found.filter(({ status }) => status === 'rejected')).toEqual([])
    for (const each of found) expect(Object(each).value).toEqual(keys)
  })

  test('a page with keys of one shard waits until that has come to the position of a write', async () => {
    const members = await filled()
    const { a, b, during } = members
    const { position } = await during(a.store.put('k100', 'last'))
    const freshness = { atLeast: position }
    const reads = [a, b].flatMap((app) => [
      async () => (await app.store.page({ gte: 'k100', lte: 'k100', freshness })).entries,
      async () => [['k100', (await app.store.loadStale('k100', { atLeast: position })).value]],
    ])

    const found = await readWhile(members, reads, comesAndGoes(members))

    expect(found.filter(({ status }) => status === 'rejected')).toEqual([])
    for (const each of found) expect(Object(each).value).toEqual([['k100', 'last']])
  })

  test('a stream is put at the next owner, or leaves nothing if its shard leaves before its end', async () => {
    const { a, b, world, during } = await filled()
    const begun: [atShut: boolean, outcome: Promise<unknown>][] = []
    const leaves = (app: App, shard: App['shards'][number]): void => {
      let end = (): void => undefined
      const gone = new Promise<void>((resolve) => {
        end = resolve
      })
      async function* untilGone() {
        yield large
        await gone
      }
      const key = keys.find((each) => app.store.shardOf(each) === shard.index) as string
      const put = (atShut: boolean, source: AsyncIterable<string> | string[]): void => {
        const outcome = app.store.putStream(key, source).then(
          ({ length }) => length,
          ({ code }) => code,
        )
        begun.push([atShut, outcome])
      }
      const { beginLeave, shut, beElsewhere } = shard
      vi.spyOn(shard, 'beginLeave').mockImplementationOnce(() => {
        beginLeave.call(shard)
        put(false, untilGone())
      })
      vi.spyOn(shard, 'shut').mockImplementationOnce(() => {
        shut.call(shard)
        put(true, [large])
      })
      vi.spyOn(shard, 'beElsewhere').mockImplementationOnce(() => {
        beElsewhere.call(shard)
        end()
      })
    }
    for (const app of [a, b]) for (const shard of app.shards) leaves(app, shard)

    await world.start(['c'], tree)
    await world.clock.advance(6_000)

    expect(begun.length).toBeGreaterThan(1)
    for (const [atShut, outcome] of begun)
      expect(await during(outcome)).toBe(atShut ? large.length : 'NOT_SUBMITTED')
  })
})

test('a read that no owner has answered when its member closes is CLOSED', async () => {
  const { a, b, world, during } = await filled()
  const key = keys.find((each) => a.shards[a.store.shardOf(each)]?.phase.kind === 'open') as string
  world.links.pause('a')
  const reads = [
    b.store.page({ prefix: 'k', limit: 1_000 }),
    walked(b),
    b.store.load(key),
    b.entity<Messages>('sum').page({ limit: 1_000 }),
  ].map((read) =>
    read.then(
      () => 'answered',
      ({ code }) => code,
    ),
  )
  await world.clock.advance(100)
  await during(b.close())
  world.links.resume('a')

  expect(await during(Promise.all(reads))).toEqual(reads.map(() => 'CLOSED'))
})
