/** `keelson/testing`, as the tests of users' actors see it. */
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  createSystem,
  type From,
  type GenServer,
  noReply,
  type Ref,
  reply,
  stop,
} from '../../../src/runtime/index.ts'
import {
  capturedLog,
  inManyOrders,
  outcome,
  probe,
  seededRandom,
  testSystem,
  virtualClock,
} from '../../../src/testing/index.ts'

type Listener = {
  calls: { ask: (question: string) => number }
  casts: { done: (count: number) => void }
  infos: { tick: () => void }
}

type Worker = {
  calls: { slow: (ms: number) => string }
  casts: { work: (listener: Ref<Listener>) => void; later: (listener: Ref<Listener>) => void }
  infos: { due: (listener: Ref<Listener>) => void }
}

/** Tells its listener when it has worked: at once, or after 100 ms. */
const worker: GenServer<Worker, number> = {
  init: () => 0,
  calls: {
    slow: (state, ms, { from, system }) => {
      system.clock.after(ms, () => void from.reply('slept'))
      return noReply(state)
    },
  },
  casts: {
    work: (state, listener, context) => {
      cast(context.to(listener), 'done', state + 1)
      return noReply(state + 1)
    },
    later: (state, listener, context) => {
      context.sendAfter(100, 'due', listener)
      return noReply(state)
    },
  },
  infos: {
    due: (state, listener, context) => {
      cast(context.to(listener), 'done', state)
      return noReply(state)
    },
  },
}

