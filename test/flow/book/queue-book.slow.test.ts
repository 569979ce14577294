/** The book of a queue: what starts, what waits, what is dead. */
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import type { Claim } from '../../../src/flow/book/queue-types.ts'
import { BookWorld as World } from '../../support/worlds/queue-book.ts'

describe('the order of a queue', () => {
  test('has the higher number first, and within a key the job that was added first', () => {
    const world = new World({ concurrency: 10 })
    world.add({}, { priority: 5 }, { priority: -1 }, { priority: 5 }, {})
    expect(world.claimed()).toEqual([2, 4, 1, 5, 3])
  })

  test('lets keys take turns within a priority', () => {
    const world = new World({ concurrency: 6 })
    world.add(...['a', 'a', 'a', 'b', 'b', 'c'].map((key) => ({ key })))
    expect(world.claim().map(({ record }) => record.key)).toEqual(['a', 'b', 'c', 'a', 'b', 'a'])
  })

  test('lets a limited key hold up nobody', () => {
    const world = new World({ concurrency: 10, perKey: 1 })
    world.add({ key: 'a', priority: 9 }, { key: 'a', priority: 9 }, { key: 'b' }, {}, {})
    expect(world.claimed()).toEqual([1, 3, 4, 5])
    world.done(1)
    expect(world.claimed()).toEqual([2])
  })

  test('is that of adding, also for a job that has failed and jobs that were taken', () => {
    const world = new World({ concurrency: 1, depthMax: 3_000 })
    const order: number[] = []
    world.add(...Array.from({ length: 3_000 }, () => ({})))
    for (let at = 0; at < 3_002; at++) {
      const [number] = world.claimed()
      order.push(number as number)
      if (at === 5 || at === 1_500) world.fail(number as number, 1)
      else world.done(number as number)
      world.now++
    }
    const failed = new Set([6, 1_500])
    const expected = Array.from({ length: 3_000 }, (_, at) => at + 1)
    expect(order).toEqual(
      expected.flatMap((number) => (failed.has(number) ? [number, number] : [number])),
    )
  })

  test('has a delayed job at its place once its time has come, not before', () => {
    const world = new World()
    world.add({ delayMs: 50, priority: 1 }, { delayMs: 20 })
    expect([world.claimed(), world.wakeAt]).toEqual([[], world.now + 20])
    world.now += 19
    expect(world.claimed()).toEqual([])
    world.now += 31
    expect(world.claimed()).toEqual([1, 2])
  })

  test('starts no more jobs than the state has room for, whatever the length of their keys', () => {
    const many = { concurrency: 10_000, depthMax: 10_000, keysMax: 10_000, countsEnds: false }
    const world = new World(many)
    world.add(...Array.from({ length: 2_500 }, (_, at) => ({ key: `${at}`.padStart(256, 'k') })))

    const first = world.claimed()
    expect(JSON.stringify(world.kept).length).toBeLessThan(1024 * 1024)
    expect(first.length).toBeLessThan(2_500)
    world.crash()
    expect(world.claimed()).toEqual(first)
    world.done(...first)

    expect([...first, ...world.claimed()].length).toBe(2_500)
  })

  test('is nothing while the queue is paused, or its instance closes', () => {
    const world = new World()
    world.add({})
    world.book.isPaused = true
    expect(world.claimed()).toEqual([])
    world.book.isPaused = false
    world.book.leave()
    expect(world.claimed()).toEqual([])
  })
})

