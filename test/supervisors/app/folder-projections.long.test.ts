/** The rows of a projection, and its states, are the same from every member of a folder. */
import { beforeEach, describe, expect, test } from 'vitest'
import { countsByNamespace, type Projection, projection } from '../../../src/index.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

const shards = 12
const names = ['a', 'b', 'c']
let world: FolderMembers
let apps: readonly App[]

const during = <T>(work: Promise<T>): Promise<T> => world.during(work)
const at = (member: string): App => apps[names.indexOf(member)] as App

/** Each value under its key, and under a key that all shards have. */
const values: Projection = projection('values', {
  version: 1,
  project: ({ key, after, exists }) =>
    exists
      ? [
          { kind: 'put', key, value: after },
          { kind: 'put', key: 'last', value: after },
        ]
      : [],
})

/** A key of each shard, with a value of each kind. */
const entries = Array.from({ length: shards }, (_, shard): readonly [string, unknown] => {
  const kinds = [`text ${shard}`, Buffer.from([shard]), { at: new Date(shard) }, shard]
  for (let n = 0; ; n++) {
    const key = `${['n', 'm', 'o'][n % 3]}:${n}`
    if (shardOf(key, shards) === shard) return [key, kinds[shard % kinds.length]]
  }
})

const projections = [countsByNamespace('counts'), values]

/** Every page of a walk. */
const walked = async (app: App, of: string, limit: number, reverse = false) => {
  const found: unknown[] = []
  let cursor: string | undefined
  do {
    const page = await during(
      app.projection(of).page({ limit, reverse, ...(cursor !== undefined && { cursor }) }),
    )
    found.push(...page.entries)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

beforeEach(async () => {
  world = new FolderMembers(names)
  apps = await world.start(names, () => ({ shards, projections }))
  for (const [key, value] of entries) await during(at('a').store.put(key, value))
  for (const { name } of projections) await during(at('a').projection(name).reached())
})

/** The same rows in an instance without members. */
const alone = async (): Promise<App> => {
  const { world: one, app } = await started({ shards, projections })
  for (const [key, value] of entries) await one.during(app.store.put(key, value))
  for (const { name } of projections) await one.during(app.projection(name).reached())
  return app
}

describe('from every member, a projection', () => {
  test('has the rows that it has without members, and every shard is there', async () => {
    const one = await alone()
    for (const { name } of projections) {
      const expected = one.projection(name).range()
      for (const app of apps) {
        const page = await during(app.projection(name).page())

        expect(page.entries).toEqual(expected.entries)
        expect(page).toMatchObject({ exhausted: true, cursor: undefined })
        expect(page.positions.map(({ shard, lag }) => [shard, lag])).toEqual(
          Array.from({ length: shards }, (_, shard) => [shard, 0]),
        )
        for (const [key, value] of expected.entries)
          expect(await during(app.projection(name).load(key))).toEqual(value)
      }
    }
  })

  test('adds the numbers that the shards have', async () => {
    const counts = at('b').projection<number>('counts')
    const { entries: found } = await during(counts.page())

    expect(found.map(([key]) => key)).toEqual(['m', 'n', 'o'])
    expect(found.reduce((sum, [, count]) => sum + count, 0)).toBe(shards)
    expect(await during(counts.load('none'))).toBe(undefined)
  })

  test.each([1, 5])('is walked in pages of %i, in both directions', async (limit) => {
    const all = (await during(at('b').projection('values').page())).entries

    expect(all).toHaveLength(shards + 1)
    expect(await walked(at('a'), 'values', limit)).toEqual(all)
    expect(await walked(at('c'), 'values', limit, true)).toEqual(all.toReversed())
  })

  test('goes on at another member with a cursor, and refuses that of another query', async () => {
    const { entries: first, cursor = '' } = await during(
      at('a').projection('values').page({ limit: 4 }),
    )
    const view = at('c').projection('values')
    const rest = await during(view.page({ cursor }))

    expect([...first, ...rest.entries]).toEqual(await walked(at('b'), 'values', 100))
    await expect(view.page({ cursor, prefix: 'n' })).rejects.toMatchObject({ code: 'BAD_CURSOR' })
    await expect(view.page({ limt: 1 } as object)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  test('without values has the keys alone', async () => {
    const { entries: found } = await during(at('b').projection('values').page({ values: false }))

    expect(found).toEqual(
      [...entries.map(([key]) => key), 'last'].sort().map((key) => [key, undefined]),
    )
  })

  test('says how far it is in every shard', async () => {
    const each = apps.flatMap((app) => app.projection('counts').status())
    const expected = each.sort((one, other) => one.shard - other.shard)

    expect(expected).toHaveLength(shards)
    for (const app of apps) {
      const view = app.projection('counts')
      expect(await during(view.read('status'))).toStrictEqual(expected)
      await expect(view.read('get' as 'status')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
  })

  test('waits for the next owners of its shards', async () => {
    const all = await walked(at('a'), 'values', 100)
    await world.kill('b')
    const view = at('a').projection('values')
    const [page, last] = [view.page(), view.load('last')]

    expect((await during(page)).entries).toEqual(all)
    expect(await during(last)).toBe(entries[0]?.[1])
  })

  test('comes in shorter pages if its values are large', async () => {
    const large = 'x'.repeat(900_000)
    for (const [key] of entries) await during(at('a').store.put(key, large))
    await during(at('a').projection('values').reached())
    const all = await walked(at('a'), 'values', 100)

    expect(all).toEqual([...entries.map(([key]) => key), 'last'].sort().map((key) => [key, large]))
  })
})

test('a read that answers at once says what reads the other shards', async () => {
  const view = at('a').projection('values')
  for (const [read, instead] of [
    [() => view.get('last'), 'load'],
    [() => view.range(), 'page'],
  ] as const)
    expect(read).toThrow(
      expect.objectContaining({
        code: 'ELSEWHERE',
        message: expect.stringMatching(
          new RegExp(`^shard \\d+ is at the member [bc]: from here use \`${instead}\`$`),
        ),
      }),
    )
})

test('without members `load` and `page` are `get` and `range`', async () => {
  const app = await alone()
  const view = app.projection('values')

  expect(await view.load('last')).toEqual(view.get('last'))
  expect(await view.page({ limit: 3 })).toEqual(view.range({ limit: 3 }))
  expect(await view.read('status')).toEqual(view.status())
})
