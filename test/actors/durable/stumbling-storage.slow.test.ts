/** The death of a storage actor, a shard that is down, a kill and a close, while turns are on their way. */

import { describe, expect, test } from 'vitest'
import { Applier, LmdbWriter, WalWriter } from '../../../src/actors/index.ts'
import {
  call,
  cast,
  type DurableServer,
  entity,
  name,
  noReply,
  reply,
  supervisor,
  sys,
  worker,
} from '../../../src/index.ts'
import type { SimulatedOptions } from '../../../src/testing/index.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: {
    add: () => number
    slow: (ms: number) => number
    step: () => void
    set: (inMs: number) => void
  }
  casts: { add: () => void }
  continues: { work: () => void }
  alarms: { ring: () => void }
}

const worked: number[] = []
const rung: number[] = []

const counter: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    add: (count) => reply(count + 1, count + 1),
    slow: async (count, ms, context) => {
      await new Promise<void>((resolve) => context.system.clock.after(ms, resolve))
      return reply(count + 1, count + 1)
    },
    step: (count) => reply(undefined, count, { continue: ['work'] }),
    set: (count, inMs, context) => {
      context.setAlarm('ring', { inMs })
      return reply(undefined, count)
    },
  },
  alarms: {
    ring: (count) => {
      rung.push(count)
      return noReply(count + 100)
    },
  },
  casts: { add: (count) => noReply(count + 1) },
  continues: {
    work: (count) => {
      worked.push(count)
      return noReply(count)
    },
  },
}

const counters = entity('counter', counter)
const patient = { timeoutMs: Number.POSITIVE_INFINITY }

const started = async (options: SimulatedOptions = {}) => {
  worked.length = 0
  rung.length = 0
  const s = await simulated({
    syncMs: 5,
    app: supervisor('app', { intensity: 0 }, [
      counters,
      worker('tally', counter as never, { durable: true } as never),
    ]),
    ...options,
  })
  const ref = s.app.entity(counters).ref('1')
  await s.during(call(ref, 'add'))
  const state = () => s.app.entity(counters).state('1')
  const restarted: unknown[] = []
  s.system.events.on('process.restarted', ({ id }) => void restarted.push(id))
  return { s, ref, state, restarted, tally: s.system.to(name<Messages>('tally')) }
}

const storage = [
  ...[WalWriter, Applier, LmdbWriter].map((each) => String(each.name(0))),
  ...['batcher(0)', 'blob_store(0)', 'expirer(0)', 'followers(0)', 'journal(0)', 'shard(0)'],
]

describe('the death of a storage actor', () => {
  test.each(storage)('%s ends no durable actor, and each call is answered once', async (victim) => {
    const { s, ref, state, restarted, tally } = await started()
    const [pid, tallyPid] = [ref.pid, tally.pid]
    for (const waitMs of [0, 1, 4, 7]) {
      const calls = Array.from({ length: 10 }, () => call(ref, 'add', undefined, patient))
      const others = Array.from({ length: 10 }, () => call(tally, 'add', undefined, patient))
      await s.advance(waitMs)
      s.system.kill(name(victim))
      await s.during(Promise.all([...calls, ...others]))
      await s.advance(12_000)
    }
    expect(state()).toBe(41)
    expect(await s.during(call(tally, 'add'))).toBe(41)
    expect([ref.pid, tally.pid]).toEqual([pid, tallyPid])
    expect(restarted.filter((id) => !storage.includes(id as string))).toEqual([])
  })
})

