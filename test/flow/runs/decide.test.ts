/** The decisions about a run: of each phase and each event, one thing. */
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import {
  afterRefusedTurn,
  afterWait,
  type CancelEvent,
  type CancelPhase,
  decide,
  decideCancel,
  decideEnd,
  decideRest,
  type Ending,
  type EndStep,
  isBodyOver,
  isGone,
  isStopped,
  mayRest,
  mayStart,
  ofRefusal,
  type RestEvent,
  type RestPhase,
  type RunEvent,
  type RunPhase,
} from '../../../src/flow/runs/decide.ts'

const phases = [
  ...(['reads', 'born', 'done', 'runs', 'ends', 'blocks', 'blocksEnd', 'left', 'over'] as const),
]

describe('the life of an activation', () => {
  const events = [
    ...(['read', 'began', 'bodyEnded', 'diverged', 'divergedAgain', 'failed', 'blocked'] as const),
    ...(['entityBlocked', 'blockRefused', 'rested', 'ended', 'again', 'gone'] as const),
  ]
  /** The move of each event in each phase; events that are not named change nothing. */
  const table: Record<RunPhase, Partial<Record<RunEvent, string>>> = {
    reads: {
      read: 'born: body',
      diverged: 'left: replay',
      divergedAgain: 'blocks: block',
      failed: 'blocks: block',
      gone: 'left: rest',
    },
    born: {
      began: 'runs: start',
      bodyEnded: 'done: nothing',
      diverged: 'left: replay',
      divergedAgain: 'blocks: block',
      failed: 'blocks: block',
      gone: 'left: rest',
    },
    done: {
      began: 'ends: startEnd',
      diverged: 'over: replay',
      divergedAgain: 'blocksEnd: block',
      failed: 'blocksEnd: block',
      gone: 'over: rest',
    },
    runs: {
      bodyEnded: 'ends: end',
      diverged: 'left: replay',
      divergedAgain: 'blocks: block',
      failed: 'blocks: block',
      rested: 'left: rest',
      gone: 'left: rest',
    },
    ends: {
      diverged: 'over: replay',
      divergedAgain: 'blocksEnd: block',
      failed: 'blocksEnd: block',
      ended: 'over: rest',
      again: 'over: again',
      gone: 'over: rest',
    },
    blocks: {
      blocked: 'left: rest',
      entityBlocked: 'left: rest',
      blockRefused: 'left: fail',
      gone: 'left: rest',
    },
    blocksEnd: {
      blocked: 'over: rest',
      entityBlocked: 'over: rest',
      blockRefused: 'over: fail',
      ended: 'over: rest',
      again: 'over: again',
      gone: 'over: rest',
    },
    left: {},
    over: {},
  }

  test.each(phases)('%s: each event leads to one phase, with one effect', (phase) => {
    const found = events.map((event) => {
      const { phase: next, effect } = decide(phase, event)
      return [event, `${next}: ${effect}`]
    })
    expect(found).toEqual(
      events.map((event) => [event, table[phase][event] ?? `${phase}: nothing`]),
    )
  })

  test('makes no value of its own: the same phase and event give the same constant', () => {
    for (const phase of phases)
      for (const event of events) {
        expect(decide(phase, event)).toBe(decide(phase, event))
        expect(Object.isFrozen(decide(phase, event))).toBe(true)
      }
  })

  test('has phases after the body, and phases in which nothing is carried out', () => {
    expect(phases.filter(isBodyOver)).toEqual(['done', 'ends', 'blocksEnd', 'over'])
    expect(phases.filter(isGone)).toEqual(['left', 'over'])
    expect(phases.filter(isStopped)).toEqual(['blocks', 'blocksEnd', 'left', 'over'])
  })

  /** Every sequence of events, as the phases that it leads through. */
  const reached = (): readonly { path: readonly RunEvent[]; effects: readonly string[] }[] => {
    const found: { path: readonly RunEvent[]; effects: readonly string[] }[] = []
    const walk = (phase: RunPhase, path: readonly RunEvent[], effects: readonly string[]): void => {
      const next = events.filter((event) => decide(phase, event).phase !== phase)
      if (next.length === 0) found.push({ path, effects })
      for (const event of next) {
        const move = decide(phase, event)
        walk(move.phase, [...path, event], [...effects, move.effect])
      }
    }
    walk('reads', [], [])
    return found
  }

  test('ends once, on every way, and its body begins and its run ends at most once', () => {
    const ways = reached()
    expect(ways.length).toBeGreaterThan(50)
    const count = (effects: readonly string[], ...of: readonly string[]) =>
      effects.filter((effect) => of.includes(effect)).length
    for (const { path, effects } of ways) {
      const counted = [
        count(effects, 'rest', 'replay', 'again', 'fail'),
        Math.max(1, count(effects, 'body')),
        Math.max(1, count(effects, 'start', 'startEnd')),
        Math.max(1, count(effects, 'end', 'startEnd')),
        Math.max(1, count(effects, 'block')),
      ]
      expect([path, counted]).toEqual([path, [1, 1, 1, 1, 1]])
    }
  })

  test('a body that diverges again is blocked, or cut off', () => {
    for (const { path, effects } of reached())
      if (path.includes('divergedAgain')) {
        const after = effects.slice(path.indexOf('divergedAgain'))
        expect(after[0]).toBe('block')
        expect(['rest', 'fail', 'again']).toContain(after.at(-1))
        expect(after).not.toContain('start')
      }
  })
})

