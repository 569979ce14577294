/** `flow(context)` in a handler of a durable actor: runs, signals and jobs that come about with its turn. */
import { describe, expect, test } from 'vitest'
import { type FlowTurnContext, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { sampled } from '../../support/tier.ts'
import { machine, simulated } from '../../support/worlds/simulated-instance.ts'
import { type WordsAndMails, wordsAndMails } from '../../support/worlds/words-and-mails.ts'

type Messages = { calls: { order: (name: string) => number; look: () => number } }

/** What an order does with its turn. */
type Order = (context: FlowTurnContext) => void

/** The tree with these parts, and with actors that count their orders. */
const treeOf = ({ listens, mails }: WordsAndMails, orders: Record<string, Order>) => {
  const server: DurableServer<Messages, number> = {
    init: () => 0,
    calls: {
      order: (count, name, context) => {
        orders[name]?.(context)
        return reply(count + 1, count + 1)
      },
      look: (count) => reply(count, count),
    },
  }
  const shop = entity('shop', server)
  return supervisor('app', {}, [shop, flows({ workflows: [listens], queues: [mails] })])
}

const shopWorld = async (of: (own: WordsAndMails) => Record<string, Order>) => {
  const own = wordsAndMails()
  const s = await simulated({ app: treeOf(own, of(own)) })
  const ask = (name: string): Promise<number> =>
    s.during(call(s.app.entity<Messages>('shop').ref('1'), 'order', name))
  return { ...own, s, ask, flow: () => flow(s.app) }
}

test('a start, signals and a job of one turn come about, in the order of their calls', async () => {
  const w = await shopWorld(({ listens, mails }) => ({
    tea: (context) => {
      flow(context).start(listens, 2, { id: 'tea' })
      flow(context).signal(listens, 'tea', 'word', 'hot')
      flow(context).signal(listens, 'tea', 'word', 'water')
      flow(context).add(mails, 'thanks')
    },
  }))
  expect(await w.ask('tea')).toBe(1)
  await w.s.advance(1_000)
  expect(await w.s.during(w.flow().handle(w.listens, 'tea').result())).toEqual(['hot', 'water'])
  expect(w.sent.map(([job]) => job)).toEqual(['thanks'])
})

test('nothing comes about if the turn is refused', async () => {
  const w = await shopWorld(({ listens, mails }) => ({
    tea: (context) => {
      flow(context).start(listens, 0, { id: 'tea' })
      flow(context).add(mails, 'thanks')
      throw new Error('no cups')
    },
  }))
  await expect(w.ask('tea')).rejects.toThrow()
  await w.s.advance(60_000)
  expect(w.flow().get(w.listens, 'tea')).toBe(undefined)
  expect(w.sent).toEqual([])
})

describe('what the handler gives is refused at once', () => {
  const other = workflow('other', async () => undefined)
  const tooLong = 'x'.repeat(1_048_576)
  test.each<[string, string, (own: WordsAndMails) => Order]>([
    [
      'a workflow that is not in the tree',
      'INVALID_ARGUMENT',
      () => (context) => flow(context).start(other, undefined, { id: '1' }),
    ],
    [
      'a wrong id',
      'INVALID_ARGUMENT',
      ({ listens }) =>
        (context) =>
          flow(context).start(listens, 1, { id: '' }),
    ],
    [
      'an input that cannot be stored',
      'INVALID_ARGUMENT',
      ({ listens }) =>
        (context) =>
          flow(context).start(listens, (() => 1) as never, { id: '1' }),
    ],
    [
      'a job that is too large',
      'TOO_LARGE',
      ({ mails }) =>
        (context) =>
          flow(context).add(mails, tooLong),
    ],
    [
      'a signal that is too large',
      'TOO_LARGE',
      ({ listens }) =>
        (context) =>
          flow(context).signal(listens, '1', 'word', tooLong),
    ],
    [
      'a queue that is not in the tree',
      'INVALID_ARGUMENT',
      () => (context) =>
        flow(context).add(
          queue('none', () => undefined),
          1,
        ),
    ],
    ['the context of another process', 'INVALID_ARGUMENT', () => () => flow({} as never)],
  ])('%s', async (_, code, order) => {
    const codes: unknown[] = []
    const w = await shopWorld((own) => ({
      bad: (context) => {
        try {
          order(own)(context)
        } catch (error) {
          codes.push((error as { code: string }).code)
        }
      },
    }))
    expect(await w.ask('bad')).toBe(1)
    await w.s.advance(10_000)
    expect(codes).toEqual([code])
    expect([w.heard, w.sent]).toEqual([[], []])
  })
})

test('what its run refuses is a failed step, and holds up what comes later for that run alone', async () => {
  const w = await shopWorld(({ listens, mails }) => ({
    wrong: (context) => {
      flow(context).start(listens, 7, { id: 'tea' })
      flow(context).signal(listens, 'tea', 'word', 'late')
      flow(context).signal(listens, 'milk', 'word', 'white')
      flow(context).add(mails, 'thanks')
    },
  }))
  for (const id of ['tea', 'milk']) await w.s.during(w.flow().start(w.listens, 1, { id }))
  expect(await w.ask('wrong')).toBe(1)
  await w.s.advance(10_000)
  expect(w.heard).toEqual(['white'])
  expect(w.sent).toHaveLength(1)
  expect(w.flow().get(w.listens, 'tea')?.status).not.toBe('completed')
  const { failing } = w.s.app.health().actors as unknown as {
    failing: { first: readonly { readonly reason: string }[] }
  }
  expect(JSON.stringify(failing)).toContain('another input')
})

/** One order, with a halt of the disk at this operation; then it is asked for again, under its id. */
const live = async (crashAt?: number, unsynced?: 'lost' | 'kept') => {
  const world = machine()
  const { disk, during, pass } = world
  const own = wordsAndMails()
  const app = treeOf(own, {
    tea: (context) => {
      flow(context).start(own.listens, 2, { id: 'tea' })
      for (const word of ['hot', 'water']) flow(context).signal(own.listens, 'tea', 'word', word)
      for (const job of ['thanks', 'bill']) flow(context).add(own.mails, job)
    },
  })
  const order = async (on: App): Promise<unknown> => {
    const shop = on.entity<Messages>('shop').ref('1')
    const answer = await call(shop, 'order', 'tea', { id: 'order-1' })
    await pass(100_000)
    return answer
  }
  let instance = await world.start({ app })
  const first = disk.calls
  if (crashAt === undefined) {
    await during(order(instance))
    const calls = disk.calls - first
    await during(instance.close())
    return { own, calls, before: undefined }
  }
  disk.inject({ at: crashAt + 1, fault: { kind: 'halt' } })
  await during(order(instance), 200_000).catch(() => undefined)
  disk.halt()
  await during(instance.close({ deadlineMs: 0 })).catch(() => undefined)
  await during(instance.system.stop()).catch(() => undefined)
  disk.crash(unsynced ? { unsynced } : {})
  disk.clearFaults()
  disk.killProcess()
  instance = await world.start({ app })
  await pass(100_000)
  const count = await during(call(instance.entity<Messages>('shop').ref('1'), 'look'))
  const run = flow(instance).get(own.listens, 'tea')
  const jobs = new Set(own.sent.map(([, key]) => key)).size
  const before = { count, run: run?.status, jobs }
  await during(order(instance), 200_000)
  await during(instance.close())
  return { own, calls: 0, before }
}

test('whatever crashes, they come about with the turn, once, and not without it', async () => {
  const { own, calls } = await live()
  expect(own.sent.map(([job]) => job)).toEqual(['thanks', 'bill'])
  expect(own.heard).toEqual(['hot water'])
  for (const at of sampled(
    Array.from({ length: calls }, (_, at) => at),
    12,
  ))
    for (const unsynced of ['lost', 'kept'] as const) {
      const { own, before } = await live(at, unsynced)
      const all = { count: 1, run: 'completed', jobs: 2 }
      const none = { count: 0, run: undefined, jobs: 0 }
      expect([all, none], `crash at ${at}, ${unsynced}`).toContainEqual(before)
      expect(new Set(own.sent.map(([, key]) => key)).size, `crash at ${at}`).toBe(2)
      expect(new Set(own.sent.map(([job]) => job))).toEqual(new Set(['thanks', 'bill']))
      expect(new Set(own.heard)).toEqual(new Set(['hot water']))
    }
}, 300_000)
