/** States: what may be one, versions, and what a handler may ask of its turn. */

import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

/** Handlers of one test, which may do anything. */
type Act = (state: unknown, context: Own) => unknown
type Messages = {
  calls: { act: () => unknown }
  casts: { act: () => void }
  continues: { step: () => void }
  alarms: { ring: () => void }
}
type Server = DurableServer<Messages, unknown>
type Own = Parameters<NonNullable<Server['calls']['act']>>[2]

let act: Act = (state) => reply(state, state)
const server: Server = {
  init: () => ok(undefined),
  calls: { act: (state, _, context) => act(state, context) as never },
  casts: { act: (state) => noReply(state) },
  continues: { step: (state) => noReply(state) },
  alarms: { ring: (state) => noReply(state) },
}

afterEach(() => {
  vi.unstubAllEnvs()
})

const started = async (shown: Server = server) => {
  const kind = entity('thing', shown)
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const ref = s.app.entity(kind).ref('1')
  const does = (next: Act): Promise<unknown> => {
    act = next
    return s.during(call(ref, 'act'))
  }
  const becomes = (state: unknown): Promise<unknown> => does(() => reply('ok', state))
  const state = (): Promise<unknown> => does((present) => reply(present, present))
  return { s, kind, ref, does, becomes, state }
}

/** Starts an instance on the same folder with another server of the kind. */
const restarted = async (s: Simulation, next: Partial<Server>) => {
  const kind = entity('thing', { ...server, ...next } as Server)
  await s.close()
  await s.start({ app: supervisor('app', {}, [kind]) })
  const handle = s.app.entity(kind)
  return { handle, ref: handle.ref('1') }
}

const changes: readonly (readonly [string, unknown, (state: never) => unknown])[] = [
  ['an object', { a: 1 }, (state: { a: number }) => (state.a = 2)],
  ['a part of a frozen object', Object.freeze({ a: [1] }), (s: { a: number[] }) => s.a.push(2)],
  ['an array', [1], (state: number[]) => state.push(2)],
  ['a Map', new Map([[1, 1]]), (state: Map<number, number>) => state.set(1, 2)],
  [
    'a value of a Map',
    new Map([[1, [1]]]),
    (state: Map<number, number[]>) => state.get(1)?.push(2),
  ],
  ['a Set', new Set([1]), (state: Set<number>) => state.clear()],
  ['a Date', new Date(0), (state: Date) => state.setFullYear(1999)],
]

describe('a change in place', () => {
  test.each(changes)('of %s throws outside of production, also after a restart', async (...row) => {
    const [, first, change] = row
    const { s, becomes, does } = await started()
    await becomes(first)
    const mutate: Act = (state) => {
      let thrown: unknown
      try {
        change(state as never)
      } catch (error) {
        thrown = error
      }
      return reply(thrown instanceof TypeError, state)
    }
    expect(await does(mutate)).toBe(true)
    const { ref } = await restarted(s, {})
    expect(await s.during(call(ref, 'act'))).toBe(true)
  })

  test('does not throw in production', async () => {
    vi.stubEnv('NODE_ENV', 'production')
    const { becomes, does } = await started()
    await becomes({ a: 1 })
    const changed = does((state) => {
      ;(state as { a: number }).a = 2
      return reply((state as { a: number }).a, state)
    })
    expect(await changed).toBe(2)
  })
})

class Account {
  cents = 1
}

const cyclic = (): unknown => {
  const deep: { self?: unknown } = {}
  deep.self = deep
  return { deep }
}

const nested = (levels: number): unknown => {
  let state: unknown = 0
  for (let level = 0; level < levels; level++) state = { in: state }
  return state
}