describe('a shard that is down', () => {
  const down = async () => {
    const world = await started()
    const { s, ref } = world
    const ended = codeOf(call(ref, 'add', undefined, { timeoutMs: 400 }))
    const patiently = call(ref, 'add', undefined, patient)
    patiently.catch(() => undefined)
    cast(ref, 'add')
    failNextSync(s.disk)
    await s.advance(50)
    expect(s.app.health().shards[0]?.phase).toBe('down')
    return { ...world, ended, patiently }
  }

  test('refuses calls that were not begun at once, and keeps those whose turn has ended', async () => {
    const { s, ref, ended } = await down()
    const handle = s.app.entity(counters)
    const calls = [call(ref, 'add'), handle.stop('1'), handle.delete('1')].map(codeOf)
    expect(await s.during(Promise.all(calls), { withinMs: 1 })).toEqual(Array(3).fill('SHARD_DOWN'))
    expect(await s.during(codeOf(ended))).toBe('ok')
    expect(await ended).toBe('UNKNOWN_OUTCOME')
  })

  test('lets its actors go on when it is reopened: nothing is lost, nothing applied twice', async () => {
    const { s, ref, state, patiently, restarted } = await down()
    await s.advance(60_000)
    await s.during(s.app.control.reopen(0))
    expect(await s.during(patiently)).toBe(3)
    expect(await s.during(call(ref, 'add'))).toBe(5)
    expect(state()).toBe(5)
    expect(restarted).not.toContain('counter')
  })

  test('leaves no process behind of an entity that was first called then', async () => {
    const { s } = await down()
    const handle = s.app.entity(counters)
    const calls = ['2', '3', '4'].map((id) => codeOf(call(handle.ref(id), 'add')))
    expect(await s.during(Promise.all(calls))).toEqual(Array(3).fill('SHARD_DOWN'))
    expect(s.app.entities.kind('counter')?.live).toBe(4)
    await s.advance(120_100)
    expect(s.app.entities.kind('counter')?.live).toBe(1)
    await s.during(s.app.control.reopen(0))
    await s.advance(120_000)
    expect(s.app.entities.kind('counter')?.live).toBe(0)
  })

  test('holds a step until its record is durable, and calls are refused meanwhile', async () => {
    const { s, ref } = await started()
    const stepped = call(ref, 'step', undefined, patient)
    failNextSync(s.disk)
    await s.advance(50)
    expect(await s.during(codeOf(call(ref, 'add')), { withinMs: 1 })).toBe('SHARD_DOWN')
    expect(worked).toEqual([])
    await s.during(s.app.control.reopen(0))
    await s.during(stepped)
    await s.advance(50)
    expect(worked).toEqual([1])
  })

  test('keeps the messages of an actor that began to wake while the shard recovered', async () => {
    const { s, restarted } = await started()
    for (let kills = 0; s.app.health().shards[0]?.phase !== 'down'; kills++) {
      expect(kills).toBeLessThan(20)
      s.system.kill(Applier.name(0))
      if (kills === 0) cast(s.app.entity(counters).ref('2'), 'add')
      await s.settle()
    }
    await s.advance(1_000)
    await s.during(s.app.control.reopen(0))
    expect(await s.during(call(s.app.entity(counters).ref('2'), 'add'))).toBe(2)
    expect(restarted).not.toContain('counter')
  })

  test('lets a process be killed and woken: it settles every call, also those it had refused', async () => {
    const { s, ref, state, patiently } = await down()
    const refused = codeOf(call(ref, 'add', undefined, patient))
    await s.settle()
    s.system.kill(ref)
    const later = codeOf(call(ref, 'add', undefined, patient))
    await s.advance(100)
    await s.during(s.app.control.reopen(0))
    expect(await s.during(Promise.all([refused, patiently]))).toEqual(['SHARD_DOWN', 3])
    await s.during(later)
    expect([4, 5]).toContain(state())
  })

  test('at a close every call settles', async () => {
    const { s, ref, patiently } = await down()
    const left = codeOf(patiently)
    s.system.kill(ref)
    await s.during(s.app.close({ deadlineMs: 10 }))
    expect(await s.during(left)).toBe('UNKNOWN_OUTCOME')
  })
})

