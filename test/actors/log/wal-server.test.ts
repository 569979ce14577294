/** `keelson/wal-server`: an actor that owns a log of its own, its ends and its lives. */
import { describe, expect, test } from 'vitest'
import * as WalServer from '../../../src/actors/log/wal-server.ts'
import {
  createSystem,
  name,
  startSupervisor,
  supervisor,
  worker,
} from '../../../src/runtime/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { outcomesOf } from '../../support/worlds/batched-instance.ts'
import { dir } from '../../support/worlds/logs.ts'
import { codeOf, failNext } from '../../support/worlds/simulated-instance.ts'
import { bytesOf, type WalWorldOptions, walWorld } from '../../support/worlds/wals.ts'

const log = name<WalServer.Messages>('log')

/** A log's server under a supervisor, on a simulated disk. */
const served = async ({
  queueBytes = 1024 * 1024,
  ...on
}: WalWorldOptions & { queueBytes?: number } = {}) => {
  const world = walWorld(on)
  const { clock, disk } = world
  const system = createSystem({ clock, logger: silentLogger })
  const server = WalServer.serverOf(() => world.open(), queueBytes)
  const terms = { name: log, restart: 'transient', shutdown: 'infinity' } as const
  const during = async <T>(work: Promise<T>, ms = 100): Promise<T> => {
    let isOver = false
    const end = () => {
      isOver = true
    }
    work.then(end, end)
    for (let at = 0; at < ms && !isOver; at++) await clock.advance(1)
    return work
  }
  const tree = supervisor('root', { strategy: 'one_for_one' }, [
    worker('log', server, undefined, terms),
  ])
  await during(startSupervisor(system, tree))
  const entries = async (): Promise<string[]> => {
    const read: string[] = []
    for await (const { type, bytes } of WalServer.read(system.to(log)))
      read.push(`${type} ${Buffer.from(bytes)}`)
    return read
  }
  return { ...world, disk, clock, system, server, during, entries, ref: system.to(log) }
}

const text = (of: string): Uint8Array => Buffer.from(of)

