/** `watch` of a kind: every durable turn from a position on, whoever is slow. */
import { describe, expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  type EntityTurn,
  type EntityWatch,
  entity,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import type { SimulatedOptions } from '../../../src/testing/index.ts'
import {
  codeOf,
  type Machine,
  machine,
  simulated,
} from '../../support/worlds/simulated-instance.ts'

type State = number | string
type Messages = {
  calls: { set: (to: State) => void; fail: () => void; look: () => State; write: () => void }
}

/** A key that is locked by another owner. */
const locked = '{n/a}:locked'

const counter: DurableServer<Messages, State> = {
  init: () => ok(0),
  calls: {
    set: (_, to) => reply(undefined, to),
    fail: () => {
      throw new Error('no')
    },
    look: (state) => reply(state, state),
    write: (_, __, context) => {
      context.writes.put(locked, 1)
      return reply(undefined, 'refused')
    },
  },
}

const kinds = [entity('n', counter), entity('nn', counter)] as const

const world = async (options: SimulatedOptions = {}) => {
  const s = await simulated({ app: supervisor('app', {}, kinds), ...options })
  const of = (kind: string) => s.app.entity<Messages, State>(kind)
  return {
    s,
    of,
    set: (id: string, to: State, kind = 'n') => s.during(call(of(kind).ref(id), 'set', to)),
  }
}

const take = async (watch: EntityWatch<State>, count: number): Promise<EntityTurn<State>[]> => {
  const changes: EntityTurn<State>[] = []
  while (changes.length < count) {
    const { value } = await watch.next()
    if (value) changes.push(value)
  }
  return changes
}

const brief = (changes: readonly EntityTurn<State>[]): readonly string[] =>
  changes.map(({ id, state }) => `${id}=${state}`)

describe('a watch of a kind', () => {
  test('has every turn after the page that was read with it, in order, and the removal', async () => {
    const { s, of, set } = await world()
    await set('a', 1)
    const { entries } = of('n').list()
    const watch = of('n').watch()
    await set('a', 2)
    await set('other', 9, 'nn')
    await s.during(codeOf(call(of('n').ref('a'), 'fail')))
    await s.during(call(of('n').ref('a'), 'look'))
    await set('b', 3)
    await s.during(of('n').delete('a'))

    expect(entries.map(({ id, state }) => [id, state])).toEqual([['a', 1]])
    // The record of a crash is a turn.
    const changes = await s.during(take(watch, 4))
    expect(brief(changes)).toEqual(['a=2', 'a=2', 'b=3', 'a=undefined'])
    expect(changes.some(({ catchingUp }) => catchingUp)).toBe(false)
  })

  test('has no turn that was refused, though the log has it', async () => {
    const { s, of, set } = await world()
    await set('a', 1)
    const lsn = s.app.shards[0]?.appliedLsn ?? 0
    await s.during(s.app.store.lock([locked], { owner: 'other', leaseMs: 600_000 }))
    const watch = of('n').watch()
    const written = s.during(codeOf(call(of('n').ref('a'), 'write')))
    const both = Promise.all([written, set('b', 2)])
    expect(await both).toEqual(['LOCKED', undefined])
    await set('a', 3)

    expect(s.app.shards[0]?.appliedLsn).toBeGreaterThan(lsn + 2)
    expect(brief(await s.during(take(watch, 2)))).toEqual(['b=2', 'a=3'])
  })

  test('shows a turn whose row this program cannot use with the reason, and goes on', async () => {
    const { s, set } = await world()
    for (const [id, to] of Object.entries({ a: 1, b: 2, c: 3 })) await set(id, to)
    await s.close()
    const migrate = (state: unknown): State => {
      if (state === 2) throw new Error('not this one')
      return Number(state) * 10
    }
    const newer = entity('n', { ...counter, version: 2, migrate })
    await s.start({ app: supervisor('app', {}, [newer]) })
    const watch = s.app.entity(newer).watch({ from: [{ shard: 0, lsn: 0 }] })

    const changes = await s.during(take(watch, 3))
    expect(changes.map(({ id, state, blocked }) => [id, state, blocked?.code])).toEqual([
      ...[
        ['a', 10, undefined],
        ['b', undefined, 'BLOCKED'],
        ['c', 30, undefined],
      ],
    ])
    expect(changes.map((change) => 'blocked' in change)).toEqual([false, true, false])
  })

  test('goes on after any change, in the next life of the process too, over several shards', async () => {
    const { s, of, set } = await world({ shards: 3 })
    const watch = of('n').watch()
    for (const id of ['a', 'b', 'c', 'd']) await set(id, 1)
    const first = await s.during(take(watch, 2))
    await s.powerCut()
    await s.start()
    const rest = of('n').watch({ from: first[1]?.next ?? [] })
    const others = await s.during(take(rest, 2))

    expect([...brief(first), ...brief(others)].sort()).toEqual(['a=1', 'b=1', 'c=1', 'd=1'])
    expect(others.every(({ catchingUp }) => catchingUp)).toBe(true)
  })

  test('holds up nobody: a slow reader gets the present states of all that changed', {
    tags: ['slow'],
  }, async () => {
    const { s, of, set } = await world({ wal: { maxFileSize: 4 * 1024 * 1024 } })
    const watch = of('n').watch()
    const ids = Array.from({ length: 11 }, (_, at) => `${at}`)
    for (const id of ids) await set(id, 'x'.repeat(900_000))
    for (const id of ids) await set(id, id)
    const seen = new Map<string, unknown>()
    const lsns: number[] = []
    let isLate = false
    while (!ids.every((id) => seen.get(id) === id)) {
      const [change] = await s.during(take(watch, 1))
      if (change) seen.set(change.id, change.state)
      lsns.push(change?.position.lsn ?? 0)
      isLate ||= change?.catchingUp === true
    }

    expect(isLate).toBe(true)
    // Each turn comes once at most, in the order of the log.
    expect(lsns).toEqual([...new Set(lsns)].sort((one, other) => one - other))
  })

  test('gives a turn once that the log has before it is applied', async () => {
    let isSlow = false
    const on: Machine = machine({
      aroundLog: (host) => ({
        ...host,
        run: async (kind, request) => {
          const answer = await host.run(kind, request)
          // The frames are in the log, and nobody knows it yet.
          if (kind === 'commit' && isSlow)
            await new Promise<void>((resolve) => on.clock.after(100, resolve))
          return answer
        },
      }),
    })
    const app = await on.start({ app: supervisor('app', {}, kinds) })
    const handle = app.entity(kinds[0])
    await on.during(call(handle.ref('a'), 'set', 1))
    isSlow = true
    const late = call(handle.ref('b'), 'set', 2)
    await on.clock.advance(50)
    const watch = handle.watch({ from: [{ shard: 0, lsn: 1 }] })
    const changes = on.during(take(watch as EntityWatch<State>, 2))
    await on.during(late)
    isSlow = false

    expect(brief(await changes)).toEqual(['a=1', 'b=2'])
    await on.during(call(handle.ref('c'), 'set', 3))
    expect(brief(await on.during(take(watch as EntityWatch<State>, 1)))).toEqual(['c=3'])
    await watch.return()
    await on.during(app.close())
  })

  test('ends by return and by its signal, and with CLOSED by a close', async () => {
    const { s, of } = await world()
    const ending = new AbortController()
    const [returned, signalled, left] = [
      of('n').watch(),
      of('n').watch({ signal: ending.signal }),
      of('n').watch(),
    ]
    const nexts = [returned.next(), signalled.next()]
    const last = codeOf(left.next())
    await returned.return()
    ending.abort()
    await s.close()

    expect((await Promise.all(nexts)).map(({ done }) => done)).toEqual([true, true])
    expect(await last).toBe('CLOSED')
    expect(() => of('n').watch()).toThrow()
  })
})
