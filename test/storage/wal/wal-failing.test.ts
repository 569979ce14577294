/** A log as a library whose disk fails, fills up or disappears, and the end of a log. */
import { describe, expect, test } from 'vitest'
import type { LogHost } from '../../../src/storage/ports/log-host.ts'
import { KeelsonError, Wal } from '../../../src/storage/wal/wal.ts'
import { openWalFiles } from '../../../src/storage/wal/wal-opening.ts'
import { checkWalOptions } from '../../../src/storage/wal/wal-options.ts'
import { dir, segmentsOn } from '../../support/worlds/logs.ts'
import { bytesOf, openedWal, outcome, readAll, shown, walWorld } from '../../support/worlds/wals.ts'

const types = async (wal: Wal): Promise<unknown[]> => (await readAll(wal)).map(({ type }) => type)

describe('a sync that fails once', () => {
  const poisoned = async () => {
    const { world, wal } = await openedWal()
    await wal.append(1, bytesOf(1))
    const [segment = ''] = segmentsOn(world.disk)
    world.disk.inject({ at: 1, operation: 'sync', path: segment, fault: { kind: 'error' } })
    const calls = world.disk.recordCalls()
    return { ...world, world, wal, segment, calls }
  }

  test('rejects entries in flight with UNKNOWN_OUTCOME, waiting ones with NOT_SUBMITTED, later ones with SHARD_DOWN', {
    tags: ['D15', 'E23'],
  }, async () => {
    const { wal, segment, calls } = await poisoned()
    const submitted = [2, 3].map((each) => outcome(wal.append(each, bytesOf(each))))
    // The group leaves with this turn of the event loop; later entries wait for the next group.
    await new Promise((resolve) => setImmediate(resolve))
    const queued = [
      outcome(wal.append(4, bytesOf(4))),
      outcome(wal.createCheckpoint()),
      outcome(wal.sync()),
    ]
    expect(await Promise.all(submitted)).toEqual(['UNKNOWN_OUTCOME', 'UNKNOWN_OUTCOME'])
    expect(await Promise.all(queued)).toEqual(['NOT_SUBMITTED', 'NOT_SUBMITTED', 'NOT_SUBMITTED'])
    for (const later of [
      () => wal.append(5, bytesOf(5)),
      () => wal.sync(),
      () => wal.createCheckpoint(),
      () => wal.release(1),
      () => readAll(wal),
      () => wal.close(),
    ])
      await expect(later()).rejects.toMatchObject({
        code: 'SHARD_DOWN',
        details: { reason: 'poisoned' },
      })
    expect(
      calls.filter(({ operation, path }) => operation === 'sync' && path === segment),
    ).toHaveLength(1)
  })

  test('is told by `failed`, which a close does not settle', async () => {
    const { wal, world } = await poisoned()
    const told: unknown[] = []
    void wal.failed.then((failure) => told.push(failure))
    await outcome(wal.append(2, bytesOf(2)))
    expect(told).toMatchObject([{ code: 'SHARD_DOWN', details: { reason: 'poisoned' } }])
    await outcome(wal.close())

    const again = await world.open()
    void again.failed.then((failure) => told.push(failure))
    await again.close()
    expect(told).toHaveLength(1)
  })

  test('leaves a folder that opens again in the same process, with everything acknowledged', {
    tags: ['E25'],
  }, async () => {
    const { world, wal } = await poisoned()
    expect(await outcome(wal.append(2, bytesOf(2)))).toBe('UNKNOWN_OUTCOME')
    expect(await wal.describe()).toMatchObject({ mode: 'failed', durableLsn: 1 })
    expect(await outcome(world.open())).toBe('LOCKED_DIR')
    expect(await outcome(wal.close())).toBe('SHARD_DOWN')
    const again = await world.open()
    expect((await types(again))[0]).toBe(1)
    await again.append(3, bytesOf(3))
    world.disk.crash({ unsynced: 'lost' })
    const found = await types(await world.open())
    expect([found[0], found.at(-1)]).toEqual([1, 3])
  })

  test('ends a running read after the pieces that it has', async () => {
    const { world, wal } = await openedWal({ maxFileSize: 1024 * 1024 })
    await Promise.all(Array.from({ length: 400 }, (_, at) => wal.append(at, bytesOf(at, 1500))))
    const reading = wal.readAll()
    await reading.next()
    world.disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    expect(await outcome(wal.append(1, bytesOf(1)))).toBe('UNKNOWN_OUTCOME')
    let count = 1
    const rest = async (): Promise<void> => {
      for await (const _ of reading) count++
    }
    expect(await outcome(rest())).toBe('SHARD_DOWN')
    expect(count).toBeGreaterThan(100)
    expect(count).toBeLessThan(400)
  })

  test('in the background rejects the next call, and close', async () => {
    const { world, wal } = await openedWal({ syncInterval: 10 })
    await wal.append(1, bytesOf(1))
    world.disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    await world.clock.advance(10)
    expect(await outcome(wal.append(2, bytesOf(2)))).toBe('SHARD_DOWN')
    expect(await outcome(wal.close())).toBe('SHARD_DOWN')
    await world.open()
  })
})