describe('the rate of a queue', () => {
  const perSecond = { max: 2, perMs: 1_000, key: false }

  test('grants no more starts in any time of its length, over crashes too', {
    tags: ['W10'],
  }, () => {
    const world = new World({ concurrency: 100, rate: perSecond })
    world.add({}, {}, {}, {}, {})
    world.now += 990
    expect(world.claimed()).toEqual([1, 2])
    world.done(1)
    world.crash()
    world.now += 999
    expect(world.claimed()).toEqual([])
    world.now += 51
    expect(world.claimed()).toEqual([2])
  })

  test.each([true, false])('goes on when the clock was set back (of each key: %s)', (key) => {
    const world = new World({ concurrency: 100, rate: { ...perSecond, key } })
    world.add({ key: 'a' }, { key: 'a' }, { key: 'a' })
    expect([world.claimed(), world.claimed()]).toEqual([[1, 2], []])
    world.now -= 3_600_000
    expect(world.claimed()).toEqual([])
    expect((world.wakeAt as number) - world.now).toBeLessThanOrEqual(1_050)
    world.now += 999
    expect(world.claimed()).toEqual([])
    world.now += 51
    expect(world.claimed()).toEqual([3])
  })

  test('wakes nobody while all places are taken, or the queue is paused', () => {
    for (const key of [true, false]) {
      const world = new World({ concurrency: 1, rate: { ...perSecond, key } })
      world.add({ key: 'a' }, { key: 'a' })
      world.claim()
      world.now += 5_000
      expect([world.claimed(), world.wakeAt]).toEqual([[], Number.POSITIVE_INFINITY])
      world.done(1)
      world.claim()
      world.add({ key: 'a' })
      world.done(2)
      world.claim()
      world.add({ key: 'a' })
      world.turn(() => {
        world.book.isPaused = true
      })
      world.now += 5_000
      expect([world.claimed(), world.wakeAt]).toEqual([[], Number.POSITIVE_INFINITY])
    }
  })

  test.each([true, false])(
    'counts a start from when the job begins, also if turns are refused before (of each key: %s)',
    { tags: ['W10'] },
    (key) => {
      const world = new World({ concurrency: 100, rate: { ...perSecond, key } })
      world.add({ key: 'a' }, { key: 'a' }, { key: 'a' }, { key: 'a' }, { key: 'a' })
      const [first, second] = world.held()
      world.now += 5_000
      expect(world.held()).toEqual([])
      world.begin(first as Claim)
      for (const _ of [1, 2]) world.refused((rows) => world.book.claim(world.now, rows, 1_000))
      world.now += 2_000
      expect(world.held()).toMatchObject([{ number: 3 }])
      world.now += 5_000
      world.begin(second as Claim)
      world.now += 2_000
      expect(world.held()).toMatchObject([{ number: 4 }])
      world.now += 2_000
      expect(world.held()).toEqual([])
      expect(world.wakeAt).toBe(Number.POSITIVE_INFINITY)
    },
  )

  test.each([true, false])(
    'is given back what does not begin (of each key: %s)',
    { tags: ['W10'] },
    (key) => {
      const limits = { concurrency: 100, countsEnds: false, rate: { ...perSecond, key } }
      const world = new World(limits)
      world.add(...Array.from({ length: 5 }, () => ({ key: 'a' })))
      expect(world.held()).toMatchObject([{ number: 1 }, { number: 2 }])
      world.fail(1, 60_000)
      world.fail(2, 60_000)
      expect(world.claimed()).toEqual([3, 4])
      world.crash()
      // What has run goes on, and takes nothing of the rate.
      expect(world.claimed()).toEqual([3, 4])
      world.now += 1_100
      expect(world.claimed()).toEqual([5])
      world.now += 58_900
      expect(world.claimed()).toEqual([1, 2])
    },
  )

  test('grants each call of a job that comes too early, which starts next, with the same try', () => {
    const world = new World({ concurrency: 100, rate: perSecond })
    world.add({}, {}, {})
    expect(world.claim()).toMatchObject([
      { number: 1, attempt: 1 },
      { number: 2, attempt: 1 },
    ])
    world.again(2)
    expect(world.book.counts).toMatchObject({ ready: 2, running: 1 })
    expect(world.claim()).toEqual([])
    world.now += 1_050
    expect(world.claim()).toMatchObject([
      { number: 2, attempt: 1 },
      { number: 3, attempt: 1 },
    ])
    world.now += 1_050
    world.again(2)
    world.crash()
    world.now += 1_050
    expect(world.find(2)).toMatchObject({ state: 'waiting', record: { tries: 0 } })
  })

  test('of a key lets other keys go on, and says when it has room', () => {
    const world = new World({ concurrency: 100, rate: { ...perSecond, key: true } })
    world.add({ key: 'a' }, { key: 'a' }, { key: 'a' }, { key: 'b' }, {}, {}, {})
    expect(world.claimed()).toEqual([1, 4, 5, 2, 6, 7])
    expect(world.claimed()).toEqual([])
    const { wakeAt } = world
    world.now = wakeAt as number
    expect(world.claimed()).toEqual([3])
  })

  test('of a key survives a crash', { tags: ['W10'] }, () => {
    const world = new World({ concurrency: 100, rate: { ...perSecond, key: true } })
    world.add({ key: 'a' }, { key: 'a' }, { key: 'a' })
    expect(world.claimed()).toEqual([1, 2])
    world.done(1, 2)
    world.crash()
    expect(world.claimed()).toEqual([])
  })
})

