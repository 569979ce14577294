/** Somebody sets the machine's clock: what a shard's time does, and what its users are told. */
import { describe, expect, test } from 'vitest'
import { ShardTime } from '../../../src/actors/core/shard-time.ts'
import { type VirtualClock, virtualClock } from '../../../src/clock.ts'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { codeOf, machine } from '../../support/worlds/simulated-instance.ts'

const minute = 60_000
const hour = 60 * minute
const years = 2 * 365 * 24 * hour

/** A clock that can be set. */
const settable = (clock: Pick<VirtualClock, 'now' | 'monotonic'>) => {
  const set = { by: 0 }
  return { set, now: () => clock.now() + set.by, monotonic: () => clock.monotonic() }
}

describe('a wait for a time of a shard', () => {
  const waiting = async (inMs: number) => {
    const clock = virtualClock()
    const time = new ShardTime(clock)
    const begun = clock.monotonic()
    const ends: number[] = []
    const cancel = time.at(
      time.now() + inMs,
      () => void ends.push(Math.floor(clock.monotonic() - begun)),
    )
    return { clock, time, ends, cancel }
  }

  test.each([hour, -hour])(
    'takes its time when the clock is set by %i ms, and right again',
    async (byMs) => {
      const { clock, ends } = await waiting(10_000)
      await clock.advance(2_000)
      clock.set(clock.now() + byMs)
      await clock.advance(3_000)
      clock.set(clock.now() - byMs)
      await clock.advance(20_000)
      expect(ends).toEqual([10_000])
    },
  )

  test('ends within a second of a step forward that the time follows', async () => {
    const { clock, ends } = await waiting(30_000)
    clock.set(clock.now() + 29_500)
    await clock.advance(1_500)
    expect(ends).toHaveLength(1)
    expect(ends[0]).toBeLessThanOrEqual(1_500)
    expect(ends[0]).toBeGreaterThanOrEqual(500)
  })

  test('ends when a clock is accepted that has come to it', async () => {
    const { clock, time, ends } = await waiting(30 * minute)
    clock.set(clock.now() + hour)
    await clock.advance(5_000)
    expect(ends).toEqual([])
    time.follow()
    await clock.advance(1)
    expect(ends).toHaveLength(1)
  })

  test('is longer while the time goes slower, and never ends before it', async () => {
    const { clock, time, ends } = await waiting(10_000)
    clock.set(clock.now() - 30_000)
    await clock.advance(10_500)
    expect(ends).toEqual([])
    await clock.advance(1_000)
    expect(ends).toHaveLength(1)
    expect(time.now()).toBeGreaterThanOrEqual(10_000)
  })

  test('that is cancelled never ends, and nothing watches the clock without one', async () => {
    const { clock, ends, cancel } = await waiting(10_000)
    cancel()
    clock.set(clock.now() + hour)
    expect(clock.untilNext()).toBeUndefined()
    await clock.advance(20_000)
    expect(ends).toEqual([])
  })
})

