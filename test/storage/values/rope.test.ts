/** Ropes: content in pieces, changed without reading a blob. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import {
  appendToRope,
  blobRope,
  decodeRope,
  encodeRope,
  inlineBytesMax,
  inlineRope,
  patchRope,
  type Rope,
  type RopePart,
  ropeLength,
  ropePartsMax,
  ropeSlice,
  valueBytesMax,
} from '../../../src/storage/values/rope.ts'
import { thorough } from '../../support/tier.ts'

const sha256 = new Uint8Array(32).fill(7)
const refOf = (size: number, offset = 1): BlobRef => ({ size, segment: 3, offset, sha256 })
const blob = (content: 0 | 1 | 2, size: number, offset = 1) =>
  blobRope(content, refOf(size, offset))
const text = (string: string) => inlineRope(1, new Uint8Array(Buffer.from(string)))
const bytes = (...list: number[]) => inlineRope(2, Uint8Array.from(list))

const corrupt = expect.objectContaining({ code: 'CORRUPT' })
const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' })

/** What lies where: for each byte the part it comes from and its value, or its place in the blob. */
const layout = ({ parts }: Rope): string[] =>
  parts.flatMap((part) =>
    part.kind === 'inline'
      ? [...part.bytes].map((byte) => `i${byte}`)
      : Array.from(
          { length: part.to - part.from },
          (_, at) => `b${part.ref.offset}.${part.from + at}`,
        ),
  )

const piece = fc.oneof(
  fc.integer({ min: 1, max: 9 }).chain((size) => fc.nat(99).map((offset) => blob(2, size, offset))),
  fc.uint8Array({ maxLength: 5 }).map((list) => inlineRope(2, list)),
)
const rope: fc.Arbitrary<Rope> = fc
  .array(piece, { maxLength: 6 })
  .map((pieces) =>
    pieces.reduce(
      (left, right) => appendToRope(left, right) as Rope,
      inlineRope(2, new Uint8Array(0)),
    ),
  )

const isSound = ({ parts }: Rope): boolean =>
  parts.every((part, at) => {
    const length = part.kind === 'inline' ? part.bytes.length : part.to - part.from
    return length > 0 && !(part.kind === 'inline' && parts[at + 1]?.kind === 'inline')
  })

describe('a rope', () => {
  test('grows behind what it has, byte by byte', () => {
    fc.assert(
      fc.property(rope, rope, (left, right) => {
        const both = appendToRope(left, right) as Rope
        expect(layout(both)).toEqual([...layout(left), ...layout(right)])
        expect(isSound(both)).toBe(true)
      }),
    )
  })

  test('is patched at any place, a gap filled with zeros, nothing else touched', () => {
    fc.assert(
      fc.property(rope, fc.nat(40), rope, (old, offset, patch) => {
        const next = patchRope(old, offset, patch) as Rope
        const before = layout(old)
        const put = layout(patch)
        const gap = new Array<string>(Math.max(0, offset - before.length)).fill('i0')
        const expected = [
          ...before.slice(0, offset),
          ...gap,
          ...put,
          ...before.slice(offset + put.length),
        ]
        expect(layout(next)).toEqual(put.length === 0 ? before : expected)
        expect(ropeLength(next)).toBe(layout(next).length)
        expect(isSound(next)).toBe(true)
      }),
      { numRuns: thorough(300, 2_000) },
    )
  })

  test('gives any slice of itself, clamped', () => {
    fc.assert(
      fc.property(rope, fc.nat(60), fc.nat(60), (whole, from, to) => {
        const parts = ropeSlice(whole, from, to)
        expect(layout({ content: 2, parts })).toEqual(layout(whole).slice(from, Math.max(from, to)))
      }),
    )
  })

  test('comes back from its bytes as it was', () => {
    fc.assert(
      fc.property(rope, (whole) => {
        if (!whole.parts.some((part) => part.kind === 'blob'))
          expect(() => encodeRope(whole)).toThrow(invalid)
        else expect(decodeRope(encodeRope(whole))).toEqual(whole)
      }),
    )
    for (const content of [0, 1, 2] as const)
      expect(decodeRope(encodeRope(blob(content, 0)))).toEqual(blob(content, 0))
  })

  test('is these bytes', () => {
    const whole = appendToRope(blob(1, 5), text('é')) as Rope
    expect(Buffer.from(encodeRope(whole)).toString('hex')).toBe(
      [
        '01 01 0200',
        '01 004653424c4f4202 0000000000000005 0000000000000003 0000000000000001',
        '07'.repeat(32),
        '0000000000000000 0500000000000000',
        '00 02000000 c3a9',
      ]
        .join('')
        .replaceAll(' ', ''),
    )
  })
})

