/** What actors of a shard that leaves have begun, and what waits for them. */
import { describe, expect, test } from 'vitest'
import { flows, queue } from '../../../src/flow/index.ts'
import type { QueueMessages } from '../../../src/flow/queue/queue-messages.ts'
import {
  call,
  cast,
  type DurableServer,
  entity,
  type KeelsonError,
  noReply,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { bodyMax, headBytes } from '../../../src/members/links/link-frames.ts'
import { linkKinds, sendFrame } from '../../../src/members/links/link-message.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Plan = { readonly over: string; readonly to: string }

type Messages = {
  calls: {
    add: (label: string) => number
    read: () => readonly string[]
    count: () => number
    wait: (ms: number) => null
    ask: (plan: Plan) => null
    relay: (to: string) => number
    begin: (ms: number) => null
  }
  casts: { note: (label: string) => void; weigh: (text: string) => void }
  continues: { charge: (ms: number) => void }
}

type State = readonly string[]

const book: DurableServer<Messages, State> = {
  init: () => [],
  calls: {
    add: (labels, label) => reply(labels.length + 1, [...labels, label]),
    read: (labels) => reply(labels, labels),
    count: (labels) => reply(labels.length, labels),
    wait: async (labels, ms, context) => {
      await passed(context, ms)
      return reply(null, labels)
    },
    // It needs its own shard late: a key, and an actor that it calls over one of another shard.
    ask: async (labels, { over, to }, context) => {
      await passed(context, 3_000)
      const { app } = context as unknown as { app: App }
      await app.store.put(`{book/${to}}`, 'asked')
      await context.call(app.entity<Messages>('book').ref(over), 'relay', to)
      return reply(null, labels)
    },
    relay: async (labels, to, context) => {
      const { app } = context as unknown as { app: App }
      return reply(
        await context.call(app.entity<Messages>('book').ref(to), 'add', 'relayed'),
        labels,
      )
    },
    begin: (labels, ms) => reply(null, labels, { continue: ['charge', ms] }),
  },
  casts: {
    note: (labels, label) => noReply([...labels, label]),
    weigh: (labels, { length }) => noReply([...labels, `${length}`]),
  },
  continues: {
    charge: async (labels, ms, context) => {
      await passed(context, ms)
      return noReply([...labels, 'charged'])
    },
  },
}

const passed = (
  { system }: { system: { clock: { after(ms: number, wake: () => void): unknown } } },
  ms: number,
): Promise<void> => new Promise((resolve) => void system.clock.after(ms, resolve))

const app = () => ({ app: supervisor('app', {}, [entity('book', book)]) })

const openAt = (member: App): readonly number[] =>
  member.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)

const bookOf = (member: App, id: string) => member.entity<Messages>('book').ref(id)

/** Ids of books in a shard. */
const idsIn = (member: App, shard: number): readonly [string, string] => {
  const ids = Array.from({ length: 200 }, (_, at) => `n${at}`)
  const here = ids.filter((id) => member.store.shardOf(`{book/${id}}`) === shard)
  return here.slice(0, 2) as never
}

const started = async (count = 2, links: { seed?: number; delayMs?: number } = {}) => {
  const names = ['a', 'b', 'c']
  const world = new FolderMembers(names, links, { arrivalMs: 500 })
  const [a, b] = (await world.start(names.slice(0, count), app)) as [App, App]
  await world.clock.advance(3_000)
  return { world, a, b, during: world.during.bind(world) }
}

