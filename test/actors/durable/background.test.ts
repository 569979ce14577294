/** Work beside the mailbox of a durable actor: when it begins, what it changes, how it ends. */

import { describe, expect, test } from 'vitest'
import {
  type BackgroundContext,
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  reply,
  stop,
  supervisor,
} from '../../../src/index.ts'
import type { ProcessSystem } from '../../../src/runtime/server/system.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type State = { readonly log: readonly string[] }
type Messages = {
  calls: {
    begin: () => string
    locked: () => string
    spawnLocked: () => string
    look: () => string
    cancel: () => string
    slowly: (ms: number) => string
    crash: () => string
    leave: () => string
  }
  casts: { locked: () => void; begin: () => void }
  alarms: { ring: () => void }
  continues: { work: () => void }
}
type OwnLife = BackgroundContext<Messages, unknown, State>

const locked = '{e/1}:locked'

/** A kind of actors that run `work` in the background when they are told to begin. */
const world = async (
  work: (life: OwnLife) => unknown,
  options: { readonly idleMs?: number; readonly traps?: boolean; readonly wake?: boolean } = {},
) => {
  let cancelling: AbortController | undefined
  const server: DurableServer<Messages, State, never, string, unknown> = {
    init: () => ({ log: [] }),
    wake: (_, context) => {
      if (options.traps) context.trapExit(true)
      if (options.wake) context.background(work)
    },
    calls: {
      begin: ({ log }, _, context) => {
        context.background(work)
        return reply('began', { log: [...log, 'began'] })
      },
      locked: ({ log }, _, context) => {
        context.writes.put(locked, 1)
        context.background(work)
        return reply('began', { log: [...log, 'locked'] })
      },
      spawnLocked: ({ log }, _, context) => {
        context.writes.put(locked, 1)
        context.spawnLink(() => work(undefined as never))
        return reply('began', { log: [...log, 'locked'] })
      },
      look: (state) => reply(state.log.join(), state),
      cancel: ({ log }) => {
        cancelling?.abort(new Error('cancelled'))
        return reply('cancelled', { log: [...log, 'cancelled'] })
      },
      slowly: async ({ log }, ms, { system }) => {
        await new Promise<void>((resolve) => system.clock.after(ms, resolve))
        return reply('slow', { log: [...log, 'slow'] })
      },
      crash: () => {
        throw new Error('crashed')
      },
      leave: ({ log }, _, context) => {
        const own = context.to(context.self)
        void Promise.resolve().then(async () => {
          const [looked] = await Promise.all([call(own, 'look'), call(own, 'cancel')])
          work(looked as never)
        })
        return reply('left', { log: [...log, 'left'] })
      },
    },
    casts: {
      locked: ({ log }, _, context) => {
        context.writes.put(locked, 1)
        return noReply({ log: [...log, 'locked'] })
      },
      begin: ({ log }, _, context) => {
        context.background(work)
        return noReply({ log: [...log, 'began'] })
      },
    },
    alarms: { ring: ({ log }) => noReply({ log: [...log, 'rang'] }) },
    continues: { work: ({ log }) => noReply({ log: [...log, 'stepped'] }) },
    exit: ({ log }, { reason }) => noReply({ log: [...log, `exit ${(reason as Error).message}`] }),
  }
  const kind = entity('e', server, { idleMs: options.idleMs ?? 60_000 })
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const ref = s.app.entity(kind).ref('1')
  return {
    ...{ s, ref, handle: s.app.entity(kind) },
    seen: [] as string[],
    state: (): string => (s.app.entity(kind).state('1')?.log ?? []).join(),
    kill: () => s.system.kill(s.app.entities.holder('e/1')?.address as never),
    lives: () => s.app.entities.holder('e/1') !== undefined,
    cancelBy: (controller: AbortController) => {
      cancelling = controller
    },
    lock: () => s.during(s.app.store.lock([locked], { owner: 'other', leaseMs: 1_000_000 })),
  }
}

