/** Operations in memory: their ends, their scopes, and the event that a run waits for. */
import { describe, expect, test } from 'vitest'
import {
  Active,
  type ActiveParts,
  awaitedOf,
  runningSteps,
  Scope,
} from '../../../src/flow/runs/operations.ts'
import type { Recorded } from '../../../src/flow/runs/record.ts'

const active = (parts: Partial<ActiveParts> = {}, recorded?: Partial<Recorded>): Active => {
  const made = new Active({ kind: 'step', key: 'a', scope: new Scope(), ...parts })
  made.recorded = recorded as Recorded | undefined
  return made
}

describe('an operation', () => {
  test('ends once: by its value, by its error, or without either', async () => {
    const ends: unknown[] = []
    const listening = () => {
      const one = active()
      one.whenOver((reason) => ends.push(reason))
      return one
    }
    const [good, bad, left] = [listening(), listening(), listening()]
    const error = new Error('no')
    expect([good.isOver, good.thrown]).toEqual([false, undefined])
    good.resolve(7)
    good.reject(error)
    bad.reject(error)
    bad.resolve(7)
    left.stop('reason')
    left.resolve(8)

    expect(ends).toEqual([undefined, error, 'reason'])
    expect([good.isOver, bad.isOver, left.isOver, bad.thrown]).toEqual([true, true, true, error])
    expect(await good.promise).toBe(7)
    await expect(bad.promise).rejects.toBe(error)
    expect(await left.promise).toBe(8)
  })

  test('tells its end at once to those who ask later, and to nobody who has left', () => {
    const told: string[] = []
    const one = active()
    const leave = one.whenOver(() => told.push('left'))
    one.whenOver(() => told.push('stayed'))
    leave()
    one.stop(undefined)
    leave()
    one.whenOver((reason) => told.push(`late ${reason}`))()
    expect(told).toEqual(['stayed', 'late undefined'])
  })

  test('is named by a close if it is a step that may have begun', () => {
    const [begun, held, sleep] = [active(), active(), active({ kind: 'sleep' })]
    begun.mayHaveBegun = true
    sleep.mayHaveBegun = true
    expect(runningSteps([begun, held, sleep])).toEqual(['step a'])
  })
})

describe('a scope', () => {
  test('is cancelled with the ones around it, and keeps the first reason', () => {
    const outer = new Scope()
    const inner = outer.branch('one/').branch('0/')
    const beside = outer.branch('two/')
    expect([outer.prefix, inner.prefix, inner.cancelled]).toEqual(['', 'one/0/', undefined])
    inner.cancel('inner')
    expect([inner.cancelled, outer.cancelled, beside.cancelled]).toEqual([
      ...['inner', undefined, undefined],
    ])
    outer.cancel('outer')
    outer.cancel('again')
    inner.cancel('again')
    expect([inner.cancelled, outer.cancelled, beside.cancelled]).toEqual([
      ...['inner', 'outer', 'outer'],
    ])
    const late = outer.branch('three/')
    late.cancel('own')
    expect(late.cancelled).toBe('outer')
  })
})

describe('a run waits', () => {
  const failure = { name: 'Error', message: 'busy' }
  const cases: readonly [Active, unknown][] = [
    [active({ kind: 'wait', key: 'k', signal: 's' }), { kind: 'signal', name: 's' }],
    [active({ kind: 'wait', key: 'k' }, { dueAt: 5 }), { kind: 'signal', name: 'k', until: 5 }],
    [active({ kind: 'child', key: 'k' }, { child: 'c/1' }), { kind: 'child', name: 'c/1' }],
    [active({ kind: 'child', key: 'k' }), { kind: 'child', name: 'k' }],
    [active({ kind: 'sleep', key: 'k' }, { dueAt: 5 }), { kind: 'timer', name: 'k', until: 5 }],
    [active({ key: 'k' }, { dueAt: 5 }), { kind: 'retry', name: 'k', until: 5 }],
    [
      active({ key: 'k' }, { dueAt: 5, failure }),
      { kind: 'retry', name: 'k', until: 5, error: failure },
    ],
    [active({ key: 'k' }), { kind: 'retry', name: 'k' }],
  ]
  test.each(cases)('for one operation: case %#', (one, awaited) => {
    expect(awaitedOf([one])).toEqual(awaited)
  })

  test('for the earliest with a time, or else for the first', () => {
    const at = (dueAt?: number) =>
      active({ kind: 'sleep', key: `${dueAt}` }, dueAt === undefined ? {} : { dueAt })
    expect(awaitedOf([])).toBe(undefined)
    expect(awaitedOf([at(), at(9), at(3), at(7)])).toMatchObject({ until: 3 })
    const signal = active({ kind: 'wait', signal: 's' })
    expect(awaitedOf([signal, at()])).toMatchObject({ name: 's' })
    expect(awaitedOf([at(), signal])).toMatchObject({ name: 'undefined' })
  })
})
