/** `watch` with `where`: who begins to match, and who leaves, over shards, members and lives of the process. */
import { describe, expect, test } from 'vitest'
import { conditionsIn, placeAfter } from '../../../src/actors/entities/entity-where.ts'
import { seededRandom } from '../../../src/clock.ts'
import {
  call,
  type DurableServer,
  type EntityTurn,
  type EntityWatch,
  entity,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { encodeIndexValue, indexRowKey } from '../../../src/storage/index.ts'
import { codeOf } from '../../support/error-codes.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type State = { readonly customer?: string; readonly status?: string; readonly total?: number }
type Messages = { calls: { set: (to: State) => void } }

const server: DurableServer<Messages, State, State> = {
  init: () => ({}),
  calls: { set: (_, to) => reply(undefined, to) },
  index: (state) => state,
}
const kind = entity('order', server)
const where = { customer: 'c-7', status: 'open' } as const

const world = async (shards = 1) => {
  const s = await simulated({ app: supervisor('app', {}, [kind]), shards })
  const of = () => s.app.entity(kind)
  const set = (id: string, customer: string, status: string, total = 0): Promise<void> =>
    s.during(call(of().ref(id), 'set', { customer, status, total }))
  return { s, of, set }
}

const take = async (watch: EntityWatch<State>, count: number): Promise<EntityTurn<State>[]> => {
  const changes: EntityTurn<State>[] = []
  while (changes.length < count) {
    const { value } = await watch.next()
    if (value) changes.push(value)
  }
  return changes
}

const brief = (changes: readonly EntityTurn<State>[]): readonly string[] =>
  changes.map(({ id, state, left }) => `${id} ${state?.status}${left ? ' left' : ''}`)

describe('a watch with where', () => {
  test('has an entity from the turn on with which it begins to match, until it has left', async () => {
    const { s, of, set } = await world()
    const watch = of().watch({ where })
    await s.during(watch.ready)
    await set('a', 'c-7', 'new')
    await set('a', 'c-7', 'open')
    await set('b', 'c-8', 'open')
    await set('a', 'c-7', 'open', 5)
    await set('b', 'c-8', 'paid')
    await set('a', 'c-7', 'paid')
    await set('a', 'c-7', 'sent')
    // Both fields change at once: it matched neither before nor afterwards.
    await set('b', 'c-8', 'open')
    await set('b', 'c-7', 'paid')
    await set('c', 'c-7', 'open')
    await s.during(of().delete('a'))
    await s.during(of().delete('c'))

    const changes = await s.during(take(watch, 5))
    expect(brief(changes)).toEqual([
      ...['a open', 'a open', 'a paid left'],
      ...['c open', 'c undefined left'],
    ])
    expect(changes.map((change) => 'left' in change)).toEqual([false, false, true, false, true])
  })

  test('goes on in the next life of the process, and misses nobody who left meanwhile', async () => {
    const { s, of, set } = await world(3)
    const watch = of().watch({ where: { status: 'open' } })
    await s.during(watch.ready)
    for (const id of ['a', 'b', 'c']) await set(id, 'c-7', 'open')
    const seen = await s.during(take(watch, 3))
    await set('a', 'c-7', 'paid')
    await s.during(of().delete('b'))
    await s.powerCut()
    await s.start()
    const rest = of().watch({ where: { status: 'open' }, from: seen[2]?.next ?? [] })
    await s.during(rest.ready)
    await set('d', 'c-7', 'open')

    const last = new Map<string, string>()
    while (last.size < 3)
      for (const change of await s.during(take(rest, 1)))
        if (change.id !== 'c') last.set(change.id, brief([change])[0] ?? '')
    expect([...last.values()].sort()).toEqual(['a paid left', 'b undefined left', 'd open'])
  })

  test('takes bounds, and refuses what a list refuses', async () => {
    const { s, of, set } = await world()
    const watch = of().watch({ where: { total: { gte: 5, lt: 9 }, status: 'open' } })
    await s.during(watch.ready)
    for (const total of [4, 5, 8, 9]) await set('a', 'c-7', 'open', total)
    const changes = await s.during(take(watch, 3))
    expect(changes.map(({ state, left }) => [state?.total, left])).toEqual([
      ...[
        [5, undefined],
        [8, undefined],
        [9, true],
      ],
    ])
    for (const wrong of [{}, 'a', { total: {} }, { total: Number.NaN }, { total: new Date(0) }])
      expect(codeOf(() => of().watch({ where: wrong } as never))).toBe('INVALID_ARGUMENT')
    expect(codeOf(() => of().watch({ where: { status: 'x'.repeat(513) } }))).toBe('TOO_LARGE')
  })

  test('keeps a copy that is what a list with the same where has, whatever happens in between', async () => {
    const { s, of } = await world(3)
    const random = seededRandom(8_080)
    const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    const change = async (): Promise<void> => {
      const id = one(ids)
      const work: Promise<unknown> =
        random() < 0.15
          ? of().delete(id)
          : call(of().ref(id), 'set', {
              ...(random() < 0.9 && { customer: one(['c-7', 'c-8']) }),
              ...(random() < 0.9 && { status: one(['open', 'paid']) }),
              total: Math.floor(random() * 3),
            })
      await work
    }
    const copy = new Map<string, State | undefined>()
    let watch = of().watch({ where })
    let next = await s.during(watch.ready)
    let resumed = 0
    for (let round = 0; round < 60; round++) {
      const changes = Array.from({ length: 1 + Math.floor(random() * 6) }, change)
      await s.during(Promise.all(changes))
      // An entity that begins to match is a mark that all before it, in its shard, has come.
      if (random() < 0.1) {
        await s.powerCut()
        await s.start()
        watch = of().watch({ where, from: next })
        await s.during(watch.ready)
        resumed++
      }
      const marks = ids.map((id) => `mark-${id}-${round}`)
      await s.during(Promise.all(marks.map((id) => call(of().ref(id), 'set', where))))
      for (const missing = new Set(marks); missing.size > 0; ) {
        const [turn] = await s.during(take(watch, 1))
        if (!turn) break
        next = turn.next
        if (missing.delete(turn.id)) continue
        if (turn.left) copy.delete(turn.id)
        else copy.set(turn.id, turn.state)
      }
      await s.during(Promise.all(marks.map((id) => of().delete(id))))
      for (const id of [...copy.keys()]) if (id.startsWith('mark-')) copy.delete(id)
    }
    // What one shard has after the last marks of another may be on its way.
    const { entries } = await s.during(of().page({ where, limit: 1_000 }))
    for (const [id, state] of copy)
      expect([id, entries.find((entry) => entry.id === id)?.state]).toEqual([id, state])
    expect([...copy.keys()].sort()).toEqual(entries.map(({ id }) => id).sort())
    expect(resumed).toBeGreaterThan(2)
  })
})

describe('the place of an entity after turns', () => {
  const conditions = conditionsIn('order', where)
  const rows = (field: string, from: string | undefined, to: string | undefined) => ({
    rows: [
      ...(from === undefined ? [] : [[key(field, from), undefined] as const]),
      ...(to === undefined ? [] : [[key(field, to), new Uint8Array(0)] as const]),
    ],
  })
  const key = (field: string, value: string) =>
    indexRowKey('order', field, encodeIndexValue(value), 'a')

  test('is told by what the first of them found, where each had its effect', () => {
    const place = (turns: ReturnType<typeof rows>[], status: string) =>
      placeAfter(conditions, turns, { customer: 'c-7', status }, true)
    expect(place([rows('status', 'new', 'open'), rows('status', 'open', 'paid')], 'paid')).toBe(
      undefined,
    )
    expect(place([rows('status', undefined, 'paid')], 'paid')).toBe(undefined)
    expect(place([rows('status', 'open', 'new'), rows('status', 'new', 'paid')], 'paid')).toBe(
      'left',
    )
    expect(place([rows('status', 'open', 'new'), rows('status', 'new', 'open')], 'open')).toBe('in')
    expect(place([rows('total', '1', '2')], 'paid')).toBe(undefined)
  })

  test('is that it may have left, where later turns may have changed the fields', () => {
    // Its customer is another one since.
    const fields = { customer: 'c-8', status: 'paid' }
    expect(placeAfter(conditions, [rows('status', 'open', 'paid')], fields, false)).toBe('left')
    expect(placeAfter(conditions, [rows('status', 'new', 'paid')], fields, false)).toBe(undefined)
  })

  test('is among those that match if its fields cannot be read', () => {
    expect(placeAfter(conditions, [], undefined, true)).toBe('in')
  })
})