/** A change that adds a word. */
const add = (what: string) => (state: State) => noReply({ log: [...state.log, what] })

/** Waits on the clock of a simulation, whether or not the process that waits lives on. */
const after = (s: Simulation, ms: number): Promise<void> =>
  new Promise((resolve) => s.clock.after(ms, resolve))

describe('background work begins', () => {
  test('when its turn is durable, and each of its changes is a turn of its own', async () => {
    const w = await world(async (life) => {
      w.seen.push(`begins with ${w.state()}`)
      const got = await life.apply(({ log }, context) => {
        context.writes.put('{e/1}:written', 7)
        context.setAlarm('ring', { inMs: 250 })
        return reply(log.length, { log: [...log, 'applied'] }, { continue: ['work'] })
      })
      w.seen.push(`applied ${got}: ${w.state()} ${w.s.app.store.get('{e/1}:written')}`)
      w.seen.push(String(await life.apply(add('again'))))
    })
    w.s.syncMs = 100
    const began = call(w.ref, 'begin')
    await w.s.advance(99)
    expect(w.seen).toEqual([])
    await w.s.during(began)
    w.s.syncMs = 1
    await w.s.advance(500)
    expect(w.seen).toEqual(['begins with began', 'applied 1: began,applied 7', 'undefined'])
    expect(w.state()).toBe('began,applied,stepped,again,rang')
  })

  test('never in a refused turn, and the actor lives on', async () => {
    const w = await world(() => void w.seen.push('worked'))
    await w.lock()
    expect(await w.s.during(codeOf(call(w.ref, 'locked')))).toBe('LOCKED')
    // A process that a refused turn has started is withdrawn in the same way.
    expect(await w.s.during(codeOf(call(w.ref, 'spawnLocked')))).toBe('LOCKED')
    expect(await w.s.during(call(w.ref, 'look'))).toBe('')
    expect(w.seen).toEqual([])
    expect(w.s.app.entities.holder('e/1')?.ties.links.all.size).toBe(1)
  })

  test('once, if its turn is handled again after a refused one', async () => {
    const w = await world(() => void w.seen.push('worked'))
    await w.lock()
    await w.s.during(call(w.ref, 'look'))
    cast(w.ref, 'locked')
    cast(w.ref, 'begin')
    await w.s.advance(100)
    expect([w.seen, w.state()]).toEqual([['worked'], 'began'])
  })

  test('in each life, where `wake` begins it', async () => {
    const w = await world((life) => life.apply(add('woken')), { wake: true })
    expect(await w.s.during(call(w.ref, 'look'))).toBe('')
    await w.s.advance(10)
    w.kill()
    await w.s.during(call(w.ref, 'look'))
    await w.s.advance(10)
    expect(w.state()).toBe('woken,woken')
  })
})

describe('a change', () => {
  test('that throws rejects in the work, and nothing of it happens', async () => {
    const w = await world(async (life) => {
      const failed = await life
        .apply(({ log }, context) => {
          context.setAlarm('ring', { inMs: 1 })
          if (log.length > 0) throw new Error('no')
          return noReply({ log })
        })
        .catch((error) => error)
      w.seen.push(failed.message)
      await life.apply(add('lives'))
    })
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(100)
    expect([w.seen, w.state()]).toEqual([['no'], 'began,lives'])
  })

  test.each([
    ['a promise', () => Promise.reject(new Error('late'))],
    ['a bare state', () => ({ log: [] })],
  ])('that returns %s is INVALID_ARGUMENT', async (_, change) => {
    const w = await world(async (life) => {
      w.seen.push((await codeOf(life.apply(change as never))) as string)
    })
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(10)
    expect([w.seen, w.state(), w.lives()]).toEqual([['INVALID_ARGUMENT'], 'began', true])
  })

  test('may end the actor', async () => {
    const w = await world(async (life) => {
      w.seen.push((await codeOf(life.apply((state) => stop('normal', state) as never))) as string)
    })
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(10)
    expect([w.seen, w.state(), w.lives()]).toEqual([['EXITED'], 'began', false])
  })

  test('is handled in its place among the messages of the actor', async () => {
    const w = await world(async (life) => {
      await life.sleep(10)
      await Promise.all(['a', 'b', 'c'].map((word) => life.apply(add(word))))
      w.seen.push(w.state())
    })
    await w.s.during(call(w.ref, 'begin'))
    await w.s.during(call(w.ref, 'slowly', 50))
    await w.s.advance(10)
    expect(w.seen).toEqual(['began,slow,a,b,c'])
  })
})

