/** The states of a shard: every one that can be reached, and what each event does there. */
import { describe, expect, test } from 'vitest'
import type { ReadView } from '../../../src/actors/core/read-view.ts'
import {
  decide,
  firstState,
  isAway,
  isComing,
  isLeaving,
  isOwn,
  isShut,
  isStill,
  type Leaving,
  mayDeliver,
  type ShardEvent,
  type ShardKind,
  type ShardState,
} from '../../../src/actors/core/shard-phase.ts'
import { KeelsonError } from '../../../src/errors.ts'

const view = {} as ReadView
const reason = new Error('the disk is full')
const refusal = new KeelsonError('CLOSED', 'the instance is closing')
const closed = new KeelsonError('CLOSED', 'the instance is closed')

const events: readonly ShardEvent[] = [
  { kind: 'shown', view },
  { kind: 'hidden' },
  { kind: 'failed', reason },
  { kind: 'poisoned', reason },
  { kind: 'cleared' },
  { kind: 'left' },
  { kind: 'came', wallAheadMs: -5 },
  { kind: 'rests' },
  { kind: 'ends' },
  { kind: 'away' },
  { kind: 'shut' },
  { kind: 'stays' },
  { kind: 'closing', refusal },
  { kind: 'closed', refusal: closed },
]

const kinds: readonly ShardKind[] = ['recovering', 'open', 'down', 'elsewhere', 'closed']
const steps: readonly Leaving[] = ['no', 'rests', 'ends', 'away', 'shut']

/** A state without the counts, which know no bound. */
const keyOf = ({ kind, leaving, opened, closing }: ShardState): string =>
  [kind, leaving, opened > 0 ? 'known' : 'new', closing ? 'closing' : 'stays'].join(' ')

type Step = { readonly from: ShardState; readonly event: ShardEvent; readonly to: ShardState }

/** Every state that any sequence of events leads to, and every step between them. */
const walked = (): { states: ReadonlyMap<string, ShardState>; taken: readonly Step[] } => {
  const states = new Map([[keyOf(firstState), firstState]])
  const taken: Step[] = []
  for (const from of states.values())
    for (const event of events) {
      const to = decide(from, event).state
      taken.push({ from, event, to })
      if (!states.has(keyOf(to))) states.set(keyOf(to), to)
    }
  return { states, taken }
}

const { states, taken } = walked()

const stateOf = (kind: ShardKind, more: Partial<ShardState> = {}): ShardState =>
  ({
    kind,
    ...(kind === 'open' && { view }),
    ...(kind === 'down' && { reason }),
    leaving: 'no',
    opened: 1,
    closing: undefined,
    ...more,
  }) as ShardState

describe('what each event does in each phase, while the instance does not close', () => {
  /** Events that are not named change nothing. */
  const table: Record<ShardKind, Partial<Record<ShardEvent['kind'], string>>> = {
    recovering: {
      shown: 'open: tell releaseGate',
      failed: 'down: holdGate tell refuseWrites shutGate',
      poisoned: 'down: holdGate tell loseWrites shutGate',
      left: 'elsewhere: holdGate tell shutGate',
      closing: 'recovering: shutGate',
      closed: 'closed: tell shutGate',
    },
    open: {
      hidden: 'recovering: holdGate tell',
      failed: 'down: holdGate tell refuseWrites shutGate',
      poisoned: 'down: holdGate tell loseWrites shutGate',
      left: 'elsewhere: holdGate tell shutGate',
      rests: 'open:',
      closing: 'open: shutGate',
      closed: 'closed: tell shutGate',
    },
    down: {
      cleared: 'recovering: tell reopenGate',
      left: 'elsewhere: holdGate tell shutGate',
      closing: 'down: shutGate',
      closed: 'closed: tell shutGate',
    },
    elsewhere: {
      came: 'recovering: beginTime tell reopenGate',
      closing: 'elsewhere: shutGate',
      closed: 'closed: tell shutGate',
    },
    closed: {},
  }

  test.each(kinds)('%s: each event leads to one phase, with one list of effects', (kind) => {
    const state = stateOf(kind)
    const found = events.map((event) => {
      const { state: next, effects } = decide(state, event)
      if (next === state) return [event.kind, 'nothing']
      return [event.kind, `${next.kind}: ${effects.join(' ')}`.trim()]
    })
    expect(found).toEqual(events.map((event) => [event.kind, table[kind][event.kind] ?? 'nothing']))
  })
})