describe('a thread', () => {
  const brokenBy = async (failure: unknown) => {
    const world = walWorld()
    await (await world.open()).close()
    let isBroken = false
    const makeHost = (): LogHost => {
      const host = world.ports.makeHost()
      return {
        ...host,
        run: (kind, request) =>
          isBroken && kind === 'commit' ? Promise.reject(failure) : host.run(kind, request),
      }
    }
    const settings = { ...checkWalOptions({ dir }), maxFileSize: 8 * 1024 }
    const wal = new Wal(await openWalFiles(settings, { ...world.ports, makeHost }))
    await wal.append(1, bytesOf(1))
    isBroken = true
    return { world, wal, code: await outcome(wal.append(2, bytesOf(2))) }
  }

  test('that dies while no call is pending is told by `failed`, and no entry is sent to it', async () => {
    const world = walWorld()
    let die: (error: KeelsonError) => void = () => undefined
    const died = new Promise<KeelsonError>((resolve) => {
      die = resolve
    })
    const ports = { ...world.ports, makeHost: () => ({ ...world.ports.makeHost(), died }) }
    const settings = { ...checkWalOptions({ dir }), maxFileSize: 8 * 1024 }
    const wal = new Wal(await openWalFiles(settings, ports))
    await wal.append(1, bytesOf(1))
    const gone = new KeelsonError('SHARD_DOWN', 'gone', { details: { reason: 'thread' } })
    die(gone)

    expect(await wal.failed).toBe(gone)
    expect(await outcome(wal.append(2, bytesOf(2)))).toBe('SHARD_DOWN')
    expect(await outcome(wal.close())).toBe('SHARD_DOWN')
    expect(await types(await world.open())).toEqual([1])
  })

  test.each([
    ['dies', new KeelsonError('SHARD_DOWN', 'gone', { details: { reason: 'thread' } }), 'thread'],
    ['does what nobody foresaw', new TypeError('undefined is not a function'), 'defect'],
  ])(
    'that %s is final, and says so; the folder opens with everything answered',
    { tags: ['E55'] },
    async (_, failure, reason) => {
      const { world, wal, code } = await brokenBy(failure)
      expect(code).toBe('UNKNOWN_OUTCOME')
      await expect(wal.append(4, bytesOf(4))).rejects.toMatchObject({
        code: 'SHARD_DOWN',
        details: { reason },
      })
      expect(await outcome(wal.close())).toBe('SHARD_DOWN')
      expect(await types(await world.open())).toEqual([1])
    },
  )
})

describe('a write', () => {
  test.each([
    ['fails', { kind: 'error' } as const],
    ['is short', { kind: 'short', bytes: 100 } as const],
  ])(
    'that %s is final, and the folder opens with everything acknowledged',
    { tags: ['E26', 'E29'] },
    async (_, fault) => {
      const { world, wal } = await openedWal()
      await wal.append(1, bytesOf(1))
      world.disk.inject({ at: 1, operation: 'write', fault })
      expect(await outcome(wal.append(2, bytesOf(2, 2000)))).toBe('UNKNOWN_OUTCOME')
      expect(await outcome(wal.append(3, bytesOf(3)))).toBe('SHARD_DOWN')
      expect(await outcome(wal.close())).toBe('SHARD_DOWN')
      expect((await types(await world.open()))[0]).toBe(1)
    },
  )
})

describe('a full disk', () => {
  test('refuses with NO_SPACE before any byte is written; reads continue, and appends once there is room', {
    tags: ['D18', 'E28'],
  }, async () => {
    const world = walWorld()
    const { disk } = world
    const wal = await world.open()
    await wal.append(0, bytesOf(0))
    disk.capacityBytes = 2 ** 40
    disk.capacityBytes -= disk.freeBytes
    const codes = await Promise.all(
      Array.from({ length: 30 }, (_, at) => outcome(wal.append(at + 1, bytesOf(at, 900)))),
    )
    const taken = codes.filter((code) => code === 'resolved').length
    expect(new Set(codes)).toEqual(new Set(['resolved', 'NO_SPACE']))
    expect(codes.lastIndexOf('resolved')).toBeLessThan(codes.indexOf('NO_SPACE'))
    expect(await types(wal)).toHaveLength(1 + taken)
    disk.capacityBytes = Number.POSITIVE_INFINITY
    expect(await outcome(wal.append(99, bytesOf(99, 2000)))).toBe('resolved')
    await wal.close()
    expect(await types(await world.open())).toHaveLength(2 + taken)
  })
})

