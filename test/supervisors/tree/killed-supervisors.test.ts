/**
 * A killed supervisor, a shard that went down and a user's tree all come back, and none of them
 * blocks close.
 */
import { describe, expect, test } from 'vitest'
import { WalWriter } from '../../../src/actors/index.ts'
import { startDynamicChild } from '../../../src/index.ts'
import {
  dynamicSupervisor,
  type GenServer,
  type Messages,
  name,
  Pool,
  stopProcess,
} from '../../../src/runtime/index.ts'
import { supervisor, worker } from '../../../src/supervisors/index.ts'
import { codeOf, failNextSync, machine, started } from '../../support/worlds/simulated-instance.ts'

describe('reopen', () => {
  test('works right after SHARD_DOWN, and the reported reason is the disk’s', async () => {
    const { disk, during, app } = await started()
    await during(app.store.put('a', 1))
    failNextSync(disk)
    expect(await during(codeOf(app.store.put('b', 1)))).toBe('UNKNOWN_OUTCOME')
    const refusal = await app.store.put('c', 1).catch((error) => error)
    expect(refusal).toMatchObject({
      code: 'SHARD_DOWN',
      cause: { details: { reason: 'poisoned', errno: 'EIO' } },
    })

    const [one, two] = await during(Promise.all([app.control.reopen(0), app.control.reopen(0)]))

    expect(one).toMatchObject({ was: 'down' })
    expect(two).toMatchObject({ was: 'down' })
    await during(app.store.put('d', 1))
    expect(app.store.get('a')).toBe(1)
  })
})

describe('a supervisor that is killed', () => {
  test.each(['shard(0)', 'shards', 'followers(0)', 'services'])(
    '%s comes back, and the store with it',
    async (name) => {
      const { clock, during, app } = await started({ shards: 2 }, { syncMs: 5, endMs: 20 })
      await during(app.store.put('a', 1))

      app.system.kill(name as never)
      await clock.advance(500)
      await during(app.store.put('b', 2))

      expect(app.health().shards.map(({ phase }) => phase)).toEqual(['open', 'open'])
      expect([app.store.get('a'), app.store.get('b')]).toEqual([1, 2])
      expect((await during(app.control.flushAll())).outcomes).toMatchObject([
        { ok: true },
        { ok: true },
      ])
    },
  )

  test('shard(0), ended by an operator, is reported as down, and comes back by control.reopen', async () => {
    const { clock, during, app } = await started()
    await during(app.store.put('a', 1))

    await during(stopProcess(app.system.to('shard(0)' as never), 'normal'))
    await clock.advance(10)

    expect(app.health().shards).toMatchObject([
      { phase: 'down', reason: 'its supervisor was ended: normal' },
    ])
    await during(app.control.reopen(0))
    expect(app.store.get('a')).toBe(1)
  })
})

test('a user’s process that hangs at its restart does not block close forever', async () => {
  const { clock, start, during } = machine()
  let starts = 0
  const hanging: GenServer<Messages, number> = {
    init: () => (++starts === 1 ? 0 : new Promise<number>(() => undefined)),
  }
  const app = await start({ app: supervisor('app', {}, [worker('hanging', hanging)]) })
  app.system.kill('hanging' as never)
  await clock.settle()
  expect(starts).toBe(2)

  await during(app.close({ deadlineMs: 500 }), 2_000)

  expect(await app.closed).toBe('normal')
  await during((await start()).close())
})

describe('a tree of the user’s', () => {
  const slow: GenServer<Messages, number> = {
    init: (_, context) => {
      context.trapExit(true)
      return 0
    },
    terminate: (_state, _reason, context) =>
      new Promise<void>((resolve) => {
        context.system.clock.after(20, resolve)
      }),
  }

  test('comes back after its supervisor, or the one above, was killed, even if it ends slowly', async () => {
    const { clock, during, app } = await started({
      app: supervisor('app', {}, [worker('slow', slow)]),
    })
    for (const name of ['services', 'app', 'services', 'app']) {
      app.system.kill(name as never)
      await clock.advance(200)
    }

    await during(app.store.put('a', 1))

    expect(app.system.whereis('slow' as never)).toBeDefined()
    expect((await during(app.control.flushAll())).outcomes).toMatchObject([{ ok: true }])
  })

  test('comes back when a name is held by a dynamic supervisor, whose children end slowly', async () => {
    const { clock, app } = await started({
      app: supervisor('app', {}, [dynamicSupervisor('rooms', { name: name('rooms') })]),
    })
    const rooms = () => app.system.whereis('rooms' as never)
    await startDynamicChild(rooms() as never, worker('room', slow))
    const before = rooms()

    app.system.kill('app' as never)
    await clock.advance(200)

    expect(rooms()?.pid).toBeGreaterThan(before?.pid as number)
  })

  test('comes back when a name is held two levels below the supervisor that was killed', async () => {
    const { clock, app } = await started({
      app: supervisor('app', {}, [
        supervisor('middle', {}, [
          supervisor('deep', {}, [worker('slow', slow, { name: 'slow' })]),
        ]),
      ]),
    })
    const before = app.system.whereis('slow' as never)

    app.system.kill('middle' as never)
    await clock.advance(200)

    expect(app.system.whereis('slow' as never)?.pid).toBeGreaterThan(before?.pid as number)
  })

  test('comes back when a name is held by a pool, whose workers end slowly', async () => {
    const crew = Pool.childSpec('crew', { server: slow, size: 2, name: name('crew') as never })
    const { clock, during, app } = await started({ app: supervisor('app', {}, [crew]) })
    const before = app.system.whereis('crew' as never)

    app.system.kill('app' as never)
    await clock.advance(200)

    expect(app.system.whereis('crew' as never)?.pid).toBeGreaterThan(before?.pid as number)
    expect(await during(Pool.status(app.system.to('crew' as never)))).toMatchObject({ idle: 2 })
  })

  test('does not delay close beyond its deadline, however deep it hangs', async () => {
    const { clock, start, during } = machine()
    const stuck: GenServer<Messages, number> = {
      ...slow,
      terminate: () => new Promise<void>(() => undefined),
    }
    const endless = { shutdown: 'infinity' } as const
    const tree = supervisor('app', {}, [
      worker('a', stuck, endless),
      supervisor('inner', {}, [worker('b', stuck, endless)]),
    ])
    const app = await start({ app: tree })
    const before = clock.monotonic()

    await during(app.close({ deadlineMs: 500 }), 5_000)

    expect(clock.monotonic() - before).toBeLessThan(700)
    expect(app.system.processes()).toEqual([])
  })
})

describe('a shard that is down', () => {
  test('is not opened by the restart of a writer that was killed while it stopped, and reopens', async () => {
    const { clock, disk, during, app } = await started({}, { endMs: 5 })
    await during(app.store.put('a', 1))
    failNextSync(disk)
    const put = codeOf(app.store.put('b', 1))
    while (app.shards[0]?.phase.kind !== 'down') await clock.advance(1)

    app.system.kill(WalWriter.name(0))
    expect(await during(put)).toBe('UNKNOWN_OUTCOME')
    await clock.advance(100)
    expect(app.system.whereis(WalWriter.name(0))).toBeUndefined()

    expect(await during(app.control.reopen(0))).toMatchObject({ was: 'down' })
    expect(app.store.get('a')).toBe(1)
  })
})