test.each<[Leaving, Partial<Record<ShardEvent['kind'], Leaving>>]>([
  ['no', { rests: 'rests' }],
  ['rests', { ends: 'ends', stays: 'no', left: 'no' }],
  ['ends', { away: 'away', shut: 'shut', stays: 'no', left: 'no' }],
  ['away', { shut: 'shut', stays: 'no', left: 'no' }],
  ['shut', { stays: 'no', left: 'no' }],
])('a shard whose leaving is %s goes on in one order, and can stay', (leaving, table) => {
  const state = stateOf('open', { leaving })
  const found = events.map((event) => decide(state, event).state.leaving)
  expect(found).toEqual(events.map((event) => table[event.kind] ?? leaving))
})

describe('in every state that can be reached', () => {
  test('the number of states is known: a new one is looked at here', () => {
    expect(states.size).toBe(42)
  })

  test('the same state and event lead to the same state and effects', () => {
    for (const state of states.values())
      for (const event of events) expect(decide(state, event)).toEqual(decide(state, event))
  })

  test('some event leads on to the close, and nothing leads out of it', () => {
    for (const state of states.values()) {
      const ends = decide(state, { kind: 'closed', refusal: closed }).state
      expect(ends.kind).toBe('closed')
      if (state.kind === 'closed')
        for (const event of events) expect(decide(state, event).state.kind).toBe('closed')
    }
  })

  test('a shard that is not closed can be opened again', () => {
    const opening: readonly ShardEvent[] = [
      { kind: 'cleared' },
      { kind: 'came', wallAheadMs: 0 },
      { kind: 'shown', view },
    ]
    for (const state of states.values()) {
      const after = opening.reduce((now, event) => decide(now, event).state, state)
      expect(after.kind).toBe(state.kind === 'closed' ? 'closed' : 'open')
    }
  })

  test('only a view makes it open, and only a failure takes it down', () => {
    for (const { from, event, to } of taken) {
      if (to.kind === 'open' && from.kind !== 'open')
        expect([from.kind, event.kind]).toEqual(['recovering', 'shown'])
      if (to.kind === 'down' && from.kind !== 'down')
        expect(['failed', 'poisoned']).toContain(event.kind)
      expect('view' in to).toBe(to.kind === 'open')
      expect('reason' in to).toBe(to.kind === 'down')
    }
  })

  test('only an open shard begins to leave, and each step follows the one before', () => {
    for (const { from, to } of taken) {
      const [before, after] = [steps.indexOf(from.leaving), steps.indexOf(to.leaving)]
      if (before === 0 && after > 0) expect([from.kind, to.leaving]).toEqual(['open', 'rests'])
      if (after > 0) expect(after).toBeGreaterThanOrEqual(before)
    }
  })

  test('the gate opens only in a shard whose instance does not close, and that is not elsewhere', () => {
    for (const state of states.values())
      for (const event of events) {
        const { state: next, effects } = decide(state, event)
        if (!effects.includes('reopenGate')) continue
        expect([next.kind, next.closing]).toEqual(['recovering', undefined])
      }
  })

  test('the gate is held, or shut, while reads are not answered', () => {
    const opening = { state: firstState, isHeld: true, isShut: false }
    const seen = new Map([[`${keyOf(firstState)} held`, opening]])
    for (const { state, isHeld, isShut } of seen.values())
      for (const event of events) {
        const { state: to, effects } = decide(state, event)
        const next = { state: to, isHeld, isShut }
        for (const effect of effects) {
          if (effect === 'holdGate') next.isHeld = true
          if (effect === 'releaseGate') next.isHeld = false
          if (effect === 'shutGate') next.isShut = true
          if (effect === 'reopenGate') next.isShut = false
        }
        const key = `${keyOf(to)} ${next.isHeld} ${next.isShut}`
        if (!seen.has(key)) seen.set(key, next)
      }
    for (const { state, isHeld, isShut } of seen.values()) {
      if (state.kind !== 'open')
        expect([keyOf(state), isHeld || isShut]).toEqual([keyOf(state), true])
      if (state.kind === 'open') expect([keyOf(state), isHeld]).toEqual([keyOf(state), false])
      if (state.closing) expect(isShut).toBe(true)
    }
  })

  test('a shard has one owner in words: what is this member’s is neither away, coming nor leaving', () => {
    for (const state of states.values()) {
      if (isOwn(state))
        expect([isAway(state), isComing(state), isLeaving(state)]).toEqual([false, false, false])
      if (mayDeliver(state)) expect([isOwn(state), state.leaving]).toEqual([true, 'no'])
      if (isShut(state)) expect(isAway(state)).toBe(true)
      if (state.kind === 'elsewhere') expect([isShut(state), state.leaving]).toEqual([true, 'no'])
      expect(isStill(state)).toBe(!['recovering', 'open'].includes(state.kind))
    }
  })
})
