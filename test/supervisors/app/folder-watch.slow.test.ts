/** Watches and entries of the journal go over all members of a folder, and on when a shard moves. */
import { beforeEach, describe, expect, test } from 'vitest'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = { calls: { add: (cents: number) => number } }

const order: DurableServer<Messages, number> = {
  init: () => 0,
  calls: { add: (sum, cents) => reply(sum + cents, sum + cents) },
}

const names = ['a', 'b', 'c']
const keys = Array.from({ length: 16 }, (_, at) => `k${at}`)
let world: FolderMembers
let apps: Map<string, App>

const begin = async (members: readonly string[]): Promise<void> => {
  const app = () => supervisor('app', {}, [entity('order', order)])
  const started = await world.start(members, () => ({ app: app() }))
  for (const [at, member] of members.entries()) apps.set(member, started[at] as App)
}

beforeEach(async () => {
  world = new FolderMembers(names)
  apps = new Map()
  await begin(names)
})

const at = (member: string): App => apps.get(member) as App

const during = <T>(work: Promise<T>): Promise<T> => world.during(work)

/** Takes what comes, until its end. */
const taken = <T>(from: AsyncIterable<T>) => {
  const seen: T[] = []
  const ended = (async () => {
    for await (const each of from) seen.push(each)
    return 'done'
  })().catch((error: { code: string }) => error.code)
  return { seen, ended }
}

const shardOf = (member: string): number =>
  at(member).shards.find(({ phase }) => phase.kind === 'open')?.index ?? -1

const putAll = async (from: string, value: unknown): Promise<void> => {
  for (const key of keys) await during(at(from).store.put(key, value))
  await world.clock.advance(200)
}

describe('a watch of the store', () => {
  test.each(names)('%s sees each change of all shards once, as it was', async (member) => {
    const watch = at(member).store.watch({ prefix: 'k' })
    const { seen, ended } = taken(watch)
    await world.clock.advance(200)
    await putAll('b', 1)
    await putAll('c', { two: 2 })
    await during(at('a').store.delete('k3'))
    await world.clock.advance(200)

    const changesOf = (key: string) =>
      seen.flatMap((each) => (each.kind !== 'clear' && each.key === key ? [each] : []))
    for (const key of keys)
      expect(changesOf(key).slice(0, 2)).toMatchObject([
        { kind: 'put', value: 1, catchingUp: false },
        { kind: 'put', value: { two: 2 }, catchingUp: false },
      ])
    expect(changesOf('k3')).toHaveLength(3)
    expect(seen).toHaveLength(2 * keys.length + 1)
    await watch.return()
    expect(await during(ended)).toBe('done')
  })

  test('goes on at the next owner, and leaves nothing out', async () => {
    const { seen } = taken(at('a').store.watch())
    await world.clock.advance(200)
    await putAll('a', 1)
    await world.kill('b')
    await putAll('c', 2)
    await world.stop('c')
    await putAll('a', 3)
    await world.clock.advance(1_000)

    for (const key of keys) {
      const values = seen.flatMap((each) =>
        each.kind === 'put' && each.key === key ? [each.value] : [],
      )
      expect(values.filter((value, place) => value !== values[place - 1])).toEqual([1, 2, 3])
    }
  })

  test('goes on when its own member gets a shard, and gives it away', async () => {
    const { seen } = taken(at('a').store.watch())
    await world.clock.advance(200)
    await world.kill('b')
    await putAll('a', 1)
    await begin(['b'])
    await world.clock.advance(30_000)
    await putAll('c', 2)

    const values = (key: string) =>
      seen.flatMap((each) => (each.kind === 'put' && each.key === key ? [each.value] : []))
    for (const key of keys) expect([...new Set(values(key))], key).toEqual([1, 2])
  })

  test('goes on after a cut link where it was', async () => {
    const { seen } = taken(at('a').store.watch())
    await world.clock.advance(200)
    await putAll('a', 1)
    world.links.part('a', 'b')
    await world.clock.advance(500)
    world.links.heal()
    await world.clock.advance(5_000)
    await putAll('b', 2)
    expect(seen.filter((each) => each.kind === 'put')).toHaveLength(2 * keys.length)
  })

  test('a position goes on at any other member', async () => {
    const first = at('a').store.watch()
    const one = during(first.next())
    await world.clock.advance(200)
    await putAll('b', 1)
    const { next = [] } = (await one).value ?? {}
    await first.return()
    const { seen } = taken(at('c').store.watch({ from: next }))
    await world.clock.advance(1_000)
    expect(seen).toHaveLength(keys.length - 1)
  })

  test('from the oldest on has a position of each shard with its first change, at once', async () => {
    await putAll('b', 1)
    const began = world.clock.monotonic()
    const watch = at('a').store.watch({ from: 'oldest' })
    const { next = [] } = (await during(watch.next())).value ?? {}
    expect(next.map(({ lsn }) => lsn > 0)).toEqual([true, true, true, true])
    expect(world.clock.monotonic() - began).toBeLessThan(1_000)
  })

  test('a position that no log has is BAD_CURSOR, also where another member has the shard', async () => {
    const from = { shard: shardOf('b'), lsn: 1_000_000 }
    const { ended } = taken(at('a').store.watch({ from }))
    expect(await during(ended)).toBe('BAD_CURSOR')
  })

  test('that has ended leaves nothing at its shards, here and elsewhere', async () => {
    // What its first writes begin at other members stays.
    await putAll('a', 0)
    const listening = new Set<() => void>()
    for (const shard of at('a').shards) {
      const { onPhase } = shard
      shard.onPhase = (listener) => {
        const stop = onPhase.call(shard, listener)
        listening.add(listener)
        return () => {
          listening.delete(listener)
          stop()
        }
      }
    }
    const watch = at('a').store.watch()
    const { seen, ended } = taken(watch)
    await world.clock.advance(200)
    await putAll('a', 1)
    expect(seen).toHaveLength(keys.length)
    expect(listening.size).toBeGreaterThan(0)
    await watch.return()
    expect(await during(ended)).toBe('done')
    expect(listening.size).toBe(0)
  })

  test('of a member that has ended leaves nothing at the owners, though nobody asks them', async () => {
    const listening = new Set<object>()
    for (const { changes } of at('b').shards) {
      const { listen } = changes
      changes.listen = (listener) => {
        const stop = listen.call(changes, listener)
        listening.add(listener)
        return () => {
          listening.delete(listener)
          stop()
        }
      }
    }
    taken(at('a').store.watch())
    await world.clock.advance(200)
    expect(listening.size).toBeGreaterThan(0)
    await world.kill('a')
    await world.clock.advance(100)
    expect(listening.size).toBe(0)
  })

  test('ends with CLOSED when its member closes', async () => {
    const { ended } = taken(at('a').store.watch())
    await world.clock.advance(200)
    await world.stop('a')
    expect(await during(ended)).toBe('CLOSED')
  })
})