describe('the end of an actor', () => {
  const ends = {
    kill: async ({ kill }) => kill(),
    stop: ({ s, handle }) => s.during(handle.stop('1')),
    delete: ({ s, handle }) => s.during(handle.delete('1')),
    crash: ({ s, ref }) => s.during(codeOf(call(ref, 'crash'))),
  } satisfies Record<string, (w: Awaited<ReturnType<typeof world>>) => Promise<unknown>>

  test.each(Object.entries(ends))(
    'by %s aborts its work at once, and no late change reaches the next life',
    async (_, end) => {
      const w = await world(async (life) => {
        const began = w.s.clock.monotonic()
        life.signal.addEventListener('abort', () =>
          w.seen.push(`aborted after ${w.s.clock.monotonic() - began} ms`),
        )
        // It does not listen to the signal.
        await after(w.s, 10_000)
        w.seen.push((await codeOf(life.apply(add('late')))) as string)
        w.seen.push((await codeOf(call(life.to(w.ref), 'cancel'))) as string)
      })
      await w.s.during(call(w.ref, 'begin'))
      await w.s.advance(100)
      await end(w)
      await w.s.during(call(w.ref, 'look'))
      expect(w.seen).toHaveLength(1)
      expect(Number.parseInt(w.seen[0]?.split(' ')[2] ?? '', 10)).toBeLessThan(150)
      const before = w.state()
      await w.s.advance(20_000)
      expect(w.seen.slice(1)).toEqual(['EXITED', 'EXITED'])
      expect([w.state(), w.lives()]).toEqual([before, true])
    },
  )

  test('by a kill leaves it unknown what becomes of a change that is on its way', async () => {
    const w = await world(async (life) => {
      await life.sleep(10)
      w.seen.push((await codeOf(life.apply(add('late')))) as string)
    })
    await w.s.during(call(w.ref, 'begin'))
    w.s.syncMs = 50
    await w.s.advance(20)
    w.kill()
    await w.s.advance(1_000)
    expect([w.seen, w.state()]).toEqual([['UNKNOWN_OUTCOME'], 'began,late'])
  })

  test('by `stop` fails the changes that wait in its mailbox', async () => {
    const w = await world(async (life) => {
      w.seen.push((await codeOf(life.apply(add('late')))) as string)
    })
    w.s.syncMs = 50
    // All three are in the mailbox before the work begins.
    const began = call(w.ref, 'begin')
    const slow = call(w.ref, 'slowly', 200)
    const stopped = w.handle.stop('1')
    await w.s.during(Promise.all([began, slow, stopped]))
    await w.s.during(call(w.ref, 'look'))
    await w.s.advance(1_000)
    expect([w.seen, w.state()]).toEqual([['EXITED'], 'began,slow'])
  })

  test('in its last turns that are not durable yet: the work never begins', async () => {
    const w = await world(() => void w.seen.push('worked'))
    await w.s.during(call(w.ref, 'look'))
    w.s.syncMs = 100
    const began = codeOf(call(w.ref, 'begin'))
    await w.s.advance(10)
    w.kill()
    await w.s.during(began)
    await w.s.advance(500)
    expect([w.seen, w.state()]).toEqual([[], 'began'])
  })
})

