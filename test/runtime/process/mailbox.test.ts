import { describe, expect, test } from 'vitest'
import { systemClock, virtualClock } from '../../../src/clock.ts'
import {
  call,
  cast,
  createSystem,
  type GenServer,
  getState,
  noReply,
  type Ref,
  resume,
  send,
  suspend,
} from '../../../src/runtime/index.ts'
import { silentLogger, testSystem } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'

const full = async () => {
  const { system, clock } = testSystem()
  const echo = await system.start(Echo.server, undefined, { mailboxMax: 3 })
  await suspend(echo)
  for (const value of [1, 2, 3]) expect(cast(echo, 'note', value)).toBe(true)
  return { system, clock, echo }
}

type Busy = { calls: { hang: () => void }; infos: { tick: () => void } }

describe('a full mailbox', () => {
  test('refuses casts, infos and calls, and says so', async () => {
    const { echo } = await full()

    expect(cast(echo, 'note', 4)).toBe(false)
    expect(send(echo, 'noted', 4)).toBe(false)
    await expect(call(echo, 'echo', 4)).rejects.toMatchObject({ code: 'MAILBOX_FULL' })
    await resume(echo)
    expect((await getState<Echo.State>(echo)).notes).toEqual([1, 2, 3])
  })

  test('takes messages again when it was worked off', async () => {
    const { echo } = await full()

    await resume(echo)
    await getState(echo)

    expect(cast(echo, 'note', 4)).toBe(true)
    expect(await call(echo, 'echo', 5)).toBe(5)
  })

  test('takes system requests, exits, downs and timers', async () => {
    const { system, clock } = testSystem()
    type M = { casts: { fill: () => void }; infos: { later: () => void } }
    const received: string[] = []
    const server: GenServer<M, null, Ref> = {
      init: (other, context) => {
        context.trapExit(true)
        context.link(other)
        context.monitor(other)
        context.sendAfter(10, 'later')
        return null
      },
      casts: { fill: (state) => noReply(state) },
      infos: {
        later: (state) => {
          received.push('timer')
          return noReply(state)
        },
      },
      exit: (state) => {
        received.push('exit')
        return noReply(state)
      },
      down: (state) => {
        received.push('down')
        return noReply(state)
      },
    }
    const other = await system.start(Echo.server)
    const ref = await system.start(server, other, { mailboxMax: 1 })
    await suspend(ref)
    expect([cast(ref, 'fill'), cast(ref, 'fill')]).toEqual([true, false])

    system.kill(other)
    await clock.advance(10)
    expect(received).toEqual([])
    await resume(ref)
    await clock.settle()

    expect(received).toEqual(['exit', 'down', 'timer'])
  })

  test('is announced once when it is half full, and again only after no more than a quarter was left', async () => {
    const { system, clock } = testSystem()
    const depths: number[] = []
    system.events.on('mailbox.high', ({ depth }) => depths.push(depth))
    const doors: (() => void)[] = []
    type M = { casts: { wait: () => void } }
    const slow: GenServer<M, null> = {
      init: () => null,
      casts: {
        wait: async (state) => {
          await new Promise<void>((open) => doors.push(open))
          return noReply(state)
        },
      },
    }
    const ref = await system.start(slow, undefined, { mailboxMax: 8 })
    const fillTo = (depth: number): void => {
      while ((system.info(ref)?.mailbox ?? 0) < depth) cast(ref, 'wait')
    }
    const drainTo = async (depth: number): Promise<void> => {
      while ((system.info(ref)?.mailbox ?? 0) > depth) {
        doors.shift()?.()
        await clock.settle()
      }
    }

    cast(ref, 'wait')
    await clock.settle()
    fillTo(5)
    expect(depths).toEqual([4])
    await drainTo(3)
    fillTo(8)
    expect(depths).toEqual([4])
    await drainTo(2)
    fillTo(8)
    expect(depths).toEqual([4, 4])
  })

  test('is announced whatever fills it: timers, exits and downs are never refused, and count like any message', async () => {
    const { system, clock } = testSystem()
    const told: unknown[] = []
    system.events.on('mailbox.high', ({ depth, mailboxMax }) => told.push([depth, mailboxMax]))
    const ref = await system.start(
      {
        init: (_, context) => {
          for (let at = 0; at < 6; at++) context.sendAfter(10, 'tick')
          return null
        },
        calls: { hang: () => new Promise(() => {}) },
        infos: { tick: (state) => noReply(state) },
      } satisfies GenServer<Busy, null>,
      undefined,
      { mailboxMax: 8 },
    )
    const hanging = call(ref, 'hang', undefined, { timeoutMs: 20 }).catch(({ code }) => code)
    await clock.advance(10)

    expect(told).toEqual([[4, 8]])
    expect(system.info(ref)?.mailbox).toBe(6)
    await clock.advance(10)
    expect(await hanging).toBe('TIMEOUT')
  })

  test('takes nothing that is never refused either when it is ended because it is half full', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(Echo.server, undefined, { mailboxMax: 2 })
    system.events.on('mailbox.high', () => system.kill(ref))
    await suspend(ref)
    const caller = system.spawn(async (context) => {
      context.sendAfter(5, 'first' as never, undefined as never, ref as never)
      context.sendAfter(5, 'second' as never, undefined as never, ref as never)
      // On the virtual clock.
      await context.sleep(10)
    })
    await clock.advance(10)

    expect(system.info(ref)).toBeUndefined()
    expect(system.info(caller)).toBeUndefined()
  })

  test('of a process that is ended because it is half full refuses the message at hand', async () => {
    const { system } = testSystem()
    const start = () => system.start(Echo.server, undefined, { mailboxMax: 4 })
    const [asked, told] = [await start(), await start()]
    system.events.on('mailbox.high', ({ pid }) => system.kill(pid === asked.pid ? asked : told))
    for (const ref of [asked, told]) for (const value of [1, 2]) cast(ref, 'note', value)

    const answer = call(asked, 'echo', 1, { timeoutMs: Number.POSITIVE_INFINITY })
    const isTaken = cast(told, 'note', 3)

    await expect(answer).rejects.toMatchObject({ code: 'EXITED', details: { reason: 'killed' } })
    expect(isTaken).toBe(false)
  })

  test('that a listener has filled refuses the message at hand, and holds no more than its bound', async () => {
    const { system } = testSystem()
    const ref = await system.start(Echo.server, undefined, { mailboxMax: 4 })
    system.events.on('mailbox.high', () => {
      while (cast(ref, 'note', 'listener'));
    })
    const taken = [1, 2, 3].map((value) => cast(ref, 'note', value))

    expect(taken).toEqual([true, true, false])
    expect(system.info(ref)?.mailbox).toBe(4)
    expect((await getState<Echo.State>(ref)).notes).toEqual([1, 2, 'listener', 'listener'])
  })

  test('whose listener ends the caller ends its call', async () => {
    const { system, clock } = testSystem()
    const echo = await system.start(Echo.server, undefined, { mailboxMax: 4 })
    let outcome: unknown
    const caller = system.spawn(async (context) => {
      for (const value of [1, 2]) cast(echo, 'note', value)
      const asked = context.to(echo)
      outcome = await call(asked, 'keep', 'a', { timeoutMs: Number.POSITIVE_INFINITY }).catch(
        (error) => error.code,
      )
    })
    system.events.on('mailbox.high', () => system.kill(caller))
    await clock.settle()

    expect(outcome).toBe('EXITED')
    // The message was admitted. The result of its handler reaches no process, and neither does a
    // failure.
    expect((await getState<Echo.State>(echo)).kept.get('a')?.fail(new Error('late'))).toBe(false)
  })
})