test('a watch of entities sees the turns of all members', async () => {
  const { seen } = taken(at('a').entity<Messages, number>('order').watch())
  await world.clock.advance(200)
  for (const id of keys) await during(call(at('c').entity<Messages>('order').ref(id), 'add', 5))
  await world.clock.advance(200)

  expect(seen.map(({ id, state }) => [id, state]).sort()).toEqual(keys.map((id) => [id, 5]).sort())
})

describe('the entries of a journal', () => {
  const append = async (shard: number, from: number, to: number): Promise<void> => {
    for (let id = from; id <= to; id++)
      await during(
        at('a')
          .journal.on(shard)
          .append({ id: `e-${id}`, type: 'paid', command: id }),
      )
    await world.clock.advance(200)
  }
  const ids = (seen: readonly { readonly id: string }[]): number[] =>
    seen.map(({ id }) => Number(id.slice(2)))
  const upTo = (last: number): number[] => Array.from({ length: last }, (_, each) => each + 1)

  test.each(names)('%s reads all, up to the present', async (member) => {
    const shard = shardOf('b')
    await append(shard, 1, 20)
    const { seen, ended } = taken(at(member).journal.on(shard).entries())
    expect(await during(ended)).toBe('done')
    expect(ids(seen)).toEqual(upTo(20))
    const oldest = taken(at(member).journal.on(shard).entries({ from: 'oldest' }))
    expect(await during(oldest.ended)).toBe('done')
    expect(ids(oldest.seen)).toEqual(upTo(20))
    const two = taken(
      at(member)
        .journal.on(shard)
        .entries({ from: seen[4]?.lsn ?? 0, to: seen[6]?.lsn ?? 0 }),
    )
    await during(two.ended)
    expect(ids(two.seen)).toEqual([5, 6, 7])
  })

  test('follow over owners that end: each once, in order', async () => {
    const shard = shardOf('b')
    await append(shard, 1, 5)
    const { seen } = taken(at('a').journal.on(shard).entries({ follow: true }))
    await world.clock.advance(200)
    await append(shard, 6, 10)
    await world.kill('b')
    await append(shard, 11, 15)
    await begin(['b'])
    await world.clock.advance(30_000)
    await append(shard, 16, 20)
    await world.clock.advance(1_000)
    expect(ids(seen)).toEqual(upTo(20))
  })

  test('follow a shard that leaves while its reader is busy, and comes back: each once', async () => {
    const shard = shardOf('b')
    await world.kill('b')
    await world.clock.advance(5_000)
    const has = (member: string) => at(member).shards[shard]?.phase.kind === 'open'
    const reader = has('a') ? 'a' : 'c'
    await append(shard, 1, 3)
    const entries = at(reader).journal.on(shard).entries({ follow: true })
    const seen: { readonly id: string }[] = []
    const read = async (count: number): Promise<void> => {
      for (let each = 0; each < count; each++)
        seen.push((await during(entries.next())).value as never)
    }
    await read(3)
    await begin(['b'])
    await world.clock.advance(30_000)
    expect(has('b')).toBe(true)
    await append(shard, 4, 7)
    await read(4)
    await world.stop('b')
    await world.clock.advance(1_000)
    expect(has(reader)).toBe(true)
    await append(shard, 8, 9)
    await read(2)
    expect(ids(seen)).toEqual(upTo(9))
  })
})