describe('a unique text', () => {
  test('has one holder until its job has ended', { tags: ['W10'] }, () => {
    const world = new World()
    world.add({ unique: 'u' })
    expect(world.add({ unique: 'u' })).toEqual([{ number: 1, repeated: true }])
    world.claim()
    expect(world.add({ unique: 'u' })).toEqual([{ number: 1, repeated: true }])
    world.done(1)
    expect(world.add({ unique: 'u' })).toEqual([{ number: 2, repeated: false }])
  })

  test('with a time is taken so long, whatever becomes of its job, and is swept then', () => {
    const world = new World({ uniqueMs: 100 })
    world.add({ unique: 'u' })
    world.claim()
    world.done(1)
    expect(world.add({ unique: 'u' })).toEqual([{ number: 1, repeated: true }])
    world.now += 100
    world.turn((rows) => world.book.sweep(undefined, world.now, rows))
    expect([...world.stored.keys()]).toEqual([])
    expect(world.add({ unique: 'u' })).toEqual([{ number: 2, repeated: false }])
  })

  test('of a dead job is free, and its retry is refused while another job holds it', () => {
    const world = new World()
    world.add({ unique: 'u' })
    world.claim()
    world.fail(1)
    world.add({ unique: 'u' })
    expect(() => world.turn((rows) => world.book.retry(1, world.now, rows))).toThrow(
      expect.objectContaining({ code: 'CONFLICT' }),
    )
  })
})

describe('the end of a process', () => {
  test('counts the try of each job that it cut off, and makes it a suspect, claimed alone', () => {
    const world = new World()
    world.add({}, {}, {})
    expect(world.claimed()).toEqual([1, 2, 3])
    world.crash()
    expect(world.claim()).toMatchObject([{ number: 1, attempt: 2 }])
    expect(world.claimed()).toEqual([])
    world.done(1)
    expect(world.claimed()).toEqual([2])
  })

  test('is what a job dies of that was alone three times, and no other job', () => {
    const world = new World({ concurrency: 2 })
    world.add({}, {}, {})
    world.claim()
    const alone: number[][] = []
    for (let ends = 0; ends < 4; ends++) {
      world.crash()
      world.claim()
      alone.push([...world.running.keys()])
    }
    expect(alone).toEqual([[1], [1], [1], [2]])
    expect(world.book.counts).toMatchObject({ ready: 1, delayed: 0, running: 1, dead: 1 })
    world.done(2)
    expect(world.claim()).toMatchObject([{ number: 3, attempt: 1 }])
  })

  test('by a close counts no try, and makes nobody a suspect', () => {
    const world = new World()
    world.add({}, {})
    world.claim()
    world.turn(() => world.book.leave())
    world.crash()
    expect(world.claim()).toMatchObject([
      { number: 1, attempt: 1 },
      { number: 2, attempt: 1 },
    ])
  })

  test('lets a suspect wait that its rate holds back, until nothing else runs', () => {
    const world = new World({ rate: { max: 1, perMs: 1_000, key: true } })
    world.add({ key: 'a' }, {}, {}, {})
    expect(world.claimed()).toEqual([1, 2, 3])
    world.crash()
    for (const suspect of [2, 3]) {
      expect(world.claimed()).toEqual([suspect])
      world.done(suspect)
    }
    expect(world.claimed()).toEqual([4])
    world.now += 1_100
    world.add({})
    expect(world.claimed()).toEqual([])
    world.done(4)
    expect(world.claimed()).toEqual([1])
    world.done(1)
    expect(world.claimed()).toEqual([5])
  })

  test('leaves a suspect that failed by itself no suspect', () => {
    const world = new World()
    world.add({}, {}, {})
    world.claim()
    world.crash()
    for (const number of world.claimed()) world.fail(number, 10)
    world.done(...world.claimed())
    world.done(...world.claimed())
    world.add({})
    world.now += 10
    expect(world.claimed()).toEqual([1, 4])
  })
})