describe('a state that cannot be stored', () => {
  test('is refused by its path; the actor lives on with the state before it', async () => {
    const { s, kind, becomes, state } = await started()
    await becomes({ a: 1 })
    const ref = s.app.entity('thing').ref('2')
    const process = s.app.system
    for (const bad of [ref, process, () => 1, new Account(), Symbol('x'), new WeakMap()]) {
      const refused = becomes({ deep: [{ bad }] })
      await expect(refused).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('bad'),
      })
    }
    expect(await state()).toEqual({ a: 1 })
    // What was refused was not frozen: the runtime goes on.
    expect(Object.isFrozen(ref)).toBe(false)
    await s.powerCut()
    await s.start()
    expect(await s.during(call(s.app.entity(kind).ref('1'), 'act'))).toEqual({ a: 1 })
  })

  test('is TOO_LARGE above 1 MiB, with its bytes', async () => {
    const { becomes, state } = await started()
    await becomes('small')
    await expect(becomes('x'.repeat(1024 * 1024 + 1))).rejects.toMatchObject({
      code: 'TOO_LARGE',
      details: { bytes: expect.any(Number), bytesMax: expect.any(Number) },
    })
    expect(await state()).toBe('small')
  })

  test('may be undefined, and leaves undefined properties out', async () => {
    const { s, becomes } = await started()
    await becomes({ a: 1, b: undefined })
    const first = await restarted(s, {})
    act = (state) => reply(Object.keys(state as object), undefined)
    expect(await s.during(call(first.ref, 'act'))).toEqual(['a'])
    const second = await restarted(s, {})
    act = (state) => reply(state, state)
    expect(await s.during(call(second.ref, 'act'))).toBe(undefined)
  })

  test.each<[string, () => unknown, readonly unknown[]]>([
    ['holds itself', cyclic, ['state', 'deep', 'self']],
    ['is very deep', () => nested(20_000), ['state', ...Array(255).fill('in')]],
  ])('is refused by its path if it %s', async (_, make, path) => {
    const { becomes, state } = await started()
    await becomes({ a: 1 })
    const refused = { code: 'INVALID_ARGUMENT', details: { path } }
    await expect(becomes(make())).rejects.toMatchObject(refused)
    expect(await state()).toEqual({ a: 1 })
  })

  test.each([
    ['an error', new Error('no status')],
    ['a value that has no text', Object.create(null) as object],
  ])('is refused with an index that throws %s, which is the cause', async (_, thrown) => {
    const index = (state: unknown) => {
      if (state === 'bad') throw thrown
      return { state: state as string }
    }
    const { s, kind, becomes, does, state } = await started({ ...server, index } as Server)
    await becomes('fine')
    await expect(becomes('bad')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { path: 'index' },
      cause: thrown,
    })
    expect(await state()).toBe('fine')
    expect(await does((present) => reply(present, 'later'))).toBe('fine')
    expect(s.app.entity(kind).list({ where: { state: 'later' } as never }).entries).toHaveLength(1)
  })

  test('is refused with an index that answers no object of fields', async () => {
    const index = async () => ({ field: 1 })
    const { becomes } = await started({ ...server, index } as never)
    await expect(becomes('fine')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { path: 'index' },
    })
  })

  test('is refused with the payload of an alarm that cannot be stored', async () => {
    const { does, state } = await started()
    const setting = does((_, context) => {
      context.setAlarm('ring', { inMs: 1 }, ...([{ bad: () => 1 }] as never[]))
      return reply('ok', 1)
    })
    await expect(setting).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { path: ['alarms', 'ring', 'bad'] },
    })
    expect(await state()).toBe(undefined)
  })

  test('is refused with the payload of a step that cannot be stored', async () => {
    const { does, state } = await started()
    const recording = does((_, context) => {
      ;(context.addContinue as (...named: unknown[]) => string)('step', { bad: () => 1 })
      return reply('ok', 1)
    })
    await expect(recording).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { path: ['steps', 0, 'payload', 'bad'] },
    })
    expect(await state()).toBe(undefined)
  })

  test('is refused with an index value that is no scalar', async () => {
    const index = (state: unknown) => ({ field: state as string })
    const { becomes, state } = await started({ ...server, index } as Server)
    await becomes('fine')
    for (const bad of [{}, [1], () => 1, Number.NaN, 'x'.repeat(10_000)])
      await expect(becomes(bad)).rejects.toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/) })
    expect(await state()).toBe('fine')
  })
})