describe('a shard that leaves', () => {
  test('gives a handler at work all that it needs of the shard, however late', async () => {
    const { world, a, b, during } = await started()
    const [first = 0, second = 0] = openAt(b)
    const [asking, to] = idsIn(b, first)
    const [over] = idsIn(b, second)
    const asked = call(bookOf(a, asking), 'ask', { over, to }, { timeoutMs: 4_000 })
    await world.clock.advance(10)
    const closing = b.close()

    expect(await during(asked)).toBe(null)
    await during(closing)
    expect(await during(call(bookOf(a, to), 'read'))).toEqual(['relayed'])
    expect(a.store.get(`{book/${to}}`)).toBe('asked')
  })

  test('of a member that closes leaves the calls behind one that is cut off to the next owner', async () => {
    const { world, a, b, during } = await started()
    const [first = 0] = openAt(b)
    const [id] = idsIn(b, first)
    const options = { timeoutMs: 60_000 }
    const cutOff = call(bookOf(a, id), 'wait', 60_000, options).catch(
      ({ code }: KeelsonError) => code,
    )
    const waiting = ['1', '2'].map((label) => call(bookOf(a, id), 'add', label, options))
    cast(bookOf(a, id), 'note', '3')
    await world.clock.advance(10)
    await during(b.close())

    expect(await during(cutOff)).toBe('EXITED')
    expect(await during(Promise.all(waiting))).toEqual([1, 2])
    expect(await during(call(bookOf(a, id), 'read'))).toHaveLength(3)
  })

  test('leaves the messages of its own member to the next owner, however many', async () => {
    const { world, a, b, during } = await started()
    const books = [a, b].flatMap((member) =>
      openAt(member).map((shard) => ({ member, id: idsIn(a, shard)[0] })),
    )
    const options = { timeoutMs: 60_000 }
    const begun = books.map(({ member, id }) => call(bookOf(member, id), 'begin', 20_000, options))
    await world.clock.advance(10)
    const many = Array.from({ length: 1_100 }, (_, at) => String(at))
    const counts = books.flatMap(({ member, id }) => {
      for (const label of many) cast(bookOf(member, id), 'note', label)
      return many.slice(0, 100).map(() => call(bookOf(member, id), 'count', undefined, options))
    })
    const [c] = (await world.start(['c'], app)) as [App]
    await world.clock.advance(10_000)
    expect(openAt(c).length).toBeGreaterThan(0)
    await during(Promise.all(begun))

    expect(new Set(await during(Promise.all(counts)))).toEqual(new Set([1_101]))
    for (const { id } of books)
      expect((await during(call(bookOf(c, id), 'read'))).slice(1)).toEqual(many)
  })

  test('leaves a cast of another member that is as long as can be', async () => {
    const { world, a, b, during } = await started()
    const [first = 0] = openAt(b)
    const [id] = idsIn(b, first)
    const cutOff = call(bookOf(a, id), 'wait', 60_000, { timeoutMs: 60_000 }).catch(() => null)
    await world.clock.advance(10)
    const target = `book/${id}`
    const lengthOf = (text: string): number =>
      sendFrame(linkKinds.cast, target, 9, { name: 'weigh', payload: text }).length - headBytes
    const longest = 'x'.repeat(bodyMax - (lengthOf('x'.repeat(70_000)) - 70_000))
    expect(lengthOf(longest)).toBe(bodyMax)
    cast(bookOf(a, id), 'weigh', longest)
    cast(bookOf(a, id), 'note', 'after it')
    await world.clock.advance(100)
    await during(b.close())
    await cutOff

    expect(await during(call(bookOf(a, id), 'read'))).toEqual(
      expect.arrayContaining([`${longest.length}`, 'after it']),
    )
  })

  test('leaves no call to the next owner whose time has ended', async () => {
    const { world, a, b, during } = await started()
    const [first = 0] = openAt(b)
    const [id] = idsIn(b, first)
    const cutOff = call(bookOf(b, id), 'wait', 60_000, { timeoutMs: 60_000 }).catch(() => null)
    const codeOf = ({ code }: KeelsonError): string => code
    const late = call(bookOf(b, id), 'add', 'late', { timeoutMs: 50 }).catch(codeOf)
    await world.clock.advance(100)
    expect(await late).toBe('TIMEOUT')
    await during(b.close())
    await cutOff
    expect(await during(call(bookOf(a, id), 'read'))).toEqual([])
  })

  test('leaves what waits behind a step to the next owner, in the order of each sender', async () => {
    const { world, a, b, during } = await started()
    const leaving = [...openAt(a), ...openAt(b)]
    const ids = leaving.map((shard) => idsIn(a, shard)[0])
    const made: Promise<unknown>[] = []
    for (const id of ids) made.push(call(bookOf(a, id), 'begin', 20_000))
    await world.clock.advance(10)
    for (const member of [a, b])
      for (const id of ids) {
        const sender = member === a ? 'a' : 'b'
        for (const at of [0, 2, 4]) {
          cast(bookOf(member, id), 'note', `${sender}${at}`)
          const options = { timeoutMs: 60_000 }
          made.push(call(bookOf(member, id), 'add', `${sender}${at + 1}`, options))
        }
      }
    const [c] = (await world.start(['c'], app)) as [App]
    await world.clock.advance(10_000)
    const moved = openAt(c)
    expect(moved.length).toBeGreaterThan(0)
    await during(Promise.all(made))

    for (const id of ids) {
      const labels = (await during(call(bookOf(c, id), 'read'))) as readonly string[]
      for (const sender of ['a', 'b'])
        expect(labels.filter((label) => label.startsWith(sender))).toEqual(
          [0, 1, 2, 3, 4, 5].map((at) => `${sender}${at}`),
        )
    }
  })

  test.each([1, 2, 3, 4])(
    'leaves casts of another member to the next owner, in front of the later calls of that (seed %s)',
    async (seed) => {
      const { world, a, b, during } = await started(3, { seed, delayMs: 20 })
      const ids = openAt(b).flatMap((shard) => idsIn(a, shard))
      const options = { timeoutMs: 60_000 }
      const made: Promise<unknown>[] = ids.map((id) => call(bookOf(a, id), 'wait', 3_000, options))
      await world.clock.advance(200)
      for (const id of ids) {
        cast(bookOf(a, id), 'note', '0')
        made.push(call(bookOf(a, id), 'add', '1', options))
        cast(bookOf(a, id), 'note', '2')
      }
      await world.clock.advance(50)
      const closing = b.close()
      await world.clock.advance(2_500)
      for (const id of ids) made.push(call(bookOf(a, id), 'add', '3', options))
      await during(closing)
      await during(Promise.all(made))
      for (const id of ids)
        expect(await during(call(bookOf(a, id), 'read'))).toEqual(['0', '1', '2', '3'])
    },
  )

  test('stays while a call in it works for long, which does not fail, and leaves later', async () => {
    const { world, a, b, during } = await started()
    const before = [openAt(a), openAt(b)]
    const ids = before.flat().map((shard) => idsIn(a, shard)[0])
    const slow: Promise<unknown>[] = []
    const made: Promise<unknown>[] = []
    for (const id of ids) slow.push(call(bookOf(a, id), 'wait', 12_000, { timeoutMs: 13_000 }))
    for (const member of [a, b])
      for (const id of ids)
        made.push(call(bookOf(member, id), 'add', member === a ? 'a' : 'b', { timeoutMs: 20_000 }))
    const [c] = (await world.start(['c'], app)) as [App]
    await world.clock.advance(10_000)
    expect([openAt(a), openAt(b)]).toEqual(before)
    await during(Promise.all([...slow, ...made]))

    await world.clock.advance(90_000)
    expect(openAt(c).length).toBeGreaterThan(0)
    for (const id of ids) expect(await during(call(bookOf(c, id), 'read'))).toHaveLength(2)
  })
})

