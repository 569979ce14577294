import { describe, expect, test } from 'vitest'
import { judgeEnd } from '../../../src/storage/examination/log-recovery.ts'

const lastLsn = 10
const both = [false, true]

describe('the end of a log', () => {
  // The whole table: every combination of facts and its only verdict.
  for (const isBeyond of both)
    for (const isShort of both)
      for (const isClosed of both)
        for (const hasBytesBehind of both) {
          const expected =
            isBeyond || isShort
              ? 'corrupt'
              : isClosed
                ? 'clean'
                : hasBytesBehind
                  ? 'torn'
                  : 'unclean'
          const words = [
            isBeyond ? 'proven beyond its last frame' : 'not proven beyond its last frame',
            isShort && 'cut short',
            isClosed && 'closed',
            hasBytesBehind && 'with bytes behind',
          ].filter(Boolean)
          test(`${words.join(', ')} is ${expected}`, () => {
            const proofs = [
              { lsn: 3, source: 'a later frame' },
              { lsn: isBeyond ? lastLsn + 1 : lastLsn - 1, source: 'MANIFEST' },
            ]

            const verdict = judgeEnd({ lastLsn, proofs, isShort, isClosed, hasBytesBehind })

            expect(verdict.kind).toBe(expected)
          })
        }

  const facts = { lastLsn, isShort: false, isClosed: false, hasBytesBehind: false }

  test('is proven as far as the strongest proof goes', () => {
    const proofs = [4, 9, 7].map((lsn) => ({ lsn, source: `proof ${lsn}` }))

    expect(judgeEnd({ ...facts, proofs })).toEqual({ kind: 'unclean', provenLsn: 9 })
  })

  test('is proven whole by a clean close', () => {
    expect(judgeEnd({ ...facts, isClosed: true, proofs: [] })).toEqual({
      kind: 'clean',
      provenLsn: lastLsn,
    })
  })

  test('is not proven without a proof', () => {
    expect(judgeEnd({ ...facts, proofs: [] })).toEqual({ kind: 'unclean', provenLsn: 0 })
  })

  test('names the source that proves that frames are missing', () => {
    const proofs = [
      { lsn: 11, source: 'a later frame' },
      { lsn: 14, source: 'lmdb' },
    ]

    expect(judgeEnd({ ...facts, proofs })).toMatchObject({
      kind: 'corrupt',
      evidence: expect.stringContaining('lmdb'),
    })
  })
})
