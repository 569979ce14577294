/** Spares: made in the background, one disk call between two calls of the log, or when needed. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import type { Log } from '../../../src/storage/log/log.ts'
import { sparePreparation } from '../../../src/storage/ports/spare-file.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { attempt } from '../../support/harm/log-crashes.ts'
import {
  commit,
  content,
  dir,
  fill,
  type LogWorld,
  newWorld,
  openedLog,
  payload,
  readAll,
  segmentsOn,
  small,
  worldOn,
} from '../../support/worlds/logs.ts'

const size = 500

const tmpOn = ({ disk }: LogWorld): string[] =>
  disk.list(dir).filter((name) => name.endsWith('.tmp'))

const sparesOf = (log: Log) => log.handle('describe', null).spares

/** Makes spares for a log: `step` runs one disk call and returns whether there was one. */
const maker = (world: LogWorld, log: Log) => {
  let work: Generator<void> | undefined
  const step = (): boolean => {
    const task = work ? undefined : log.beginSpare()
    if (task) work = sparePreparation(world.disk, task)
    if (!work) return false
    try {
      if (!work.next().done) return true
      log.settleSpare()
    } catch (error) {
      log.settleSpare(error)
    }
    work = undefined
    return true
  }
  const finish = (): void => {
    while (step());
  }
  return { step, finish }
}

const request = (number: number, bytes = size) => ({
  bytes: payload(number, bytes),
  lengths: [bytes],
  now: 0,
  sync: true,
  projectedLsn: 0,
})

describe('a spare in the background', () => {
  test('is not begun before a log is used; there is one until a segment is half full, then two', () => {
    const { world, log } = openedLog()
    const spares = maker(world, log)
    spares.finish()
    expect(tmpOn(world)).toEqual([])

    commit(log, [payload(1, 40)])
    spares.finish()
    expect(sparesOf(log)).toEqual({ ready: 1, making: false })

    commit(log, [payload(2, 2000)])
    spares.finish()
    expect(sparesOf(log)).toEqual({ ready: 2, making: false })
    expect(tmpOn(world).map((name) => world.disk.entry(`${dir}/${name}`)?.size)).toEqual([
      small.maxFileSize,
      small.maxFileSize,
    ])
  })

  test('lets a roll allocate nothing: it makes a few small writes and syncs', () => {
    const { world, log } = openedLog()
    const spares = maker(world, log)
    for (let number = 1; segmentsOn(world.disk).length < 2; number++) {
      commit(log, [payload(number, size)])
      spares.finish()
    }
    const calls = world.disk.recordCalls()
    let rolled = false
    for (let number = 100; !rolled; number++) rolled = commit(log, [payload(number, size)]).rolled

    const made = calls.filter(({ operation }) => changingOperations.includes(operation))
    expect(made.map(({ operation }) => operation)).not.toContain('create')
    expect(made.every(({ bytes = 0 }) => bytes <= 4096)).toBe(true)
    expect(made.filter(({ operation }) => operation === 'sync').length).toBeLessThan(6)
  })

  test('delays no commit, except for the roll that needs it', () => {
    const { world, log } = openedLog()
    const spares = maker(world, log)
    commit(log, [payload(1, size)])
    spares.step()
    expect(sparesOf(log)).toEqual({ ready: 0, making: true })

    expect(log.waitsForSpare('commit', request(2))).toBe(false)
    expect(log.waitsForSpare('commit', request(2, 2400))).toBe(true)
    expect(log.waitsForSpare('checkpoint', { opaque: new Uint8Array(2400) })).toBe(true)
    expect(log.waitsForSpare('read', { from: 1, maxBytes: 10 })).toBe(false)
    expect(log.waitsForSpare('close', { projectedLsn: 0 })).toBe(true)

    spares.finish()
    expect(log.waitsForSpare('commit', request(2, 2400))).toBe(false)
  })

  test('is used as the last one only if the next exists or cannot be made', () => {
    const { world, log } = openedLog()
    const spares = maker(world, log)
    commit(log, [payload(1, 2100)])
    spares.step()
    while (sparesOf(log).ready === 0) spares.step()
    spares.step()
    expect(sparesOf(log)).toEqual({ ready: 1, making: true })
    expect(log.waitsForSpare('commit', request(2, 2400))).toBe(true)

    world.disk.inject({ at: 1, operation: 'write', path: '.tmp', fault: { kind: 'error' } })
    spares.finish()

    expect(sparesOf(log)).toEqual({ ready: 1, making: false })
    expect(log.waitsForSpare('commit', request(2, 2400))).toBe(false)
    expect(commit(log, [payload(2, 2400)])).toMatchObject({ count: 1, rolled: true })
  })

  test.each(['create', 'write', 'sync', 'close'] as const)(
    'whose %s fails is thrown away and harms nothing else',
    (operation) => {
      const { world, log } = openedLog()
      const spares = maker(world, log)
      commit(log, [payload(1)])
      world.disk.inject({ at: 1, operation, path: '.tmp', fault: { kind: 'error' } })

      spares.finish()

      expect(sparesOf(log)).toEqual({ ready: 0, making: false })
      expect(tmpOn(world)).toEqual([])
      for (let number = 2; number <= 20; number++) commit(log, [payload(number, size)])
      expect(readAll(log)).toHaveLength(20)
    },
  )

  test('is not tried again for a second after a failure, unless a roll needs one', async () => {
    const clock = virtualClock()
    const world = worldOn(simulatedDisk(), small, 1, clock)
    world.create()
    const { log } = world.open()
    const spares = maker(world, log)
    commit(log, [payload(1)])
    world.disk.inject({ at: 1, operation: 'create', path: '.tmp', fault: { kind: 'error' } })
    spares.finish()
    world.disk.clearFaults()

    await clock.advance(999)
    expect(log.beginSpare()).toBeUndefined()
    await clock.advance(1)
    expect(log.beginSpare()).toMatchObject({ size: small.maxFileSize })
  })

  test('on a full disk: frames that fit are written, the others are NO_SPACE before any write, and freed space ends it', {
    tags: ['D18', 'E28'],
  }, () => {
    const { world, log } = openedLog()
    const spares = maker(world, log)
    commit(log, [payload(1, size)])
    spares.finish()
    fill(world.disk)
    const taken: number[] = [1]
    let number = 2
    let refused: unknown
    for (; !refused; number++) {
      const answer = commit(log, [payload(number, size)])
      spares.finish()
      if (answer.count === 1) taken.push(number)
      refused = answer.refused
    }
    expect(refused).toMatchObject({ code: 'NO_SPACE' })
    // The existing spare has been used.
    expect(segmentsOn(world.disk)).toHaveLength(2)
    const before = world.disk.contents(segmentsOn(world.disk).at(-1) ?? '')
    expect(commit(log, [payload(99, size)]).refused?.code).toBe('NO_SPACE')
    expect(world.disk.contents(segmentsOn(world.disk).at(-1) ?? '')).toEqual(before)
    const contents = () => readAll(log).map((frame) => frame.content)
    expect(contents()).toEqual(taken.map((each) => content(each, size)))

    world.disk.capacityBytes = Number.POSITIVE_INFINITY
    expect(commit(log, [payload(100, size)])).toMatchObject({ count: 1, rolled: true })
    expect(contents()).toEqual([...taken, 100].map((each) => content(each, size)))
  })

  test('is removed by a close, and by an opening after a crash', () => {
    for (const ends of ['close', 'crash'] as const) {
      const { world, log } = openedLog()
      const spares = maker(world, log)
      commit(log, [payload(1, 2100)])
      spares.finish()
      expect(tmpOn(world)).toHaveLength(2)

      if (ends === 'close') log.handle('close', { projectedLsn: 0 })
      else {
        world.disk.crash({ unsynced: 'kept' })
        world.open().log.abandon()
      }

      expect(tmpOn(world), ends).toEqual([])
    }
  })

  test('may crash at any call: the log is intact', { tags: ['slow'] }, () => {
    const world = newWorld()
    const work = (copy: LogWorld): void => {
      const { log } = copy.open()
      const spares = maker(copy, log)
      for (let number = 1; number <= 9; number++) {
        commit(log, [payload(number, size)])
        spares.step()
        spares.step()
      }
    }
    const count = world.on(world.disk.clone())
    const calls = count.disk.recordCalls()
    work(count)
    const total = calls.filter(({ operation }) => changingOperations.includes(operation)).length
    expect(segmentsOn(count.disk).length).toBeGreaterThan(2)
    for (let at = 1; at <= total; at++) {
      const copy = world.on(world.disk.clone({ seed: at }))
      copy.disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
      attempt(() => work(copy))
      copy.disk.crash()
      const { log } = copy.open()
      const found = readAll(log).map((frame) => frame.content)
      expect(found, `call ${at}`).toEqual(found.map((_, index) => content(index + 1, size)))
    }
  })
})

