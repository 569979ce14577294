/** A watched System announces what holds it up. */
import { describe, expect, test } from 'vitest'
import {
  type BareContext,
  call,
  cast,
  createSystem,
  type GenServer,
  noReply,
  reply,
  type SystemMonitorOptions,
  systemMonitor,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

type Messages = {
  calls: { spend: (ms: number) => string }
  casts: { note: () => void; stick: () => void }
}

/** A server whose `spend` takes time of the clock without an `await`, as a computation does. */
const busy = (spend: (ms: number) => void): GenServer<Messages, null> => ({
  init: () => null,
  calls: {
    spend: (state, ms) => {
      spend(ms)
      return reply('spent', state)
    },
  },
  casts: { note: (state) => noReply(state), stick: () => new Promise(() => undefined) },
})

/** A watched System on the virtual clock, on which a handler can spend time and the loop be late. */
const watched = async (options: SystemMonitorOptions) => {
  const stage = testSystem()
  let spentMs = 0
  let delayMs = 0
  const { monotonic } = stage.clock
  stage.clock.monotonic = () => monotonic() + spentMs
  stage.clock.loopDelay = () => ({
    read: () => {
      const read = delayMs
      delayMs = 0
      return read
    },
    stop: () => void events.push(['stopped']),
  })
  const events: unknown[][] = []
  const monitor = systemMonitor(stage.system, options)
  const { events: bus } = stage.system
  bus.on('handler.slow', (event) => events.push(['handler.slow', event.message, event.tookMs]))
  bus.on('handler.pending', ({ message, pendingMs }) =>
    events.push(['handler.pending', message, pendingMs]),
  )
  bus.on('mailbox.long', ({ depth }) => events.push(['mailbox.long', depth]))
  bus.on('loop.delayed', (event) => events.push(['loop.delayed', event.delayMs]))
  const spend = (ms: number): void => {
    spentMs += ms
  }
  const ref = await stage.system.start(busy(spend), undefined, { label: 'busy' })
  return {
    ...stage,
    spend,
    monitor,
    ref,
    events,
    delay: (ms: number) => {
      delayMs = ms
    },
  }
}

describe('a handler that runs long', () => {
  test('is announced with its message and its time', async () => {
    const { ref, events } = await watched({ slowHandlerMs: 20 })
    await call(ref, 'spend', 19)
    await call(ref, 'spend', 20)
    expect(events).toEqual([['handler.slow', 'call spend', 20]])
  })

  test('is announced alone, among others in the same burst', async () => {
    const { ref, events, settle } = await watched({ slowHandlerMs: 20 })
    for (let each = 0; each < 100; each++) cast(ref, 'note')
    const spent = call(ref, 'spend', 30)
    for (let each = 0; each < 100; each++) cast(ref, 'note')
    await spent
    await settle()
    expect(events).toEqual([['handler.slow', 'call spend', 30]])
  })

  test('is named with its process, also if it ends by it', async () => {
    const { system, spend } = await watched({ slowHandlerMs: 20 })
    const slow: unknown[] = []
    system.events.on('handler.slow', ({ label, message }) => slow.push([label, message]))
    const spending = busy((ms) => {
      spend(ms)
      throw new Error('boom')
    })
    const ref = await system.start(spending, undefined, { label: 'failing' })
    await call(ref, 'spend', 1e6).catch(() => undefined)
    expect(slow).toEqual([['failing', 'call spend']])
  })
})

describe('a handler that stays pending', () => {
  test('is announced once, when it has been pending for its time', async () => {
    const { ref, events, advance } = await watched({ pendingHandlerMs: 2_000, everyMs: 500 })
    cast(ref, 'stick')
    await advance(1_999)
    expect(events).toEqual([])
    await advance(501)
    expect(events).toEqual([['handler.pending', 'cast stick', expect.any(Number)]])
    await advance(60_000)
    expect(events).toHaveLength(1)
  })

  test('may be an init; a bare process that waits is none', async () => {
    const { system, events, advance } = await watched({ pendingHandlerMs: 2_000 })
    system
      .start({ init: () => new Promise<never>(() => undefined) }, undefined)
      .catch(() => undefined)
    system.spawn((context: BareContext) => context.sleep(1e9))
    await advance(5_000)
    expect(events).toEqual([['handler.pending', 'init', expect.any(Number)]])
  })
})

test('a long mailbox is announced once until it is half as long', async () => {
  const { system, events, advance } = await watched({ longMailbox: 10, everyMs: 100 })
  let box: BareContext<Messages> | undefined
  const ref = system.spawn<Messages>((context) => {
    box = context
    return new Promise(() => undefined)
  })
  /** Adds or takes messages until `count` wait, and lets the monitor look. */
  const waiting = async (count: number) => {
    for (let each = depth; each < count; each++) cast(ref, 'note')
    for (let each = count; each < depth; each++) await box?.receive(0)
    depth = count
    await advance(100)
  }
  let depth = 0
  for (const count of [9, 10, 15, 5, 12]) await waiting(count)
  expect(events).toEqual([['mailbox.long', 10]])
  for (const count of [4, 9, 11]) await waiting(count)
  expect(events).toEqual([
    ['mailbox.long', 10],
    ['mailbox.long', 11],
  ])
})

describe('a delay of the event loop', () => {
  test('is announced with the longest since the last look', async () => {
    const { events, advance, delay } = await watched({ loopDelayMs: 50, everyMs: 100 })
    delay(49)
    await advance(100)
    delay(70)
    await advance(200)
    expect(events).toEqual([['loop.delayed', 70]])
  })

  test('is measured by Node on the machine’s own clock', async () => {
    const system = createSystem()
    const monitor = systemMonitor(system, { loopDelayMs: 30, everyMs: 20 })
    const delayed = new Promise<{ delayMs: number }>((resolve) => {
      system.events.on('loop.delayed', resolve)
    })
    const { monotonic } = system.clock
    // The measurement begins with a turn of the loop, so the first block may be missed.
    let cancel: () => void = () => undefined
    const block = (): void => {
      for (const end = monotonic() + 60; monotonic() < end; );
      cancel = system.clock.after(30, block)
    }
    block()
    // A timer of the monitor does not keep the program running; this one does.
    const alive = system.clock.after(60_000, () => undefined)
    const { delayMs } = await delayed
    monitor.stop()
    alive()
    cancel()
    expect(delayMs).toBeGreaterThanOrEqual(30)
  })

  test('is none on the virtual clock', async () => {
    const { system, clock, advance } = testSystem()
    const events: unknown[] = []
    system.events.on('loop.delayed', (event) => events.push(event))
    systemMonitor(system, { loopDelayMs: 1 })
    await advance(10_000)
    expect([events, clock.loopDelay]).toEqual([[], undefined])
  })
})

describe('a monitor', () => {
  const all = { slowHandlerMs: 1, pendingHandlerMs: 1, longMailbox: 1, loopDelayMs: 1 }

  test('that is stopped announces nothing, and leaves no timer', async () => {
    const { ref, monitor, events, clock, settle, delay } = await watched(all)
    monitor.stop()
    monitor.stop()
    delay(100)
    await call(ref, 'spend', 100)
    cast(ref, 'stick')
    await settle()
    expect(events).toEqual([['stopped']])
    expect(clock.untilNext()).toBeUndefined()
  })

  test('is the only one of its System until it stops', async () => {
    const { system } = testSystem()
    const first = systemMonitor(system, all)
    expect(() => systemMonitor(system, all)).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
    first.stop()
    const second = systemMonitor(system, all)
    // A late stop of the first does not end the second.
    first.stop()
    expect(() => systemMonitor(system, all)).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
    second.stop()
  })

  test.each([
    [{}],
    [{ everyMs: 5 }],
    [{ slowHandlerMs: 0 }],
    [{ slowHandlerMs: Number.NaN }],
    [{ longMailbox: '9' }],
    [{ loopDelayMs: 5, everyMs: -1 }],
    [{ slowHandlersMs: 5 }],
    [null],
  ])('refuses wrong options: %j', (options) => {
    const { system } = testSystem()
    expect(() => systemMonitor(system, options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(() => systemMonitor(system, all)).not.toThrow()
  })

  test('refuses what is no System', () => {
    expect(() => systemMonitor({} as never, all)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })
})
