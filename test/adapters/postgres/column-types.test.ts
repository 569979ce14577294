/** Columns as values, whatever an application has registered with `pg`. */
import { expect, test } from 'vitest'
import { columnTypes } from '../../../src/adapters/postgres/column-types.ts'

test.each([
  ['bool', 16, 't', true],
  ['bool', 16, 'f', false],
  ['bytea', 17, '\\x00ff', Buffer.of(0, 255)],
  ['bytea', 17, '\\x', Buffer.alloc(0)],
  // As a server with `bytea_output = escape` sends it.
  ['bytea', 17, 'a\\000\\\\\\377', Buffer.of(97, 0, 92, 255)],
  ['int8', 20, '9223372036854775807', '9223372036854775807'],
  ['int4', 23, '-7', -7],
  ['float8', 701, '1732800000000.25', 1732800000000.25],
  ['text', 25, '{"a":1}', '{"a":1}'],
  ['jsonb', 3802, '{"a": [1]}', { a: [1] }],
  ['uuid', 2950, '00000000-0000-4000-8000-000000000000', '00000000-0000-4000-8000-000000000000'],
])('%s (%i) of %s', (_, type, text, value) => {
  expect(columnTypes.getTypeParser(type)(text)).toEqual(value)
})
