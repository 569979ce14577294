/** What an application gives to the journal: values become payloads, and what is none is refused by its path. */
import { expect, test } from 'vitest'
import { entryContentOf } from '../../../src/actors/journal/entry-input.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { eventPayload, readEventPayload } from '../../../src/storage/values/event-payload.ts'

const entry = { id: 'a', type: 'order' }

/** The path and the code of a refusal. */
const refusalOf = (input: object): unknown => {
  try {
    entryContentOf(input as never)
  } catch (error) {
    if (isKeelsonError(error)) return [error.code, error.details.path ?? error.details.argument]
    throw error
  }
  return 'none'
}

test('an entry without more says null, and has no events', () => {
  const content = entryContentOf(entry)
  expect(content).toMatchObject({ ...entry, events: [], effects: [] })
  for (const payload of [content.command, content.response])
    expect(readEventPayload(payload)).toEqual({ version: 1, value: null })
  expect(entryContentOf({ ...entry, command: null }).command).toEqual(content.command)
})

test('values become payloads of version 1, and payloads stay as they are', () => {
  const made = eventPayload({ n: 2 }, 7)
  const content = entryContentOf({
    ...{ ...entry, command: { n: 1 }, response: made },
    events: [
      { type: 'e', payload: null },
      { type: 'f', payload: made },
    ],
    effects: [{ type: 'g', payload: 3 }],
  })
  expect(readEventPayload(content.command)).toEqual({ version: 1, value: { n: 1 } })
  expect(content.response).toBe(made)
  const listed = [...content.events, ...content.effects].map(({ type, payload }) => [
    type,
    readEventPayload(payload),
  ])
  expect(listed).toEqual([
    ['e', { version: 1, value: null }],
    ['f', { version: 7, value: { n: 2 } }],
    ['g', { version: 1, value: 3 }],
  ])
})

const unsaid = () => 1
test.each<[string, object, string | readonly (string | number)[]]>([
  ['a command that cannot be stored', { command: { deep: [unsaid] } }, ['command', 'deep', 0]],
  ['a response that is no payload', { response: Uint8Array.of(1) }, ['response']],
  ['events that are no list', { events: {} }, 'events'],
  ['an event without a type', { events: [{ payload: 1 }] }, ['events', 0, 'type']],
  ['an event without a payload', { events: [{ type: 'e' }] }, ['events', 0, 'payload']],
  [
    'an event whose payload cannot be stored',
    { events: [{ type: 'e', payload: { of: unsaid } }] },
    ['events', 0, 'payload', 'of'],
  ],
  [
    'an effect whose payload is no payload',
    {
      effects: [
        { type: 'e', payload: 1 },
        { type: 'f', payload: Uint8Array.of(1) },
      ],
    },
    ['effects', 1, 'payload'],
  ],
])('%s is refused by its path', (_, wrong, path) => {
  expect(refusalOf({ ...entry, ...wrong })).toEqual(['INVALID_ARGUMENT', path])
})

test('other names, holes, and what is no entry are refused', () => {
  for (const wrong of [
    { ...entry, event: [] },
    { ...entry, events: [{ type: 'e', payload: 1, version: 2 }] },
    { ...entry, events: new Array(1) },
    { ...entry, events: [7] },
    { type: 'order' },
    { ...entry, id: '' },
    { ...entry, type: 'a\0' },
  ])
    expect(refusalOf(wrong)).toMatchObject(['INVALID_ARGUMENT', expect.anything()])
})
