import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { type RecordFormat, recordSplitter } from '../../../src/inspect/ingest/record-splitter.ts'

/** The records of a text that comes in the given pieces. */
const split = (format: RecordFormat, pieces: readonly Uint8Array[], max?: number): string[] => {
  const splitter = recordSplitter(format, max)
  const records: string[] = []
  for (const piece of pieces)
    for (const record of splitter.push(piece)) records.push(Buffer.from(record).toString())
  const last = splitter.end()
  if (last) records.push(Buffer.from(last).toString())
  return records
}

const whole = (format: RecordFormat, text: string): string[] => split(format, [Buffer.from(text)])

/** The bytes cut in two at each place, and into single bytes. */
const cuttings = (text: string): Uint8Array[][] => {
  const bytes = Buffer.from(text)
  const inTwo = Array.from({ length: bytes.length + 1 }, (_, at) => [
    bytes.subarray(0, at),
    bytes.subarray(at),
  ])
  return [...inTwo, [...bytes].map((byte) => Uint8Array.of(byte))]
}

const codeOf = (act: () => unknown): unknown => {
  try {
    act()
  } catch (error) {
    return isKeelsonError(error) ? [error.code, error.details.record] : error
  }
  return 'no error'
}

const tricky = [
  { id: 'a', text: 'comma, bracket ] brace } quote " backslash \\ and \\" both' },
  { id: 'b', list: [1, [2, [3]], {}], 'k"e]y': { deep: [{ er: '"' }] } },
  { id: 'ü€😀', n: -1.5e-7, t: true, nothing: null },
]

describe('NDJSON', () => {
  const text = tricky.map((record) => JSON.stringify(record)).join('\n')

  test('gives the same records wherever the stream is cut', () => {
    for (const pieces of cuttings(`${text}\n`))
      expect(split('ndjson', pieces).map((record) => JSON.parse(record))).toEqual(tricky)
  })

  test('needs no newline at its end, takes CRLF, passes over empty lines and a byte order mark', () => {
    const odd = `\uFEFF${text.replaceAll('\n', '\r\n\r\n \n')}`

    for (const pieces of cuttings(odd))
      expect(split('ndjson', pieces).map((record) => JSON.parse(record))).toEqual(tricky)
  })

  test('without anything has no records', () => {
    expect(whole('ndjson', '')).toEqual([])
    expect(whole('ndjson', '\n \n\r\n')).toEqual([])
  })

  test('with a line beyond the bound is refused, naming the record', () => {
    const feed = () => split('ndjson', cuttings('1\n22\n333333\n').at(-1) ?? [], 5)

    expect(codeOf(feed)).toEqual(['TOO_LARGE', 3])
  })
})

describe('a JSON array', () => {
  for (const [name, text] of [
    ['plain', JSON.stringify(tricky)],
    ['indented', JSON.stringify(tricky, undefined, 2)],
    [
      'with spaces and a byte order mark',
      `\uFEFF \n[ ${tricky.map((each) => JSON.stringify(each)).join('\t,\r\n')} ] \n`,
    ],
  ] as const)
    test(`${name} gives the same records wherever the stream is cut`, () => {
      for (const pieces of cuttings(text))
        expect(split('json', pieces).map((record) => JSON.parse(record))).toEqual(tricky)
    })

  test('may hold anything, and nothing', () => {
    const values = [1, 'a]', null, [], [[]], {}, false, '', -0.5]

    for (const pieces of cuttings(JSON.stringify(values)))
      expect(split('json', pieces).map((record) => JSON.parse(record))).toEqual(values)
    for (const pieces of cuttings(' [ ] ')) expect(split('json', pieces)).toEqual([])
  })

  test('of any values, cut anywhere, gives those values', () => {
    const chunks = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), chunks, fc.boolean(), (values, sizes, indented) => {
        const bytes = Buffer.from(JSON.stringify(values, undefined, indented ? 1 : undefined))
        const pieces: Uint8Array[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          pieces.push(bytes.subarray(at, at + size))
          at += size
        }
        const records = split('json', pieces).map((record) => JSON.parse(record))
        expect(JSON.stringify(records)).toBe(JSON.stringify(values))
      }),
    )
  })

  for (const [name, text, record] of [
    ['nothing', '', 1],
    ['an object', '{"id":1}', 1],
    ['a word before it', 'x[1]', 1],
    ['a comma too many', '[1,2,]', 3],
    ['a comma in front', '[,1]', 1],
    ['no comma', '[{"a":1} {"b":2}]', 2],
    ['something behind it', '[1] 2', 2],
    ['no end', '[1,2', 2],
    ['no end of its last string', '[1,"2]', 2],
    ['no end after a comma', '[1,', 2],
  ] as const)
    test(`with ${name} is refused, naming the record`, () => {
      for (const pieces of cuttings(text))
        expect(codeOf(() => split('json', pieces))).toEqual(['INVALID_ARGUMENT', record])
    })

  test('with an element beyond the bound is refused, naming the record', () => {
    expect(codeOf(() => split('json', [Buffer.from('[1,"12345"]')], 5))).toEqual(['TOO_LARGE', 2])
  })
})

test('a record that spans chunks is a copy, so that a reused buffer does not change it', () => {
  const splitter = recordSplitter('ndjson')
  const first = Buffer.from('{"a":')
  expect([...splitter.push(first)]).toEqual([])
  const [record] = [...splitter.push(Buffer.from('1}\n'))]

  expect(Buffer.from(record ?? []).toString()).toBe('{"a":1}')
})