describe('text', () => {
  test('and text is text, anything else makes bytes', () => {
    expect(appendToRope(text('a'), text('b'))).toEqual(text('ab'))
    expect(appendToRope(text('a'), bytes(98))?.content).toBe(2)
    expect(appendToRope(bytes(98), text('a'))?.content).toBe(2)
    expect(appendToRope(blob(1, 3), text('a'))?.content).toBe(1)
    expect(appendToRope(blob(2, 3), text('a'))?.content).toBe(2)
    expect(patchRope(text('abc'), 1, bytes(1))?.content).toBe(2)
  })

  test.each<[string, Rope, number, Rope, 1 | 2]>([
    ['in front of a character', text('aé'), 1, text('xy'), 1],
    ['over part of a character at its end', text('aé'), 1, text('x'), 2],
    ['from within a character', text('éa'), 1, text('xy'), 2],
    ['behind the end', text('é'), 5, text('x'), 1],
    ['up to the end exactly', text('aé'), 0, text('xyz'), 1],
    ['over all of a blob', blob(1, 3), 0, text('xyz'), 1],
    ['over more than a blob', blob(1, 3), 0, text('xyzä'), 1],
    ['behind a blob', blob(1, 3), 3, text('x'), 1],
    ['into a blob, which is not read', blob(1, 3), 1, text('x'), 2],
    ['over the beginning of a blob, which is not read', blob(1, 3), 0, text('x'), 2],
  ])(
    'that is patched %s is text only when no character is cut',
    (_, old, offset, patch, content) => {
      expect(patchRope(old, offset, patch)?.content).toBe(content)
    },
  )

  test('between parts counts as between characters', () => {
    const whole = appendToRope(appendToRope(blob(1, 3), text('ab')) as Rope, blob(1, 4)) as Rope
    expect(patchRope(whole, 3, text('xy'))?.content).toBe(1)
    expect(patchRope(whole, 5, text('wxyz'))?.content).toBe(1)
    expect(patchRope(whole, 5, text('w'))?.content).toBe(2)
  })
})

describe('the bounds of a rope', () => {
  const large = inlineRope(2, new Uint8Array(inlineBytesMax))

  test('are so many bytes outside blobs, gaps included', { tags: ['slow'] }, () => {
    expect(appendToRope(large, bytes())).toBeDefined()
    expect(appendToRope(large, bytes(1))).toBeUndefined()
    expect(patchRope(bytes(1), inlineBytesMax - 1, bytes(1))).toBeDefined()
    expect(patchRope(bytes(1), inlineBytesMax, bytes(1))).toBeUndefined()
    expect(patchRope(bytes(1), Number.MAX_SAFE_INTEGER, bytes(1))).toBeUndefined()
  })

  test('are so many parts, and stay so when one is cut in two', () => {
    let whole: Rope = blob(2, 3)
    for (let parts = 1; parts < ropePartsMax; parts++)
      whole = appendToRope(whole, blob(2, 3)) as Rope
    expect(whole.parts).toHaveLength(ropePartsMax)
    expect(decodeRope(encodeRope(whole))).toEqual(whole)
    expect(appendToRope(whole, bytes(1))).toBeUndefined()
    expect(patchRope(whole, 1, bytes(1))).toBeUndefined()
  })

  test('are so many bytes in all', () => {
    const huge = blob(2, valueBytesMax)
    expect(appendToRope(huge, bytes(1))).toBeUndefined()
    expect(patchRope(huge, valueBytesMax - 1, bytes(1))).toBeDefined()
  })
})

describe('what is no rope', () => {
  const part = (ref: BlobRef, from: number, to: number): RopePart => ({
    kind: 'blob',
    ref,
    from,
    to,
  })
  const inline = (size: number): RopePart => ({ kind: 'inline', bytes: new Uint8Array(size) })

  test.each<[string, Rope]>([
    ['nothing', { content: 2, parts: [] }],
    ['nothing in a blob', { content: 2, parts: [inline(1)] }],
    [
      'two inline parts side by side',
      { content: 2, parts: [part(refOf(1), 0, 1), inline(1), inline(1)] },
    ],
    ['an empty part', { content: 2, parts: [part(refOf(1), 0, 1), inline(0)] }],
    ['a slice beyond its blob', { content: 2, parts: [part(refOf(1), 0, 2)] }],
    ['a slice that ends before it begins', { content: 2, parts: [part(refOf(3), 2, 1)] }],
    ['structured content in parts', { content: 0, parts: [part(refOf(1), 0, 1), inline(1)] }],
    ['a part of structured content', { content: 0, parts: [part(refOf(3), 0, 1)] }],
    ['an unknown content', { content: 3 as 2, parts: [part(refOf(1), 0, 1)] }],
  ])('is refused: %s', (_, wrong) => {
    expect(() => encodeRope(wrong)).toThrow(invalid)
  })

  test('is CORRUPT when bytes are missing or left over', () => {
    const good = encodeRope(appendToRope(blob(2, 3), bytes(1, 2)) as Rope)
    for (let length = 0; length < good.length; length++)
      expect(() => decodeRope(good.subarray(0, length))).toThrow(corrupt)
    expect(() => decodeRope(Uint8Array.of(...good, 0))).toThrow(corrupt)
  })

  test('is UNSUPPORTED_VERSION when a later version wrote it', () => {
    const good = encodeRope(blob(2, 3))
    for (const [at, code] of [
      [0, 2],
      [4, 2],
    ] as const) {
      const other = Uint8Array.from(good)
      other[at] = code
      expect(() => decodeRope(other)).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }),
      )
    }
  })

  test('never makes a foreign error', () => {
    fc.assert(
      fc.property(rope, fc.nat(), fc.nat(255), (whole, place, byte) => {
        if (!whole.parts.some((each) => each.kind === 'blob')) return
        const encoded = encodeRope(whole)
        encoded[place % encoded.length] = byte
        try {
          decodeRope(encoded)
        } catch (error) {
          expect(['CORRUPT', 'UNSUPPORTED_VERSION']).toContain((error as { code: unknown }).code)
        }
      }),
      { numRuns: thorough(600, 4_000) },
    )
  })
})
