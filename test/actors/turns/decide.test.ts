/** The decisions about a turn: of each phase and each event, one thing. */
import { describe, expect, test } from 'vitest'
import {
  afterRefusal,
  afterThrow,
  type BeforeTurn,
  beforeTurn,
  type Condition,
  decide,
  decideLog,
  isVoid,
  mayLeave,
  type TurnEvent,
  type TurnKind,
  type TurnPhase,
  takesNothing,
} from '../../../src/actors/turns/decide.ts'
import { KeelsonError } from '../../../src/errors.ts'

const [full, readOnly, other] = (['NO_SPACE', 'READ_ONLY', 'TOO_LARGE'] as const).map(
  (code) => new KeelsonError(code, 'no'),
)

test.each<[TurnKind, string, string, string]>([
  ['call', 'answer', 'answer', 'end'],
  ['apply', 'answer', 'answer', 'answer'],
  ['message', 'wait', 'drop', 'end'],
  ['result', 'wait', 'onError', 'end'],
  ['failure', 'wait', 'block', 'block'],
  ['step', 'wait', 'retry', 'retry'],
  ['alarm', 'wait', 'retry', 'retry'],
  ['record', 'wait', 'block', 'end'],
  ['crash', 'drop', 'drop', 'end'],
  ['birth', 'wait', 'end', 'end'],
])('%s: on a full disk %s, after another refusal %s, after a throw %s', (kind, ...after) => {
  const refusal = (error: unknown, isOvertaken = false) =>
    afterRefusal(kind, { error, isOvertaken })
  expect([refusal(full), refusal(other), afterThrow(kind, false)]).toEqual(after)
  expect([refusal(readOnly), refusal(full, true), refusal(other, true)]).toEqual([
    refusal(full),
    'end',
    'end',
  ])
})

test('a row that cannot be read blocks its actor where another throw ends the process', () => {
  const kinds = [
    'call',
    'message',
    'result',
    'apply',
    'failure',
    'step',
    'alarm',
    'onFailed',
  ] as const
  expect(kinds.map((kind) => afterThrow(kind, true))).toEqual([
    ...['block', 'block', 'block', 'answer', 'block', 'retry', 'retry', 'park'],
  ])
})

test('a disk takes nothing when it is full or takes no writes', () => {
  expect([full, readOnly, other, new Error('no')].map(takesNothing)).toEqual([
    ...[true, true, false, false],
  ])
})