describe('the end of the work', () => {
  test('by a throw ends its actor with that reason; nothing is unhandled', async () => {
    const reasons: unknown[] = []
    for (const work of [
      () => {
        throw new Error('thrown')
      },
      async (life: OwnLife) => {
        await life.sleep(5)
        throw new Error('rejected')
      },
    ]) {
      const w = await world(work)
      w.s.system.events.on('process.exited', ({ label, reason }) => {
        if (label === 'e/1') reasons.push((reason as Error).message)
      })
      await w.s.during(call(w.ref, 'begin'))
      await w.s.advance(10)
      expect([w.lives(), w.state()]).toEqual([false, 'began'])
      expect(await w.s.during(call(w.ref, 'look'))).toBe('began')
    }
    expect(reasons).toEqual(['thrown', 'rejected'])
  })

  test('an actor that traps exits hears of a throw, and of no orderly end', async () => {
    const w = await world(
      async (life) => {
        await life.apply(add('applied'))
        if (w.state().split('applied').length > 2) throw new Error('thrown')
      },
      { traps: true },
    )
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(10)
    expect([w.state(), w.lives()]).toEqual(['began,applied', true])
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(10)
    expect([w.state(), w.lives()]).toEqual(['began,applied,began,applied,exit thrown', true])
  })

  test('lets the actor rest, which it does not before', async () => {
    const w = await world((life) => life.sleep(10_000), { idleMs: 100 })
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(9_000)
    expect(w.lives()).toBe(true)
    await w.s.advance(1_500)
    expect(w.lives()).toBe(false)
  })

  test('sets no timer of its actor, which rests an idle time after it', async () => {
    const ends: (() => void)[] = []
    const w = await world(() => new Promise<void>((resolve) => void ends.push(resolve)), {
      idleMs: 100,
    })
    const { timers } = w.s.system as ProcessSystem
    const before = timers.size
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(150)
    expect(timers.size).toBe(before)
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(150)
    ends[0]?.()
    await w.s.advance(150)
    expect([w.lives(), timers.size]).toEqual([true, before])
    ends[1]?.()
    await w.s.advance(90)
    expect(w.lives()).toBe(true)
    await w.s.advance(20)
    expect(w.lives()).toBe(false)
  })

  test('lets an actor that hibernates rest at once, unless a message came after', async () => {
    const rests = async (life: OwnLife) => {
      await life.apply((state) => noReply(state, { hibernate: true }))
      await life.sleep(100)
    }
    const w = await world(rests)
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(90)
    expect(w.lives()).toBe(true)
    await w.s.advance(20)
    expect(w.lives()).toBe(false)
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(50)
    await w.s.during(call(w.ref, 'look'))
    await w.s.advance(100)
    expect(w.lives()).toBe(true)
  })

  test('by a call of the actor: work of 10 s is cancelled in less than 50 ms', async () => {
    const w = await world(async (life) => {
      const cancelling = new AbortController()
      w.cancelBy(cancelling)
      const began = w.s.clock.monotonic()
      await new Promise<void>((resolve) => {
        w.s.clock.after(10_000, resolve)
        cancelling.signal.addEventListener('abort', () => resolve())
      })
      await life.apply(add(`ended after ${Math.floor(w.s.clock.monotonic() - began)} ms`))
    })
    await w.s.during(call(w.ref, 'begin'))
    await w.s.advance(100)
    expect(await w.s.during(call(w.ref, 'cancel'), { withinMs: 50 })).toBe('cancelled')
    await w.s.advance(50)
    const [, endedMs = ''] = /ended after (\d+) ms/.exec(w.state()) ?? []
    expect(w.state()).toContain('began,cancelled,ended')
    expect(Number(endedMs)).toBeLessThan(150)
  })
})

test('a promise that a handler has left behind may call its own actor', async () => {
  const w = await world((looked) => void w.seen.push(String(looked)))
  await w.s.during(call(w.ref, 'leave'))
  await w.s.advance(100)
  expect([w.seen, w.state()]).toEqual([['left'], 'left,cancelled'])
})
