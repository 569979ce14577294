/** `app.close()`: who ends when, what still works meanwhile, and what is cut off at the deadline. */
import { describe, expect, test } from 'vitest'
import {
  type App,
  type AppContext,
  call,
  cast,
  type From,
  type GenServer,
  name,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { createSystem, Registry } from '../../../src/runtime/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { codeOf, failNextSync, machine, started } from '../../support/worlds/simulated-instance.ts'

type Saver = { calls: { app: () => AppContext }; casts: { save: (times: number) => void } }

/** Saves one value after the other in a handler, and once more at its end. */
const saver: GenServer<Saver, number, string> = {
  init: (id, context) => {
    context.trapExit(true)
    context.app.store.put(`${id}:started`, context.now()).catch(() => undefined)
    return 0
  },
  calls: { app: (state, _, { app }) => reply(app, state) },
  casts: {
    save: async (_, times, { app }) => {
      for (let saved = 1; saved <= times; saved++) await app.store.put('saved', saved)
      return noReply(times)
    },
  },
  terminate: async (state, _, { app, name: key }) => {
    await app.store.put(`${key}:end`, { state, after: app.store.get('ends') ?? 0 })
    await app.store.put('ends', ((app.store.get('ends') as number) ?? 0) + 1)
  },
}

const saving = (...ids: string[]) =>
  supervisor(
    'app',
    {},
    ids.map((id) => worker(id, saver, { arg: id })),
  )

/** Every call of the handles that a caller of `start` holds. */
const outside: readonly (readonly [string, (app: App) => unknown])[] = [
  ['store.get', ({ store }) => store.get('a')],
  ['store.has', ({ store }) => store.has('a')],
  ['store.ttl', ({ store }) => store.ttl('a')],
  ['store.getMany', ({ store }) => store.getMany(['a'])],
  ['store.getRange', ({ store }) => store.getRange('a', 0, 1)],
  ['store.getStream', ({ store }) => store.getStream('a')],
  ['store.load', ({ store }) => store.load('a')],
  ['store.fields', ({ store }) => store.fields('a')],
  ['store.getField', ({ store }) => store.getField('a', 'b')],
  ['store.range', ({ store }) => store.range()],
  ['store.entries', ({ store }) => store.entries().next()],
  ['store.put', ({ store }) => store.put('a', 1)],
  ['store.putMany', ({ store }) => store.putMany([['a', 1]])],
  ['store.clear', ({ store }) => store.clear()],
  ['store.putStream', ({ store }) => store.putStream('a', [])],
  ['store.batch', ({ store }) => store.batch().put('a', 1).commit()],
  ['store.lock', ({ store }) => store.lock(['a'], { owner: 'me', leaseMs: 10 })],
  ['store.settled', ({ store }) => store.settled()],
  ['control.suspend', ({ control }) => control.suspend(0)],
  ['control.resumeAll', ({ control }) => control.resumeAll()],
  ['control.flush', ({ control }) => control.flush(0)],
  ['control.flushAll', ({ control }) => control.flushAll()],
  ['control.discardAll', ({ control }) => control.discardAll()],
  ['control.sweep', ({ control }) => control.sweep(0)],
  ['control.reopen', ({ control }) => control.reopen(0)],
  ['batcher.windows', ({ batcher }) => batcher.windows()],
  ['batcher.changes', ({ batcher }) => batcher.changes()],
  ['batcher.setWindow', ({ batcher }) => batcher.setWindow('a', 10)],
  ['batcher.flush', ({ batcher }) => batcher.flush()],
  ['batcher.writeDeleteBatch', ({ batcher }) => batcher.writeDeleteBatch(0, ['a'])],
  [
    'batcher.writeDeleteBatchAsync',
    ({ batcher }) => batcher.writeDeleteBatchAsync(0, ['a'], {} as From<never>),
  ],
  ['wal.position', (app) => app.wal(0).position],
  ['wal.describe', (app) => app.wal(0).describe()],
  ['wal.sync', (app) => app.wal(0).sync()],
]

/** The names of the calls that do anything but refuse with `CLOSED`. */
const taken = async (app: App): Promise<string[]> => {
  const codes = outside.map(
    async ([called, run]) => [called, await codeOf((async () => run(app))())] as const,
  )
  return (await Promise.all(codes)).flatMap(([called, code]) => (code === 'CLOSED' ? [] : [called]))
}

describe('close', () => {
  test('lets handlers under way finish and terminate write: the storage is open until the tree has ended', async () => {
    const { start, during, app } = await started({ app: saving('one') })
    cast(app.system.to(name<Saver>('one')), 'save', 5)

    expect(await during(app.close())).toEqual({ cutOff: [] })

    const again = await start()
    expect(again.store.get('saved')).toBe(5)
    expect(again.store.get('one:end')).toEqual({ state: 5, after: 0 })
  })

  test('ends the tree in reverse order of its start', async () => {
    const { start, during, app } = await started({ app: saving('one', 'two', 'three') })

    await during(app.close())

    const again = await start()
    const order = ['three', 'two', 'one'].map((id) => again.store.get(`${id}:end`))
    expect(order).toEqual([0, 1, 2].map((after) => ({ state: 0, after })))
  })

  test('refuses every call from outside at once, while context.app goes on working', async () => {
    const { during, app } = await started({ app: saving('one') })
    const inside = await during(call(app.system.to(name<Saver>('one')), 'app'))
    cast(app.system.to(name<Saver>('one')), 'save', 5)

    const closing = app.close()

    expect(await taken(app)).toEqual([])
    inside.batcher.setWindow('a', 10)
    await during(Promise.all([inside.store.put('inside', 1), inside.control.flushAll()]))
    expect(inside.store.get('inside')).toBe(1)
    await during(closing)
  })

  test('leaves handles outside and inside with CLOSED', async () => {
    const { during, app } = await started({ app: saving('one') })
    const inside = await during(call(app.system.to(name<Saver>('one')), 'app'))

    await during(app.close())

    expect(await taken(app)).toEqual([])
    expect(() => inside.batcher.setWindow('a', 10)).toThrow('closed')
    expect(await codeOf(inside.store.put('a', 1))).toBe('CLOSED')
    expect(await codeOf(inside.control.flushAll())).toBe('CLOSED')
  })

  test('that the root supervisor causes itself leaves the same', async () => {
    const { during, app } = await started()

    app.system.kill(name('keelson'))
    await during(app.closed)

    expect(await taken(app)).toEqual([])
  })

  test('answers a write that was called before it', async () => {
    const { during, app } = await started()
    const written = app.store.put('a', 1, { windowMs: 5_000 })

    await during(app.close(), 1_000)

    expect(await codeOf(written)).toBe('ok')
  })

  test('logs a log that cannot be closed cleanly, and stops its System all the same', async () => {
    const world = new SimulatedMachine()
    const logger = capturedLog()
    const app = await world.start({ dir: '/data', logger, wal: { maxFileSize: 256 * 1024 } })
    await Registry.start(app.system, { keys: 'unique' })
    await world.during(app.store.put('a', 1))
    failNextSync(world.disk)

    await world.during(app.close())

    expect(logger.messages('error')).toEqual([
      expect.stringMatching(/^shard 0 was not closed cleanly: .*EIO: sync/),
    ])
    expect(app.system.processes()).toEqual([])
    const again = await world.start({ dir: '/data', logger, wal: { maxFileSize: 256 * 1024 } })
    expect(again.store.get('a')).toBe(1)
    await world.during(again.close())
  })
})

describe('at its deadline close', () => {
  /** Never ends by itself. */
  const stubborn: GenServer<Messages, null> = {
    init: (_, context) => {
      context.trapExit(true)
      return null
    },
    terminate: () => new Promise(() => undefined),
  }
  type Messages = Record<never, never>

  test('kills what is left of the tree, and names it in the report and in the log', async () => {
    const world = machine()
    const logger = capturedLog()
    const system = createSystem({ clock: world.clock, logger })
    const tree = supervisor('app', {}, [
      supervisor('deep', {}, [worker('stubborn', stubborn)].map(patient)),
      worker('quick', saver, { arg: 'quick' }),
    ])
    const app = await world.start({ system, app: tree })
    const pid = system.processes().find(({ label }) => label === 'stubborn')?.pid

    const report = await world.during(app.close({ deadlineMs: 50 }), 100)

    expect(report).toEqual({ cutOff: [{ part: 'process', process: `stubborn<${pid}>` }] })
    expect(logger.messages('warn')).toEqual([
      `the instance default has closed with work undone (deadline 50 ms): killed stubborn<${pid}>`,
    ])
    expect(system.processes()).toEqual([])
    expect((await world.start()).store.has('quick:end')).toBe(true)
  })

  /** As long as it takes. */
  const patient = (part: ReturnType<typeof worker>) => ({
    ...part,
    options: { ...part.options, shutdown: 'infinity' as const },
  })

  test('names the writes without an answer, which settle all the same', async () => {
    const { world, app } = await started({}, { syncMs: 500 })
    const written = codeOf(app.store.put('a', 1))

    const { cutOff } = await world.during(app.close({ deadlineMs: 20 }), 5_000)

    expect(cutOff).toEqual([{ part: 'writes', shard: 0, count: 1 }])
    expect(await written).toBe('UNKNOWN_OUTCOME')
  })

  test('names a projection that cannot be flushed, with its reason', async () => {
    const { during, projections, app } = await started()
    await during(app.store.put('a', 1))
    projections.failCommits('/data/shard-0/lmdb', Number.POSITIVE_INFINITY)

    const { cutOff } = await during(app.close())

    expect(cutOff).toMatchObject([{ part: 'projection', shard: 0 }])
    expect(JSON.stringify(cutOff)).toContain('DEGRADED')
  })
})

describe('while an instance closes', () => {
  test('its tree is not started again, whoever ends it', async () => {
    const { during, clock, app } = await started({ app: saving('one') })
    const begun: unknown[] = []
    app.system.events.on('process.started', ({ name: known }) => begun.push(known))

    const closing = app.close()
    app.system.kill(name('services'))
    await clock.advance(50)
    await during(closing)

    expect(begun).not.toContain('one')
  })
})
