/** What is kept of the trouble of durable actors, in bounded memory. */
import { describe, expect, test } from 'vitest'
import { ActorTrouble } from '../../../src/actors/turns/actor-trouble.ts'
import { FailureLog } from '../../../src/actors/turns/failure-log.ts'
import { createSystem } from '../../../src/runtime/index.ts'

const newTrouble = () => new ActorTrouble(new FailureLog(createSystem()))

describe('steps and alarms that fail', () => {
  const failing = (entity: string, what = 'step') => ({
    ...{ entity, what, tries: 1, retryAt: 5, error: 'no' },
  })

  test('are kept by their actors and settings, with the time of the first failure, until their rows are gone', () => {
    const trouble = newTrouble()
    trouble.fails('s1', failing('a'), 10)
    trouble.fails('s1', failing('a', 'again'), 20)
    trouble.fails('s2', failing('a'), 30)
    expect(
      [...(trouble.failing.get('a') ?? [])].map(([setting, { what, since }]) => [
        setting,
        what,
        since,
      ]),
    ).toEqual([
      ['s1', 'again', 10],
      ['s2', 'step', 30],
    ])
    expect(trouble.keeps('a', new Set(['s2', 's3']))).toBe(true)
    expect([...(trouble.failing.get('a')?.keys() ?? [])]).toEqual(['s2'])
    expect(trouble.keeps('a', new Set())).toBe(false)
    expect([trouble.failing.size, trouble.keeps('b', new Set(['s']))]).toEqual([0, false])
  })

  test('are kept of 10,000 actors, also the later ones of these', () => {
    const trouble = newTrouble()
    for (let at = 0; at <= 10_000; at++) trouble.fails('s', failing(`${at}`), at)
    expect([trouble.failing.size, trouble.failing.has('10000')]).toEqual([10_000, false])
    trouble.fails('t', failing('7'), 40)
    expect(trouble.failing.get('7')?.size).toBe(2)
  })
})

test('refused turns are counted by their codes', () => {
  const trouble = newTrouble()
  for (const code of ['NO_SPACE', 'LOCKED', 'NO_SPACE']) trouble.refuses(code)
  expect([...trouble.refused]).toEqual([
    ['NO_SPACE', 2],
    ['LOCKED', 1],
  ])
})
