/** `context.app` in an instance: what the user's processes are given, and who is given it. */
import { describe, expect, test } from 'vitest'
import { assign, fromPromise, setup } from 'xstate'
import {
  type AppContext,
  call,
  type GenServer,
  name,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import {
  type MessagesOf,
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

type Asked = { calls: { app: () => AppContext; count: () => number } }

/** Counts its starts in the store. */
const starts: GenServer<Asked, number> = {
  init: async (_, { app }) => {
    const count = ((app.store.get('starts') as number | undefined) ?? 0) + 1
    await app.store.put('starts', count)
    return count
  },
  calls: {
    app: (count, _, { app }) => reply(app, count),
    count: (count) => reply(count, count),
  },
}

const fetched = fromPromise(async ({ self }) =>
  StateMachine.contextOf(self as never).app.store.get('rate'),
)

/** Knows the rate that the store has, by an actor inside it. */
const rates = setup({
  types: {} as { context: { rate: unknown }; events: { type: 'ask' } },
  actors: { fetched },
}).createMachine({
  id: 'rates',
  context: { rate: undefined },
  initial: 'idle',
  states: {
    idle: { on: { ask: 'asking' } },
    asking: {
      invoke: {
        src: 'fetched',
        onDone: { target: 'known', actions: assign({ rate: ({ event }) => event.output }) },
      },
    },
    known: {},
  },
})

describe('context.app of an instance', () => {
  test('has its store, control, batcher, registry and name, the same for all of its processes', async () => {
    const { app } = await started({
      instance: 'orders',
      app: supervisor('app', {}, [
        worker('one', starts),
        supervisor('deep', {}, [worker('two', starts, { name: 'two' })]),
      ]),
    })

    const one = await call(app.system.to(name<Asked>('one')), 'app')
    const two = await call(app.system.to(name<Asked>('two')), 'app')

    expect(one).toBe(two)
    expect(one.instance).toBe('orders')
    expect(one.store.get('starts')).toBe(2)
    expect(one.batcher.windows()).toEqual({})
    expect((await one.control.flushAll()).outcomes).toEqual([{ shard: 0, ok: true }])
    expect(one.registry.name).toBe("registry('orders')")
  })

  test('gives an actor the health of the instance, and backups of it until that closes', async () => {
    const { during, disk, app } = await started({
      shards: 2,
      app: supervisor('app', {}, [worker('one', starts)]),
    })
    const context = await call(app.system.to(name<Asked>('one')), 'app')

    expect(context.health()).toEqual(app.health())
    expect(context.health().shards).toHaveLength(2)
    const { shards } = await during(context.backup('/backup'), 60_000)
    const applied = context.health().shards.map(({ appliedLsn }) => appliedLsn)
    expect(shards.map(({ lsn }) => lsn)).toEqual(applied)
    expect(disk.entry('/backup/backup.json')).toBeDefined()

    const late = context.backup('/late')
    const closing = app.close()
    expect(await during(codeOf(late))).toBe('CLOSED')
    await during(closing)
    expect(await codeOf(context.backup('/late'))).toBe('CLOSED')
  })

  test('is there in init, after each restart too', async () => {
    const { during, clock, app } = await started({
      app: supervisor('app', {}, [worker('one', starts)]),
    })
    const ref = app.system.to(name<Asked>('one'))

    app.system.kill(ref)
    await clock.advance(10)

    expect(await during(call(ref, 'count'))).toBe(2)
  })

  test('reaches save and restore of a state machine, and the actors inside it', async () => {
    const { start, during, clock } = machine()
    const server = StateMachine.server(rates, {
      // JSON leaves out what is undefined, which the store refuses.
      save: async (saved, { app }) => {
        await app.store.put('rates', JSON.stringify(saved))
      },
      restore: (_, { app }) => {
        const saved = app.store.get('rates')
        return typeof saved === 'string'
          ? (JSON.parse(saved) as SavedMachine<typeof rates>)
          : undefined
      },
    })
    const app = await start({ app: supervisor('app', {}, [worker('rates', server)]) })
    const ref = app.system.to(name<MessagesOf<typeof server>>('rates'))
    await during(app.store.put('rate', 3))
    StateMachine.send(ref, { type: 'ask' })
    await clock.advance(100)

    app.system.kill(ref)
    await clock.advance(100)

    const { value, context } = await during(StateMachine.snapshot(ref))
    expect([value, context.rate]).toEqual(['known', 3])
  })
})

test('close and ready refuse options that they do not have, and the instance goes on', async () => {
  const { app, during } = await started()
  for (const options of [null, { foo: 1 }, { deadlineMs: -1 }, { deadlineMs: '1s' }, 5])
    expect(await codeOf(app.close(options as never))).toBe('INVALID_ARGUMENT')
  for (const options of [null, { foo: 1 }, { timeoutMs: 0 }, { timeoutMs: '1s' }, 5])
    expect(await codeOf(app.ready(options as never))).toBe('INVALID_ARGUMENT')
  await during(app.store.put('k', 1))
})
