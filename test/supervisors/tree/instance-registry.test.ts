import { describe, expect, test } from 'vitest'
import {
  call,
  type GenServer,
  name,
  noReply,
  type Ref,
  Registry,
  reply,
  supervisor,
  via,
  worker,
} from '../../../src/index.ts'
import { machine, started } from '../../support/worlds/simulated-instance.ts'

type Room = { calls: { who: () => unknown }; casts: { leave: () => void } }

/**
 * A room that also enters itself under its number, in the registry that its surroundings give it.
 */
const room: GenServer<Room, number, number, { readonly registry: Registry.Handle }> = {
  init: (number, context) => {
    Registry.register(context, context.app.registry, ['number', number], null)
    return number
  },
  calls: { who: (number) => reply(number, number) },
  casts: { leave: (number) => noReply(number) },
}

describe("an instance's registry", () => {
  test('is there before the tree of its user, which names and registers itself in it', async () => {
    const { start } = machine()
    const lobby = via(name<Registry.Messages>('registry'), 'lobby')
    const app = await start({
      app: supervisor('app', {}, [worker('room', room, { arg: 7, name: lobby })]),
    })

    expect(await call(app.system.to(lobby) as Ref<Room>, 'who')).toBe(7)
    expect(Registry.lookup(app.registry, ['number', 7])).toHaveLength(1)
    expect(Registry.keys(app.registry, app.system.whereis(lobby) as Ref)).toEqual([
      'lobby',
      ['number', 7],
    ])
  })

  test('is that of its instance alone', async () => {
    const { app } = await started({ instance: 'orders' })

    expect(app.registry.name).toBe("registry('orders')")
    expect(Registry.count(app.registry)).toBe(0)
  })

  test('takes the services along when it dies, and all come back', async () => {
    const { clock, during, app } = await started({
      app: supervisor('app', {}, [worker('room', room, { arg: 7 })]),
    })
    const before = app.system.info(name('room'))?.pid

    app.system.kill(app.registry)
    await clock.advance(100)

    expect(app.system.info(name('room'))?.pid).not.toBe(before)
    expect(Registry.lookup(app.registry, ['number', 7])).toHaveLength(1)
    await during(app.store.put('a', 1))
    expect(app.store.get('a')).toBe(1)
  })
})
