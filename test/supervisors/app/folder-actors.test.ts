/** An entity behaves from every member of a folder as at the owner of its shard. */
import { beforeEach, describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  ok,
  type Ref,
  reply,
  supervisor,
} from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { lacks } from '../../support/lacks.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type OrderMessages = {
  calls: {
    add: (cents: number) => number
    seen: () => readonly number[]
    fail: () => never
    slow: (ms: number) => number
    wait: (cents: number) => number
  }
  casts: { note: (cents: number) => void }
}

type Order = { readonly seen: readonly number[] }

const order: DurableServer<OrderMessages, Order> = {
  init: () => ({ seen: [] }),
  calls: {
    add: ({ seen }, cents) =>
      reply(
        [...seen, cents].reduce((sum, each) => sum + each, 0),
        { seen: [...seen, cents] },
      ),
    seen: (state) => reply(state.seen, state),
    fail: () => {
      throw new Error('no such order')
    },
    slow: async (state, ms, { system }) => {
      await new Promise<void>((resolve) => system.clock.after(ms, resolve))
      return reply(ms, state)
    },
    wait: (state) => noReply(state),
  },
  casts: { note: ({ seen }, cents) => noReply({ seen: [...seen, cents] }) },
}

/** The ids of the guests that were greeted. Each is, as it is born. */
let greeted: string[] = []
type GuestMessages = { casts: { note: () => void }; continues: { greet: () => void } }
const guest: DurableServer<GuestMessages, number> = {
  init: () => ok(0, { continue: ['greet'] }),
  casts: { note: (count) => noReply(count + 1) },
  continues: {
    greet: (count, _, { id }) => {
      greeted.push(id)
      return noReply(count)
    },
  },
}

const tree = () => supervisor('app', {}, [entity('order', order), entity('guest', guest)])

const names = ['a', 'b', 'c']
let world: FolderMembers
let apps: readonly App[]

beforeEach(async () => {
  greeted = []
  world = new FolderMembers(names)
  apps = await world.start(names, () => ({ app: tree() }))
})

const orderAt = (app: App, id: string): Ref<OrderMessages> =>
  app.entity<OrderMessages>('order').ref(id)

const shardOf = (app: App, id: string): number => app.entities.shardOf(`order/${id}`).index

const hasShard = (app: App, shard: number): boolean => app.shards[shard]?.phase.kind === 'open'

/** An id whose shard this member has. */
const idAt = (member: string): string => {
  const app = apps[names.indexOf(member)] as App
  for (let at = 0; ; at++) if (hasShard(app, shardOf(app, `o${at}`))) return `o${at}`
}

const at = (member: string): App => apps[names.indexOf(member)] as App

/** How a promise has settled, so far. */
const noted = (promise: Promise<unknown>): unknown[] => {
  const outcomes: unknown[] = []
  promise.then(
    (value) => outcomes.push(value),
    (error) => outcomes.push(error.code ?? error),
  )
  return outcomes
}

