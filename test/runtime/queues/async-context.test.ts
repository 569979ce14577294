/** Whose `AsyncLocalStorage` a handler sees: the System's own, or that of the sender. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  call,
  cast,
  createSystem,
  type GenServer,
  getState,
  name,
  noReply,
  reply,
  type SystemOptions,
  send,
  startSupervisor,
  supervisor,
  Task,
  worker,
} from '../../../src/runtime/index.ts'
import { silentLogger, testSystem } from '../../../src/testing/index.ts'

type Seen = readonly (readonly [what: string, store: unknown])[]

type Messages = {
  calls: { ask: (what: string) => unknown; slowly: (until: Promise<void>) => unknown }
  casts: {
    note: (what: string) => void
    arm: (ms: number) => void
    goOn: () => void
    wait: (timeoutMs: number) => void
    task: () => void
    crash: () => void
  }
  infos: { told: (what: string) => void }
  continues: { next: () => void }
}

/** A server that writes down what it sees in each of its handlers, in `seen`. */
const witness = (look: () => unknown, seen: [string, unknown][]): GenServer<Messages, Seen> => {
  const see = (what: string): unknown => {
    const store = look()
    seen.push([what, store])
    return store
  }
  const noted = (state: Seen, what: string) => {
    see(what)
    return noReply(state)
  }
  return {
    init: () => {
      see('init')
      return []
    },
    calls: {
      ask: (state, what) => reply(see(what), state),
      slowly: async (state, until) => {
        await until
        return reply(see('after a promise'), state)
      },
    },
    casts: {
      note: noted,
      arm: (state, ms, self) => {
        self.sendAfter(ms, 'told', 'timer')
        return noReply(state)
      },
      goOn: (state) => noReply(state, { continue: ['next'] }),
      wait: (state, timeoutMs) => noReply(state, { timeoutMs }),
      task: async (state, _, self) => {
        await Task.await(Task.async(self, () => see('task')))
        return noReply(state)
      },
      crash: () => {
        throw new Error('a bug')
      },
    },
    infos: { told: noted },
    continues: { next: (state) => noted(state, 'continue') },
    timeout: (state) => noted(state, 'timeout'),
  }
}

/** A supervised witness, started in the context `starter`. */
const stage = async (options: Omit<SystemOptions, 'clock'>) => {
  const storage = new AsyncLocalStorage<string>()
  const { system, clock, settle } = testSystem({ logger: silentLogger, ...options })
  const seen: [string, unknown][] = []
  const tree = supervisor('top', { strategy: 'one_for_one' }, [
    worker(
      'witness',
      witness(() => storage.getStore(), seen),
      undefined,
      { name: name<Messages>('witness') },
    ),
  ])
  await storage.run('starter', () => startSupervisor(system, tree))
  const ref = system.to(name<Messages>('witness'))
  return { storage, system, clock, settle, seen, ref }
}

/** Sends every kind of message to the witness, each in a context of its own. */
const disturb = async ({ storage, clock, settle, ref }: Awaited<ReturnType<typeof stage>>) => {
  const answer = storage.run('caller', () => call(ref, 'ask', 'call'))
  storage.run('caster', () => cast(ref, 'note', 'cast'))
  storage.run('sender', () => send(ref, 'told', 'info'))
  const asked = storage.run('slow caller', () => call(ref, 'slowly', Promise.resolve()))
  await Promise.all([answer, asked])
  storage.run('goer', () => cast(ref, 'goOn'))
  storage.run('armer', () => cast(ref, 'arm', 10))
  await settle()
  await storage.run('clock', () => clock.advance(10))
  storage.run('waiter', () => cast(ref, 'wait', 10))
  await settle()
  await storage.run('clock', () => clock.advance(10))
  storage.run('owner', () => cast(ref, 'task'))
  await settle()
  storage.run('crasher', () => cast(ref, 'crash'))
  await settle()
}

const whats = [
  ...['init', 'call', 'cast', 'info', 'after a promise', 'continue', 'timer', 'timeout'],
  ...['task', 'init'],
]

describe('by default', () => {
  test('handlers, timers, tasks and restarts see the context of nobody who wakes them', async () => {
    const world = await stage({})
    await disturb(world)
    expect(world.seen).toEqual(whats.map((what) => [what, undefined]))
  })

  test('they see the context in which their System was made', async () => {
    const storage = new AsyncLocalStorage<string>()
    const system = storage.run('home', () => createSystem({ logger: silentLogger }))
    const seen: [string, unknown][] = []
    const server = witness(() => storage.getStore(), seen)
    const ref = await storage.run('starter', () => system.start(server))

    expect(await storage.run('caller', () => call(ref, 'ask', 'call'))).toBe('home')
    expect(seen).toEqual([
      ['init', 'home'],
      ['call', 'home'],
    ])
  })

  test('200 requests side by side stay out of each other, and each goes on in its own', async () => {
    const storage = new AsyncLocalStorage<number>()
    const system = createSystem({ logger: silentLogger })
    const ref = await system.start(witness(() => storage.getStore(), []))
    const request = async (number: number) => {
      const inHandler = await call(ref, 'ask', 'call')
      return [inHandler, storage.getStore() === number]
    }

    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, number) => storage.run(number, () => request(number))),
    )

    expect(answers).toEqual(answers.map(() => [undefined, true]))
  })
})

describe("with asyncContext: 'sender'", () => {
  test('a handler sees the context of its sender, and what it arms and starts sees it too', async () => {
    const world = await stage({ asyncContext: 'sender' })
    await disturb(world)
    expect(world.seen).toEqual([
      ['init', 'starter'],
      ['call', 'caller'],
      ['cast', 'caster'],
      ['info', 'sender'],
      ['after a promise', 'slow caller'],
      ['continue', 'goer'],
      ['timer', 'armer'],
      ['timeout', 'waiter'],
      ['task', 'owner'],
      ['init', 'crasher'],
    ])
  })

  test('a message of a handler passes the context on', async () => {
    const { storage, system, settle, seen, ref } = await stage({ asyncContext: 'sender' })
    type Relay = { casts: { relay: (what: string) => void } }
    const relay: GenServer<Relay, null> = {
      init: () => null,
      casts: {
        relay: async (state, what, self) => {
          await getState(self.to(ref))
          cast(self.to(ref), 'note', what)
          return noReply(state)
        },
      },
    }
    const first = await system.start(relay)

    for (const name of ['one', 'two']) storage.run(name, () => cast(first, 'relay', name))
    await settle()

    expect(seen.slice(1)).toEqual([
      ['one', 'one'],
      ['two', 'two'],
    ])
  })

  test("OpenTelemetry's active context is that of the sender", async () => {
    const key = createContextKey('tenant')
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    onTestFinished(() => context.disable())
    const tenant = <T>(name: string, work: () => T): T =>
      context.with(ROOT_CONTEXT.setValue(key, name), work)
    const look = () => context.active().getValue(key)
    const [carrying, neutral] = [
      createSystem({ asyncContext: 'sender', logger: silentLogger }),
      createSystem({ logger: silentLogger }),
    ]
    const names = Array.from({ length: 50 }, (_, number) => `tenant ${number}`)
    const ask = async (system: typeof carrying) => {
      const ref = await system.start(witness(look, []))
      return Promise.all(names.map((name) => tenant(name, () => call(ref, 'ask', 'call'))))
    }

    expect(await ask(carrying)).toEqual(names)
    expect(await ask(neutral)).toEqual(names.map(() => undefined))
  })
})

test('another word for the async context is refused', () => {
  expect(() => createSystem({ asyncContext: 'caller' as 'sender' })).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
})