describe('a full disk', () => {
  /** Makes turns until the segment at hand and its spare are full. Returns how many were made. */
  const filled = async ({ s, ref }: Awaited<ReturnType<typeof started>>) => {
    s.disk.capacityBytes = 700 * 1024
    const codes = new Set<unknown>()
    let answered = 1
    for (let turns = 0; turns < 20_000 && !codes.has('NO_SPACE'); turns += 64) {
      const calls = Array.from({ length: 64 }, () => codeOf(call(ref, 'add', undefined, patient)))
      for (const code of await s.during(Promise.all(calls))) {
        if (code === 'ok') answered++
        else codes.add(code)
      }
    }
    expect([...codes]).toEqual(['NO_SPACE'])
    return answered
  }

  test('refuses turns with NO_SPACE; the state is that before, and later turns go on', async () => {
    const world = await started()
    const { s, ref, state, restarted, tally } = world
    const answered = await filled(world)
    expect(state()).toBe(answered)
    expect(await s.during(codeOf(call(tally, 'add')))).toBe('NO_SPACE')
    s.disk.capacityBytes = Number.POSITIVE_INFINITY
    expect(await s.during(call(ref, 'add'))).toBe(answered + 1)
    expect(await s.during(call(tally, 'add'))).toBe(1)
    await s.powerCut({ unsynced: 'lost' })
    await s.start()
    expect(s.app.entity(counters).state('1')).toBe(answered + 1)
    expect(restarted.filter((id) => !storage.includes(id as string))).toEqual([])
  })

  test('lets the turn of an alarm wait for space: its handler is not run again', async () => {
    const world = await started()
    const { s } = world
    await s.during(call(s.app.entity(counters).ref('2'), 'set', 600_000))
    await filled(world)
    await s.advance(660_000)
    expect([rung.length, s.app.entity(counters).state('2')]).toEqual([1, 0])
    s.disk.capacityBytes = Number.POSITIVE_INFINITY
    await s.advance(2_000)
    expect([rung.length, s.app.entity(counters).state('2')]).toEqual([1, 100])
  })

  test('lets a state from outside follow the messages that are handled again', async () => {
    const world = await started()
    const { s, ref, state } = world
    const count = await filled(world)
    let replaced: Promise<unknown> | undefined
    s.system.events.on('entity.refused', () => {
      s.disk.capacityBytes = Number.POSITIVE_INFINITY
      replaced ??= sys.replaceState(ref as never, ((before: number) => before * 10) as never)
    })
    const refused = codeOf(call(ref, 'add', undefined, patient))
    cast(ref, 'add')
    expect(await s.during(refused)).toBe('NO_SPACE')
    expect(await s.during(replaced as Promise<unknown>)).toBe((count + 1) * 10)
    expect(state()).toBe((count + 1) * 10)
  })
})

describe('incarnations', () => {
  test('a later one wakes when every unit of all earlier ones is decided, however often it is killed', async () => {
    const { s, ref, state } = await started()
    s.syncMs = 500
    const first = call(ref, 'add', undefined, patient)
    await s.settle()
    for (let kills = 0; kills < 3; kills++) {
      s.system.kill(ref)
      cast(ref, 'add')
      await s.advance(10)
    }
    const last = call(ref, 'add', undefined, patient)
    expect(await s.during(first)).toBe(2)
    expect(await s.during(last)).toBe(4)
    expect(state()).toBe(4)
  })

  test('an entity that is killed while it wakes is not blocked by that', async () => {
    const { s, ref } = await started()
    s.syncMs = 500
    cast(ref, 'add')
    for (let kills = 0; kills < 10; kills++) {
      await s.advance(1)
      s.system.kill(ref)
      cast(ref, 'add')
    }
    expect(await s.during(call(ref, 'add', undefined, patient))).toBe(4)
  })
})

describe('close under load', () => {
  test.each([30_000, 12, 1])(
    'with a deadline of %i ms every call settles, and what was released is there',
    async (deadlineMs) => {
      const { s, ref, tally } = await started()
      let released = 1
      const calls = Array.from({ length: 100 }, (_, at) =>
        codeOf(
          call(at % 2 ? ref : tally, 'add', undefined, patient).then((count) => {
            if (at % 2) released = count
          }),
        ),
      )
      const slow = codeOf(call(ref, 'slow', 20, patient))
      await s.advance(3)
      await s.close({ deadlineMs })
      await s.during(Promise.all([...calls, slow]))
      const app = await s.start()
      expect(app.entity(counters).state('1')).toBeGreaterThanOrEqual(released)
    },
  )
})

describe('sys.replaceState', () => {
  test('acts on the newest state, and answers when the new one is durable', async () => {
    const { s, ref, state } = await started()
    cast(ref, 'add')
    const replaced = sys.replaceState(ref as never, ((count: number) => count + 10) as never)
    await s.advance(4)
    expect(state()).toBe(1)
    expect(await s.during(replaced)).toBe(12)
    expect(state()).toBe(12)
    const failed = sys.replaceState(
      ref as never,
      (() => {
        throw new Error('no')
      }) as never,
    )
    expect(await s.during(codeOf(failed))).toMatchObject({ message: 'no' })
    expect(await s.during(call(ref, 'add'))).toBe(13)
  })
})