describe('a row that cannot be read', () => {
  const broken = /\/0+2$/
  const breakRow = (world: World): [string, unknown] => {
    const row = [...world.stored.keys()].find((each) => broken.test(each)) as string
    world.stored.set(row, 'of another version')
    return [row, 'of another version']
  }

  test('is set aside, unchanged and named, and other jobs go on', { tags: ['W12'] }, () => {
    for (const delayMs of [0, 50]) {
      const world = new World({ concurrency: 9 })
      world.add({ delayMs }, { delayMs }, { delayMs })
      const [row, value] = breakRow(world)
      world.now += delayMs
      expect(world.claimed()).toEqual([1, 3])
      expect(world.book.counts).toMatchObject({ ready: 0, delayed: 0, unreadable: ['2'] })
      expect(world.wakeAt).toBeGreaterThan(world.now)
      world.done(1, 3)
      expect([...world.stored].filter(([key]) => key !== 'i/000000000002')).toEqual([[row, value]])
      world.crash()
      expect([world.claimed(), world.book.counts.unreadable]).toEqual([[], ['2']])
    }
  })

  test('of a job that a crash has cut off holds up no suspect', { tags: ['W12'] }, () => {
    const world = new World()
    world.add({}, {}, {})
    world.claim()
    breakRow(world)
    world.crash()
    for (const number of [1, 3]) {
      expect(world.claimed()).toEqual([number])
      world.done(number)
    }
    expect(world.book.counts).toMatchObject({ ready: 0, unreadable: ['2'] })
  })

  test('of a dead job is neither retried nor swept', { tags: ['W12'] }, () => {
    const world = new World()
    world.add({}, {})
    world.claim()
    world.fail(1)
    world.fail(2)
    breakRow(world)
    world.now += 20_000
    world.turn((rows) => world.book.sweep(undefined, world.now, rows))
    expect(world.turn((rows) => world.book.retry(2, world.now, rows))).toBe(false)
    expect(world.stored.size).toBe(1)
  })

  const corrupt = expect.objectContaining({ code: 'CORRUPT' })
  const damaged = new KeelsonError('CORRUPT', 'the row is damaged')
  const damages = [damaged, 'of another version', { until: 0 }, [1], [1, 'soon'], 7, null]

  test.each([undefined, 100])(
    'of a unique text refuses that text until its job has ended, and is named (uniqueMs %s)',
    {
      tags: ['W12'],
    },
    (uniqueMs) => {
      for (const damage of damages) {
        const world = new World({ uniqueMs })
        world.add({ unique: 'ada' })
        world.stored.set('y/ada', damage)
        expect(() => world.add({}, { unique: 'ada' })).toThrow(corrupt)
        expect(world.book.counts).toMatchObject({ ready: 1, unreadable: ['unique ada'] })
        world.now += 20_000
        world.turn((rows) => world.book.sweep(undefined, world.now, rows))
        expect(world.stored.get('y/ada')).toEqual(damage)
        world.add({ unique: 'bob' })
        expect(world.claimed()).toEqual([1, 2])
        world.done(1)
        expect(world.stored.has('y/ada')).toBe(uniqueMs !== undefined)
      }
    },
  )

  test.each([true, false])(
    'of a rate counts as full from then on, and is named (of each key: %s)',
    {
      tags: ['W12'],
    },
    (key) => {
      for (const damage of [...damages.slice(0, 3), 7, null, [1, 2], ['x'], [0, [1]]]) {
        const world = new World({ concurrency: 9, rate: { max: 2, perMs: 1_000, key } })
        world.stored.set(key ? 'z/ada' : 'z/', damage)
        world.add({ key: 'ada' }, { key: 'ada' }, { key: 'ada' })
        expect(world.claimed()).toEqual([])
        expect(world.book.counts.unreadable).toEqual([key ? 'rate ada' : 'rate'])
        world.now += 999
        expect(world.claimed()).toEqual([])
        world.now += 51
        expect(world.claimed()).toEqual([1, 2])
      }
    },
  )
})

test('a queue refuses jobs beyond its depth, and jobs with too many keys, all or none', () => {
  const world = new World({ depthMax: 3, keysMax: 2 })
  const busy = expect.objectContaining({ code: 'BUSY' })
  expect(() => world.add({}, {}, {}, {})).toThrow(busy)
  expect(() => world.add({ key: 'a' }, { key: 'b' }, { key: 'c' })).toThrow(busy)
  expect(world.stored.size).toBe(0)
  world.add({ key: 'a' }, { key: 'b' }, { key: 'b' })
  expect(() => world.add({})).toThrow(busy)
})

test('a job that is removed or dies is named once', () => {
  const world = new World({ concurrency: 1 })
  world.add({}, {})
  world.claim()
  world.fail(1)
  world.remove(2)

  expect(world.book.takeGone()).toEqual([
    [1, 'dead'],
    [2, 'removed'],
  ])
  expect(world.book.takeGone()).toEqual([])
})

test('a dead job is kept for its time, and can be made ready with all its tries', () => {
  const world = new World()
  world.add({}, {})
  world.claim()
  world.fail(1)
  world.fail(2)
  expect(world.turn((rows) => world.book.retry(1, world.now, rows))).toBe(true)
  expect(world.turn((rows) => world.book.retry(1, world.now, rows))).toBe(false)
  world.now += 9_999
  world.turn((rows) => world.book.sweep(undefined, world.now, rows))
  expect(world.book.counts.dead).toBe(1)
  world.now += 1
  world.turn((rows) => world.book.sweep(undefined, world.now, rows))
  expect(world.book.counts.dead).toBe(0)
  expect(world.claim()).toMatchObject([{ number: 1, attempt: 1 }])
})