test.each<[CancelPhase, string]>([
  ['none', 'wanted none none none'],
  ['wanted', 'wanted placing none wanted'],
  ['placing', 'placing placing none wanted'],
])('from %s a cancel goes to %s, for asked, begun, placed and deferred', (phase, after) => {
  const events: readonly CancelEvent[] = ['asked', 'begun', 'placed', 'deferred']
  expect(events.map((event) => decideCancel(phase, event)).join(' ')).toBe(after)
})

test.each<[RestPhase, string]>([
  ['awake', 'waits awake awake decides awake'],
  ['waits', 'waits awake awake waits waits'],
  ['decides', 'decides decides decides decides awake'],
])('from %s a rest goes to %s, for idle, acts, waited, due and refused', (phase, after) => {
  const events: readonly RestEvent[] = ['idle', 'acts', 'waited', 'due', 'refused']
  expect(events.map((event) => decideRest(phase, event)).join(' ')).toBe(after)
})

describe('a look at an activation', () => {
  const activation = (hasArrived: boolean, isClosing = false) => ({
    isClosing,
    replay: { hasArrived, inFlight: { size: 1 }, next: (): unknown => undefined },
  })

  test('operations start while its body runs and in its end, and not in a close', () => {
    const found = (isClosing: boolean) =>
      phases.filter((phase) => mayStart(phase, 'none', activation(true, isClosing)) !== 'nothing')
    expect([found(false), found(true)]).toEqual([['runs', 'ends'], []])
  })

  test.each<[RunPhase, CancelPhase, boolean, string]>([
    ['runs', 'none', true, 'operations'],
    ['runs', 'wanted', true, 'cancel'],
    ['runs', 'wanted', false, 'operations'],
    ['runs', 'placing', true, 'nothing'],
    ['ends', 'wanted', true, 'operations'],
    ['ends', 'placing', true, 'nothing'],
  ])('in %s with a cancel %s, arrived %s: %s', (phase, cancel, hasArrived, expected) => {
    expect(mayStart(phase, cancel, activation(hasArrived))).toBe(expected)
  })

  test('it rests only while its body waits, and nothing of it goes on', () => {
    const idle = { ...activation(true), working: 0, state: {} }
    expect(phases.filter((phase) => mayRest(phase, 'awake', idle))).toEqual(['runs'])
    const { replay } = idle
    const busy = [
      { ...idle, working: 1 },
      { ...idle, state: { cancel: {} } },
      { ...idle, replay: { ...replay, hasArrived: false } },
      { ...idle, replay: { ...replay, inFlight: { size: 0 } } },
      { ...idle, replay: { ...replay, next: () => ({}) } },
    ]
    expect(busy.map((each) => mayRest('runs', 'awake', each))).toEqual(Array(5).fill(false))
    expect(mayRest('runs', 'decides', idle)).toBe(false)
  })

  test('after a long wait it rests, but for a timer that is due soon; without a part it is blocked', () => {
    const found = [afterWait(false, 2_000, 2_000), afterWait(false, 1_999, 2_000)]
    expect([...found, afterWait(true, 0, 2_000)]).toEqual(['rest', 'wait', 'block'])
    expect(afterWait(false, Number.POSITIVE_INFINITY, 2_000)).toBe('rest')
  })

  test('a refusal waits; after the last one the body has ended; after all of it it is given', () => {
    const found = (wasLast: boolean) =>
      phases.map((phase) => `${phase} ${ofRefusal(phase, wasLast)}`).join(', ')
    expect(found(false)).toBe(
      'reads wait, born wait, done wait, runs wait, ends wait, blocks wait, blocksEnd give, left wait, over give',
    )
    expect(found(true)).toBe(
      'reads end, born end, done wait, runs end, ends wait, blocks end, blocksEnd give, left end, over give',
    )
  })
})

describe('the turn after a body', () => {
  const ends: Ending = {
    isOver: false,
    cancel: 'none',
    body: 'completed',
    hasNextTry: false,
    mustUndo: false,
  }
  test.each<[Partial<Ending>, EndStep]>([
    [{}, 'completed'],
    [{ mustUndo: true }, 'completed'],
    [{ body: 'again', mustUndo: true }, 'again'],
    [{ body: 'failed' }, 'failed'],
    [{ body: 'failed', mustUndo: true }, 'undoFailed'],
    [{ body: 'failed', mustUndo: true, hasNextTry: true }, 'retry'],
    [{ body: 'failed', mustUndo: true, cancel: 'unplaced' }, 'place'],
    [{ cancel: 'unplaced' }, 'place'],
    [{ cancel: 'placed' }, 'cancelled'],
    [{ body: 'again', cancel: 'placed', mustUndo: true }, 'undo'],
    [{ body: 'failed', cancel: 'placed', mustUndo: true }, 'undo'],
    [{ isOver: true, cancel: 'unplaced', body: 'failed' }, 'none'],
  ])('of %j is %s', (ending, expected) => {
    expect(decideEnd({ ...ends, ...ending })).toBe(expected)
  })
})

test.each([
  [['EXITED', 'NO_PROCESS', 'CLOSED', 'UNKNOWN_OUTCOME'], 'gone'],
  [['INVALID_ARGUMENT', 'TOO_LARGE', 'CONFLICT', 'BLOCKED', 'CORRUPT'], 'throw'],
  [['NO_SPACE', 'READ_ONLY', 'SHARD_DOWN', 'BUSY', 'TIMEOUT'], 'later'],
] as const)('after a turn that was refused with one of %j: %s', (codes, expected) => {
  for (const code of codes) expect(afterRefusedTurn(new KeelsonError(code, 'no'))).toBe(expected)
  expect(afterRefusedTurn(new Error('a mistake'))).toBe('throw')
})
