/**
 * An actor of the log dies at each point of a group's life. The process lives, so each write gets
 * its true answer from the next one.
 */
import { describe, expect, test } from 'vitest'
import { Applier, Batcher, BlobStore, WalWriter } from '../../../src/actors/index.ts'
import { createSystem, name, stopProcess, suspend } from '../../../src/runtime/index.ts'
import type { LogHost } from '../../../src/storage/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { codeOf, failNextSync, machine, started } from '../../support/worlds/simulated-instance.ts'

const victims = { BlobStore, WalWriter, Applier, Batcher }

/** An instance whose log answers in 5 ms. `hosts`: the lives of its log. */
const world = async () => {
  const hosts: LogHost[] = []
  const aroundLog = (host: LogHost): LogHost => {
    hosts.push(host)
    return host
  }
  const made = machine({ syncMs: 5, aroundLog })
  const app = await made.start({ wal: { idleMarkerMs: 0 } })
  await made.during(app.store.put('k', ''))
  const append = (suffix: string) => app.store.append('k', suffix).then(({ length }) => length)
  return { ...made, app, hosts, append }
}

/** Kills it more often than its supervisor allows. */
const takeDown = async ({ app, clock }: Awaited<ReturnType<typeof world>>): Promise<void> => {
  for (let times = 0; times < 7; times++) {
    app.system.kill(Applier.name(0))
    await clock.settle()
  }
  await clock.advance(0)
  expect(app.shards[0]?.phase.kind).toBe('down')
}

describe.each(Object.entries(victims))('the death of %s', (_, victim) => {
  test('costs no write its answer: none that waits, is in flight, or is in the log', async () => {
    const { app, clock, during, append, hosts } = await world()
    const inTheLog = append('1')
    await during(suspend(app.system.to(Applier.name(0))))
    await clock.advance(5)
    const inFlight = append('2')
    await clock.settle()
    const waits = [append('3'), append('4')]
    await clock.settle()
    app.system.kill(victim.name(0))
    await clock.advance(1)
    if (victim === Batcher) app.system.kill(Applier.name(0))
    expect(await during(Promise.all([inTheLog, inFlight, ...waits]))).toEqual([1, 2, 3, 4])
    expect(app.store.get('k')).toBe('1234')
    // The log was never closed.
    expect(hosts).toHaveLength(1)
  })

  test('twice in one turn, too', async () => {
    const { app, clock, during, append } = await world()
    const inFlight = append('1')
    await clock.settle()
    const waits = append('2')
    for (let times = 0; times < 2; times++) {
      app.system.kill(victim.name(0))
      await clock.settle()
    }
    expect(await during(Promise.all([inFlight, waits]))).toEqual([1, 2])
  })
})

describe('a shard that goes down', () => {
  test('refuses at once what was not handed to the log, and keeps the rest for reopen', async () => {
    const made = await world()
    const { app, clock, during, append } = made
    const handed = append('handed')
    await clock.settle()
    const waiting = codeOf(append('waits'))
    await takeDown(made)
    expect(await waiting).toBe('SHARD_DOWN')
    expect(await codeOf(append('late'))).toBe('SHARD_DOWN')
    // A write that nobody can decide now holds up no `settled`.
    await during(app.store.settled())
    await clock.advance(1_000)
    await during(app.control.reopen(0))
    expect(await during(handed)).toBe(6)
    expect(app.store.get('k')).toBe('handed')
  })

  test('keeps it until its deadline', async () => {
    const made = await world()
    const { app, clock, during } = made
    const handed = codeOf(app.store.append('k', 'x', { deadlineMs: 100 }))
    await clock.settle()
    await takeDown(made)
    await clock.advance(100)
    expect(await handed).toBe('UNKNOWN_OUTCOME')
    await during(app.control.reopen(0))
    await during(app.store.settled())
    expect(app.store.get('k')).toBe('x')
  })

  test('by hand, and the log is closed cleanly with the instance', async () => {
    const { app, clock, during, append, start } = await world()
    const handed = codeOf(append('x'))
    await clock.settle()
    await during(stopProcess(app.system.to(name('shard(0)')), 'normal'))
    await during(app.close({ deadlineMs: 10 }))
    expect(await handed).toBe('UNKNOWN_OUTCOME')
    const again = await start()
    const { report } = await during(WalWriter.describe(again.system.to(WalWriter.name(0))))
    expect(report).toMatchObject({ tail: 'clean', copiedFrames: 0 })
    expect(again.store.get('k')).toBe('x')
  })

  test('holds up no close for writes that nobody can decide now, and the report names them', async () => {
    const made = await world()
    const handed = codeOf(made.append('x'))
    await made.clock.settle()
    await takeDown(made)
    const { cutOff } = await made.during(made.app.close(), 1_000)
    expect(cutOff).toEqual([{ part: 'writes', shard: 0, count: 1 }])
    expect(await handed).toBe('UNKNOWN_OUTCOME')
  })
})

test('a write that fails while there is no writer takes the shard down at the next one', async () => {
  const { app, clock, disk, during, append, hosts } = await world()
  failNextSync(disk)
  const lost = codeOf(append('x'))
  await clock.settle()
  const waits = codeOf(append('y'))
  app.system.kill(WalWriter.name(0))
  expect(await during(Promise.all([lost, waits]))).toEqual(['UNKNOWN_OUTCOME', 'NOT_SUBMITTED'])
  await clock.advance(60_000)
  expect(app.health().shards).toMatchObject([{ phase: 'down' }])
  expect(hosts).toHaveLength(1)
  await during(app.control.reopen(0))
  expect(hosts).toHaveLength(2)
})

test.each(['commit', 'mark'])(
  'a log that throws at a %s takes the shard down, and no write waits behind it',
  async (thrower) => {
    let isThrowing = false
    const aroundLog = (host: LogHost): LogHost => ({
      run: (kind, request) => {
        if (isThrowing && kind === thrower) throw new Error('no memory')
        return host.run(kind, request)
      },
      end: () => host.end(),
    })
    const { clock, during, app } = await started({ wal: { idleMarkerMs: 10 } }, { aroundLog })
    await during(app.store.put('k', 1))
    isThrowing = true
    const put = codeOf(app.store.put('k', 2))
    await clock.advance(100)
    expect(app.health().shards).toMatchObject([{ phase: 'down', reason: 'Error: no memory' }])
    isThrowing = false
    await during(app.control.reopen(0))
    expect(await during(put)).toBe(thrower === 'mark' ? 'ok' : 'NOT_SUBMITTED')
    expect((await during(app.store.append('log', 'x'))).length).toBe(1)
  },
)

test('a writer that dies while it opens the log leaves it to the next one, which shows all of it', async () => {
  let opening = (): void => undefined
  const aroundLog = (host: LogHost): LogHost => ({
    run: (kind, request) => {
      if (kind === 'open') opening()
      return host.run(kind, request)
    },
    end: () => host.end(),
  })
  const { clock, projections, start, during } = machine({ aroundLog })
  const first = await start()
  await during(first.store.put('k', 1))
  await during(first.close())
  projections.remove('/data/shard-0/lmdb')
  const system = createSystem({ clock, logger: silentLogger })
  let kills = 0
  opening = () => {
    if (kills++ === 0) system.kill(WalWriter.name(0))
  }
  const again = await start({ system })
  expect(kills).toBe(1)
  expect(again.store.get('k')).toBe(1)
  await during(again.close())
})