describe('the life of a turn', () => {
  const phases = [
    ...(['runs', 'void', 'blind', 'spoilt', 'written', 'unsure', 'refused', 'durable'] as const),
    ...(['out', 'undone', 'failed'] as const),
  ]
  const events = [
    ...(['ended', 'changed', 'unchanged', 'spoilt', 'failed', 'blind', 'short', 'undone'] as const),
    ...(['takenBack', 'durable', 'unknown', 'refused', 'rewritten', 'left', 'cut'] as const),
  ]
  /** What each event does in each phase; events that are not named change nothing. */
  const table: Record<TurnPhase, Partial<Record<TurnEvent, string>>> = {
    runs: {
      ended: 'runs: judge',
      changed: 'written: write',
      unchanged: 'durable: release',
      spoilt: 'spoilt: drop',
      failed: 'failed: drop',
      blind: 'blind: nothing',
      short: 'void: nothing',
      undone: 'void: redo',
    },
    void: { ended: 'undone: proceed', failed: 'undone: drop' },
    blind: { ended: 'undone: awaitRows', failed: 'undone: drop', undone: 'void: redo' },
    spoilt: {
      unchanged: 'spoilt: release',
      left: 'undone: leave',
      undone: 'undone: redo',
      takenBack: 'undone: drop',
      cut: 'undone: drop',
    },
    written: {
      durable: 'durable: release',
      unknown: 'unsure: halt',
      refused: 'refused: halt',
      undone: 'undone: redo',
      takenBack: 'undone: drop',
      cut: 'failed: drop',
    },
    unsure: {
      durable: 'durable: release',
      unknown: 'unsure: halt',
      refused: 'refused: halt',
      rewritten: 'written: write',
      undone: 'undone: redo',
      takenBack: 'undone: drop',
      cut: 'failed: drop',
    },
    refused: {
      durable: 'durable: release',
      unknown: 'unsure: halt',
      refused: 'refused: halt',
      undone: 'undone: redo',
      takenBack: 'undone: drop',
      cut: 'failed: drop',
    },
    durable: {
      left: 'out: leave',
      unknown: 'unsure: halt',
      undone: 'undone: redo',
      takenBack: 'undone: drop',
      cut: 'failed: drop',
    },
    out: {},
    undone: {},
    failed: {},
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

  test('lets turns leave that are durable, and errors in the place of a turn', () => {
    expect(phases.filter(mayLeave)).toEqual(['spoilt', 'durable'])
  })

  test('is void as soon as nothing of its handler counts', () => {
    expect(phases.filter(isVoid)).toEqual(['void', 'blind', 'spoilt', 'undone'])
  })
})

test('a log that halts reads the row, waits for space, or takes its turns back', () => {
  const refusal = (error: unknown) => ({ error, isOvertaken: false })
  const found = [
    decideLog(undefined, 'call', undefined, true),
    ...(['written', 'unsure', 'durable', 'spoilt'] as const).map((first) =>
      decideLog(first, 'message', refusal(full), true),
    ),
    decideLog('refused', 'message', refusal(full), true),
    decideLog('refused', 'message', refusal(full), false),
    decideLog('refused', 'call', refusal(full), true),
    decideLog('refused', 'message', refusal(other), true),
  ]
  expect(found).toEqual(['flow', ...Array(4).fill('look'), 'wait', ...Array(3).fill('refuse')])
})

describe('before a turn', () => {
  const ready: Condition = {
    isAlive: true,
    isAwake: true,
    hasRedo: false,
    isFull: false,
    knowsIds: false,
    isStill: false,
    isClosed: false,
    isCutOff: false,
  }
  test.each<[Partial<Condition>, string, BeforeTurn]>([
    [{}, 'call', 'begin'],
    // The turn begins, and the actor looks at itself then: it may be blocked, or its shard down.
    [{ isStill: true, isAlive: false }, 'call', 'begin'],
    [{ isFull: true }, 'message', 'await room'],
    [{}, 'call with an id', 'read ids'],
    [{ knowsIds: true }, 'call with an id', 'begin'],
    [{ isAwake: false }, 'call', 'wake'],
    [{ hasRedo: true, isFull: true }, 'call', 'redo'],
    [{ hasRedo: true, isStill: true }, 'message', 'redo'],
    [{ hasRedo: true, isStill: true }, 'call', 'refuse: shard down'],
    [{ isFull: true, isStill: true }, 'message', 'await shard'],
    [{ isAwake: false, hasRedo: true }, 'message', 'wake'],
    [{ isFull: true, isCutOff: true, isStill: true }, 'call', 'refuse: cut off'],
    [{ isFull: true, isCutOff: true, isClosed: true }, 'message', 'end'],
    [{ isFull: true, isAlive: false, isCutOff: true }, 'call', 'end'],
  ])('of an actor with %j and a %s: %s', (standing, message, expected) => {
    const isAsked = message.startsWith('call')
    const actor = { ...ready, ...standing }
    expect(beforeTurn(actor, isAsked, message.endsWith('id'))).toBe(expected)
  })

  test('each wait is for something that still comes: of the dead and the closed none waits', () => {
    const flags = Object.keys(ready) as (keyof Condition)[]
    const waits = new Set<BeforeTurn>()
    for (let bits = 0; bits < 2 ** flags.length; bits++)
      for (const isAsked of [true, false]) {
        const entries = flags.map((flag, at) => [flag, (bits & (1 << at)) > 0])
        const actor = Object.fromEntries(entries) as Condition
        const found = beforeTurn(actor, isAsked, isAsked)
        if (found !== 'begin' && (!actor.isAlive || actor.isClosed)) expect(found).toBe('end')
        if (found === 'await shard') expect([isAsked, actor.isStill]).toEqual([false, true])
        if (found === 'wake') expect([actor.isAwake, actor.isStill]).toEqual([false, false])
        if (found === 'await room' || found === 'read ids') expect(actor.isStill).toBe(false)
        waits.add(found)
      }
    expect(waits.size).toBe(9)
  })
})
