/** Parts of turns by themselves: work that runs, ends that are set, steps that are recorded. */
import { describe, expect, test } from 'vitest'
import { ActorWork } from '../../../src/actors/turns/actor-work.ts'
import { endAlarm } from '../../../src/actors/turns/lifetime.ts'
import { nothing } from '../../../src/actors/turns/memory.ts'
import { TurnDraft } from '../../../src/actors/turns/turn-draft.ts'
import { ownRun } from '../../../src/actors/turns/turn-run.ts'
import { silentLogger } from '../../../src/testing/index.ts'

describe('running work', () => {
  const settled = () => new Promise((resolve) => setImmediate(resolve))

  test('is waited for at a close, all of it, and hears of the close', async () => {
    let isClosing = false
    const work = new ActorWork(silentLogger, () => isClosing)
    expect(work.mayBegin).toBe(true)
    isClosing = true
    expect(work.mayBegin).toBe(false)
    const [one, other] = [work.begins('a/1', 'step'), work.begins('a/2', 'alarm')]
    const { closing } = one
    let isDrained = false
    void work.drained().then(() => {
      isDrained = true
    })
    expect([closing.aborted, other.closing.aborted]).toEqual([true, false])
    work.ends(one, true)
    work.ends(one, true)
    await settled()
    expect(isDrained).toBe(false)
    work.ends(other, true)
    await settled()
    expect(isDrained).toBe(true)
  })

  test('is late if it ends after its time, named by its pieces or as a whole', () => {
    const work = new ActorWork(silentLogger, () => true)
    const whole = work.begins('a/1', 'step')
    const pieces = work.begins('a/1', 'machine')
    const inTime = work.begins('a/1', 'alarm')
    pieces.pieces = () => ['rate', 'quote']
    work.ends(inTime, true)
    work.expire()
    expect(work.late).toEqual([
      { actor: 'a/1', what: 'step' },
      { actor: 'a/1', what: 'rate' },
      { actor: 'a/1', what: 'quote' },
    ])
    work.ends(whole, true)
    work.ends(pieces, false)
    expect(work.late.map(({ what }) => what)).toEqual(['rate', 'quote'])
  })

  test('keeps no close waiting when there is none', async () => {
    const work = new ActorWork(silentLogger, () => true)
    work.ends(work.begins('a/1', 'step'), true)
    await expect(work.drained()).resolves.toBeUndefined()
  })
})

test('an end is set in ms from 0, with its keys or without', () => {
  expect(endAlarm('s', 100, {})).toEqual({
    ...{ setting: 's', payload: false, at: 100, tries: 0, dueAt: 100 },
  })
  expect(endAlarm('s', 100, { keepMs: 1.5, keys: true })).toMatchObject({ payload: true, at: 102 })
  const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
  for (const wrong of [
    { keepMs: -1 },
    { keepMs: Number.NaN },
    { keepMs: Number.POSITIVE_INFINITY },
    { keepMs: '5' },
    { keys: 'yes' },
    { keys: null },
  ])
    expect(() => endAlarm('s', 100, wrong as never)).toThrow(invalid)
})

test('a step wakes its actor later, if it has not run by then', () => {
  const known = { stored: nothing, memory: nothing }
  const draft = new TurnDraft(ownRun('message', 'it'), known, '0123456789abcdef')
  const steps = ['a', 'b'].map((name) => draft.addStep(name, 1, 1_000_000))
  for (const { wakeAt, notBefore } of steps) {
    expect(notBefore).toBe(0)
    expect(wakeAt).toBeGreaterThan(1_000_000)
  }
  expect(steps.map(({ step }) => step.slice(draft.name.length))).toEqual(['/0', '/1'])
  expect([draft.removeStep('other'), draft.removeStep(steps[0]?.step ?? '')]).toEqual([false, true])
})
