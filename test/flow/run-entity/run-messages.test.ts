/** The messages of a run's entity, one by one, in each status of the run: what is accepted, refused, and left as it was. */
import { describe, expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { cancelAtDeadline } from '../../../src/flow/run-entity/run-control.ts'
import { childCalls, familyContinues } from '../../../src/flow/run-entity/run-entity.ts'
import { startCalls, startTimer } from '../../../src/flow/run-entity/run-start.ts'
import type { RunMessages } from '../../../src/flow/runs/messages.ts'
import { type Parent, parentEnded, type RunState } from '../../../src/flow/runs/record.ts'
import { inputOf } from '../../../src/flow/runs/values.ts'
import { call, noReply, type Ref, reply } from '../../../src/runtime/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { contextWith, corrupt, run } from '../../support/worlds/run-rows.ts'

/** A body that ends as its input says. */
const work = workflow('work', async (ctx: Ctx<{ go: unknown }>, input: string) => {
  if (input === 'steps') await ctx.step('one', () => 1)
  if (input === 'waits' || input === 'steps') await ctx.waitFor('go')
  if (input === 'runs') await ctx.step('hang', () => new Promise(() => undefined))
  if (input === 'once')
    await ctx.step('once', () => new Promise(() => undefined), { repeat: 'once' })
  if (input === 'undoes') {
    await ctx.step('done', () => 1, { undo: () => new Promise(() => undefined) })
    throw new Error('now undo')
  }
  if (input === 'fails') throw new Error('broken')
  return input
})

const world = async () => {
  const w = await flowWorld([work])
  const refOf = (id: string) =>
    w.s.app.entity<RunMessages>('$flow-work').ref(id) as Ref<RunMessages>
  const send = <N extends keyof RunMessages['calls']>(
    id: string,
    name: N,
    request?: Parameters<RunMessages['calls'][N]>[0],
  ): Promise<unknown> =>
    w.during(
      call(refOf(id), name as never, request as never, { timeoutMs: 300 }).catch((error) => {
        const { code, message, details } = error
        return { code, message, details }
      }) as Promise<unknown>,
    )
  const state = (id: string) => w.s.app.entity('$flow-work').state(id) as RunState | undefined
  const start = async (id: string, input: string, more: object = {}) => {
    const answer = await send(id, 'start', { ...inputOf(input), ...more })
    await w.s.advance(10_000)
    return answer
  }
  /** Runs in each status, named by it. */
  const inEach = async (): Promise<void> => {
    for (const [status, input] of Object.entries(inputs))
      await send(status, 'start', inputOf(input))
    await w.s.advance(10_000)
    await send('cancelled', 'cancel', { reason: 'rain', force: false })
    await w.crash()
    await w.s.advance(10_000)
    for (const status of statuses) expect(state(status)?.status).toBe(status)
  }
  return { w, send, state, start, inEach }
}

/** The input of a run that comes to a status. */
const inputs = {
  ...{ running: 'runs', waiting: 'waits', undoing: 'undoes', completed: 'ends', failed: 'fails' },
  ...{ cancelled: 'waits', blocked: 'once' },
}
const statuses = Object.keys(inputs)

const refused = (what: string, id: string, status: string | undefined) => ({
  code: 'CONFLICT',
  message: `the run ${id} cannot ${what}: ${status ?? 'it has not begun'}`,
  details: { id, status },
})

describe('a start', () => {
  const parent: Parent = { type: 'p', id: '1', birth: 'b', lap: 0, number: 3 }

  test('that is repeated finds its run: the same input, of the same operation of the same parent', async () => {
    const { send, start, state } = await world()
    expect(await start('1', 'waits', { parent, root: 'r/1' })).toEqual({ repeated: false })
    const before = state('1')
    const again = (change: Partial<Parent>, input = 'waits') =>
      send('1', 'start', { ...inputOf(input), parent: { ...parent, ...change } })

    expect(await again({})).toEqual({ repeated: true })
    // Each lap of the parent may ask for the run of its key.
    expect(await again({ lap: 1 })).toEqual({ repeated: true })
    expect(await send('1', 'start', inputOf('waits'))).toEqual({ repeated: true })
    const conflict = {
      code: 'CONFLICT',
      message: 'the run 1 of work has begun with another input or parent',
      details: { type: 'work', id: '1' },
    }
    for (const other of [{ type: 'q' }, { id: '2' }, { birth: 'c' }, { number: 4 }])
      expect(await again(other)).toEqual(conflict)
    expect(await again({}, 'runs')).toEqual(conflict)
    await start('2', 'waits')
    expect(await send('2', 'start', { ...inputOf('waits'), parent })).toMatchObject({
      code: 'CONFLICT',
    })
    // Its end is for the newest lap.
    expect(state('1')).toEqual({ ...before, parent: { ...parent, lap: 1 } })
    // The operation of a newer round, or body, may have another number. Of one round it is one.
    for (const newer of [
      { lap: 1, round: 1, number: 4 },
      { lap: 2, number: 5 },
    ]) {
      expect(await again(newer)).toEqual({ repeated: true })
      expect(await again({ ...newer, number: 9 })).toEqual(conflict)
      expect(state('1')).toEqual({ ...before, parent: { ...parent, ...newer } })
    }
    expect(await again({ lap: 1, round: 2, number: 4 })).toEqual(conflict)
  })

  test('gives its run all that was asked for, and no more', async () => {
    const { w, start, state, send } = await world()
    const now = w.s.clock.now()
    await start('all', 'waits', {
      ...{ parent, root: 'r/1', priority: 3, key: 'k', correlation: 'c' },
    })
    const zeros = { round: 0, lap: 0, outcomes: 0, signals: 0, unread: 0 }
    const kept = {
      ...{ status: 'waiting', version: 1, attempt: 1, ...zeros, operations: 0 },
      ...{ inputHash: inputOf('waits').inputHash, birth: expect.stringMatching(/^[0-9a-f]{16}$/) },
      ...{ startedAt: expect.any(Number), since: expect.any(Number) },
      waitsFor: { kind: 'signal', name: 'go' },
    }
    expect(state('all')).toEqual({
      ...{ ...kept, parent, root: 'r/1', priority: 3, queueKey: 'k', correlation: 'c' },
    })
    expect((state('all')?.startedAt ?? 0) - now).toBeLessThan(100)
    await start('bare', 'waits')
    expect(state('bare')).toEqual(kept)
    expect(state('bare')?.birth).not.toBe(state('all')?.birth)

    await send('later', 'start', { ...inputOf('ends'), delay: 60_000 })
    expect(state('later')).toMatchObject({ status: 'waiting', isHeld: true })
  })
})

describe('a fork', () => {
  test('has what its first run was asked for, its input and seed, and is repeated by the same request alone', async () => {
    const { w, send, start, state } = await world()
    const parent: Parent = { type: 'p', id: '1', birth: 'b', lap: 0, number: 3 }
    await start('1', 'steps', { parent, root: 'r/1', priority: 3, key: 'k', correlation: 'c' })
    const first = state('1') as RunState
    const fork = (of: string, id: string, from = 'one') => send(of, 'fork', { id, from })
    expect(await fork('2', '1')).toEqual({ repeated: false })
    const born = state('2') as RunState
    const { parent: _, root: __, waitsFor: ___, ...asked } = first
    expect(born).toEqual({
      ...{ ...asked, status: 'running', birth: expect.stringMatching(/^[0-9a-f]{16}$/) },
      ...{ startedAt: born.since, since: born.since, outcomes: 0, operations: 0 },
      fork: { seed: first.birth, startedAt: first.startedAt, run: 'work/1', from: 'one' },
    })
    expect(born.since).toBeGreaterThan(first.since)
    expect([born.birth === first.birth, state('1')]).toEqual([false, first])

    await w.s.advance(10_000)
    expect(await fork('3', '2')).toEqual({ repeated: false })
    expect(state('3')?.fork).toEqual({ ...born.fork, run: 'work/2' })
    expect(await fork('2', '1')).toEqual({ repeated: true })
    const taken = (id: string) => ({
      ...{ code: 'CONFLICT', message: `the run ${id} of work has begun otherwise` },
      details: { type: 'work', id },
    })
    expect(await fork('2', '1', 'other')).toEqual(taken('2'))
    expect(await fork('2', '3')).toEqual(taken('2'))
    expect(await fork('1', '1')).toEqual(taken('1'))
    expect(await fork('4', '1', 'other')).toEqual({
      ...{ code: 'CONFLICT', message: 'the run 1 has no operation "other" to begin from' },
      details: { id: '1', from: 'other' },
    })
    expect(await fork('4', 'none')).toEqual(refused('be forked', 'none', undefined))
    expect(state('4')).toBeUndefined()
  })
})

describe('a message finds a run in each status', () => {
  const statusesBut = (...some: string[]) => statuses.filter((each) => !some.includes(each))

  test('wake, begin, result, signal: it ends no run, and only one that has ended takes no signal', async () => {
    const { send, inEach, state } = await world()
    await inEach()
    for (const status of statuses) {
      const before = state(status)
      for (const name of ['wake', 'begin'] as const)
        expect(await send(status, name)).toBe(undefined)
      expect(state(status)).toEqual(before)
    }

    expect(await send('completed', 'result')).toEqual({ status: 'completed', output: 'ends' })
    expect(await send('failed', 'result')).toMatchObject({
      ...{ status: 'failed', error: { message: 'broken' } },
    })
    expect(await send('cancelled', 'result')).toMatchObject({
      ...{ status: 'cancelled', error: { code: 'CANCELLED', message: 'rain' } },
    })
    expect(await send('blocked', 'result')).toMatchObject({
      ...{ status: 'blocked', error: { code: 'UNKNOWN_STEP' } },
    })
    for (const status of ['running', 'waiting', 'undoing'])
      expect(await send(status, 'result')).toMatchObject({ code: 'TIMEOUT' })
    expect(await send('none', 'result')).toEqual(refused('be waited for', 'none', undefined))

    const go = { name: 'other', value: 1 }
    for (const status of ['completed', 'failed', 'cancelled'])
      expect(await send(status, 'signal', go)).toEqual(refused('take a signal', status, status))
    for (const status of statusesBut('completed', 'failed', 'cancelled'))
      expect(await send(status, 'signal', go)).toEqual({ repeated: false })
    expect(await send('none', 'signal', go)).toEqual(refused('take a signal', 'none', undefined))
    expect(await send('blocked', 'signal', { ...go, id: 'x' })).toEqual({ repeated: false })
    expect(await send('blocked', 'signal', { ...go, id: 'x' })).toEqual({ repeated: true })
  })

  test('settle and retry: of runs that are blocked, and retry of those that failed or were cancelled', async () => {
    const { send, inEach, state } = await world()
    await inEach()
    const decision = (key: string) => ({ key, outcome: { kind: 'ok', value: 1 } }) as const
    for (const status of statusesBut('blocked'))
      expect(await send(status, 'settle', decision('once'))).toEqual(
        refused('settle once', status, status),
      )
    expect(await send('blocked', 'settle', decision('other'))).toEqual({
      ...{ code: 'CONFLICT', message: 'the run blocked needs no decision about "other"' },
      details: { id: 'blocked', key: 'other' },
    })
    for (const status of ['blocked', 'completed'])
      expect(await send(status, 'retry', { from: 'other' })).toEqual({
        ...{
          code: 'CONFLICT',
          message: `the run ${status} has no operation "other" to begin from`,
        },
        details: { id: status, from: 'other' },
      })
    expect(await send('none', 'settle', decision('a'))).toEqual(
      refused('settle a', 'none', undefined),
    )
    expect(await send('blocked', 'settle', decision('once'))).toBe(undefined)
    expect(state('blocked')).toMatchObject({ status: 'running' })
    expect(state('blocked')).not.toHaveProperty('error')

    for (const status of ['failed', 'cancelled'])
      expect(await send(status, 'retry', {})).toBe(undefined)
    for (const status of statusesBut('failed', 'cancelled', 'blocked'))
      expect(await send(status, 'retry', {})).toEqual(refused('be retried', status, status))
    expect(await send('none', 'retry', {})).toEqual(refused('be retried', 'none', undefined))
  })

  test('cancel: of runs that go on, once, and of those that are undone by force alone', async () => {
    const { send, inEach, state } = await world()
    await inEach()
    const rain = { reason: 'rain', force: false }
    for (const status of ['completed', 'failed', 'cancelled', 'undoing'])
      expect(await send(status, 'cancel', rain)).toEqual({ accepted: false, status })
    for (const status of ['running', 'waiting', 'blocked'])
      expect(await send(status, 'cancel', rain)).toEqual({ accepted: true, status })
    expect(await send('none', 'cancel', rain)).toEqual(refused('be cancelled', 'none', undefined))
    expect(await send('undoing', 'cancel', { reason: 'now', force: true })).toEqual({
      ...{ accepted: true, status: 'undoing' },
    })
    expect(state('undoing')).toMatchObject({
      ...{ status: 'cancelled' },
      error: { name: 'KeelsonError', code: 'CANCELLED', message: 'now' },
    })
    for (const status of ['completed', 'failed'])
      expect(await send(status, 'cancel', { reason: 'now', force: true })).toEqual({
        ...{ accepted: false, status },
      })
  })
})

test('a cancel by a parent is one of its child alone, whose end is for the newest body', async () => {
  const { send, start, state } = await world()
  const parent: Parent = { type: 'p', id: '1', birth: 'b', lap: 0, number: 3 }
  await start('child', 'waits', { parent })
  await start('own', 'waits')
  const cancel = (id: string, change: Partial<Parent>) =>
    send(id, 'cancel', { reason: 'rain', force: false, parent: { ...parent, ...change } })
  const none = (id: string) => ({
    ...{
      code: 'CONFLICT',
      message: `the run ${id} of work is no child of the run that cancels it`,
    },
    details: { type: 'work', id },
  })
  const before = [state('child'), state('own')]
  for (const other of [{ type: 'q' }, { id: '2' }, { birth: 'c' }, { number: 4 }])
    expect(await cancel('child', other)).toEqual(none('child'))
  expect(await cancel('own', {})).toEqual(none('own'))
  expect([state('child'), state('own')]).toEqual(before)
  const newer = { round: 1, number: 4 }
  expect(await cancel('child', newer)).toEqual({ accepted: true, status: 'waiting' })
  expect(state('child')).toMatchObject({ parent: { ...parent, ...newer } })
  expect(await cancel('child', { lap: 1, number: 1 })).toMatchObject({ accepted: true })
  expect(state('child')).toMatchObject({ parent: { ...parent, lap: 1, number: 1 } })
})

test('an alarm, or the end of a child, that finds no run changes nothing', () => {
  const none = undefined as never
  const { deadline } = cancelAtDeadline(none)
  const { timer } = startTimer(none)
  expect(deadline(undefined, none, none)).toEqual(noReply(undefined))
  expect(timer(undefined, none, none)).toEqual(noReply(undefined))
  const { childEnded } = childCalls(none)
  expect(childEnded(undefined, none, none)).toEqual(reply(undefined, undefined))
})

describe('a step or a message that comes late changes nothing', () => {
  const none = undefined as never
  const parent: Parent = { type: 'p', id: '1', birth: 'b', lap: 0, number: 3 }
  const stateIn = (status: string) => ({ status, birth: 'b', lap: 1, parent }) as RunState

  test.each(['running', 'waiting', 'cancelling', 'undoing'])(
    'a run that is %s again tells its parent of no end, and cancels no child',
    async (status) => {
      const { notifyParent, cancelChildren } = familyContinues({} as never)
      const state = stateIn(status)
      expect(await notifyParent(state, none, none)).toEqual(noReply(state))
      expect(await cancelChildren(state, none, none)).toEqual(noReply(state))
    },
  )

  const told = (status: string, lap: number, end: object, birth = 'b') => {
    const rows = { get: () => ({ kind: 'child', key: 'one' }) }
    const message = { birth, lap, number: 1, end } as never
    return childCalls(none).childEnded(stateIn(status), message, { rows } as never)
  }

  test('the end of a child of an earlier lap, or of another run of the same id', () => {
    const state = stateIn('waiting')
    const end = { status: 'completed', output: 1 }
    expect(told('waiting', 0, end)).toEqual(reply(undefined, state))
    expect(told('waiting', 1, end, 'c')).toEqual(reply(undefined, state))
  })

  test.each(['waiting', 'blocked'])('a blocked child, to a run that is %s', (status) => {
    const end = { status: 'blocked', error: { name: 'Error', message: 'stuck' } }
    expect(told(status, 1, end)).toEqual(reply(undefined, stateIn(status)))
  })
})

describe('a signal', () => {
  test('without an id is not the one whose id is `undefined` as a text', async () => {
    const { send, start } = await world()
    await start('1', 'waits')
    const other = { name: 'other', value: 1 }
    expect(await send('1', 'signal', other)).toEqual({ repeated: false })
    expect(await send('1', 'signal', { ...other, id: 'undefined' })).toEqual({ repeated: false })
    expect(await send('1', 'signal', other)).toEqual({ repeated: false })
  })

  test('that is too long is refused with its length', async () => {
    const { send, start } = await world()
    await start('1', 'waits')
    const length = 2 ** 20 + 100
    const long = await send('1', 'signal', { name: 'other', value: 'x'.repeat(length) })
    expect(long).toMatchObject({
      ...{ code: 'TOO_LARGE', message: `a signal or an update has at most ${2 ** 20} bytes` },
      details: { max: 2 ** 20, length: expect.any(Number) },
    })
  })
})

describe('the end of a child', () => {
  const child = workflow('child', async (ctx: Ctx<{ go: unknown }>) => ctx.waitFor('go'))
  const parent = workflow('parent', (ctx: Ctx) => ctx.child('one', child, undefined, { id: 'c' }))
  const family = async () => {
    const w = await flowWorld([child, parent])
    await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    await w.s.advance(10_000)
    const state = () => w.s.app.entity('$flow-parent').state('p') as RunState
    const ref = w.s.app.entity<RunMessages>('$flow-parent').ref('p') as Ref<RunMessages>
    const { birth, lap } = state()
    const place = { birth, lap, number: 1 }
    const tell = async (change: object, end: object = { status: 'completed', output: 7 }) => {
      await w.during(call(ref, 'childEnded', { ...place, ...change, end } as never))
      await w.s.advance(5_000)
    }
    return { w, state, tell }
  }

  test('is taken by its operation alone, once', async () => {
    const { w, state, tell } = await family()
    const before = state()
    expect(before).toMatchObject({
      status: 'waiting',
      waitsFor: { kind: 'child', name: 'child/c' },
    })
    for (const other of [{ birth: 'x' }, { lap: 1 }, { number: 2 }]) await tell(other)
    expect(state()).toEqual(before)
    await tell({})
    expect(state()).toMatchObject({ status: 'completed', outcomes: 1 })
    const done = state()
    await tell({}, { status: 'completed', output: 8 })
    expect(state()).toEqual(done)
    expect(await w.during(w.flow.handle(parent, 'p').result())).toBe(7)
  })

  test('that failed is FAILED with its error', async () => {
    const { w, tell } = await family()
    await tell({}, { status: 'failed', error: { name: 'RangeError', message: 'no' } })
    const end = w.flow.handle(parent, 'p').result()
    expect(await w.during(end.catch((error) => error.cause))).toMatchObject({
      ...{ code: 'FAILED', message: 'the run c of child is failed: no' },
    })
  })

  test('that is blocked is none: a parent that waits goes on waiting', async () => {
    const { state, tell } = await family()
    const before = state()
    await tell({}, { status: 'blocked', error: { name: 'Error', message: 'stuck' } })
    expect(state()).toEqual(before)
  })
})

test('a start of a child that was cancelled with its parent is refused when its record cannot be read', async () => {
  const parent: Parent = { type: 'p', id: '1', birth: 'b', lap: 0, number: 1 }
  const cancel = { reason: parentEnded(parent), isPlaced: true }
  const state = run({ status: 'cancelled', parent, cancel })
  const failures: unknown[] = []
  const { context } = contextWith()
  const rows = { ...context.rows, range: corrupt }
  const own = {
    ...context,
    rows,
    id: 'c',
    from: { fail: (error: unknown) => failures.push(error) },
  }
  const { start } = startCalls({ workflow: work } as never)
  expect(await start(state, { inputHash: 'h', parent } as never, own as never)).toEqual(
    noReply(state),
  )
  expect(failures).toEqual([expect.objectContaining({ code: 'CORRUPT' })])
})