describe('a probe', () => {
  test('gives what it was sent, typed by its messages', async () => {
    const { system, probe: start } = testSystem()
    const listener = start<Listener>()

    cast(await system.start(worker), 'work', listener.ref)

    const message = await listener.next()
    if (message.kind !== 'cast') throw new Error('expected a cast')
    const count: number = message.payload
    expect([message.name, count]).toEqual(['done', 1])
  })

  test('answers a call when the test does', async () => {
    const { probe: start } = testSystem()
    const listener = start<Listener>()
    const asked = call(listener.ref, 'ask', 'how many?')

    const message = await listener.next()
    if (message.kind !== 'call') throw new Error('expected a call')
    const from: From<number> = message.from
    from.reply(7)

    expect([message.payload, await asked]).toEqual(['how many?', 7])
  })

  test('lets time pass as far as it may wait, and no further', async () => {
    const { system, clock, probe: start } = testSystem()
    const listener = start<Listener>()
    cast(await system.start(worker), 'later', listener.ref)

    await listener.silence({ withinMs: 99 })
    const began = clock.monotonic()
    await listener.next({ withinMs: 1_000 })

    expect(clock.monotonic() - began).toBe(1)
  })

  test('waits without a bound until nothing is left that could happen', async () => {
    const { clock, probe: start } = testSystem()
    const listener = start<Listener>()
    clock.after(1_000, () => undefined)
    const withinMs = Number.POSITIVE_INFINITY

    await listener.silence({ withinMs })
    await expect(listener.next({ withinMs })).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(clock.monotonic()).toBe(1_000)
  })

  test('says what there is when what is expected does not come, and takes nothing', async () => {
    const { system, probe: start } = testSystem()
    const listener = start<Listener>()
    cast(await system.start(worker), 'work', listener.ref)

    await expect(listener.take(2, { withinMs: 50 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: 'expected 2 messages, found 1 message: cast done 1',
      details: { expected: 2, found: ['cast done 1'] },
    })
    expect(listener.waiting()).toHaveLength(1)
    await expect(listener.silence()).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('does what a process does, and gets the exits and downs of it', async () => {
    const { system, probe: start } = testSystem()
    const watcher = start()
    const server = await watcher.act((context) => context.startLink(worker))
    await watcher.act((context) => context.monitor(server))

    system.kill(server)

    expect(await watcher.take(2)).toMatchObject([
      { kind: 'exit', from: server, reason: 'killed' },
      { kind: 'down', target: server, reason: 'killed' },
    ])
    await expect(watcher.next()).rejects.toMatchObject({ details: { found: [] } })
  })

  test('ends when its system stops', async () => {
    const { system, probe: start, settle } = testSystem()
    start()
    await settle()

    await system.stop()

    expect(system.processes()).toEqual([])
  })

  test('waits on a clock of another kind, with an end', async () => {
    const clock = pulledClock()
    const listener = probe<Listener>(createSystem({ clock }))
    const [first, second] = [listener.next(), outcome(listener.take(2))]

    cast(listener.ref, 'done', 1)
    expect(await first).toMatchObject({ name: 'done' })
    clock.pull()

    expect(await second).toMatchObject({ ok: false, error: { code: 'TIMEOUT' } })
  })
})

/** A clock that is not the virtual one: its timers all fire when the test says so. */
const pulledClock = () => {
  const { settle: _, advance: __, untilNext: ___, ...clock } = virtualClock()
  const actions = new Set<() => void>()
  const after = (_ms: number, action: () => void) => {
    actions.add(action)
    return () => void actions.delete(action)
  }
  return { ...clock, after, pull: () => [...actions].map((action) => action()) }
}

describe('a test system', () => {
  const restless: GenServer<{ casts: { end: () => void; wait: () => void } }, null> = {
    init: () => null,
    casts: { end: () => stop('why', null), wait: () => new Promise(() => {}) },
  }

  test('tells why a process ended, was not there, or has not ended', async () => {
    const { system, ended, settle } = testSystem()
    const [one, other] = [await system.start(restless), await system.start(restless)]
    cast(one, 'end')
    cast(other, 'wait')

    expect(await ended(one)).toBe('why')
    expect(await ended(one)).toBe('noproc')
    await settle()
    await expect(ended(other, { withinMs: 10 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: '<2> has not ended: busy with cast wait, 0 waiting',
    })
  })

  test('keeps what is logged, and hands it on', async () => {
    const handed = capturedLog()
    const { system, log, settle } = testSystem({ logger: handed })
    cast(await system.start(restless, undefined, { label: 'restless' }), 'end')
    await settle()

    expect(log.messages('error')).toEqual(['restless ended: why'])
    expect(log.lines).toMatchObject([{ level: 'error', facts: { reason: 'why' } }])
    expect(handed.lines).toEqual(log.lines)
  })

  test('leaves nothing behind when it is closed', async () => {
    const world = testSystem()
    cast(await world.system.start(worker), 'later', world.probe<Listener>().ref)

    await world.close()

    expect(world.system.processes()).toEqual([])
    expect(world.clock.untilNext()).toBeUndefined()
  })
})

describe('the outcome of a call', () => {
  test('may be looked at after time has passed, whatever it is', async () => {
    const { system, advance } = testSystem()
    const server = await system.start(worker)

    const [quick, slow] = [
      outcome(call(server, 'slow', 10)),
      outcome(call(server, 'slow', 100, { timeoutMs: 50 })),
    ]
    await advance(50)

    expect(await quick).toEqual({ ok: true, value: 'slept' })
    expect(await slow).toMatchObject({ ok: false, error: { code: 'TIMEOUT' } })
  })
})

describe('many orders', () => {
  type Racing = {
    calls: { first: () => string | undefined }
    casts: { arrive: (who: string) => void }
  }
  const line: GenServer<Racing, string | undefined> = {
    init: () => undefined,
    calls: { first: (state) => reply(state, state) },
    casts: { arrive: (first, who) => noReply(first ?? who) },
  }

  const race = async ({
    system,
    settle,
  }: ReturnType<typeof testSystem>): Promise<string | undefined> => {
    const finish = await system.start(line)
    for (const who of ['a', 'b', 'c'])
      system.spawn((context) => void cast(context.to(finish), 'arrive', who))
    await settle()
    return call(finish, 'first')
  }

  test('are tried: each of three may be the first', async () => {
    const winners = new Set<string | undefined>()

    await inManyOrders(50, async (world) => void winners.add(await race(world)))

    expect([...winners].sort()).toEqual(['a', 'b', 'c'])
  })

  test('that fail name their seed, which fails again by itself', async () => {
    const failed = await outcome(
      inManyOrders(50, async (world) => expect(await race(world)).toBe('a')),
    )

    if (failed.ok) throw new Error('expected a failure')
    const { message, cause } = failed.error as Error
    const seed = Number(/KEELSON_SEED=(\d+)/.exec(message)?.[1])
    expect(cause).toBeInstanceOf(Error)
    expect(await race(testSystem({ seed }))).not.toBe('a')
  })

  test('draw the same numbers for the same seed', () => {
    const [one, other] = [seededRandom(5), seededRandom(5)]

    expect(Array.from({ length: 5 }, one)).toEqual(Array.from({ length: 5 }, other))
  })
})
