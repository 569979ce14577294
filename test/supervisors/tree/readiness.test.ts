/** `app.ready()`: what it waits for, what it says, and that it never hangs. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import {
  type App,
  call,
  createSystem,
  type GenServer,
  name,
  reply,
  supervisor,
  terminateChild,
  worker,
} from '../../../src/index.ts'
import { treeNames } from '../../../src/supervisors/index.ts'
import { Readiness } from '../../../src/supervisors/tree/readiness.ts'
import type { Shard } from '../../../src/supervisors/tree/shard.ts'
import { codeOf, failNextSync, machine } from '../../support/worlds/simulated-instance.ts'

type Asked = { calls: { value: () => unknown } }

/** Takes 100 ms to start; a restart takes as long. */
const slow: GenServer<Asked, unknown> = {
  init: (_, { system, app }) =>
    new Promise((resolve) => void system.clock.after(100, () => resolve(app.store.get('a')))),
  calls: { value: (state) => reply(state, state) },
}
const tree = supervisor('app', {}, [worker('slow', slow)])
const at = name<Asked>('slow')

const started = async (options = {}) => {
  const world = machine()
  const app = await world.start({ shards: 2, ...options })
  return { ...world, app }
}

/** Whether `ready` has resolved, asked now and later. */
const watched = (app: App) => {
  const state = { isReady: false }
  const ready = app.ready().then((answer) => {
    state.isReady = true
    return answer
  })
  return { state, ready }
}

describe('ready', () => {
  test('resolves at once when start has resolved', async () => {
    const { app, clock } = await started({ app: tree })
    const { state, ready } = watched(app)
    await clock.settle()

    expect(state.isReady).toBe(true)
    expect(await ready).toEqual({ down: [] })
  })

  test('waits until a shard that restarts is open', async () => {
    const { app, clock, during } = await started()
    app.system.kill(name('wal_writer(0)'))
    await clock.settle()
    const { state, ready } = watched(app)
    const phases = () => app.health().shards.map(({ phase }) => phase)
    expect(phases()).toEqual(['recovering', 'open'])
    expect(state.isReady).toBe(false)

    await during(ready)

    expect(phases()).toEqual(['open', 'open'])
  })

  test('waits until the tree of the user has started again', async () => {
    const { app, clock, during } = await started({ app: tree })
    app.system.kill(name('app'))
    await clock.advance(50)
    const { state, ready } = watched(app)
    await clock.advance(40)
    expect(state.isReady).toBe(false)

    await during(ready)

    expect(await call(app.system.to(at), 'value')).toBe(undefined)
  })

  test('names the shards that are down', async () => {
    const { app, disk, during } = await started()
    failNextSync(disk, 1)
    await during(app.store.putMany(['a', 'b', 'c', 'd'].map((key) => [key, 1]))).catch(() => null)

    expect(await during(app.ready())).toEqual({ down: [1] })
  })

  test('is CLOSED when the instance ends before, and after', async () => {
    const { app, clock, during } = await started({ app: tree })
    app.system.kill(name('app'))
    await clock.advance(10)
    const waiting = codeOf(app.ready())

    await during(app.close())

    expect(await waiting).toBe('CLOSED')
    expect(await codeOf(app.ready())).toBe('CLOSED')
  })

  test('is CLOSED when the root supervisor ends', async () => {
    const { app, clock, during } = await started({ app: tree })
    app.system.kill(name('app'))
    await clock.advance(10)
    const waiting = codeOf(app.ready())
    app.system.kill(treeNames().root)

    expect(await during(waiting)).toBe('CLOSED')
  })

  test('is TIMEOUT with what is missing', async () => {
    const { app, during } = await started({ app: tree })
    await during(terminateChild(app.system.to(treeNames().services), 'app'))

    const error = await during(app.ready({ timeoutMs: 200 })).catch((found) => found)

    expect([error.code, error.details.lack]).toEqual(['TIMEOUT', ["the user's tree"]])
    expect(await codeOf(app.ready({ timeoutMs: 0 }))).toBe('INVALID_ARGUMENT')
  })
})

describe('an instance', () => {
  test.each([
    [['open', 'recovering'], 'ready'],
    [['recovering', 'down'], 'starting'],
    [['down', 'down'], 'down'],
    [['elsewhere', 'elsewhere'], 'ready'],
    // Its first shard comes to it: until then, and from then on, it takes shards.
    [['recovering', 'elsewhere'], 'ready'],
    [['down', 'elsewhere'], 'down'],
  ] as const)('with the shards %j is %s', (kinds, state) => {
    const shards = kinds.map((kind, index) => ({ index, phase: { kind } })) as unknown as Shard[]
    const system = createSystem({ clock: virtualClock() })
    expect(new Readiness(system, shards, false).state).toBe(state)
    expect(new Readiness(system, shards, true).state).toBe(state === 'down' ? 'down' : 'starting')
  })
})