describe('an entity', () => {
  test('answers every member, and lives at the owner of its shard alone', async () => {
    const id = idAt('b')
    const answers = []
    for (const app of apps) answers.push(await world.during(call(orderAt(app, id), 'add', 5)))

    expect(answers).toEqual([5, 10, 15])
    const live = apps.map((app) => app.entities.holder(`order/${id}`) !== undefined)
    expect(live).toEqual([false, true, false])
  })

  test('gets casts and calls of each sender in their order', async () => {
    const ref = orderAt(at('a'), idAt('c'))
    for (let cents = 1; cents <= 50; cents += 2) {
      cast(ref, 'note', cents)
      void call(ref, 'add', cents + 1)
    }
    const seen = await world.during(call(ref, 'seen'))

    expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
  })

  test('fails a call as at its owner: by its handler, by a deadline, by a signal', async () => {
    const id = idAt('b')
    for (const app of [at('a'), at('b')]) {
      const ref = orderAt(app, id)
      await expect(world.during(call(ref, 'fail'))).rejects.toMatchObject({
        message: expect.stringContaining('no such order'),
      })
      await expect(world.during(call(ref, 'slow', 500, { timeoutMs: 100 }))).rejects.toMatchObject({
        code: 'TIMEOUT',
      })
      const ends = new AbortController()
      const aborted = noted(call(ref, 'slow', 500, { signal: ends.signal }))
      await world.clock.advance(10)
      ends.abort(Object.assign(new Error('given up'), { code: 'GIVEN_UP' }))
      await world.clock.advance(10)
      expect(aborted).toEqual(['GIVEN_UP'])
      await world.clock.advance(1_000)
    }
  })

  test('takes a call with an id once, whichever member repeats it', async () => {
    const id = idAt('b')
    const answers = []
    for (const app of apps)
      answers.push(await world.during(call(orderAt(app, id), 'add', 7, { id: 'r-1' })))

    expect(answers).toEqual([7, 7, 7])
  })

  test('gives positions, which are those of its shard', async () => {
    const id = idAt('c')
    const { value, position } = await world.during(
      call(orderAt(at('a'), id), 'add', 1, { position: true }),
    )

    expect(value).toBe(1)
    expect(position).toEqual({ shard: shardOf(at('a'), id), lsn: expect.any(Number) })
  })

  test('that is monitored ends with noconnection, when its member does', async () => {
    const id = idAt('b')
    const ref = orderAt(at('a'), id)
    await world.during(call(ref, 'add', 1))
    const reasons: unknown[] = []
    at('a').system.monitor(ref, (reason) => reasons.push(reason))
    await world.clock.advance(10)
    expect(reasons).toEqual([])
    await world.kill('b')
    await world.clock.advance(10)

    expect(reasons).toEqual(['noconnection'])
  })
})

describe('a look at an entity of another member', () => {
  test('that cannot wait is ELSEWHERE, and names what can; load is the same from every member', async () => {
    const id = idAt('b')
    await world.during(call(orderAt(at('a'), id), 'add', 5))
    const kinds = apps.map((app) => app.entity<OrderMessages, Order>('order'))
    const rows = kinds[0]?.rows(id)
    const { store } = at('a')
    const key = `{order/${id}}`
    for (const [look, instead] of [
      [() => kinds[0]?.state(id), '`load`'],
      [() => kinds[0]?.endsAt(id), '`read`'],
      [() => kinds[0]?.list(), '`page`'],
      [() => rows?.get('note'), '`load` or `page`'],
      [() => store.get(key), '`load` or `read`'],
      [() => store.get(key, { freshness: 'projected' }), '`load` or `read`'],
      [() => store.ttl(key), '`load` or `read`'],
      [() => store.range(), '`page`'],
    ] as const)
      expect(look).toThrow(
        expect.objectContaining({
          code: 'ELSEWHERE',
          message: expect.stringMatching(
            new RegExp(`^shard \\d is at the member [bc]: from here use ${instead}$`),
          ),
        }),
      )
    const states = []
    for (const kind of kinds) states.push(await world.during(kind.load(id)))

    expect(states).toEqual([{ seen: [5] }, { seen: [5] }, { seen: [5] }])
    expect(await world.during(kinds[0]?.load(`${id}-unborn`) as Promise<unknown>)).toBeUndefined()
  })

  test('waits for the next owner of its shard', async () => {
    const id = idAt('b')
    await world.during(call(orderAt(at('a'), id), 'add', 5))
    await world.kill('b')
    const state = at('a').entity('order').load(id)

    expect(await world.during(state, 2_000)).toEqual({ seen: [5] })
  })

  test('may end it, or let it rest, from every member', async () => {
    const id = idAt('b')
    const kind = at('a').entity('order')
    expect(await world.during(kind.stop(id))).toBe(false)
    await world.during(call(orderAt(at('c'), id), 'add', 5))

    expect(await world.during(kind.stop(id))).toBe(true)
    expect(await world.during(kind.retryStep(id, 'none'))).toBe(false)
    expect(await world.during(kind.delete(id))).toBe(true)
    expect(await world.during(kind.load(id))).toBeUndefined()
  })

  test('is not born by a delete from another member, and is deleted between earlier and later messages', async () => {
    const kind = at('a').entity<GuestMessages>('guest')
    const shardAt = (id: string) => at('b').entities.shardOf(`guest/${id}`).index
    const ids = Array.from({ length: 100 }, (_, number) => `g${number}`)
    const [unknown = '', known = ''] = ids.filter((id) => hasShard(at('b'), shardAt(id)))
    expect(await world.during(kind.delete(unknown))).toBe(false)

    cast(kind.ref(known), 'note', undefined)
    expect(await world.during(kind.delete(known))).toBe(true)
    await world.clock.advance(1_000)
    expect(greeted).toEqual([known])
    expect(await world.during(kind.load(known))).toBeUndefined()

    // A later message finds it unborn.
    void kind.delete(known)
    cast(kind.ref(known), 'note', undefined)
    await world.clock.advance(1_000)
    expect(greeted).toEqual([known, known])
    expect(await world.during(kind.load(known))).toBe(1)
  })
})

