/** The keys of the rows of events: a row stays the same one while others come and go. */
import { expect, test } from 'vitest'
import { eventKeys } from '../../../src/observe/widgets/event-keys.ts'
import type { Recorded } from '../../../src/observe/words.ts'

const crash = (subject: string, at: number, more: Partial<Recorded> = {}): Recorded => ({
  ...{ sort: 'crash', at, kind: 'server', code: 'error', subject, text: `Error in ${subject}` },
  ...more,
})

test('an event keeps its key in a full list, whose oldest ones leave it', () => {
  const events = Array.from({ length: 100 }, (_, at) => crash(`p${at % 7}`, at))
  const later = [...events.slice(2), crash('p1', 100), crash('p2', 101)]

  expect(eventKeys(later).slice(0, 98)).toEqual(eventKeys(events).slice(2))
})

test('an event that stands for several keeps its key when it happens once more', () => {
  const line = { sort: 'log', kind: 'warn', subject: '' }
  const before = [crash('a', 1, { times: 2 }), crash('', 2, { ...line, times: 2, text: 'try 2' })]
  const after = [crash('a', 3, { times: 3 }), crash('', 4, { ...line, times: 3, text: 'try 3' })]

  expect(eventKeys(after)).toEqual(eventKeys(before))
})

test('no two events of a list have one key', () => {
  const line = { sort: 'log', kind: 'warn', subject: '' }
  const events = [
    ...[crash('a', 1), crash('a', 1), crash('a', 2), crash('b', 1)],
    ...[crash('', 1, { ...line, text: 'x' }), crash('', 1, { ...line, text: 'y' })],
    ...[crash('a', 3, { times: 2 }), crash('a', 3, { times: 2, code: 'kill' })],
  ]

  expect(new Set(eventKeys(events)).size).toBe(events.length)
})
