import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  createSystem,
  type GenServer,
  getState,
  type Logger,
  name,
  noReply,
  reply,
  startSupervisor,
  supervisor,
  trace,
  worker,
} from '../../../src/runtime/index.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { type Address, addressOf } from '../../../src/runtime/words/address.ts'
import { probe, silentLogger, testSystem, virtualClock } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'

describe('a process', () => {
  test('that ends takes a chain of twenty thousand links along', { tags: ['slow'] }, async () => {
    const { system, clock } = testSystem()
    const bodies =
      (left: number) => async (context: Parameters<Parameters<typeof system.spawn>[0]>[0]) => {
        if (left > 0) context.spawnLink(bodies(left - 1))
        await context.receive()
      }
    const first = system.spawn(bodies(20_000))
    await clock.settle()
    expect(system.processes()).toHaveLength(20_001)

    system.kill(first)

    expect(system.processes()).toEqual([])
  })

  test('takes the timers that wait for it along', async () => {
    const { system, clock } = testSystem()
    const ref = system.spawn<{ infos: { wake: () => void } }>(async (context) => {
      context.sendAfter(86_400_000, 'wake')
      await context.receive()
    })
    await clock.settle()
    expect(clock.untilNext()).toBe(86_400_000)

    system.kill(ref)
    await clock.settle()

    expect(clock.untilNext()).toBeUndefined()
  })

  test('keeps nothing of a timer that never fires, cancelled or not', async () => {
    const { system, clock } = testSystem()
    const answers: unknown[] = []
    const ref = system.spawn<{ infos: { wake: () => void } }>(async (context) => {
      const forever = context.sendAfter(Number.POSITIVE_INFINITY, 'wake')
      context.sendAfter(Number.POSITIVE_INFINITY, 'wake')
      const late = context.sendAfter(50, 'wake')
      answers.push(context.readTimer(forever), context.cancelTimer(forever))
      answers.push(context.cancelTimer(late))
      await context.receive()
    })
    await clock.settle()

    const { process } = addressOf(ref) as Address<Process>
    expect(answers).toEqual([false, false, 50])
    expect(process?.timers?.size).toBe(0)
  })

  test('that takes too long to start is killed', async () => {
    const { system, clock } = testSystem()
    const stuck: GenServer<{ casts: { any: () => void } }, null> = {
      init: () => new Promise<null>(() => {}),
      casts: { any: (state) => noReply(state) },
    }

    const result = system.startResult(stuck, undefined, { timeoutMs: 100 })
    await clock.advance(100)

    expect(await result).toEqual({ ok: false, reason: 'timeout' })
    expect(system.processes()).toEqual([])
  })

  test('is called by its label, else by its name, else by its kind and its number', async () => {
    const { system } = testSystem()
    const start = async (options: object) => {
      const ref = await system.start(Echo.server, undefined, options)
      const { process } = addressOf(ref) as Address<Process>
      return [String(process), process?.title, ref.pid]
    }
    const [labelled, named, plain] = [
      await start({ label: 'label', name: name('first') }),
      await start({ name: name('second') }),
      await start({}),
    ]
    expect(labelled).toEqual(['label', `label <${labelled[2]}>`, expect.any(Number)])
    expect(named).toEqual(['second', `second <${named[2]}>`, expect.any(Number)])
    expect(plain).toEqual([`server <${plain[2]}>`, `server <${plain[2]}>`, expect.any(Number)])
  })

  test('is not reached through the prototype of its tables', async () => {
    const { system, clock } = testSystem()
    const echo = await system.start(Echo.server)
    const ends: unknown[] = []
    system.monitor(echo, (reason) => ends.push(reason))

    cast(echo as never, 'toString' as never)
    await clock.settle()

    expect(ends).toMatchObject([{ code: 'INVALID_ARGUMENT' }])
  })
})

