/** What a specification may say: each field at its bounds, and the defaults of those that are left out. */
import { describe, expect, test } from 'vitest'
import {
  childFault,
  childrenFault,
  type JudgedSpec,
  shapeFault,
} from '../../../src/runtime/supervision/child-fault.ts'
import { expectStartable, fullSpec } from '../../../src/runtime/supervision/child-spec.ts'
import { restartPlan } from '../../../src/runtime/supervision/restart-policy.ts'

const start = () => ({ ignore: true }) as never
const spec = (fields: JudgedSpec = {}): JudgedSpec => ({ id: 'a', start, ...fields })
const backoff = (fromMs: unknown, toMs: unknown, more = {}) => ({
  restart: { backoff: { fromMs, toMs, ...more } },
})

describe('a specification', () => {
  test.each<[string, JudgedSpec]>([
    ['nothing else', {}],
    ...(['permanent', 'transient', 'temporary'] as const).map((restart): [string, JudgedSpec] => [
      restart,
      { restart },
    ]),
    ['the least back-off', backoff(1, 1)],
    ['a back-off with a type', { restart: { type: 'transient', backoff: { fromMs: 1, toMs: 9 } } }],
    ['no time to end', { shutdown: 0 }],
    ['all the time to end', { shutdown: 'infinity' }],
    ['a kill', { shutdown: 'brutal_kill' }],
    ['a supervisor', { kind: 'supervisor' }],
    ['a worker', { kind: 'worker' }],
    ['a significance', { significant: false }],
  ])('may say: %s', (_, fields) => {
    expect(shapeFault(spec(fields))).toBeUndefined()
  })

  test.each<[string, JudgedSpec]>([
    ['id', { id: undefined }],
    ['id', { id: '' }],
    ['start', { start: undefined }],
    ['restart', { restart: null }],
    ['restart', { restart: 'never' }],
    ['restart', { restart: {} }],
    ['restart', { restart: { backoff: null } }],
    ['restart', { restart: { type: 'temporary', backoff: { fromMs: 1, toMs: 1 } } }],
    ['restart', { restart: { backoff: { fromMs: 1, toMs: 1 }, period: 1 } }],
    ['restart', backoff(0, 1)],
    ['restart', backoff(2, 1)],
    ['restart', backoff(1.5, 2)],
    ['restart', backoff(1, 2.5)],
    ['restart', backoff(1, undefined)],
    ['restart', backoff(1, 1, { step: 1 })],
    ['significant', { significant: null }],
    ['kind', { kind: 'task' }],
    ['shutdown', { shutdown: -1 }],
    ['shutdown', { shutdown: 1.5 }],
    ['shutdown', { shutdown: 'never' }],
  ])('must not say another %s: %j', (field, fields) => {
    const found = (fields as Record<string, unknown>)[field]
    const fault = shapeFault(spec(fields))
    expect([fault?.field, fault?.found]).toEqual([field, found])
  })

  test('that is no object is refused as a whole', () => {
    for (const odd of [undefined, null, 7])
      expect(shapeFault(odd as never)).toMatchObject({
        ...{ field: 'id', reason: ['invalid_child_spec', odd], found: odd },
      })
  })

  test('may be significant where its end can end its supervisor', () => {
    const significant = (restart: string) => spec({ significant: true, restart })
    expect(childFault(significant('transient'), 'any_significant')).toBeUndefined()
    expect(childFault(significant('temporary'), 'all_significant')).toBeUndefined()
    const fault = { field: 'significant', found: true }
    expect(childFault(significant('transient'), 'never')).toMatchObject(fault)
    expect(childFault(significant('permanent'), 'any_significant')).toMatchObject({
      ...fault,
      reason: [
        'bad_combination',
        [
          ['restart', 'permanent'],
          ['significant', true],
        ],
      ],
    })
    expect(childFault(spec({ significant: false }), 'never')).toBeUndefined()
  })

  test('has an id of its own among its siblings', () => {
    const specs = ['a', 'b', 'a'].map((id) => spec({ id }))
    expect(childrenFault(specs, 'never')).toMatchObject({
      ...{ at: 2, field: 'id', reason: ['duplicate_child_name', 'a'], found: 'a' },
    })
    expect(childrenFault(specs.slice(0, 2), 'never')).toBeUndefined()
  })
})

test('what a specification leaves out has the defaults of OTP', () => {
  const full = { id: 'a', start, significant: false, backoff: undefined, startGate: undefined }
  expect(fullSpec({ id: 'a', start })).toMatchObject({
    ...{ ...full, restart: 'permanent', kind: 'worker', shutdown: 5_000 },
  })
  expect(fullSpec({ id: 'a', start, kind: 'supervisor' })).toMatchObject({ shutdown: 'infinity' })
  const limits = { fromMs: 1, toMs: 2 }
  expect(restartPlan({ backoff: limits })).toEqual({ type: 'permanent', backoff: limits })
  expect(restartPlan({ type: 'transient', backoff: limits })).toEqual({
    ...{ type: 'transient', backoff: limits },
  })
  expect(restartPlan('temporary')).toEqual({ type: 'temporary', backoff: undefined })
})

test('options are refused with their path', () => {
  const refusal = (check: () => unknown): unknown => {
    try {
      check()
    } catch (error) {
      const { code, details } = error as { code: string; details: { path?: unknown } }
      return [code, details.path]
    }
    return 'fine'
  }
  expect(refusal(() => expectStartable('p', {}))).toBe('fine')
  expect(refusal(() => expectStartable('p', { mailboxMax: 0 }))).toEqual(['CONFIG', 'p.mailboxMax'])
})