test('a cast waits for the next owner of a shard whose owner was killed, in the order of its sender', async () => {
  const { world, a, b, during } = await started()
  const ids = openAt(b).map((shard) => idsIn(a, shard)[0])
  for (const id of ids) await during(call(bookOf(a, id), 'add', 'first'))
  await world.kill('b')
  const made = ids.flatMap((id) => {
    expect(cast(bookOf(a, id), 'note', '0')).toBe(true)
    const added = call(bookOf(a, id), 'add', '1')
    expect(cast(bookOf(a, id), 'note', '2')).toBe(true)
    return [added, call(bookOf(a, id), 'add', '3')]
  })
  await during(Promise.all(made))
  for (const id of ids)
    expect(await during(call(bookOf(a, id), 'read'))).toEqual(['first', '0', '1', '2', '3'])
})

test('a shard leaves soon under calls that never pause, from its member too', async () => {
  const { world, a, b, during } = await started()
  const ids = [...openAt(a), ...openAt(b)].map((shard) => idsIn(a, shard)[0])
  let isOver = false
  let longestMs = 0
  const callAgain = async (member: App, id: string): Promise<void> => {
    while (!isOver) {
      const since = world.clock.monotonic()
      await call(bookOf(member, id), 'wait', 10)
      longestMs = Math.max(longestMs, world.clock.monotonic() - since)
    }
  }
  // Of each book some calls wait at any time.
  const callers = [a, b].flatMap((member) =>
    ids.flatMap((id) => [1, 2].map(() => callAgain(member, id))),
  )
  const [c] = (await world.start(['c'], app)) as [App]
  await world.clock.advance(3_000)
  isOver = true
  await during(Promise.all(callers))
  expect(openAt(c).length).toBeGreaterThan(0)
  expect(longestMs).toBeLessThan(300)
})

