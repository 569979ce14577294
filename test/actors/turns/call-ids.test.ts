/** Calls with an id: one outcome each, over repeats, crashes and refusals. */

import { afterEach, describe, expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  type EntityOptions,
  entity,
  type From,
  KeelsonError,
  noReply,
  ok,
  type Ref,
  reply,
  stopReply,
  supervisor,
} from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: {
    add: (by: number) => number
    put: (key: string) => string
    refuse: (why: string) => void
    odd: (what: 'function' | 'nothing' | 'kept' | 'later') => unknown
    fail: (why: 'error' | 'range' | 'value') => void
    end: () => string
    nothing: () => void
    echo: (value: unknown) => unknown
    total: () => number
    crash: () => void
  }
}

/** A key that the counter may write. */
const receipt = '{counter/1}:receipt'

/** How often handlers ran. */
let runs = 0
let kept: From<unknown> | undefined

/** What handlers fail with that has no code. */
const failures = {
  error: new Error('no code'),
  range: new RangeError('too far'),
  value: { why: 'no error' },
}

const counter: DurableServer<Messages, { readonly total: number }> = {
  init: () => ok({ total: 0 }),
  calls: {
    add: async (state, by) => {
      runs++
      return reply(state.total + by, { total: state.total + by })
    },
    put: (state, key, context) => {
      runs++
      context.writes.put(key, state.total)
      return reply('put', { total: state.total + 1 })
    },
    refuse: (state, why, { from }) => {
      runs++
      from.fail(new KeelsonError('BUSY', why))
      return noReply({ total: state.total + 1 })
    },
    odd: (state, what, { from }) => {
      const changed = { total: state.total + 1_000 }
      if (what === 'function') return reply(() => 1, changed)
      if (what === 'nothing') from.fail(undefined)
      else kept = from
      return noReply(changed)
    },
    fail: (state, why, { from }) => {
      runs++
      from.fail(failures[why])
      return noReply({ total: state.total + 1 })
    },
    end: (state) => {
      runs++
      return stopReply('normal', 'ended', { total: state.total + 1 })
    },
    nothing: (state) => {
      runs++
      return reply(undefined, state)
    },
    echo: (state, value) => reply(value, state),
    total: (state) => reply(state.total, state),
    crash: () => {
      throw new Error('crashed')
    },
  },
  index: ({ total }) => {
    if (total < 0) throw new Error('no such total')
    return {}
  },
}

afterEach(() => {
  runs = 0
  kept = undefined
})

const started = async (options: EntityOptions = {}) => {
  const kind = entity('counter', counter, options)
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  return { s, ref: () => s.app.entity(kind).ref('1') }
}