describe('what a turn is asked for', () => {
  test('is refused with wrong arguments, in the handler', async () => {
    const { s, does } = await started()
    const now = s.clock.now()
    const times: unknown[] = [
      ...[{ inMs: -1 }, { inMs: Number.NaN }, { inMs: Number.POSITIVE_INFINITY }, { inMs: '5' }],
      ...[{ at: -1 }, { at: 1.5 }, { at: '5' }, { at: now, inMs: 5 }, {}, undefined, null, 5],
    ]
    const attempts: ((context: Own) => unknown)[] = [
      ...times.map((time) => (context: Own) => context.setAlarm('ring', time as never)),
      (context) => context.setAlarm('other' as never, { inMs: 1 }),
      (context) => context.setAlarm('toString' as never, { inMs: 1 }),
      (context) => context.addContinue('other' as never),
      (context) => context.addContinue('constructor' as never),
      (context) => context.cancelContinue(5 as never),
    ]
    for (const attempt of attempts) {
      const code = await does((state, context) => {
        try {
          attempt(context)
        } catch (error) {
          return reply((error as { code?: string }).code, state)
        }
        return reply('not refused', state)
      })
      expect(code, `attempt ${attempts.indexOf(attempt)}`).toBe('INVALID_ARGUMENT')
    }
    const unknown = does((state) => reply(1, state, { continue: ['other'] } as never))
    await expect(unknown).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await does((state) => reply(state, state))).toBe(undefined)
  })

  test.each<[string, (context: Own) => unknown]>([
    ['an alarm', (context) => context.setAlarm('other' as never, { inMs: 1 })],
    ['a step', (context) => context.addContinue('other' as never)],
  ])('ends the actor if it is %s without a handler and nobody catches it', async (_, asks) => {
    const { does, state } = await started()
    await does(() => reply('ok', 1))
    const uncaught = does((_, context) => {
      context.writes.put('{thing/1}:key', 1)
      return reply(asks(context), 2)
    })
    await expect(uncaught).rejects.toMatchObject({
      code: 'EXITED',
      cause: { code: 'INVALID_ARGUMENT' },
    })
    expect(await state()).toBe(1)
  })

  test.each<[object, string, string]>([
    [{ inMs: '30' }, 'time.inMs', '"30"'],
    [{ inMs: -1 }, 'time.inMs', '-1'],
    [{ at: 1.5 }, 'time.at', '1.5'],
    [{ at: 1, inMs: 2 }, 'time', '"at,inMs"'],
  ])('is refused by name for the alarm time %j', async (time, path, found) => {
    const { does } = await started()
    const refusal = await does((state, context) => {
      try {
        context.setAlarm('ring', time as never)
      } catch (error) {
        return reply((error as { details: unknown }).details, state)
      }
      return reply('not refused', state)
    })
    expect(refusal).toMatchObject({ path, found })
  })

  test('context.step of a message names a turn again that was refused or recorded nothing', async () => {
    const { s, does } = await started()
    const named = async (state: unknown): Promise<string> => {
      let step = ''
      const done = does((_, context) => {
        step = context.step
        return reply('ok', state)
      })
      await done.catch(() => undefined)
      return step
    }
    const born = await named(undefined)
    expect(born).toMatch(/^thing\/1\/[0-9a-f]{16}\/1$/)
    // A look, a refusal, and the turn that changes something.
    expect([await named(undefined), await named({ bad: s }), await named(1)]).toEqual(
      Array(3).fill(born),
    )
    const second = await named(2)
    expect(second).toBe(born.replace(/1$/, '2'))
    await does(() => {
      throw new Error('crashed')
    }).catch(() => undefined)
    const third = await named(3)
    expect(third.split('/')[2]).not.toBe(born.split('/')[2])
    // The record of the crash is the third turn.
    expect(third.split('/')[3]).toBe('4')
  })

  test('may be to take a step back: it never runs, and the answer says whether it was there', async () => {
    const [recorded, ran]: [string[], string[]] = [[], []]
    const { s, does } = await started({
      ...server,
      continues: { step: (state, _, { step }) => noReply(ran.push(step) && state) },
    } as Server)
    const taken = await does((state, context) => {
      recorded.push(context.addContinue('step'), context.addContinue('step'))
      const [, second = ''] = recorded
      const isGone = [second, second, 'none'].map((step) => context.cancelContinue(step))
      return reply(isGone, state)
    })
    await s.advance(100)
    expect([taken, ran]).toEqual([[true, false, false], recorded.slice(0, 1)])
  })

  test('may be an alarm in the past, which fires at once', async () => {
    const rung: number[] = []
    const { s, does } = await started({
      ...server,
      alarms: { ring: (state) => noReply(rung.push(1) && state) },
    } as Server)
    await does((_, context) => reply(context.setAlarm('ring', { at: 1 }), 'set'))
    await s.clock.advance(10)
    expect(rung).toEqual([1])
  })

  test('is refused outside of a handler', async () => {
    const { does, state } = await started()
    let context: Own | undefined
    await does((_, own) => {
      context = own
      return reply('ok', 1)
    })
    const late = context as Own
    const refusal = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
    const attempts: (() => unknown)[] = [
      () => late.setAlarm('ring', { inMs: 1 }),
      () => late.cancelAlarm('ring'),
      () => late.addContinue('step'),
      () => late.cancelContinue('x'),
      () => late.writes,
      () => late.step,
    ]
    for (const attempt of attempts) expect(attempt).toThrow(refusal)
    expect(await state()).toBe(1)
  })

  test('is refused of writes after their turn, and their commit', async () => {
    const { s, does, state } = await started()
    let writes: Own['writes'] | undefined
    await does((_, own) => {
      writes = own.writes
      writes.put('{thing/1}:a', 1)
      return reply('ok', 1)
    })
    expect(() => writes?.put('{thing/1}:a', 2)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    const committed = does(async (_, own) => {
      own.writes.put('{thing/1}:a', 3)
      await (own.writes as never as { commit(): Promise<void> }).commit()
      return reply('ok', 2)
    })
    await expect(committed).rejects.toMatchObject({
      code: 'EXITED',
      cause: { code: 'INVALID_ARGUMENT', details: { path: 'batch' } },
    })
    expect([s.app.store.get('{thing/1}:a'), await state()]).toEqual([1, 1])
  })
})