describe('the server of a log', () => {
  test('answers appends after their sync, in groups, and reads them in order', async () => {
    const { ref, during, entries } = await served()

    const first = await during(WalServer.append(ref, 7, text('a')))
    const more = ['b', 'c', 'd'].map((each) => WalServer.writeEntry(ref, text(each)))
    const lsns = (await during(Promise.all(more))).map(({ lsn }) => lsn)

    expect([first.lsn, ...lsns]).toEqual([1, 2, 3, 4])
    expect(await during(entries())).toEqual(['7 a', '0 b', '0 c', '0 d'])
    expect((await during(WalServer.sync(ref))).durableLsn).toBeGreaterThanOrEqual(4)
    await during(WalServer.settled(ref))
  })

  test('has checkpoints, releases and a description with the report of its opening', async () => {
    const { ref, during } = await served()
    for (let at = 0; at < 40; at++) await during(WalServer.writeEntry(ref, bytesOf(at, 600)))

    const lsn = await during(WalServer.createCheckpoint(ref, text('state')))
    const { removed, firstLsn } = await during(WalServer.release(ref, lsn))
    const found: unknown[] = []
    const reading = async () => {
      for await (const each of WalServer.read(ref, { checkpoints: true }))
        if (each.type === 'checkpoint') found.push(Buffer.from(each.bytes).toString())
    }
    await during(reading())

    expect([removed > 0, firstLsn > 1, found]).toEqual([true, true, ['state']])
    expect(await during(WalServer.describe(ref))).toMatchObject({
      mode: 'open',
      checkpointLsn: expect.any(Number),
      report: { created: true, cutBytes: 0 },
    })
  })

  test('has the bytes of a call, whatever its caller does with their memory afterwards', async () => {
    const { ref, during, entries } = await served({ delayMs: 20, queueBytes: 100 })
    const memory = Buffer.alloc(60)
    const appends = ['a', 'b', 'c', 'd'].map((each) => {
      memory.fill(each)
      return WalServer.writeEntry(ref, memory)
    })
    memory.fill('e')
    const checkpoint = WalServer.createCheckpoint(ref, memory)
    memory.fill('f')
    await during(Promise.all([...appends, checkpoint]), 500)

    expect(await during(entries(), 500)).toEqual(
      ['a', 'b', 'c', 'd'].map((each) => `0 ${each.repeat(60)}`),
    )
    const opaque: string[] = []
    const reading = async () => {
      for await (const { type, bytes } of WalServer.read(ref, { checkpoints: true }))
        if (type === 'checkpoint') opaque.push(`${Buffer.from(bytes)}`)
    }
    await during(reading(), 500)
    expect(opaque).toEqual(['e'.repeat(60)])
  })

  test('refuses what the log refuses, and goes on', async () => {
    const { ref, during, system } = await served()

    expect(await codeOf(during(WalServer.append(ref, -1, text('a'))))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(during(WalServer.writeEntry(ref, bytesOf(1, 1_000_000))))).toBe('TOO_LARGE')
    expect(await codeOf(during(WalServer.release(ref, -1)))).toBe('INVALID_ARGUMENT')
    const wrong = WalServer.read(ref, { from: -1 }).next()
    expect(await codeOf(during(wrong))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(during(WalServer.writeEntry(ref, 'text' as never)))).toBe(
      'INVALID_ARGUMENT',
    )

    expect(await codeOf(during(WalServer.writeEntry(ref, text('a'))))).toBe('ok')
    expect(system.whereis(log)).toBeDefined()
  })

  test('holds up its mailbox while more waits for the disk than its queue has room for', async () => {
    const { ref, during, system, clock } = await served({ delayMs: 20, queueBytes: 100 })
    const appends = Array.from({ length: 10 }, (_, at) => WalServer.writeEntry(ref, bytesOf(at)))
    await clock.settle()

    expect(system.info(log)?.mailbox).toBeGreaterThan(4)
    const outcomes = outcomesOf(appends)
    await during(Promise.all(appends), 500)
    expect(outcomes).toEqual(appends.map(() => 'ok'))
  })
})

