/** `delete` and `stop`: in order with the turns of their entity, and no message is lost. */
import { afterEach, describe, expect, test } from 'vitest'
import { WalWriter } from '../../../src/actors/index.ts'
import {
  call,
  cast,
  type DurableServer,
  type EntityHandle,
  entity,
  name,
  noReply,
  ok,
  reply,
  stopReply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { type Simulation, startSimulated } from '../../../src/testing/index.ts'
import { codeOf, failNextSync } from '../../support/worlds/simulated-instance.ts'

type State = { readonly count: number }
type Messages = {
  calls: {
    add: () => number
    step: () => string
    keep: () => void
    removeOther: (id: string) => boolean
    life: () => number
    wait: (ms: number) => void
    crash: () => void
  }
  casts: { add: () => void }
  alarms: { later: () => void }
  continues: { never: () => void }
}

/** Processes that began, and their ends. */
let lives: string[] = []

const server: DurableServer<Messages, State> = {
  init: () => ok({ count: 0 }),
  wake: (_, { id }) => void lives.push(`+${id}`),
  terminate: (_, reason, { id }) => void lives.push(`-${id} ${reason}`),
  calls: {
    add: ({ count }) => reply(count + 1, { count: count + 1 }),
    step: ({ count }, _, context) => {
      context.setAlarm('later', { inMs: 1_000_000 })
      context.addContinue('never')
      return reply(context.step, { count: count + 1 })
    },
    keep: (state) => noReply(state),
    removeOther: async (state, id, context) =>
      reply(await context.app.entity('thing').delete(id), { count: state.count + 1 }),
    life: (state) => reply(lives.length, state),
    wait: async (state, ms, context) => {
      await new Promise<void>((resolve) => context.system.clock.after(ms, resolve))
      return reply(undefined, state)
    },
    crash: () => {
      throw new Error('crashed')
    },
  },
  casts: { add: ({ count }) => noReply({ count: count + 1 }) },
  alarms: { later: (state) => noReply(state) },
  continues: {
    never: () => {
      throw new Error('not now')
    },
  },
  index: ({ count }) => ({ count }),
}

const things = entity('thing', server, { idleMs: 1_000_000 })
type Things = EntityHandle<Messages, State>

let s: Simulation
afterEach(() => s.close())

const patient = { timeoutMs: Number.POSITIVE_INFINITY }

const started = async (shards = 2): Promise<Things> => {
  lives = []
  s = await startSimulated({ app: supervisor('app', {}, [things]), shards })
  return s.app.entity(things)
}

const rowsOf = (handle: Things): unknown => [
  handle.list().entries.map(({ id }) => id),
  handle.list({ where: { count: { gte: 0 } } }).entries.map(({ id }) => id),
]

/** The keys of all rows of the entity `a`, whatever they are for. */
const rowsLeft = (): string[] =>
  s.app.shards.flatMap((shard) => {
    const { overlay, projection } = shard.view().layers
    const all = [...overlay.range({ gte: '\0' }), ...projection.range({ gte: '\0' })]
    const isOf = (key: string): boolean => key.includes('thing/a') || key.endsWith('\0a')
    return all.map(([key]) => key).filter((key) => isOf(key) && shard.view().row(key))
  })

test('a delete removes row, index, alarms, steps and remembered calls together', async () => {
  const handle = await started()
  const ref = handle.ref('a')
  await s.during(call(ref, 'add', undefined, { id: 'one' }))
  await s.during(call(ref, 'step'))
  await s.during(call(handle.ref('b'), 'add'))
  expect(await s.during(handle.alarms())).toHaveLength(1)
  expect(await s.during(handle.delete('a'))).toBe(true)
  expect(rowsOf(handle)).toEqual([['b'], ['b']])
  expect(await s.during(handle.alarms())).toEqual([])
  expect(handle.state('a')).toBe(undefined)
  expect(rowsLeft()).toEqual([])
  // The same id of a call is new to the one that is born now.
  expect(await s.during(call(ref, 'add', undefined, { id: 'one' }))).toBe(1)
})

test('a delete comes behind earlier turns; messages behind it find the entity unborn', async () => {
  const handle = await started()
  const ref = handle.ref('a')
  const answers: Promise<unknown>[] = [call(ref, 'add'), call(ref, 'add'), call(ref, 'wait', 50)]
  answers.push(handle.delete('a'), call(ref, 'add'))
  cast(ref, 'add')
  answers.push(call(ref, 'add'), handle.delete('a'), handle.delete('a'), call(ref, 'add'))
  expect(await s.during(Promise.all(answers))).toEqual([
    1,
    2,
    undefined,
    true,
    1,
    3,
    true,
    false,
    1,
  ])
  expect(handle.state('a')).toEqual({ count: 1 })
})

test('the next life has another incarnation, and the ended process ran terminate', async () => {
  const handle = await started()
  const first = await s.during(call(handle.ref('a'), 'step'))
  await s.during(handle.delete('a'))
  const second = await s.during(call(handle.ref('a'), 'step'))
  const [, , one] = first.split('/')
  const [, , two, seq] = second.split('/')
  expect(one).not.toBe(two)
  expect(seq).toBe('1')
  expect(lives).toEqual(['+a', '-a normal', '+a'])
})

test('the answer of a stop leaves after a terminate that takes its time; a rest and a crash have none', async () => {
  const seen: unknown[] = []
  type Leaving = { calls: { leave: () => string; stay: () => void; crash: () => void } }
  const leaving: DurableServer<Leaving, number> = {
    init: () => 0,
    terminate: async (_, __, { system }) => {
      await new Promise<void>((resolve) => system.clock.after(50, resolve))
      seen.push('terminated')
    },
    calls: {
      leave: (count) => stopReply('normal', 'left', count),
      stay: (count) => reply(undefined, count),
      crash: () => {
        throw new Error('crashed')
      },
    },
  }
  const kind = entity('leaving', leaving, { idleMs: 1_000 })
  s = await startSimulated({ app: supervisor('app', {}, [kind]) })
  const ref = s.app.entity(kind).ref('1')
  seen.push(await s.during(call(ref, 'leave')))
  expect(seen).toEqual(['terminated', 'left'])
  await s.during(call(ref, 'stay'))
  await s.advance(3_000)
  expect(s.app.entities.kind('leaving')?.live).toBe(0)
  expect([seen.length, s.log.lines]).toEqual([3, []])
  const crashed = { code: 'EXITED', cause: { message: 'crashed' } }
  await expect(s.during(call(ref, 'crash'))).rejects.toMatchObject(crashed)
})

const failures: readonly [string, () => unknown][] = [
  ['throws', () => fail()],
  ['rejects', async () => fail()],
]

test.each(failures)('a terminate that %s keeps no answer and no message', async (_, terminate) => {
  type Leaving = Messages & { calls: { leave: () => string } }
  const leave = (state: State) => stopReply('normal', 'left', state)
  const calls = { ...server.calls, leave }
  const leaving = { ...server, terminate, calls } as unknown as DurableServer<Leaving, State>
  const kind = entity('leaving', leaving, { idleMs: 1_000_000 })
  s = await startSimulated({ app: supervisor('app', {}, [kind]) })
  const handle = s.app.entity(kind)
  for (const how of ['stop', 'delete'] as const) {
    const ref = handle.ref(how)
    const answers: Promise<unknown>[] = [call(ref, 'add'), call(ref, 'wait', 50), handle[how](how)]
    cast(ref, 'add')
    answers.push(call(ref, 'add'))
    const count = how === 'stop' ? 3 : 2
    expect(await s.during(Promise.all(answers))).toEqual([1, undefined, true, count])
  }
  expect(s.log.lines.map(({ message }) => message)).toEqual(
    ['stop', 'delete'].map((id) => `leaving/${id}: its terminate failed: Error: useless`),
  )
  expect(await s.during(call(handle.ref('stop'), 'leave'))).toBe('left')
})

test('a power cut at any moment of a delete leaves all rows or none', async () => {
  await started()
  const outcomes = new Set<string>()
  for (const ms of [0, 1, 2, 3, 5, 20, 200]) {
    await s.during(call(s.app.entity(things).ref('a'), 'step'))
    let answer: boolean | undefined
    const deletion = s.app.entity(things).delete('a', { timeoutMs: 500 })
    const noted = deletion.then(
      (it) => {
        answer = it
      },
      () => undefined,
    )
    await s.advance(ms)
    const [isAnswered] = [answer]
    await s.powerCut()
    await noted
    await s.start()
    const again: Things = s.app.entity(things)
    const isThere = again.state('a') !== undefined
    expect(again.list().entries).toHaveLength(isThere ? 1 : 0)
    expect(again.list({ where: { count: { gte: 0 } } }).entries).toHaveLength(isThere ? 1 : 0)
    expect((await s.during(again.alarms())).length > 0).toBe(isThere)
    if (isAnswered) expect(isThere).toBe(false)
    outcomes.add(`${isAnswered} ${isThere}`)
  }
  expect([...outcomes]).toEqual(expect.arrayContaining(['undefined true', 'true false']))
})

test('a delete that a kill cuts short at any moment removes nothing', async () => {
  const handle = await started(1)
  const outcomes: unknown[] = []
  for (let moment = 0; moment < 6; moment++) {
    const ref = handle.ref(`a${moment}`)
    await s.during(call(ref, 'add'))
    const deletion = codeOf(handle.delete(`a${moment}`))
    for (let at = 0; at < moment; at++) await undefined
    s.app.system.kill(name(`thing/a${moment}`))
    outcomes.push([await s.during(deletion), await s.during(call(ref, 'add'))])
  }
  expect(outcomes).toEqual([...Array(4).fill(['EXITED', 2]), ['ok', 1], ['ok', 1]])
})

test('a delete of an unborn one is false, and leaves no row', async () => {
  const handle = await started()
  expect(await s.during(handle.delete('a'))).toBe(false)
  expect(handle.list().entries).toEqual([])
})

test('another entity deletes it from a handler', async () => {
  const handle = await started()
  await s.during(call(handle.ref('a'), 'add'))
  expect(await s.during(call(handle.ref('b'), 'removeOther', 'a'))).toBe(true)
  expect(rowsOf(handle)).toEqual([['b'], ['b']])
})

test('stop ends the process behind its turns; messages behind it wake it again', async () => {
  const handle = await started()
  const ref = handle.ref('a')
  const answers = [call(ref, 'add'), handle.stop('a'), call(ref, 'add'), call(ref, 'life')]
  expect(await s.during(Promise.all(answers))).toEqual([1, true, 2, 3])
  expect(lives).toEqual(['+a', '-a normal', '+a'])
  expect(await s.during(handle.stop('a'))).toBe(true)
  expect(await handle.stop('a')).toBe(false)
  expect(handle.state('a')).toEqual({ count: 2 })
})

describe.each(['stop', 'delete'] as const)('a call that times out behind a %s', (how) => {
  const ends: Record<string, (handle: Things) => unknown> = {
    'an end of the instance': () => s.close(),
    'a stop': (handle) => handle.stop('a'),
    'a kill': () => s.app.system.kill(name('thing/a')),
    'a crash': (handle) => codeOf(call(handle.ref('a'), 'crash')),
  }

  const timedOut = async (): Promise<Things> => {
    const handle = await started()
    const ref = handle.ref('a')
    const answers = [call(ref, 'add'), call(ref, 'wait', 50), handle[how]('a')]
    const late = codeOf(call(ref, 'add', undefined, { timeoutMs: 20 }))
    const behind = call(ref, 'add')
    expect(await s.during(Promise.all([...answers, late, behind]))).toEqual(
      how === 'stop' ? [1, undefined, true, 'TIMEOUT', 2] : [1, undefined, true, 'TIMEOUT', 1],
    )
    return handle
  }

  test('is no work for the next process: it rests', async () => {
    await timedOut()

    await s.advance(2_000_000)

    expect(lives.at(-1)).toBe('-a normal')
  })

  test.each(Object.keys(ends))('is nothing that %s waits for', async (end) => {
    const handle = await timedOut()

    const { system } = s.app

    // The record of a crash is durable before its call is answered.
    await s.during(Promise.resolve(ends[end]?.(handle)))
    await s.advance(100)

    expect(system.whereis(name('thing/a'))).toBe(undefined)
  })
})

test('a stop with nothing but a timed-out call behind it wakes nothing', async () => {
  const handle = await started()
  const ref = handle.ref('a')
  const answers = [call(ref, 'wait', 50), handle.stop('a')]
  const late = codeOf(call(ref, 'add', undefined, { timeoutMs: 20 }))

  expect(await s.during(Promise.all([...answers, late]))).toEqual([undefined, true, 'TIMEOUT'])
  await s.advance(100)

  expect(lives).toEqual(['+a', '-a normal'])
})

test('a call that a stop leaves to the next process keeps that awake until it is answered', async () => {
  const handle = await started()
  const ref = handle.ref('a')
  const answers = [call(ref, 'wait', 50), handle.stop('a')]
  const kept = codeOf(call(ref, 'keep', undefined, patient))
  await s.during(Promise.all(answers))

  await s.advance(3_000_000)
  expect(lives).toEqual(['+a', '-a normal', '+a'])

  await s.during(handle.stop('a'))
  expect(await s.during(kept)).toBe('EXITED')
})

test('a cast that a stop leaves to the next process lets that rest', async () => {
  const handle = await started()
  const ref = handle.ref('a')
  const answers = [call(ref, 'wait', 50), handle.stop('a')]
  cast(ref, 'add')
  await s.during(Promise.all(answers))
  expect(lives).toEqual(['+a', '-a normal', '+a'])

  await s.advance(3_000_000)

  expect([lives.length, handle.state('a')]).toEqual([4, { count: 1 }])
})

test('a kind that restarts with its siblings waits for the ends of its entities', async () => {
  const slow: typeof server = {
    ...server,
    wake: (_, context) => context.trapExit(true),
    terminate: (_, __, { system }) =>
      new Promise<void>((resolve) => void system.clock.after(500, resolve)),
  }
  const kind = entity('thing', slow, { idleMs: 1_000_000 })
  const sibling = worker('sibling', { init: () => 0 } as never)
  s = await startSimulated({ app: supervisor('app', { strategy: 'one_for_all' }, [kind, sibling]) })
  const add = () => codeOf(call(s.app.entity(kind).ref('a'), 'add'))
  expect(await s.during(add())).toBe('ok')
  s.system.kill(name('sibling'))

  await s.advance(400)
  expect(s.system.whereis(name('sibling'))).toBeUndefined()

  await s.advance(200)
  expect(s.system.whereis(name('sibling'))).toBeDefined()
  expect(await s.during(add())).toBe('ok')
})

test('a call whose from was kept is EXITED by a stop', async () => {
  const handle = await started()
  const kept = expect(call(handle.ref('a'), 'keep')).rejects.toMatchObject({ code: 'EXITED' })
  await s.during(handle.stop('a'))
  await kept
})

test('both are waited for as long as they say', async () => {
  const handle = await started()
  await s.during(call(handle.ref('a'), 'add'))
  void call(handle.ref('a'), 'wait', 10_000, patient)
  const stopped = codeOf(handle.stop('a', { timeoutMs: 1_000 }))
  const deleted = handle.delete('a', { timeoutMs: 20_000 })

  expect(await s.during(stopped, { withinMs: 1_100 })).toBe('TIMEOUT')
  expect(await s.during(deleted, { withinMs: 10_000 })).toBe(true)
})

test('after the close both are CLOSED; a wrong id is INVALID_ARGUMENT', async () => {
  const handle = await started()
  await expect(handle.delete('{')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(handle.stop('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await s.close()
  await expect(handle.delete('a')).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(handle.stop('a')).rejects.toMatchObject({ code: 'CLOSED' })
})

const useless: readonly [string, Partial<typeof server>][] = [
  ['its machine changed', { shape: 'other' } as never],
  ['migrate refuses it', { version: 2, migrate: () => fail() }],
  ['it fails each time it wakes', { wake: ({ count }: State) => (count > 0 ? fail() : undefined) }],
]

const fail = (): never => {
  throw new Error('useless')
}

test.each(useless)('a delete removes an entity that is blocked because %s', async (_, change) => {
  const first = await started()
  await s.during(call(first.ref('a'), 'add', undefined, { id: 'one' }))
  await s.during(call(first.ref('a'), 'step'))
  await s.close()
  const kind = entity('thing', { ...server, ...change } as typeof server)
  await s.start({ app: supervisor('app', {}, [kind]) })
  const handle = s.app.entity(kind)
  const refused = codeOf(call(handle.ref('a'), 'add', undefined, patient))
  for (let tries = 0; tries < 5; tries++) await s.advance(2_000)
  expect(await s.during(refused)).toMatch(/BLOCKED|EXITED/)
  expect(await s.during(codeOf(call(handle.ref('a'), 'add', undefined, patient)))).toBe('BLOCKED')
  expect([...handle.blocked().keys()]).toEqual(['a'])
  expect(rowsLeft().length).toBeGreaterThan(3)
  expect(await s.during(handle.delete('a'))).toBe(true)
  expect([rowsLeft(), handle.state('a'), handle.blocked().size]).toEqual([[], undefined, 0])
  await s.powerCut()
  await s.start({ app: supervisor('app', {}, [kind]) })
  expect(rowsLeft()).toEqual([])
  // `terminate` had no state to see.
  expect(lives.filter((each) => each.startsWith('-'))).toEqual([])
  const reborn = s.app.entity(kind).ref('a')
  expect(await s.during(call(reborn, 'add', undefined, { id: 'one', ...patient }))).toBe(1)
})

test('a delete waits for a shard that recovers', async () => {
  const handle = await started(1)
  const ref = handle.ref('a')
  await s.during(call(ref, 'add'))
  s.app.system.kill(WalWriter.name(0))

  const answers = [handle.delete('a', patient), call(ref, 'add', undefined, patient)]

  expect(await s.during(Promise.all(answers))).toEqual([true, 1])
})

test('a shard that goes down in the middle of a delete keeps nobody waiting behind it', async () => {
  const handle = await started(1)
  const ref = handle.ref('a')
  await s.during(call(ref, 'add'))
  failNextSync(s.disk)
  const deletion = handle.delete('a', patient)
  const behind = codeOf(call(ref, 'add', undefined, patient))
  cast(ref, 'add')
  expect(await s.during(behind, { withinMs: 100 })).toBe('SHARD_DOWN')
  const later = codeOf(call(ref, 'add', undefined, patient))
  await s.during(s.app.control.reopen(0))
  expect(await s.during(deletion)).toBe(true)
  expect(await s.during(later)).toMatch(/SHARD_DOWN|ok/)
  await s.advance(100)
  expect(handle.state('a')?.count).toBeLessThanOrEqual(2)
})
