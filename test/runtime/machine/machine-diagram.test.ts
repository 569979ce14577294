import { describe, expect, test } from 'vitest'
import { and, createMachine, fromPromise, not, setup } from 'xstate'
import { isIn } from '../../../src/runtime/machine/machine-outline.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'

describe('the picture of a machine', () => {
  test('shows states, events, guards, delays, the begin and the end', () => {
    const door = setup({
      types: {} as { events: { type: 'open' } | { type: 'close' } | { type: 'brick up' } },
      guards: { isUnlocked: () => true, isDay: () => true },
      delays: { patience: 5 },
    }).createMachine({
      id: 'door',
      initial: 'shut',
      states: {
        shut: {
          on: {
            open: [
              { guard: 'isUnlocked', target: 'ajar' },
              { guard: and(['isDay', not('isUnlocked')]), target: 'ajar' },
            ],
            'brick up': 'wall',
          },
        },
        ajar: { on: { close: 'shut' }, after: { 10000: 'shut', patience: 'shut' } },
        wall: { type: 'final' },
      },
    })

    expect(StateMachine.mermaid(door)).toBe(`stateDiagram-v2
  [*] --> shut
  state "shut" as shut
  state "ajar" as ajar
  state "wall" as wall
  wall --> [*]
  shut --> ajar : open [isUnlocked]
  shut --> ajar : open [isDay and not isUnlocked]
  shut --> wall : brick up
  ajar --> shut : close
  ajar --> shut : after 10000 ms
  ajar --> shut : after patience
`)
  })

  test('shows nested states, parallel regions, history, always, and invoked actors', () => {
    const nested = createMachine({
      id: 'nested',
      initial: 'on',
      on: { reset: '.on' },
      states: {
        on: {
          type: 'parallel',
          states: {
            sound: { initial: 'low', states: { low: { always: 'high' }, high: {} } },
            light: {},
          },
          on: { pause: 'paused', stay: { actions: () => {} }, never: undefined },
        },
        paused: { on: { go: 'back' } },
        back: { type: 'history', history: 'deep' },
        loading: {
          invoke: {
            id: 'load',
            src: fromPromise(async () => {}),
            onDone: 'on',
            onError: 'paused',
          },
        },
      },
    })

    expect(StateMachine.mermaid(nested)).toBe(`stateDiagram-v2
  [*] --> on
  state "on" as on
  state on {
    state "sound" as on__sound
    state on__sound {
      [*] --> on__sound__low
      state "low" as on__sound__low
      state "high" as on__sound__high
    }
    --
    state "light" as on__light
  }
  state "paused" as paused
  state "H*" as back
  state "loading" as loading
  on --> on : reset
  paused --> on : reset
  loading --> on : reset
  on --> paused : pause
  on --> on : stay
  on__sound__low --> on__sound__high
  paused --> back : go
  loading --> on : done load
  loading --> paused : error load
`)
  })

  test('is the same for the same machine', () => {
    const make = () => createMachine({ initial: 'a', states: { a: { on: { go: 'b' } }, b: {} } })

    expect(StateMachine.mermaid(make())).toBe(StateMachine.mermaid(make()))
  })

  test('takes any name: none is a word of Mermaid, ends a text, or is another one', () => {
    const odd = createMachine({
      initial: 'end',
      states: {
        end: { on: { 'door:open;"now"': 'a b' } },
        'a b': { on: { go: 'a-b' } },
        'a-b': {},
      },
    })

    expect(StateMachine.mermaid(odd)).toBe(`stateDiagram-v2
  [*] --> end_
  state "end" as end_
  state "a b" as a_20_b
  state "a-b" as a_2d_b
  end_ --> a_20_b : door#58;open#59;#quot;now#quot;
  a_20_b --> a_2d_b : go
`)
  })
})

test.each<[string, unknown, readonly string[], boolean]>([
  ['every state', 'on', [], true],
  ['its state', 'on', ['on'], true],
  ['another state', 'on', ['off'], false],
  ['a state within one that has none', 'on', ['on', 'dim'], false],
  ['a state with others in it', { on: 'dim' }, ['on'], true],
  ['one of several at once', { on: { left: 'dim', right: 'full' } }, ['on', 'right', 'full'], true],
  ['none of several', { on: { left: 'dim', right: 'full' } }, ['on', 'right', 'dim'], false],
  ['a name of every object', { on: 'dim' }, ['toString'], false],
  ['a value that is none', null, ['on'], false],
])('a machine is in %s', (_, value, path, is) => {
  expect(isIn(value, path)).toBe(is)
})
