/** Lists of entities by several fields of the index, over shards and members, beside a plain model. */
import { expect, test } from 'vitest'
import { conditionsIn, holdsFor } from '../../../src/actors/entities/entity-where.ts'
import { mergedPages } from '../../../src/actors/store/store-page.ts'
import { seededRandom } from '../../../src/clock.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { encodeIndexValue } from '../../../src/storage/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Value = string | number | boolean | null
type Fields = Readonly<Record<string, Value | undefined>>

const server: DurableServer<{ calls: { set: (to: Fields) => void } }, Fields, Fields> = {
  init: () => ({}),
  calls: { set: (_, to) => reply(undefined, to) },
  index: (state) => state,
}
const kind = entity('n', server)

const world = async () => {
  const s = await simulated({ app: supervisor('app', {}, [kind]), shards: 3 })
  const of = () => s.app.entity(kind)
  const set = async (states: ReadonlyMap<string, Fields>): Promise<void> => {
    await s.during(Promise.all([...states].map(([id, to]) => call(of().ref(id), 'set', to))))
  }
  /** The ids of all pages, each page as one text. */
  const pages = async (options: object): Promise<readonly string[]> => {
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = await s.during(of().page({ ...options, ...(cursor && { cursor }) }))
      expect(page.exhausted).toBe(page.cursor === undefined)
      found.push(page.entries.map(({ id }) => id).join(' '))
      cursor = page.cursor
    } while (cursor)
    return found
  }
  return { s, of, set, pages }
}

/** Names and values that a plain object, a text or a key could take for something else. */
const names = ['toString', 'constructor', 'status', '1', 'ä b', 'x'.repeat(100)]
const values: readonly Value[] = [
  ...['', ' ', 'a', 'ab', 'a\x01', '\u{10ffff}', '\uffff', '0', 'null', 'y'.repeat(512)],
  ...[0, -1, 1.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MAX_SAFE_INTEGER],
  ...[true, false, null],
]

test('pages of any size have each entity once that all conditions hold for, in the order of the first', async () => {
  const { s, set, pages } = await world()
  const random = seededRandom(80)
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const few = values.filter(() => random() < 0.5)
  const states = new Map<string, Fields>()
  for (let at = 0; at < 60; at++) {
    const fields = names.flatMap((name) => (random() < 0.8 ? [[name, one(few)] as const] : []))
    states.set(`e${at}`, Object.fromEntries(fields))
  }
  await set(states)

  for (let round = 0; round < 25; round++) {
    const chosen = [...new Set([one(names), one(names), one(names)])]
    const where = Object.fromEntries(
      chosen.map((name) => {
        const value = one(few)
        const isBound = typeof value === 'number' || typeof value === 'string'
        return [
          name,
          isBound && random() < 0.5 ? { [one(['gte', 'gt', 'lt', 'lte'])]: value } : value,
        ]
      }),
    )
    // Names that are numbers come first in any object.
    const [first, ...others] = conditionsIn('n', where)
    const encoded = (fields: Fields, name: string) => {
      const value = Object.hasOwn(fields, name) ? fields[name] : undefined
      return value === undefined ? undefined : encodeIndexValue(value)
    }
    const order = one(['asc', 'desc'] as const)
    const expected = [...states]
      .filter(([, fields]) =>
        [first, ...others].every((each) => holdsFor(each, encoded(fields, each.field))),
      )
      .map(([id, fields]) => `${encoded(fields, first.field)}\0${id}`)
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .map((key) => key.slice(key.lastIndexOf('\0') + 1))
    if (order === 'desc') expected.reverse()
    const found = await pages({ where, order, limit: one([1, 2, 7, 100]) })
    expect([where, found.filter((page) => page !== '').join(' ')]).toEqual([
      where,
      expected.join(' '),
    ])
  }
  await s.close()
})

test('a refused value is named by its field, in a turn and in `where`', async () => {
  const { of, set } = await world()
  const state = new Map([['a', { good: 1, bad: Number.NaN }]])

  await expect(set(state)).rejects.toThrow('index.bad: expected a string, a number')
  expect(() => of().list({ where: { good: 1, bad: Number.NaN } })).toThrow('where.bad: expected')
  expect(() => of().list({ where: { bad: { gte: 'a\0' } } })).toThrow('where.bad: expected')
  expect(() => of().list({ where: { bad: { ge: 1 } } as never })).toThrow('where.bad.ge')
})

test('an entity that was removed, or has another value now, is not found by the old one', async () => {
  const { s, of, set, pages } = await world()
  const open = { customer: 'c-7', status: 'open' }
  await set(new Map(['a', 'b', 'c', 'd'].map((id) => [id, open])))
  const first = await s.during(of().page({ where: open, limit: 1 }))
  await s.during(of().delete('b'))
  await set(new Map([['c', { ...open, status: 'paid' }]]))
  const { cursor = '' } = first
  const rest = await s.during(of().page({ where: open, cursor }))

  expect([first, rest].map(({ entries }) => entries.map(({ id }) => id))).toEqual([['a'], ['d']])
  expect(await pages({ where: { status: 'paid', customer: 'c-7' } })).toEqual(['c'])
})

test('a cursor goes on in the next life of the process', async () => {
  const { s, of, set } = await world()
  const open = { customer: 'c-7', status: 'open' }
  await set(new Map(['a', 'b', 'c'].map((id) => [id, open])))
  const { cursor = '' } = await s.during(of().page({ where: open, limit: 2 }))
  await s.powerCut()
  await s.start()
  const { entries, exhausted } = await s.during(of().page({ where: open, cursor }))
  expect([entries.map(({ id }) => id), exhausted]).toEqual([['c'], true])
})

test('pages of members are merged up to the first key behind which one has not looked', () => {
  const page = (keys: string, end?: string) => ({
    entries: [...keys].map((key) => [key] as const),
    exhausted: end === undefined,
    positions: [],
    ...(end !== undefined && { end }),
  })
  const query = { range: {}, limit: 3, fingerprint: () => 'f' }
  const merged = (...pages: ReturnType<typeof page>[]) => {
    const { entries, cursor, exhausted } = mergedPages(pages, query)
    const [, end] = cursor === undefined ? [] : JSON.parse(`${Buffer.from(cursor, 'base64url')}`)
    return [entries.join(''), end, exhausted]
  }
  expect(merged(page('ad', 'f'), page('', 'c'))).toEqual(['a', 'c', false])
  expect(merged(page('', 'f'), page('', 'c'), page('xyz'))).toEqual(['', 'c', false])
  expect(merged(page('ab', 'f'), page('cd', 'e'))).toEqual(['abc', 'c', false])
  expect(merged(page('a', 'f'), page('bc', 'e'))).toEqual(['abc', 'e', false])
  expect(merged(page('a'), page('b'))).toEqual(['ab', undefined, true])
  // A member of an earlier version does not say where it ended.
  const { end: _, ...old } = page('bc', 'c')
  expect(merged(page('ad'), old)).toEqual(['abc', 'c', false])
})