describe('when its owner has ended, an entity', () => {
  test('goes on at the next owner, from its last durable turn', async () => {
    const id = idAt('b')
    await world.during(call(orderAt(at('a'), id), 'add', 5))
    await world.kill('b')
    // At once: the call waits until there is an owner.
    expect(await world.during(call(orderAt(at('a'), id), 'add', 6), 2_000)).toBe(11)
    expect(await world.during(call(orderAt(at('c'), id), 'add', 7), 2_000)).toBe(18)
  })

  test('gets the calls with an id that had no answer, in their order, before later ones', async () => {
    const id = idAt('b')
    const ref = orderAt(at('a'), id)
    await world.during(call(ref, 'add', 1))
    const slow = noted(call(ref, 'slow', 800, { id: 's', timeoutMs: 10_000 }))
    const adds = [2, 3].map((cents) => noted(call(ref, 'add', cents, { id: `r-${cents}` })))
    const plain = noted(call(ref, 'add', 100))
    await world.clock.advance(20)
    await world.kill('b')
    await world.clock.advance(1)
    expect(plain).toEqual(['UNKNOWN_OUTCOME'])
    const later = noted(call(ref, 'add', 4))
    await world.clock.advance(5_000)

    expect([slow, ...adds, later]).toEqual([[800], [3], [6], [10]])
    expect(await world.during(call(ref, 'seen'))).toEqual([1, 2, 3, 4])
  })

  test.skipIf(lacks(FolderMembers.noLogs))(
    'a call within its time ends with SHARD_DOWN, if nobody takes the shard',
    async () => {
      const id = idAt('b')
      await world.kill('b')
      const late = noted(call(orderAt(at('a'), id), 'add', 1, { timeoutMs: 1 }))
      await world.clock.advance(1)

      expect(late).toEqual(['SHARD_DOWN'])
    },
  )

  test.each([true, false])(
    'in good order, no call fails, and each takes effect once; with ids: %s',
    { tags: ['slow'] },
    async (hasIds) => {
      const id = idAt('b')
      const ref = orderAt(at('a'), id)
      const outcomes: unknown[][] = []
      let cents = 0
      const next = (): void => {
        cents++
        outcomes.push(
          noted(call(ref, 'add', 1, { timeoutMs: 30_000, ...(hasIds && { id: `r-${cents}` }) })),
        )
      }
      for (let each = 0; each < 10; each++) next()
      await world.clock.advance(1)
      const closing = at('b').close()
      for (let each = 0; each < 100; each++) {
        next()
        await world.clock.advance(10)
      }
      await world.during(closing)
      await world.clock.advance(3_000)

      expect(outcomes).toEqual(Array.from({ length: 110 }, (_, index) => [index + 1]))
    },
  )
})