describe('the time of a shard', () => {
  const world = () => {
    let at = 1_000_000
    const base = { now: () => at, monotonic: () => at }
    const { set, ...clock } = settable(base)
    const time = new ShardTime(clock as never)
    const told: object[] = []
    time.listen((jump) => told.push(jump))
    const pass = (ms: number): void => {
      at += ms
    }
    return { time, told, set, pass }
  }

  test('follows the clock, and steps forward of less than a minute', () => {
    const { time, told, set, pass } = world()
    expect(time.now()).toBe(1_000_000)
    pass(10 * hour)
    set.by = 59_000
    expect(time.now()).toBe(1_000_000 + 10 * hour + 59_000)
    expect(told).toEqual([])
  })

  test.each([-100, -5_000, -59_000])(
    'goes on after a step of %i ms, a tenth slower until the clock has caught up, and tells it',
    (jumpMs) => {
      const { time, told, set, pass } = world()
      pass(500)
      let last = time.now()
      set.by = jumpMs
      pass(500)
      time.now()
      pass(500)
      expect(Math.abs(time.now() - last - 1_000)).toBeLessThanOrEqual(100)
      expect(told).toEqual([{ jumpMs, aheadMs: -jumpMs }])
      for (let at = 0; at < 1_000; at++) {
        pass(700)
        const now = time.now()
        expect(now - last).toBeGreaterThanOrEqual(600)
        last = now
      }
      expect([time.aheadMs, time.now()]).toEqual([0, 1_701_500 + jumpMs])
    },
  )

  test('a step back that is undone leaves nothing behind', () => {
    const { time, set, pass } = world()
    set.by = -30_000
    pass(2_000)
    time.now()
    set.by = 0
    pass(2_000)
    expect(Math.abs(time.now() - 1_004_000)).toBeLessThanOrEqual(400)
    pass(10_000)
    expect([time.now(), time.aheadMs]).toEqual([1_014_000, 0])
  })

  test('a stamp that is a few seconds ahead does not stop it', () => {
    const { time, pass } = world()
    expect(time.observe(1_030_000)).toBe(1_030_000)
    pass(1_000)
    expect(time.now()).toBe(1_030_900)
  })

  test.each([years, -2 * hour])('does not jump with it by %i ms, and tells it once', (jumpMs) => {
    const { time, told, set, pass } = world()
    pass(500)
    time.now()
    set.by = jumpMs
    pass(2_000)
    expect(time.now()).toBe(1_002_500)
    pass(hour)
    expect(time.now()).toBe(1_002_500 + hour)
    expect(told).toEqual([{ jumpMs, aheadMs: -jumpMs }])
  })

  test('is as before when a jump is undone', () => {
    const { time, told, set, pass } = world()
    set.by = years
    pass(2_000)
    time.now()
    set.by = 0
    pass(2_000)
    expect(time.now()).toBe(1_004_000)
    expect(time.aheadMs).toBe(0)
    expect(told).toEqual([
      { jumpMs: years, aheadMs: -years },
      { jumpMs: -years, aheadMs: 0 },
    ])
  })

  test('follows a clock that was accepted: forward at once, never back', () => {
    const { time, set, pass } = world()
    set.by = hour
    pass(2_000)
    expect(time.now()).toBe(1_002_000)
    expect(time.follow()).toBe(hour)
    expect(time.now()).toBe(1_002_000 + hour)
    set.by = 0
    pass(2_000)
    expect(time.now()).toBe(1_004_000 + hour)
    expect(time.follow()).toBe(0)
    pass(hour)
    expect(time.observe(time.now())).toBe(1_004_000 + hour + hour / 2)
    expect(time.aheadMs).toBe(hour / 2)
    pass(2 * hour)
    expect(time.now()).toBe(1_004_000 + 3 * hour)
    expect(time.aheadMs).toBe(0)
  })

  test('follows the clock again when it begins as at a start, however that was set before', () => {
    const { time, told, set, pass } = world()
    set.by = 2 * hour
    pass(2_000)
    time.now()
    set.by = -10 * minute
    pass(2_000)
    time.begin()
    expect([time.now(), time.aheadMs]).toEqual([1_004_000 - 10 * minute, 0])
    expect(time.observe(1_004_000)).toBe(1_004_000)
    pass(2_000)
    expect(time.now()).toBe(1_006_000)
    expect(told).toHaveLength(2)
  })

  test('goes on from a stamp that is ahead, instead of standing still', () => {
    const { time, told, pass } = world()
    expect(time.observe(1_000_000 + years)).toBe(1_000_000 + years)
    pass(hour)
    expect(time.now()).toBe(1_000_000 + years + hour)
    expect(told).toEqual([{ jumpMs: -years, aheadMs: years }])
  })
})

describe('the time of day of a shard with a lead', () => {
  const ahead = () => {
    let at = 1_000_000
    const base = { now: () => at, monotonic: () => at }
    const { set, ...clock } = settable(base)
    const time = new ShardTime(clock as never)
    time.observe(at + years)
    const pass = (ms: number): void => {
      at += ms
      time.now()
    }
    return { time, set, pass }
  }

  test.each([hour, -hour])('is without it, and does not jump with a clock set by %i ms', (byMs) => {
    const { time, set, pass } = ahead()
    pass(1_000)
    expect([time.wall(), time.ofWall(5)]).toEqual([1_001_000, years + 5])
    set.by = byMs
    pass(2_000)
    expect([time.wall(), time.now()]).toEqual([1_003_000, 1_003_000 + years])
    expect([time.wallAheadMs, time.aheadMs]).toEqual([-byMs, years - byMs])
    set.by = 0
    pass(2_000)
    expect([time.wall(), time.wallAheadMs, time.aheadMs]).toEqual([1_005_000, 0, years])
  })

  test('leaps to an accepted clock, and goes at half speed until one that is behind has caught up', () => {
    const { time, set, pass } = ahead()
    set.by = hour
    pass(2_000)
    expect(time.follow()).toBe(0)
    expect([time.wall(), time.now()]).toEqual([1_002_000 + hour, 1_002_000 + years])

    set.by = 0
    pass(2_000)
    time.follow()
    pass(2 * hour)
    const half = time.wall()
    pass(2 * hour)
    expect([half, time.wall()]).toEqual([1_004_000 + 2 * hour, 1_004_000 + 4 * hour])
  })
})