describe('a log on a host that makes no spares', () => {
  test('makes each when it is needed', () => {
    const { world, log } = openedLog()

    for (let number = 1; number <= 20; number++) commit(log, [payload(number, size)])

    expect(segmentsOn(world.disk).length).toBeGreaterThan(3)
    expect(sparesOf(log)).toEqual({ ready: 0, making: false })
  })
})

describe('an opening', () => {
  test('begins with a segment of at most 1 MiB, and continues in full ones', () => {
    const options = { maxFileSize: 4 * 2 ** 20, sectorBytes: 512 }
    const { world, log } = openedLog(options)
    const sizes = () => log.handle('describe', null).segments.map((each) => each.allocatedBytes)
    expect(sizes()).toEqual([2 ** 20])

    commit(log, [payload(1, 2 ** 20)])
    expect(sizes().at(-1)).toBe(options.maxFileSize)
    log.abandon()
    expect(readAll(world.open().log, 2 ** 22)).toHaveLength(1)
  })

  test('makes a larger one if the copied frames need it', () => {
    const options = { maxFileSize: 4 * 2 ** 20, sectorBytes: 512 }
    const { world, log } = openedLog(options)
    for (const number of [1, 2]) commit(log, [payload(number, 2 ** 20)])
    log.abandon()

    const again = world.open()

    expect(again.report.copiedFrames).toBeGreaterThan(0)
    expect(again.log.handle('describe', null).segments.at(-1)?.allocatedBytes).toBeGreaterThan(
      2 ** 20,
    )
    expect(readAll(again.log, 2 ** 22)).toHaveLength(2)
  })
})