type Adder = {
  calls: { begin: (queue: string) => null; read: () => readonly string[] }
  continues: { adds: (queue: string) => void }
}

test('a step that a queue of its leaving shard refuses uses up no try, and is made by the next owner', async () => {
  const failed: string[] = []
  let isMoved = false
  const adder: DurableServer<Adder, State> = {
    init: () => [],
    retry: { max: 1 },
    onFailed: (labels, { error }) => {
      failed.push(error.message)
      return noReply(labels)
    },
    calls: {
      begin: (labels, named) => reply(null, labels, { continue: ['adds', named] }),
      read: (labels) => reply(labels, labels),
    },
    continues: {
      adds: async (labels, named, context) => {
        const { app } = context as unknown as { app: App }
        const to = app.entity<QueueMessages>(`$queue-${named}`).ref('queue')
        const job = { ...{ job: 1, key: '', priority: 0, delayMs: 0, unique: 'u' }, bytes: 1 }
        do {
          await context.call(to, 'add', [job])
          await passed(context, 50)
        } while (!isMoved)
        return noReply([...labels, 'added'])
      },
    },
  }
  const names = Array.from({ length: 16 }, (_, at) => `q${at}`)
  const queues = names.map((each) => queue(each, () => undefined, { unique: '1d' }))
  const tree = () => ({ app: supervisor('app', {}, [entity('adder', adder), flows({ queues })]) })
  const world = new FolderMembers(['a', 'b', 'c'], {}, { arrivalMs: 500 })
  const [a, b] = (await world.start(['a', 'b'], tree)) as [App, App]
  await world.clock.advance(3_000)
  const refOf = (member: App, id: string) => member.entity<Adder>('adder').ref(id)
  const ids = Array.from({ length: 200 }, (_, at) => `n${at}`)
  const shards = [...openAt(a), ...openAt(b)]
  const adders = shards.map((shard) => {
    const named = names.find((each) => a.store.shardOf(`{$queue-${each}/queue}`) === shard) ?? ''
    return { named, id: ids.find((each) => a.store.shardOf(`{adder/${each}}`) === shard) ?? '' }
  })
  for (const { id, named } of adders) await world.during(call(refOf(a, id), 'begin', named))
  const [c] = (await world.start(['c'], tree)) as [App]
  await world.clock.advance(10_000)
  const moved = openAt(c)
  expect(moved.length).toBeGreaterThan(0)
  isMoved = true
  await world.clock.advance(5_000)

  expect(failed).toEqual([])
  for (const { id } of adders)
    expect(await world.during(call(refOf(c, id), 'read'))).toEqual(['added'])
})