describe('close', () => {
  test('settles everything called before, CLEAN_CLOSE last; later calls are CLOSED', {
    tags: ['D33', 'E49'],
  }, async () => {
    const { world, wal } = await openedWal({ maxDelayMs: 50 })
    const appended = Array.from({ length: 50 }, (_, at) => wal.append(at, bytesOf(at, 300)))
    const closing = wal.close()
    expect(wal.close()).toBe(closing)
    const later = [
      outcome(wal.append(99, bytesOf(99))),
      outcome(wal.writeEntry(bytesOf(99))),
      outcome(wal.sync()),
      outcome(wal.createCheckpoint()),
      outcome(wal.release(1)),
    ]
    expect(await Promise.all(later)).toEqual(later.map(() => 'CLOSED'))
    await Promise.all(appended)
    await closing
    await wal.close()
    expect(await outcome(wal.describe())).toBe('CLOSED')
    const { report } = await world.open()
    expect(report).toMatchObject({ tail: 'clean', copiedFrames: 0 })
  })

  test('makes any later damage CORRUPT', { tags: ['E44'] }, async () => {
    const { world, wal } = await openedWal()
    await wal.append(1, bytesOf(1, 600))
    await wal.close()
    world.disk.flipBit(segmentsOn(world.disk).at(-1) ?? '', (4096 + 100) * 8)
    expect(await outcome(world.open())).toBe('CORRUPT')
  })

  test('leaves no timer', async () => {
    const { clock, wal } = await openedWal({ syncInterval: 1000, maxDelayMs: 1000 })
    const abort = new AbortController()
    const appended = wal.append(1, bytesOf(1), { deadlineMs: 1000, signal: abort.signal })
    await wal.close()
    await appended
    expect(clock.untilNext()).toBeUndefined()
  })

  test('releases the folder even if it fails', async () => {
    const { world, wal } = await openedWal()
    await wal.append(1, bytesOf(1))
    world.disk.inject({ at: 1, operation: 'write', fault: { kind: 'error' } })
    expect(await outcome(wal.close())).toBe('SHARD_DOWN')
    expect(await types(await world.open())).toEqual([1])
  })

  test('happens at the end of an `await using` block', async () => {
    const { world, wal } = await openedWal()
    await wal.append(1, bytesOf(1))
    await wal[Symbol.asyncDispose]()
    expect((await world.open()).report.tail).toBe('clean')
  })
})

describe('a release that the disk refuses', () => {
  test('rejects, and the log continues with all segments', async () => {
    const { disk, wal } = await openedWal()
    for (let at = 0; at < 20; at++) await wal.append(at, bytesOf(at, 600))
    await wal.createCheckpoint()
    const before = await readAll(wal)
    disk.inject({ at: 1, operation: 'remove', fault: { kind: 'error', code: 'EIO' } })
    await expect(wal.release(10_000)).rejects.toMatchObject({ details: { reason: 'disk' } })
    expect(await readAll(wal)).toEqual(before)
    expect(await outcome(wal.append(1, bytesOf(1)))).toBe('resolved')
    expect(await wal.release(10_000)).toMatchObject({ removed: expect.any(Number) })
  })

  test('is final when its sync fails', async () => {
    const { disk, wal } = await openedWal()
    for (let at = 0; at < 20; at++) await wal.append(at, bytesOf(at, 600))
    await wal.createCheckpoint()
    disk.inject({ at: 1, operation: 'syncFolder', fault: { kind: 'error' } })
    expect(await outcome(wal.release(10_000))).toBe('SHARD_DOWN')
    await expect(wal.append(1, bytesOf(1))).rejects.toMatchObject({
      code: 'SHARD_DOWN',
      details: { reason: 'poisoned' },
    })
  })
})

test('whatever fails, no rejection is unhandled', { tags: ['E56'] }, async () => {
  const unobserved: unknown[] = []
  const observe = (reason: unknown) => void unobserved.push(reason)
  process.on('unhandledRejection', observe)
  try {
    for (const fault of ['sync', 'write'] as const) {
      const { world, wal } = await openedWal({ syncInterval: 10, idleMarkerMs: 5 })
      const reading = wal.readAll()
      world.disk.inject({ at: 2, operation: fault, times: 5, fault: { kind: 'error' } })
      const calls = Array.from({ length: 20 }, (_, at) =>
        outcome(wal.append(at, bytesOf(at), { deadlineMs: at })),
      )
      await world.clock.advance(50)
      await Promise.all(calls)
      await outcome(reading.next())
      await outcome(wal.close())
      await world.clock.advance(1000)
    }
    expect(unobserved).toEqual([])
  } finally {
    process.off('unhandledRejection', observe)
  }
})

test('the acknowledged entries of a failed log are read byte for byte from a copy of its folder', async () => {
  const { world, wal } = await openedWal()
  for (let at = 0; at < 30; at++) await wal.append(at, bytesOf(at, 500))
  const copy = world.on(world.disk.clone())
  const found = await readAll(await copy.open())
  expect(found.map(({ bytes }) => bytes)).toEqual(
    Array.from({ length: 30 }, (_, at) => shown(bytesOf(at, 500))),
  )
})
