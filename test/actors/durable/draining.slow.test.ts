/** An orderly close: what runs in durable actors has time to end, and what does not is named. */

import { expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableContext,
  type DurableServer,
  entity,
  name,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Ms = number
type Messages = {
  calls: {
    step: (ms: Ms) => void
    work: (ms: Ms) => void
    alarm: (ms: Ms) => void
    last: () => void
  }
  casts: { step: (ms: Ms) => void }
  continues: { slow: (ms: Ms) => void }
  alarms: { ring: (ms: Ms) => void }
}

/** Actors whose steps, alarms and background work take some ms. */
const world = async ({ traps = false } = {}) => {
  const begun: string[] = []
  const done: string[] = []
  const act = async (what: string, ms: Ms) => {
    begun.push(what)
    await new Promise<void>((resolve) => s.clock.after(ms, resolve))
    done.push(what)
  }
  const server: DurableServer<Messages, number, never, string, unknown> = {
    init: () => 0,
    wake: (_, context) => context.trapExit(traps),
    calls: {
      step: (state, ms) => reply(undefined, state + 1, { continue: ['slow', ms] }),
      work: (state, ms, context) => {
        context.background(async (life) => {
          await act(`background of ${context.id}`, ms)
          await life.apply((now) => noReply(now + 1))
        })
        return reply(undefined, state + 1)
      },
      alarm: (state, ms, context) => {
        context.setAlarm('ring', { inMs: 0 }, ms)
        return reply(undefined, state + 1)
      },
      last: (state, _, context) => {
        context.background(async ({ closing, apply }) => {
          await new Promise((resolve) => closing.addEventListener('abort', resolve))
          await apply((now) => noReply(now + 100, { continue: ['slow', 1] }))
        })
        return reply(undefined, state + 1)
      },
    },
    casts: { step: (state, ms) => noReply(state + 1, { continue: ['slow', ms] }) },
    continues: {
      slow: async (state, ms, { id }) => {
        await act(`continue slow of ${id}`, ms)
        return noReply(state + 1)
      },
    },
    alarms: {
      ring: async (state, ms, { id }) => {
        await act(`alarm ring of ${id}`, ms)
        return noReply(state + 1)
      },
    },
  }
  const kind = entity('e', server)
  const own = worker('w', server, { durable: true })
  const s = await simulated({ app: supervisor('app', {}, [kind, own]) })
  return {
    ...{ s, begun, done },
    ref: (id: string) => s.app.entity(kind).ref(id),
    state: (id: string) => s.app.entity(kind).state(id),
    /** What a close cut off, and how long it took. */
    close: async (deadlineMs: number) => {
      const at = s.clock.monotonic()
      const { cutOff } = await s.during(s.app.close({ deadlineMs }))
      const cut = cutOff.map((each) =>
        each.part === 'work' ? `${each.what} of ${each.actor.replace('e/', '')}` : each,
      )
      return { cut: cut.sort(), ms: s.clock.monotonic() - at }
    },
  }
}

test.each([
  [1_000, false],
  [50, true],
])(
  'close with %i running steps names exactly those that did not end (actors trap exits: %s)',
  async (count, traps) => {
    const w = await world({ traps })
    const ids = Array.from({ length: count }, (_, index) => `${index}`)
    // Half of them end within 80 % of the deadline.
    const msOf = (id: string): Ms => 10 + Number(id) * (1_600 / count)
    await w.s.during(Promise.all(ids.map((id) => call(w.ref(id), 'step', msOf(id)))))
    await w.s.settle()
    expect(w.begun).toHaveLength(count)

    const { cut, ms } = await w.close(1_000)
    expect(ms).toBeGreaterThan(799)
    expect(ms).toBeLessThan(1_000)

    await w.s.start()
    const unended = ids.filter((id) => w.state(id) === 1)
    expect(cut).toEqual(unended.map((id) => `continue slow of ${id}`).sort())
    expect(Math.abs(unended.length - count / 2)).toBeLessThanOrEqual(count / 20)
    expect(ids.filter((id) => w.state(id) === 2)).toHaveLength(count - cut.length)
    await w.s.advance(3_000)
    expect(w.begun.slice(count).sort()).toEqual(cut)
  },
)

test('close waits for steps, alarms and background work, and for nothing longer', async () => {
  const w = await world()
  await w.s.during(call(w.ref('a'), 'step', 3_000))
  await w.s.during(call(w.ref('b'), 'work', 2_000))
  await w.s.during(call(w.ref('c'), 'alarm', 1_000))
  await w.s.during(call(w.s.system.to(name<Messages>('w')), 'step', 500))
  await w.s.advance(10)
  const { cut, ms } = await w.close(30_000)
  expect([cut, w.done.length]).toEqual([[], 4])
  expect(ms).toBeLessThan(3_100)
  await w.s.start()
  expect(['a', 'b', 'c'].map(w.state)).toEqual([2, 2, 2])
})

test('close names alarms and background work that it cut off, and what belongs to a worker', async () => {
  const w = await world()
  await w.s.during(call(w.ref('b'), 'work', 20_000))
  await w.s.during(call(w.ref('c'), 'alarm', 20_000))
  await w.s.during(call(w.s.system.to(name<Messages>('w')), 'step', 20_000))
  await w.s.advance(10)
  const { cut, ms } = await w.close(1_000)
  expect(cut).toEqual(['alarm ring of c', 'background of b', 'continue slow of $worker/w'])
  expect(ms).toBeLessThan(1_000)
  const line = w.s.log.lines.find(({ message }) => message.includes('work undone'))
  expect(line?.message).toContain('background of e/b was cut off')
})

test('nothing begins in a close, and what it has recorded runs after the next start', async () => {
  const w = await world()
  await w.s.during(call(w.ref('a'), 'step', 1_000))
  await w.s.during(call(w.ref('b'), 'alarm', 1_000))
  await w.s.during(call(w.ref('c'), 'step', 1_000))
  await w.s.during(call(w.ref('d'), 'step', 2_000))
  await w.s.advance(10)
  // These are handled during the close, behind the steps.
  cast(w.ref('a'), 'step', 1)
  const refused = codeOf(call(w.ref('c'), 'work', 1))
  const due = call(w.ref('c'), 'alarm', 1)
  const { cut } = await w.close(30_000)
  await Promise.all([refused, due])
  expect(cut).toEqual([])
  expect([...w.begun].sort()).toEqual([
    'alarm ring of b',
    'continue slow of a',
    'continue slow of c',
    'continue slow of d',
  ])
  await w.s.start()
  await w.s.advance(3_000)
  expect(w.begun.slice(4).sort()).toEqual(['alarm ring of c', 'continue slow of a'])
})

test('background work that runs for long is told of the close, and has its last turn', async () => {
  const w = await world()
  await w.s.during(call(w.ref('a'), 'last'))
  await w.s.advance(10_000)
  const { cut, ms } = await w.close(30_000)
  expect([cut, w.begun]).toEqual([[], []])
  expect(ms).toBeLessThan(100)
  await w.s.start()
  expect(w.state('a')).toBe(101)
  await w.s.advance(3_000)
  expect(w.done).toEqual(['continue slow of a'])
})

test('a try that the close refuses a call is no failed one: the next start makes it again', async () => {
  type Asking = {
    calls: { begin: () => void; ping: () => void }
    continues: { ask: () => void }
    alarms: { ask: () => void }
  }
  const ask = async (state: number, _: unknown, context: DurableContext<Asking>) => {
    await new Promise<void>((resolve) => s.clock.after(100, resolve))
    await context.call(s.app.entity(asking).ref('rests'), 'ping')
    return noReply(state + 1)
  }
  const server: DurableServer<Asking, number> = {
    init: () => 0,
    calls: {
      begin: (state, _, context) => {
        if (context.id === 'alarm') context.setAlarm('ask', { inMs: 0 })
        else context.addContinue('ask')
        return reply(undefined, state)
      },
      ping: (state) => reply(undefined, state),
    },
    continues: { ask },
    alarms: { ask },
    retry: { max: 1 },
  }
  const asking = entity('asking', server)
  const s = await simulated({ app: supervisor('app', {}, [asking]) })
  const handle = () => s.app.entity(asking)
  for (const id of ['step', 'alarm']) await s.during(call(handle().ref(id), 'begin'))
  await s.advance(10)

  expect(await s.during(s.app.close())).toEqual({ cutOff: [] })
  await s.start()
  await s.advance(3_000)

  expect([...handle().blocked().values()].map(({ message }) => message)).toEqual([])
  expect(['step', 'alarm'].map((id) => handle().state(id))).toEqual([1, 1])
})