describe('an instance whose machine gets another time', () => {
  const world = async () => {
    const computer = machine()
    const { set, ...clock } = settable(computer.clock)
    const log = capturedLog()
    const start = (app?: ReturnType<typeof supervisor>) =>
      computer.start({
        system: createSystem({ clock: { ...computer.clock, ...clock }, logger: log }),
        ...(app && { app }),
      })
    return { ...computer, set, log, start }
  }

  test('ends no value and prolongs no lease by a clock that jumps two years ahead and back', async () => {
    const { clock, during, set, log, start } = await world()
    const app = await start()
    const told: unknown[] = []
    app.system.events.on('clock.jumped' as never, ((event: object) => told.push(event)) as never)
    await during(app.store.put('value', 1, { ttlMs: hour }))
    set.by = years
    await clock.advance(2_000)
    await during(app.store.lock(['locked'], { owner: 'me', leaseMs: hour }))
    expect(app.store.get('value')).toBe(1)
    expect(app.health().shards).toMatchObject([{ clockAheadMs: -years }])
    expect(told).toMatchObject([{ shard: 0, jumpMs: years, aheadMs: -years }])
    expect(log.messages('warn')).toEqual([expect.stringContaining('control.acceptClock()')])
    set.by = 0
    await clock.advance(2_000)
    expect(app.health().shards).toMatchObject([{ clockAheadMs: 0 }])
    await clock.advance(hour)
    expect(app.store.has('value')).toBe(false)
    expect(await during(codeOf(app.store.put('locked', 1)))).toBe('ok')
    await during(app.close())
  })

  test.each([-hour, -30_000])(
    'fires an alarm when its time is over on that clock, which went back by %i ms, and not before again and again',
    async (byMs) => {
      type Hold = { readonly endsAt: number; readonly looks: number }
      type Holding = {
        calls: { hold: (ms: number) => void; look: () => Hold }
        alarms: { ends: () => void }
      }
      const hold: DurableServer<Holding, Hold> = {
        init: () => ({ endsAt: 0, looks: 0 }),
        calls: {
          hold: (state, ms, context) => {
            const endsAt = context.now() + ms
            context.setAlarm('ends', { at: endsAt })
            return reply(undefined, { ...state, endsAt })
          },
          look: (state) => reply(state, state),
        },
        alarms: {
          ends: ({ endsAt, looks }, _, context) => {
            const isOver = endsAt <= context.now()
            if (!isOver) context.setAlarm('ends', { at: endsAt })
            return noReply({ endsAt: isOver ? 0 : endsAt, looks: looks + 1 })
          },
        },
      }
      const { clock, during, set, start } = await world()
      const holds = entity('hold', hold)
      const app = await start(supervisor('app', {}, [holds]))
      const one = app.entity(holds).ref('one')
      await during(call(one, 'hold', 10_000))
      set.by = byMs
      await clock.advance(20_000)
      expect(await during(call(one, 'look'))).toMatchObject({ looks: 1 })
      await clock.advance(10_000 - byMs)
      expect(await during(call(one, 'look'))).toEqual({ endsAt: 0, looks: 2 })
      await during(app.close())
    },
  )

  test('follows the clock when that is accepted', async () => {
    const { clock, during, set, start } = await world()
    const app = await start()
    await during(app.store.put('value', 1, { ttlMs: hour }))
    set.by = 2 * hour
    await clock.advance(2_000)
    expect(app.store.has('value')).toBe(true)
    expect(await during(app.control.acceptClock())).toEqual({
      outcomes: [{ shard: 0, ok: true, leaptMs: 2 * hour }],
    })
    expect(app.store.has('value')).toBe(false)
    expect(app.health().shards).toMatchObject([{ clockAheadMs: 0 }])
    await during(app.close())
    expect(await during(codeOf(app.control.acceptClock()))).toBe('CLOSED')
  })

  test('ends values and frees leases when a clock is accepted that went back two years', async () => {
    const { clock, during, set, start } = await world()
    set.by = years
    const app = await start()
    await during(app.store.put('value', 1, { ttlMs: hour }))
    await during(app.store.lock(['locked'], { owner: 'me', leaseMs: hour }))
    set.by = 0
    await clock.advance(2_000)
    expect(await during(app.control.acceptClock())).toEqual({
      outcomes: [{ shard: 0, ok: true, leaptMs: 0 }],
    })
    await clock.advance(hour)
    expect(app.store.has('value')).toBe(true)
    await clock.advance(hour)
    expect(app.store.has('value')).toBe(false)
    expect(await during(codeOf(app.store.put('locked', 1)))).toBe('ok')
    await during(app.close())
  })

  test('lets time go on after a life with a clock that was ahead', async () => {
    const { clock, during, set, start } = await world()
    set.by = years
    const first = await start()
    await during(first.store.put('value', 1, { ttlMs: hour }))
    await during(first.store.lock(['locked'], { owner: 'me', leaseMs: hour }))
    await during(first.close())
    set.by = 0
    const app = await start()
    expect(app.health().shards[0]?.clockAheadMs).toBeGreaterThan(years - hour)
    expect(app.store.get('value')).toBe(1)
    await clock.advance(hour)
    expect(app.store.has('value')).toBe(false)
    expect(await during(codeOf(app.store.put('locked', 1)))).toBe('ok')
    await during(app.close())
  })
})
