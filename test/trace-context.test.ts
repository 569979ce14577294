/** Places in traces, as strangers send them and rows have them. */
import { expect, test } from 'vitest'
import { readTraced, traceContextIn, withTrace } from '../src/trace-context.ts'

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test.each([
  [{ traceparent }, { traceparent }],
  [
    { traceparent, tracestate: 'a=1,b=2' },
    { traceparent, tracestate: 'a=1,b=2' },
  ],
  // A later version has more parts, and is sent on as the one that is known.
  [{ traceparent: traceparent.replace('00-', 'cc-').concat('-more') }, { traceparent }],
])('%j is the place %j', (headers, place) => {
  expect(traceContextIn(headers)).toEqual(place)
})

test.each([
  undefined,
  null,
  'text',
  {},
  { traceparent: 7 },
  { traceparent: '' },
  { traceparent: [traceparent] },
  { traceparent: `${traceparent}-more` },
  { traceparent: traceparent.toUpperCase() },
  { traceparent: traceparent.replace('00-', 'ff-') },
  { traceparent: traceparent.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)) },
  { traceparent: traceparent.replace('00f067aa0ba902b7', '0'.repeat(16)) },
  { traceparent: `cc${traceparent.slice(2)}-${'x'.repeat(300)}` },
  { tracestate: 'a=1' },
])('%j is no place', (headers) => {
  expect(traceContextIn(headers)).toBeUndefined()
})

test('a tracestate has at most 512 bytes: a longer one is left out, and the place stays', () => {
  const long = `a=${'x'.repeat(510)}`
  expect(traceContextIn({ traceparent, tracestate: long })).toEqual({
    traceparent,
    tracestate: long,
  })
  for (const tracestate of [`${long}x`, `a=${'é'.repeat(256)}`, ['a=1'], ''])
    expect(traceContextIn({ traceparent, tracestate })).toEqual({ traceparent })
})

test.each([['pay'], [null], [undefined], [{ a: 1 }]])(
  'the payload %j is read with its place, and without one',
  (payload) => {
    const trace = { traceparent }
    expect(readTraced(withTrace(payload, trace))).toStrictEqual({ payload, trace })
    expect(readTraced(withTrace(payload, undefined))).toStrictEqual({ payload })
  },
)

test('without a place a list ends as it did before there were places', () => {
  expect(withTrace('pay', undefined)).toEqual(['pay'])
  expect(withTrace(undefined, undefined)).toEqual([])
})

test('a place in a row that is malformed is none', () => {
  expect(readTraced(['pay', { traceparent: 'damaged' }])).toStrictEqual({ payload: 'pay' })
})
