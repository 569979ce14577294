import { describe, expect, test } from 'vitest'
import type { Scenario, StepTrace, Term } from './adapter/scenario.ts'
import { differences, matches } from './comparison.ts'
import { failureLines } from './report.ts'

const recorded: StepTrace = { result: 'ok', events: { a: [['ended', { $error: '*' }]] } }

const scenario = (...expected: StepTrace[]): Scenario => ({
  id: 'x',
  title: 'a title',
  procs: {},
  steps: expected.map((_, at) => ['advance', at]),
  expected,
})

describe('the comparison', () => {
  test.each<[string, StepTrace[]]>([
    ['another result', [{ ...recorded, result: 'no' }]],
    ['a missing event', [{ result: 'ok', events: { a: [] } }]],
    ['a missing process', [{ result: 'ok' }]],
    ['an additional event', [{ result: 'ok', events: { a: [['ended', { $error: 'x' }], 1] } }]],
    ['an additional process', [{ result: 'ok', events: { ...recorded.events, b: [1] } }]],
    ['a value where an error was', [{ result: 'ok', events: { a: [['ended', 'x']] } }]],
    ['more than an error', [{ result: 'ok', events: { a: [['ended', { $error: 'x', y: 1 }]] } }]],
    ['no trace', []],
    ['a trace too many', [recorded, { result: 'ok' }]],
  ])('refuses %s', (_, found) => {
    expect(differences(scenario(recorded), found)).toHaveLength(1)
  })

  test('takes any error where the recorded one is not told, and no events for none', () => {
    const found = { result: 'ok', events: { a: [['ended', { $error: 'no such clause' }]] } }
    expect(differences(scenario(recorded), [found])).toEqual([])
    expect(differences(scenario({ result: 1, events: {} }), [{ result: 1 }])).toEqual([])
  })

  test.each<[Term, Term, boolean]>([
    [{ a: 1, b: [2] }, { b: [2], a: 1 }, true],
    [{ $error: '*' }, { $error: 'boom' }, true],
    [{ $error: 'boom' }, { $error: 'other' }, false],
    [{ $error: 'boom' }, { $error: '*' }, false],
    [{ $error: '*' }, null, false],
    [[1, 2], [1], false],
    [[], {}, false],
    [{}, [], false],
    [null, {}, false],
    [0, false, false],
    ['1', 1, false],
  ])('of %j with %j is %s', (expected, found, isSame) => {
    expect(matches(expected, found)).toBe(isSame)
  })
})

describe('the report', () => {
  test('shows the first step that differs, event by event, and says that more do', () => {
    const expected: StepTrace = { result: 1, events: { a: ['x', 'y', 'z'], b: ['same'], c: [1] } }
    const found: StepTrace = { result: 2, events: { a: ['x', 'new', 'z'], b: ['same'], d: [2] } }
    const other = { result: 'ok' }
    const played = scenario(other, expected, other)

    const lines = failureLines('some/id', 'a title', {
      differences: differences(played, [other, found, { result: 'late' }]),
    })

    expect(lines.join('\n')).toBe(
      [
        'FAIL some/id: a title',
        '  step 2: ["advance",1]',
        '    result',
        '      - 1   expected',
        '      + 2   actual',
        '    events of a (- expected, + actual)',
        '        "x"',
        '      - "y"',
        '      + "new"',
        '        "z"',
        '    events of c (- expected, + actual)',
        '      - 1',
        '    events of d (- expected, + actual)',
        '      + 2',
        '  (1 later step differs too)',
      ].join('\n'),
    )
  })

  test('says why a scenario could not be played', () => {
    expect(failureLines('some/id', 'a title', { fault: 'there is no step fly' })).toEqual([
      'FAIL some/id: a title',
      '  there is no step fly',
    ])
  })
})
