/** The subscription of an actor, which lives no longer than it. */
import { describe, expect, test } from 'vitest'
import type { Subscription } from '../../../src/actors/index.ts'
import { type GenServer, type Messages, name, ok, supervisor, worker } from '../../../src/index.ts'
import { append, healthOf } from '../../support/worlds/journal-entries.ts'
import { type Machine, machine } from '../../support/worlds/simulated-instance.ts'

describe('a subscription of an actor', () => {
  /** Subscribes with its signal; the handler takes 100 ms for each entry. */
  const mailer = (world: Machine, got: string[]): GenServer<Messages, Subscription> => ({
    init: (_, { app, signal }) =>
      ok(
        app.journal.subscribe({
          name: 'mail',
          signal,
          handler: async ({ id }) => {
            got.push(`begin ${id}`)
            await new Promise<void>((resolve) => world.clock.after(100, resolve))
            got.push(`end ${id}`)
          },
        }),
      ),
  })

  test('ends with it when it is killed, and the restarted one goes on: in order, none twice', async () => {
    const world = machine()
    const got: string[] = []
    const tree = supervisor('app', { intensity: 3 }, [worker('mailer', mailer(world, got))])
    const app = await world.start({ app: tree })
    await append(app, world, 'a', 'b', 'c')
    await world.clock.advance(150)
    expect(got.at(-1)).toBe('begin b')

    for (const ms of [30, 30, 400]) {
      app.system.kill(name('mailer'))
      await world.clock.advance(ms)
    }
    await append(app, world, 'd')
    await world.clock.advance(200)

    expect(got).toEqual(['a', 'b', 'c', 'd'].flatMap((id) => [`begin ${id}`, `end ${id}`]))
    expect(healthOf(app)?.subscriptions).toMatchObject([{ name: 'mail', state: 'running' }])
    expect(app.system.whereis(name('mailer'))).toBeDefined()
    await world.during(app.close())
  })

  test('that ends without being waited for hands its position over, or what it forgot', async () => {
    const world = machine()
    const app = await world.start()
    const got: string[] = []
    const subscribe = () =>
      app.journal.subscribe({ name: 'mail', handler: ({ id }) => void got.push(id) })
    await append(app, world, 'a')
    const first = subscribe()
    await world.clock.advance(50)
    const ended = first.end()
    const second = subscribe()
    await world.during(ended)
    await append(app, world, 'b')
    expect(got).toEqual(['a', 'b'])

    void second.end({ forget: true })
    subscribe()
    await world.clock.advance(50)
    expect(got).toEqual(['a', 'b', 'a', 'b'])
  })

  test('is refused with the reason of a signal that has aborted, and leaves the name free', async () => {
    const app = await machine().start()
    const subscribe = (signal: AbortSignal) =>
      app.journal.subscribe({ name: 'mail', signal, handler: () => undefined })
    const gone = new Error('gone')

    expect(() => subscribe(AbortSignal.abort(gone))).toThrow(gone)
    expect(() => subscribe({} as AbortSignal)).toThrow('signal: expected an AbortSignal')
    expect(subscribe(new AbortController().signal).health.state).toBe('running')
  })
})
