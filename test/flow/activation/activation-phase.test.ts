import { expect, test } from 'vitest'
import {
  type ActivationEvent,
  type ActivationPhase,
  activationPhases,
  type CancelEvent,
  type CancelPhase,
  cancelAfter,
  phaseAfter,
} from '../../../src/flow/activation/activation-phase.ts'

const events: readonly ActivationEvent[] = ['began', 'bodyEnded', 'stopped']

test.each<[ActivationPhase, string]>([
  ['loading', 'running ending abandoned'],
  ['running', 'running ending abandoned'],
  ['ending', 'ending ending over'],
  ['abandoned', 'abandoned abandoned abandoned'],
  ['over', 'over over over'],
])('from %s an activation goes to %s, for began, bodyEnded and stopped', (phase, after) => {
  expect(events.map((event) => phaseAfter(phase, event)).join(' ')).toBe(after)
})

test('an activation that has stopped knows whether its body had ended', () => {
  const having = (part: 'isBodyOver' | 'isStopped') =>
    Object.entries(activationPhases).flatMap(([phase, rule]) => (rule[part] ? phase : []))
  expect(having('isBodyOver')).toEqual(['ending', 'over'])
  expect(having('isStopped')).toEqual(['abandoned', 'over'])
})

test.each<[CancelPhase, string]>([
  ['none', 'wanted none none none'],
  ['wanted', 'wanted placing none wanted'],
  ['placing', 'placing placing none wanted'],
])('from %s a cancel goes to %s, for asked, begun, placed and deferred', (phase, after) => {
  const events: readonly CancelEvent[] = ['asked', 'begun', 'placed', 'deferred']
  expect(events.map((event) => cancelAfter(phase, event)).join(' ')).toBe(after)
})