describe('a version', () => {
  test('of an older state is migrated, and written with the next turn', async () => {
    const { s, becomes } = await started()
    await becomes({ cents: 5 })
    const from: number[] = []
    const migrate = (state: unknown, version: number) => {
      from.push(version)
      return { euros: (state as { cents: number }).cents / 100 }
    }
    act = (state) => reply(state, state)
    const second = await restarted(s, { version: 3, migrate })
    expect(await s.during(call(second.ref, 'act'))).toEqual({ euros: 0.05 })
    act = (state) => reply('changed', { ...(state as object), more: 1 })
    await s.during(call(second.ref, 'act'))
    act = (state) => reply(state, state)
    const third = await restarted(s, { version: 3, migrate })
    expect(await s.during(call(third.ref, 'act'))).toEqual({ euros: 0.05, more: 1 })
    expect(from).toEqual([1])
  })

  test('of an older state blocks, with the reason, where no migrate is there', async () => {
    const { s, becomes } = await started()
    await becomes({ cents: 5 })
    const { ref } = await restarted(s, { version: 2 })
    await expect(s.during(call(ref, 'act'))).rejects.toMatchObject({
      code: 'BLOCKED',
      details: { reason: 'there is no migrate from version 1' },
    })
    const { pid } = ref
    cast(ref, 'act')
    await s.advance(10)
    expect(ref.pid).toBe(pid)
    const refused = s.log.lines.filter(({ message }) => message.includes('was refused'))
    expect(refused.map(({ message }) => message.split(': Keelson')[0])).toEqual([
      'thing/1: cast act was refused',
    ])
  })

  test('that is newer, or that migrate refuses, blocks until a program can read it', async () => {
    const { s, becomes } = await started({ ...server, version: 2 } as Server)
    await becomes({ cents: 5 })
    act = (state) => reply(state, state)
    const older = await restarted(s, {})
    await expect(s.during(call(older.ref, 'act'))).rejects.toMatchObject({ code: 'BLOCKED' })
    expect([...older.handle.blocked().keys()]).toEqual(['1'])
    expect(await older.handle.unblock('1')).toBe(true)
    await expect(s.during(call(older.ref, 'act'))).rejects.toMatchObject({ code: 'BLOCKED' })
    let isBroken = true
    const migrate = (state: unknown) => {
      if (isBroken) throw new Error('cannot')
      return state
    }
    const newer = await restarted(s, { version: 3, migrate })
    await expect(s.during(call(newer.ref, 'act'))).rejects.toMatchObject({ code: 'BLOCKED' })
    isBroken = false
    await expect(s.during(call(newer.ref, 'act'))).rejects.toMatchObject({ code: 'BLOCKED' })
    expect(await newer.handle.unblock('2')).toBe(false)
    expect(await newer.handle.unblock('1')).toBe(true)
    expect(await s.during(call(newer.ref, 'act'))).toEqual({ cents: 5 })
    expect(newer.handle.blocked().size).toBe(0)
  })
})