describe('a server of a log that ends', () => {
  test('by a kill has its log closed, and the next one opens it with everything that was answered', async () => {
    const { ref, during, system, entries, clock } = await served({ delayMs: 2 })
    await during(WalServer.writeEntry(ref, text('a')))
    const doubtful = codeOf(WalServer.writeEntry(ref, text('b')))
    await clock.advance(1)

    system.kill(log)
    expect(await during(doubtful)).toBe('UNKNOWN_OUTCOME')
    await during(WalServer.settled(ref), 200)

    expect((await during(entries()))[0]).toBe('0 a')
    expect(await codeOf(during(WalServer.writeEntry(ref, text('c'))))).toBe('ok')
  })

  test('again and again loses nothing that was answered, and never meets its own lock', async () => {
    const { ref, during, system, entries, clock } = await served({ delayMs: 1 })
    const answered: string[] = []
    for (let life = 0; life < 12; life++) {
      await during(WalServer.settled(ref), 200)
      await during(WalServer.writeEntry(ref, text(`${life}`)))
      answered.push(`0 ${life}`)
      void WalServer.writeEntry(ref, text('lost?')).catch(() => undefined)
      system.kill(log)
      await clock.advance(6_000)
    }

    const kept = (await during(entries())).filter((each) => !each.endsWith('lost?'))
    expect(kept).toEqual(answered)
  })

  test('killed while it opens leaves a log that the next one opens', async () => {
    const { ref, during, system, clock } = await served({ delayMs: 5 })
    for (let at = 0; at < 2; at++) {
      system.kill(log)
      await clock.advance(1)
    }

    expect(await codeOf(during(WalServer.writeEntry(ref, text('a')), 200))).toBe('ok')
  })

  test('by a failed sync is not started again, and answers nobody with more than it knows', async () => {
    const { ref, during, system, disk, entries } = await served()
    await during(WalServer.writeEntry(ref, text('a')))
    failNext(disk, 'sync', `${dir}/0`)

    expect(await codeOf(during(WalServer.writeEntry(ref, text('b'))))).toBe('UNKNOWN_OUTCOME')
    expect(await codeOf(during(WalServer.writeEntry(ref, text('c'))))).toBe('NO_PROCESS')
    expect(system.whereis(log)).toBeUndefined()
    expect(await codeOf(during(entries()))).toBe('NO_PROCESS')
  })

  test('by a sync that failed while no call was under way, is not started again', async () => {
    const { ref, during, system, disk, clock } = await served()
    await during(WalServer.writeEntry(ref, text('a')))
    failNext(disk, 'sync', `${dir}/0`)

    // The marker of the idle log.
    await clock.advance(1_000)

    expect(system.whereis(log)).toBeUndefined()
  })

  test('because its log is damaged says so with its reason', async () => {
    const { ref, during, system, disk, server, clock } = await served()
    for (let at = 0; at < 5; at++) await during(WalServer.writeEntry(ref, bytesOf(at, 600)))
    await during(WalServer.close(ref))
    const [segment = ''] = disk.list(dir).filter((each) => /^0/.test(each))
    disk.flipBit(`${dir}/${segment}`, 8 * 4_700)

    const ended: unknown[] = []
    system.events.on('process.exited', ({ reason }) => ended.push(reason))

    await during(system.start(server, undefined))
    await clock.advance(100)

    expect(ended).toMatchObject([['shutdown', { code: 'CORRUPT' }]])
  })

  test('by close has settled everything called before, and stays so under its supervisor', async () => {
    const { ref, during, system, open } = await served({ delayMs: 5 })
    const appends = ['a', 'b'].map((each) => WalServer.writeEntry(ref, text(each)))
    const outcomes = outcomesOf([...appends, WalServer.close(ref)])
    await during(Promise.allSettled(appends), 200)
    await during(
      WalServer.close(ref).catch(() => undefined),
      50,
    )

    expect(outcomes).toEqual(['ok', 'ok', 'ok'])
    expect(system.whereis(log)).toBeUndefined()
    const wal = await during(open())
    expect(wal.report).toMatchObject({ tail: 'clean', lastLsn: expect.any(Number) })
    await during(wal.close())
  })

  test('with its supervisor closes the log in order', async () => {
    const { ref, during, system, open } = await served({ delayMs: 5 })
    await during(WalServer.writeEntry(ref, text('a')))

    await during(system.stop(), 200)

    const wal = await during(open())
    expect(wal.report.tail).toBe('clean')
    await during(wal.close())
  })
})

test('a second process with the same server is refused while the first has the log', async () => {
  const { during, system, server, ref, clock } = await served()
  const ended: unknown[] = []
  system.events.on('process.exited', ({ reason }) => ended.push(reason))
  await during(system.start(server, undefined))
  await clock.advance(10)

  expect(ended).toMatchObject([['shutdown', { code: 'CONFLICT' }]])
  expect(await codeOf(during(WalServer.writeEntry(ref, text('a'))))).toBe('ok')
})

test('wrong options are refused where they are written', () => {
  for (const options of [{}, { dir: '' }, { dir: 'a', fsync: true }, { dir: 'a', maxFileSize: 1 }])
    expect(() => WalServer.walServer(options as never)).toThrow(
      expect.objectContaining({ code: 'CONFIG' }),
    )
  expect(WalServer.childSpec('audit', { dir: 'a' })).toMatchObject({
    id: 'audit',
    restart: 'transient',
    shutdown: 'infinity',
  })
})