describe('a crash', () => {
  test('writes one line, an orderly end none', async () => {
    const lines: string[] = []
    const write = (message: string): void => void lines.push(message)
    const logger: Logger = { error: write, warn: write, info: write }
    const system = createSystem({ clock: virtualClock(), logger })
    const [one, other] = [await system.start(Echo.server), await system.start(Echo.server)]

    cast(one, 'crash', new Error('boom'))
    await getState(one).catch(() => {})
    await system.stop()

    expect(lines).toEqual([`server ${one} ended: Error: boom`])
    expect(system.info(other)).toBeUndefined()
  })

  test('is emitted on the bus, after the start', async () => {
    const { system } = testSystem()
    const events: unknown[] = []
    system.events.on('process.started', ({ pid, kind }) => events.push(['started', pid, kind]))
    system.events.on('process.exited', ({ name: had, reason }) =>
      events.push(['exited', had, reason]),
    )

    const options = { name: name<Echo.Messages>('echo') }
    system.exit(await system.start(Echo.server, undefined, options), 'gone')

    expect(events).toEqual([
      ['started', 1, 'server'],
      ['exited', 'echo', 'gone'],
    ])
  })

  test('of a listener keeps no other listener from hearing, nor the process from ending', async () => {
    const errors: unknown[] = []
    const logger = { ...silentLogger, error: (line: string) => void errors.push(line) }
    const { system, clock } = testSystem({ logger })
    const heard: unknown[] = []
    system.events.on('process.exited', () => {
      throw new Error('first')
    })
    system.events.on('process.exited', async () => {
      throw new Error('second')
    })
    system.events.once('process.exited', ({ pid }) => heard.push(['once', pid]))
    system.events.on('process.exited', ({ pid }) => heard.push(['on', pid]))

    system.kill(await system.start(Echo.server))
    system.kill(await system.start(Echo.server))
    await clock.settle()

    expect(heard).toEqual([
      ['once', 1],
      ['on', 1],
      ['on', 2],
    ])
    expect(errors).toEqual(Array(4).fill('a listener of process.exited threw'))
    expect(system.processes()).toEqual([])
  })

  test('is emitted with the instance of the process, which all processes below share', async () => {
    const { system } = testSystem()
    const events: unknown[] = []
    system.events.on('process.started', ({ label, instance }) => events.push([label, instance]))
    const tree = supervisor('top', { strategy: 'one_for_one', instance: 'orders' }, [
      supervisor('inner', { strategy: 'one_for_one' }, [worker('echo', Echo.server)]),
    ])

    await startSupervisor(system, tree)
    await system.start(Echo.server, undefined, { label: 'alone' })

    expect(events).toEqual([
      ['echo', 'orders'],
      ['inner', 'orders'],
      ['top', 'orders'],
      ['alone', undefined],
    ])
  })

  test('of a monitor callback disturbs no process', async () => {
    const { system } = testSystem()
    const echo = await system.start(Echo.server)
    const ends: unknown[] = []
    system.monitor(echo, () => {
      throw new Error('in the callback')
    })
    system.monitor(echo, (reason) => ends.push(reason))

    system.kill(echo)

    expect(ends).toEqual(['killed'])
  })
})

describe('two systems', () => {
  test('share no names, no numbers, no processes', async () => {
    const [one, other] = [testSystem().system, testSystem().system]
    const options = { name: name<Echo.Messages>('echo') }

    const left = await one.start(Echo.server, undefined, options)
    const right = await other.start(Echo.server, undefined, options)

    expect(left.pid).toBe(right.pid)
    one.kill(left)
    expect(await call(right, 'echo', 'alive')).toBe('alive')
  })
})

describe('stopping a system', () => {
  test('ends processes without a starter in reverse order, through terminate', async () => {
    const { system } = testSystem()
    const ended: string[] = []
    const telling = (id: string): GenServer<{ calls: { any: () => null } }, null> => ({
      init: () => null,
      calls: { any: (state) => reply(null, state) },
      terminate: (_, reason) => void ended.push(`${id} ${String(reason)}`),
    })
    for (const id of ['a', 'b']) await system.start(telling(id))

    await system.stop()

    expect(ended).toEqual(['b shutdown', 'a shutdown'])
    expect(system.processes()).toEqual([])
  })
})

describe('a probe', () => {
  test('returns its messages in order, as soon as they arrive', async () => {
    const { system } = testSystem()
    type M = { casts: { first: (value: number) => void; second: () => void } }
    const seen = probe<M>(system)

    const both = seen.take(2)
    cast(seen.ref, 'first', 1)
    cast(seen.ref, 'second')

    expect(await both).toMatchObject([
      { kind: 'cast', name: 'first', payload: 1 },
      { kind: 'cast', name: 'second' },
    ])
  })
})

describe('the surroundings of a process', () => {
  test('may throw without disturbing it: listeners of the bus, traces', async () => {
    const { system } = testSystem()
    const fail = (): never => {
      throw new Error('in a listener')
    }
    system.events.on('process.started', fail)
    system.events.on('process.exited', fail)
    const [one, other] = [await system.start(Echo.server), await system.start(Echo.server)]

    await trace(other, fail)
    system.kill(one)

    expect(await call(other, 'echo', 'alive')).toBe('alive')
    system.kill(other)
    expect(system.processes()).toEqual([])
  })

  test('refuses a value that is not a server before it registers a name', async () => {
    const { system } = testSystem()
    const options = { name: name<Echo.Messages>('echo') }

    await expect(system.start({} as typeof Echo.server, undefined, options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    expect(system.whereis(options.name)).toBeUndefined()
  })

  test('prints a ref as a word, without its internal fields', async () => {
    const { system } = testSystem()
    const echo = await system.start(Echo.server)

    expect([inspect(echo), JSON.stringify(echo), `${echo}`]).toEqual(['<1>', '"<1>"', '<1>'])
  })
})
