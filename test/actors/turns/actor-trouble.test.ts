/** What is kept of the trouble of durable actors, in bounded memory. */
import { describe, expect, test } from 'vitest'
import { ActorTrouble } from '../../../src/actors/turns/actor-trouble.ts'

describe('kinds of failures', () => {
  test('are counted, and from 1 again after ten minutes without one', () => {
    const trouble = new ActorTrouble()
    expect([0, 599_999, 1_199_999].map((now) => trouble.seen('a', now))).toEqual([1, 2, 1])
  })

  test('beyond 1,000 take the place of the one that was seen longest ago', () => {
    const trouble = new ActorTrouble()
    for (let at = 0; at < 1_000; at++) trouble.seen(`kind ${at}`, at)
    expect(trouble.seen('kind 0', 1_000)).toBe(2)
    expect([trouble.seen('one more', 1_001), trouble.seen('one more', 1_002)]).toEqual([1, 2])
    expect(trouble.seen('kind 0', 1_003)).toBe(3)
    expect(trouble.seen('kind 1', 1_004)).toBe(1)
  })
})