describe('a call with an id', () => {
  test('is answered with its first outcome and not handled again, in any number', async () => {
    const { s, ref } = await started()
    const calls = Array.from({ length: 5 }, () => call(ref(), 'add', 2, { id: 'a' }))
    expect(await s.during(Promise.all(calls))).toEqual([2, 2, 2, 2, 2])
    expect(await s.during(call(ref(), 'add', 2, { id: 'b', timeoutMs: 500 }))).toBe(4)
    expect(await s.during(call(ref(), 'add', 2, { id: 'a' }))).toBe(2)
    expect([runs, await s.during(call(ref(), 'total'))]).toEqual([2, 4])
  })

  test('has its outcome after a crash of the actor, a power cut and a close', async () => {
    const { s, ref } = await started()
    await s.during(call(ref(), 'add', 2, { id: 'a' }))
    await expect(s.during(call(ref(), 'crash'))).rejects.toMatchObject({ code: 'EXITED' })
    expect(await s.during(call(ref(), 'add', 2, { id: 'a' }))).toBe(2)
    await s.powerCut({ unsynced: 'lost' })
    await s.start()
    expect(await s.during(call(ref(), 'add', 2, { id: 'a' }))).toBe(2)
    await s.close()
    await s.start()
    expect(await s.during(call(ref(), 'add', 2, { id: 'a' }))).toBe(2)
    expect([runs, await s.during(call(ref(), 'total'))]).toEqual([1, 2])
  })

  test('is the same call with its names in another order', async () => {
    const { s, ref } = await started()
    await s.during(call(ref(), 'echo', { of: { b: 1, c: 2 }, at: new Date(5) }, { id: 'a' }))
    const again = { at: new Date(5), of: { c: 2, b: 1 } }
    expect(await s.during(call(ref(), 'echo', again, { id: 'a' }))).toEqual(again)
    const other = call(ref(), 'echo', { at: new Date(5), of: { c: 1, b: 2 } }, { id: 'a' })
    await expect(s.during(other)).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('is CONFLICT with another payload or name, and nothing happens', async () => {
    const { s, ref } = await started()
    await s.during(call(ref(), 'add', 2, { id: 'a' }))
    const other = call(ref(), 'add', 3, { id: 'a' })
    await expect(s.during(other)).rejects.toMatchObject({ code: 'CONFLICT' })
    const named = call(ref(), 'nothing', undefined, { id: 'a' })
    await expect(s.during(named)).rejects.toMatchObject({ code: 'CONFLICT' })
    expect([runs, await s.during(call(ref(), 'total'))]).toEqual([1, 2])
  })

  test('keeps a coded refusal with the state of its turn', async () => {
    const { s, ref } = await started()
    const refused = { code: 'BUSY', message: 'full' }
    await expect(s.during(call(ref(), 'refuse', 'full', { id: 'a' }))).rejects.toMatchObject(
      refused,
    )
    await s.powerCut({ unsynced: 'lost' })
    await s.start()
    const again = call(ref(), 'refuse', 'full', { id: 'a' })
    await expect(s.during(again)).rejects.toMatchObject(refused)
    expect([runs, await s.during(call(ref(), 'total'))]).toEqual([1, 1])
  })

  test.each<[keyof typeof failures, object]>([
    ['error', { name: 'Error', message: 'no code' }],
    ['range', { name: 'RangeError', message: 'too far' }],
    ['value', { why: 'no error' }],
  ])('keeps a failure without a code: %s', async (why, expected) => {
    const { s, ref } = await started()
    const first = call(ref(), 'fail', why, { id: 'a' })
    await expect(s.during(first)).rejects.toBe(failures[why])
    await s.powerCut({ unsynced: 'lost' })
    await s.start()
    const again = await s.during(
      call(ref(), 'fail', why, { id: 'a' }).catch((error: unknown) => error),
    )
    expect(again).toMatchObject(expected)
    expect(again instanceof Error).toBe(why !== 'value')
    expect([runs, await s.during(call(ref(), 'total'))]).toEqual([1, 1])
  })

  test('remembers a reply of undefined, and the reply of a stopReply', async () => {
    const { s, ref } = await started()
    for (let round = 0; round < 2; round++) {
      expect(await s.during(call(ref(), 'nothing', undefined, { id: 'a' }))).toBe(undefined)
      expect(await s.during(call(ref(), 'end', undefined, { id: 'b' }))).toBe('ended')
    }
    expect([runs, await s.during(call(ref(), 'total'))]).toEqual([2, 1])
  })

  test('is refused without an outcome that can be stored, and its turn did not happen', async () => {
    const { s, ref } = await started()
    for (const what of ['function', 'nothing', 'kept', 'later'] as const) {
      const refused = call(ref(), 'odd', what, { id: what })
      await expect(s.during(refused)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    expect(kept?.reply(1)).toBe(false)
    const payload = call(ref(), 'echo', () => 1, { id: 'payload' })
    await expect(s.during(payload)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await s.during(call(ref(), 'total'))).toBe(0)
    expect(await s.during(call(ref(), 'echo', 'x', { id: 'payload' }))).toBe('x')
  })

  test('is handled again when its unit was refused, and so is a repeat that waited', async () => {
    const { s, ref } = await started()
    const key = receipt
    await s.during(s.app.store.lock([key], { owner: 'other', leaseMs: 10_000 }))
    const [first, repeat] = await s.during(
      Promise.allSettled([
        call(ref(), 'put', key, { id: 'a' }),
        call(ref(), 'put', key, { id: 'a' }),
      ]),
    )
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'LOCKED' } })
    expect(repeat).toMatchObject({ status: 'rejected', reason: { code: 'LOCKED' } })
    expect([runs, await s.during(call(ref(), 'total'))]).toEqual([2, 0])
    await s.during(s.app.store.unlock([key], { owner: 'other' }))
    expect(await s.during(call(ref(), 'put', key, { id: 'a' }))).toBe('put')
    expect(s.app.store.get(key)).toBe(0)
  })
})

describe('outcomes', () => {
  test('are kept while young or among the newest', async () => {
    const { s, ref } = await started({ keepIds: { forMs: 10_000, newest: 2 } })
    for (const id of ['a', 'b', 'c']) await s.during(call(ref(), 'add', 1, { id }))
    expect(await s.during(call(ref(), 'add', 1, { id: 'a' }))).toBe(1)
    await s.clock.advance(20_000)
    // The next outcome forgets the two oldest.
    expect(await s.during(call(ref(), 'add', 1, { id: 'd' }))).toBe(4)
    await s.powerCut()
    await s.start()
    expect(await s.during(call(ref(), 'add', 1, { id: 'c' }))).toBe(3)
    expect(await s.during(call(ref(), 'add', 1, { id: 'd' }))).toBe(4)
    expect(await s.during(call(ref(), 'add', 1, { id: 'a' }))).toBe(5)
  })

  test('are forgotten oldest first, also by a later life of their actor', async () => {
    const { s, ref } = await started({ keepIds: { forMs: 10_000, newest: 2 } })
    for (const id of ['z', 'y', 'a']) await s.during(call(ref(), 'add', 1, { id }))
    await s.powerCut()
    await s.start()
    await s.clock.advance(20_000)
    expect(await s.during(call(ref(), 'add', 1, { id: 'm' }))).toBe(4)
    expect(await s.during(call(ref(), 'add', 1, { id: 'a' }))).toBe(3)
    // It is not known any more.
    expect(await s.during(call(ref(), 'add', 1, { id: 'z' }))).toBe(5)
  })

  /** Takes ids until two are outdated, then one whose turn `refuses` with `code`. */
  const refusedLater = async (code: string, refuses: (ref: Ref<Messages>) => Promise<unknown>) => {
    const { s, ref } = await started({ keepIds: { forMs: 10_000, newest: 2 } })
    const again = (id: string) => s.during(call(ref(), 'add', 1, { id }))
    await s.during(s.app.store.lock([receipt], { owner: 'other', leaseMs: 100_000 }))
    for (const id of ['a', 'b']) await again(id)
    await s.clock.advance(20_000)
    await expect(s.during(refuses(ref()))).rejects.toMatchObject({ code })
    return again
  }

  test.each<[string, (ref: Ref<Messages>) => Promise<unknown>]>([
    ['LOCKED', (ref) => call(ref, 'put', receipt, { id: 'c' })],
    ['INVALID_ARGUMENT', (ref) => call(ref, 'add', -1_000, { id: 'c' })],
  ])('stand, in their order, when a later turn is refused with %s', async (code, refuses) => {
    const again = await refusedLater(code, refuses)
    expect([await again('a'), await again('b'), runs]).toEqual([1, 2, 3])
    await again('d')
    const before = runs
    expect(await again('b')).toBe(2)
    expect(runs).toBe(before)
    expect(await again('a')).toBe(4)
  })

  test('beyond their bytes make new ids BUSY, until some are outdated', async () => {
    const { s, ref } = await started({ keepIds: { forMs: 10_000, newest: 1, bytesMax: 300 } })
    const text = 'x'.repeat(200)
    for (const id of ['a', 'b']) await s.during(call(ref(), 'echo', text, { id }))
    const more = call(ref(), 'echo', text, { id: 'c' })
    await expect(s.during(more)).rejects.toMatchObject({ code: 'BUSY' })
    expect(await s.during(call(ref(), 'echo', text, { id: 'a' }))).toBe(text)
    expect(await s.during(call(ref(), 'echo', text))).toBe(text)
    await s.clock.advance(20_000)
    expect(await s.during(call(ref(), 'echo', text, { id: 'c' }))).toBe(text)
  })
})