describe('the run queue', () => {
  test('lets other processes, timers and input have their turn while two flood each other', async () => {
    // Real turns of the event loop, on purpose: virtual ones prove nothing about Node's.
    const system = createSystem({ clock: systemClock(), logger: silentLogger })
    type M = { casts: { ball: (back: Ref<M>) => void } }
    const player: GenServer<M, null> = {
      init: () => null,
      casts: {
        ball: (state, back, { self }) => {
          cast(back, 'ball', self)
          return noReply(state)
        },
      },
    }
    const [left, right] = [await system.start(player), await system.start(player)]
    const third = await system.start(Echo.server)

    cast(left, 'ball', right)
    expect(await call(third, 'echo', 'heard')).toBe('heard')
    for (let turns = 0; turns < 20; turns++) {
      await new Promise((resolve) => void setImmediate(resolve))
    }

    expect(system.info(left)?.handled).toBeGreaterThan(1_000)
    await system.stop()
  })

  test('ends a turn by the count of messages when time stands still', async () => {
    const { system } = testSystem()
    type M = { casts: { again: (left: number) => void } }
    let left = 50_000
    const looping: GenServer<M, null> = {
      init: () => null,
      casts: {
        again: (state, rest, { self }) => {
          left = rest
          if (rest > 0) cast(self, 'again', rest - 1)
          return noReply(state)
        },
      },
    }

    cast(await system.start(looping), 'again', left)
    await new Promise((resolve) => void setImmediate(resolve))

    expect(left).toBeLessThan(50_000)
    expect(left).toBeGreaterThan(0)
  })

  test('ends a turn after a few milliseconds when messages are slow', async () => {
    let elapsed = 0
    const clock = { ...virtualClock(), monotonic: () => elapsed }
    const system = createSystem({ clock, logger: silentLogger })
    type M = { casts: { again: () => void } }
    let handled = 0
    const slow: GenServer<M, null> = {
      init: () => null,
      casts: {
        again: (state, _, { self }) => {
          elapsed += 1
          handled++
          cast(self as Ref<M>, 'again')
          return noReply(state)
        },
      },
    }
    for (let index = 0; index < 100; index++) cast(await system.start(slow), 'again')

    const turns: number[] = []
    for (let turn = 0; turn < 20; turn++) {
      const before = handled
      await new Promise((resolve) => void setImmediate(resolve))
      turns.push(handled - before)
    }

    expect(Math.max(...turns.slice(2))).toBeLessThanOrEqual(5)
    expect(Math.min(...turns.slice(2))).toBeGreaterThan(0)
    for (const { ref } of system.processes()) system.kill(ref)
  })

  test('ends a turn of many short drains after a few milliseconds', async () => {
    let elapsed = 0
    const clock = { ...virtualClock(), monotonic: () => elapsed }
    const system = createSystem({ clock, logger: silentLogger })
    const echo = await system.start(Echo.server)
    let isOver = false
    setImmediate(() => {
      isOver = true
    })

    // What takes the time is the caller's own code between the calls.
    while (!isOver && elapsed < 1_000) {
      await call(echo, 'echo', elapsed)
      elapsed += 1
    }

    expect(elapsed).toBeLessThan(100)
  })

  test('does not let a loop of awaited calls keep Node from its input', async () => {
    const system = createSystem({ clock: systemClock(), logger: silentLogger })
    const echo = await system.start(Echo.server)
    let turned = false
    setImmediate(() => {
      turned = true
    })

    let calls = 0
    while (!turned && calls < 100_000) calls = (await call(echo, 'echo', calls + 1)) as number

    expect(turned).toBe(true)
    await system.stop()
  })

  test('shuffles with a seed, the same way for the same seed', async () => {
    const order = async (seed?: number): Promise<string> => {
      const { system, clock } = testSystem(seed === undefined ? {} : { seed })
      const seen: number[] = []
      for (let index = 0; index < 8; index++) {
        system.spawn(() => void seen.push(index))
      }
      await clock.settle()
      return seen.join('')
    }

    expect(await order()).toBe('01234567')
    expect(await order(1)).toBe(await order(1))
    const orders = new Set(await Promise.all([1, 2, 3, 4, 5].map((seed) => order(seed))))
    expect(orders.size).toBeGreaterThan(1)
  })
})
