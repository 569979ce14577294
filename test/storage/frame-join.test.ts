import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { joinedLength, joinFrames } from '../../src/storage/frame-join.ts'
import { decodeFrame, encodeFrame, noExpiry, type Unit } from '../../src/storage/index.ts'

const unit: fc.Arbitrary<Unit> = fc.oneof(
  fc.record({
    kind: fc.constant('command' as const),
    command: fc.oneof(
      fc.record({ kind: fc.constant('delete' as const), key: fc.constantFrom('a', 'bb', 'ccc') }),
      fc.record({
        kind: fc.constant('put' as const),
        key: fc.constantFrom('a', 'é', 'x:y'),
        value: fc.record({ tag: fc.constant(2 as const), bytes: fc.uint8Array({ maxLength: 40 }) }),
        expiry: fc.constantFrom(noExpiry, { kind: 'after' as const, ms: 7 }),
      }),
    ),
  }),
)

describe('joined frames', () => {
  test('are what encoding all units together makes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(unit, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
        (frames) => {
          const payloads = frames.map((units) => encodeFrame(units))
          const joined = joinFrames(payloads)
          expect(Buffer.from(joined).equals(encodeFrame(frames.flat()))).toBe(true)
          expect(decodeFrame(joined).units).toEqual(frames.flat())
          expect(joined.length).toBe(
            10 + payloads.reduce((sum, each) => sum + joinedLength(each), 0),
          )
        },
      ),
    )
  })

  test('of one frame are that frame, without a copy', () => {
    const payload = encodeFrame([{ kind: 'command', command: { kind: 'delete', key: 'a' } }])

    expect(joinFrames([payload])).toBe(payload)
  })

  test('of none, or with more units than a frame holds, are refused', () => {
    const command = { kind: 'delete', key: 'a' } as const
    const half = encodeFrame(Array.from({ length: 40_000 }, () => ({ kind: 'command', command })))

    expect(() => joinFrames([])).toThrow(RangeError)
    expect(() => joinFrames([half, half])).toThrow(RangeError)
  })
})
