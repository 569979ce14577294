/** Groups of records, their headers, and proofs as text. */
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { privateKeyOf, publicKeyOf, signerOf } from '../../../src/bytes/ed25519.ts'
import { config } from '../../../src/check.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { decodeHeader, encodeHeader } from '../../../src/storage/commitments/commitment-header.ts'
import { type Digest, noDigest } from '../../../src/storage/commitments/digests.ts'
import { linkFault } from '../../../src/storage/commitments/found-chain.ts'
import {
  blocksAround,
  blocksBetween,
  Mountains,
  positionOf,
} from '../../../src/storage/commitments/mountains.ts'
import {
  type ConsistencyProof,
  decodeHead,
  decodeProof,
  encodeProof,
  type RecordProof,
  verifyConsistency,
  verifyRecordProof,
} from '../../../src/storage/commitments/proof.ts'
import {
  eachRecord,
  frameDigests,
  RecordRoot,
  recordDigest,
  recordPath,
  rootFromRecord,
} from '../../../src/storage/commitments/record-root.ts'
import { commitments } from '../../../src/storage/segments/log-settings.ts'

/** A DATA payload: room for the stamp, the number of units, and units of these texts. */
const frameOf = (...texts: readonly string[]): Uint8Array =>
  Buffer.concat([
    Buffer.alloc(8),
    Buffer.from([texts.length & 0xff, texts.length >> 8]),
    ...texts.map((text) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(text.length)
      return Buffer.concat([length, Buffer.from(text)])
    }),
  ])

const recordsOf = (payload: Uint8Array): string[] => {
  const found: string[] = []
  eachRecord(payload, (from, to) => found.push(Buffer.from(payload.subarray(from, to)).toString()))
  return found
}

const rootOf = (...frames: readonly (readonly [lsn: number, payload: Uint8Array])[]) => {
  const root = new RecordRoot()
  for (const [lsn, payload] of frames) root.addFrame(lsn, 5, payload)
  return root.take()
}

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const signer = signerOf(privateKeyOf(pem))

const codeOf = (action: () => void): unknown => {
  try {
    action()
  } catch (error) {
    if (isKeelsonError(error)) return [error.code, error.details.step].filter(Boolean).join(' ')
    throw error
  }
  return 'holds'
}

describe('the records of a frame', () => {
  test('are its units; a payload that is no list of units is one record', () => {
    const long = 'long'.repeat(20_000)
    expect(recordsOf(frameOf('one', '', long, 'four'))).toEqual(['one', '', long, 'four'])
    const entry = Buffer.concat([Buffer.alloc(8), Buffer.from([0, 0, 7, 0]), Buffer.from('bytes')])
    expect(recordsOf(entry)).toEqual(['\0\0\u0007\0bytes'])
    expect(recordsOf(frameOf('one', 'two').subarray(0, 18))).toHaveLength(1)
    expect(recordsOf(Buffer.concat([frameOf('one'), Buffer.from('x')]))).toHaveLength(1)
    for (const length of [0, 4, 8, 9, 10]) expect(recordsOf(Buffer.alloc(length))).toHaveLength(1)
  })

  test('an edited, swapped, dropped, inserted or moved record gives another root', {
    tags: ['E54'],
  }, () => {
    const texts = Array.from({ length: 40 }, (_, at) => `record ${at}`)
    const { root } = rootOf([7, frameOf(...texts)])
    const changed = [
      [7, frameOf(...texts.with(3, 'record 4'))],
      [7, frameOf(...texts.with(3, 'record 4').with(4, 'record 3'))],
      [7, frameOf(...texts.toSpliced(17, 1))],
      [7, frameOf(...texts.toSpliced(17, 0, 'record 17'))],
      [8, frameOf(...texts)],
    ] as const
    const roots = changed.map((frame) => rootOf(frame).root)
    expect(new Set([root, ...roots]).size).toBe(changed.length + 1)
    const split = rootOf([7, frameOf(...texts.slice(0, 20))], [8, frameOf(...texts.slice(20))])
    expect(split.root).not.toBe(root)
  })

  test('(c) have a digest that anybody computes from their place, time and bytes', () => {
    const [, second] = frameDigests(7, 5, frameOf('one', 'two'))
    expect(recordDigest({ lsn: 7, index: 1, time: 5 }, Buffer.from('two'))).toBe(second)
    const others = [
      { lsn: 8, index: 1, time: 5 },
      { lsn: 7, index: 0, time: 5 },
      { lsn: 7, index: 1, time: 6 },
    ].map((place) => recordDigest(place, Buffer.from('two')))
    expect(new Set([second, ...others]).size).toBe(4)
    const long = Buffer.alloc(5_000, 1)
    const short = recordDigest({ lsn: 7, index: 0, time: 5 }, long.subarray(0, 4_000))
    const whole = recordDigest({ lsn: 7, index: 0, time: 5 }, long)
    expect(new Set([short, whole]).size).toBe(2)
    expect(frameDigests(7, 5, frameOf(long.toString('latin1')))).toEqual([whole])
  })

  test('lead to the root of their group, each at its own place only, in groups up to 64', () => {
    const digests = Array.from({ length: 64 }, (_, index) =>
      recordDigest({ lsn: 1, index, time: 0 }, Buffer.from(`${index}`)),
    )
    for (let count = 1; count <= 64; count++) {
      const group = digests.slice(0, count)
      const records = new RecordRoot()
      for (const digest of group) records.add(digest)
      const { root } = records.take()
      for (const [index, digest] of group.entries()) {
        const path = recordPath(group, index)
        expect(rootFromRecord(digest, index, count, path)).toBe(root)
        expect(rootFromRecord(digest, index + 1, count, path)).not.toBe(root)
        expect(rootFromRecord(digest, index, count + 1, path)).not.toBe(root)
      }
    }
  })
})

/** A chain of `size` headers, signed or not, and a proof of record `place` of group `seq`. */
const chainOf = (size: number, signs = false) => {
  const range = new Mountains('history')
  const nodes: Digest[] = []
  const headers: Uint8Array[] = []
  const payloads = Array.from({ length: size }, (_, seq) =>
    frameOf(`a${seq}`, `b${seq}`, `c${seq}`),
  )
  let prev = noDigest
  for (const [seq, payload] of payloads.entries()) {
    const lsn = 2 * seq + 1
    const { root: records, count } = rootOf([lsn, payload])
    const facts = { seq, prev, records, count, firstLsn: lsn, lastLsn: lsn + 1, time: 5 }
    const { hash, bytes } = encodeHeader(facts, signs ? signer : undefined)
    headers.push(bytes)
    nodes.push(...range.append(hash))
    prev = hash
  }
  const hashes = (blocks: ReturnType<typeof blocksBetween>) =>
    blocks.map((block) => nodes[positionOf(block)] ?? '')
  const proof = (seq: number, place: number): RecordProof => {
    const payload = payloads[seq] ?? frameOf()
    const lsn = 2 * seq + 1
    const bytes = Buffer.from(recordsOf(payload)[place] ?? '')
    return {
      kind: 'record',
      record: { lsn, index: place, time: 5, bytes },
      place,
      ...recordPath(frameDigests(lsn, 5, payload), place),
      header: headers[seq] ?? new Uint8Array(),
      history: hashes(blocksAround(seq, size)),
      head: { size, root: range.root() },
    }
  }
  return { headers, hashes, proof, head: { size, root: range.root() } }
}

describe('a header', () => {
  test('is read as it was written, signed or not', () => {
    const facts = { seq: 4, prev: noDigest, records: noDigest, count: 2, firstLsn: 8, lastLsn: 9 }
    for (const key of [undefined, signer]) {
      const written = encodeHeader({ ...facts, time: 77 }, key)
      const read = decodeHeader(written.bytes)
      expect(read?.hash).toBe(written.hash)
      expect(read?.header).toEqual({ ...facts, time: 77, signer: key?.publicKey ?? noDigest })
    }
    expect(publicKeyOf(publicKey.export({ type: 'spki', format: 'pem' }).toString())).toBe(
      signer.publicKey,
    )
  })

  test('is none with another length, version or flag, without records, or with a wrong range', () => {
    const facts = { seq: 0, prev: noDigest, records: noDigest, count: 1, firstLsn: 1, lastLsn: 2 }
    const { bytes } = encodeHeader({ ...facts, time: 1 })
    expect(decodeHeader(bytes.subarray(1))).toBeUndefined()
    for (const at of [0, 1, 2]) {
      const changed = Buffer.from(bytes)
      changed[at] = 9
      expect(decodeHeader(changed)).toBeUndefined()
    }
    expect(decodeHeader(encodeHeader({ ...facts, time: 1, count: 0 }).bytes)).toBeUndefined()
    expect(decodeHeader(encodeHeader({ ...facts, time: 1, firstLsn: 3 }).bytes)).toBeUndefined()
  })
})

describe('a proof', () => {
  test('verifies after it was text, for every record of chains up to 20 headers', () => {
    for (const size of [1, 2, 3, 8, 11, 20]) {
      const chain = chainOf(size)
      for (let seq = 0; seq < size; seq++)
        for (const place of [0, 1, 2]) {
          const proof = decodeProof(encodeProof(chain.proof(seq, place)))
          if (proof.kind !== 'record') throw new Error(proof.kind)
          const { record, header } = verifyRecordProof(proof)
          expect([header.seq, Buffer.from(record.bytes).toString()]).toEqual([
            seq,
            `${'abc'[place]}${seq}`,
          ])
        }
    }
  })

  test('is the same after it was text, each list of digests in its place', () => {
    const [row, path, history] = ['a', 'b', 'c'].map((hex) => [hex.repeat(64), noDigest])
    const proof = { ...chainOf(3).proof(1, 1), row, path, history } as RecordProof
    expect(decodeProof(encodeProof(proof))).toEqual(proof)
  })

  test.each([
    ['without a signature', false],
    ['with one', true],
  ])('(d) %s is refused with any one byte of its text changed', (_, signs) => {
    const text = encodeProof(chainOf(11, signs).proof(6, 1))
    expect(codeOf(() => verify(text))).toBe('holds')
    for (let at = 0; at < text.length; at++)
      for (const flip of [1, 32]) {
        const code = text.charCodeAt(at) ^ flip
        const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
        expect(
          codeOf(() => verify(changed)),
          `byte ${at}`,
        ).not.toBe('holds')
      }
  })

  test('(d) names the step that does not hold', () => {
    const chain = chainOf(11, true)
    const proof = chain.proof(6, 1)
    const changes: readonly [Partial<RecordProof>, string][] = [
      [{ place: 2 }, 'record'],
      [{ record: { ...proof.record, bytes: Buffer.from('b7') } }, 'record'],
      [{ record: { ...proof.record, index: 2 } }, 'record'],
      [{ record: { ...proof.record, lsn: 14 } }, 'record'],
      [{ record: { ...proof.record, lsn: 15 } }, 'header'],
      [{ record: { ...proof.record, time: 4 } }, 'record'],
      [{ record: { ...proof.record, time: 1_000 } }, 'header'],
      [{ header: chain.headers[5] as Uint8Array }, 'header'],
      [{ header: proof.header.subarray(0, 136) }, 'header'],
      [{ header: proof.header.with(199, (proof.header[199] ?? 0) ^ 1) }, 'signature'],
      [{ head: { ...proof.head, size: 12 } }, 'history'],
      [{ head: chainOf(10).head }, 'history'],
      [{ history: proof.history.toReversed() }, 'history'],
    ]
    for (const [change, step] of changes)
      expect(codeOf(() => verifyRecordProof({ ...proof, ...change }))).toBe(`CORRUPT ${step}`)
  })

  test('of a newer format is UNSUPPORTED_VERSION', () => {
    const text = encodeProof(chainOf(3).proof(1, 1)).replace('"format": 1', '"format": 2')
    expect(codeOf(() => decodeProof(text))).toBe('UNSUPPORTED_VERSION')
    expect(() => decodeProof(text)).toThrow(
      expect.objectContaining({ details: { format: 2, supported: 1 } }),
    )
  })

  test('of consistency holds between the heads of one chain, and not with one of another', () => {
    const chain = chainOf(20)
    const from = chainOf(13).head
    const blocks = chain.hashes([...blocksBetween(0, 13), ...blocksBetween(13, 20)])
    const proof: ConsistencyProof = { kind: 'consistency', from, to: chain.head, blocks }
    expect(codeOf(() => verify(encodeProof(proof)))).toBe('holds')
    const forked = { ...proof, from: chainOf(13, true).head }
    expect(codeOf(() => verify(encodeProof(forked)))).toBe('CORRUPT from')
    expect(codeOf(() => verify(encodeProof({ ...proof, to: { ...chain.head, size: 19 } })))).toBe(
      'CORRUPT from',
    )
    expect(codeOf(() => verify(encodeProof({ ...proof, to: from })))).toBe('CORRUPT from')
  })
})

test.each([
  ['without its earlier head', { from: undefined }],
  ['without its later head', { to: undefined }],
  ['without blocks', { blocks: undefined }],
  ['with a block that is no digest', { blocks: [7] }],
  ['with a block in a list', { blocks: [[noDigest]] }],
])('a proof of consistency %s is malformed', (_, wrong) => {
  const heads = { from: chainOf(1).head, to: chainOf(2).head }
  const fields = { keelson: 'consistency proof', format: 1, ...heads, blocks: [], ...wrong }
  expect(codeOf(() => decodeProof(`${JSON.stringify(fields, null, 1)}\n`))).toBe('CORRUPT format')
})

test.each([
  ['that are no text', 12],
  ['that are not in hex', 'zz'],
  ['with half a byte', 'aabbc'],
  ['in capitals', 'AA'],
  ['that are missing', undefined],
])('a proof of a record with bytes %s is malformed', (_, bytes) => {
  const fields = JSON.parse(encodeProof(chainOf(1).proof(0, 0)))
  const record = { ...fields.record, bytes }
  const changed = [
    { ...fields, record },
    { ...fields, header: bytes },
  ]
  for (const each of changed)
    expect(codeOf(() => decodeProof(`${JSON.stringify(each, null, 1)}\n`))).toBe('CORRUPT format')
})

test('a record in no place of its group has no root', () => {
  const { row, path } = chainOf(1).proof(0, 0)
  for (const index of [-1, -16, 3, 0.5, Number.NaN])
    expect(rootFromRecord(noDigest, index, 3, { row, path })).toBeUndefined()
})

test('a header follows the one before it: its number, its hash, and its range', () => {
  const last = { hash: 'ab'.repeat(32), lsn: 9, time: 1 }
  const facts = { seq: 4, prev: last.hash, records: noDigest, count: 1, firstLsn: 10, lastLsn: 12 }
  const faultOf = (change: object, before?: typeof last) => {
    const { bytes } = encodeHeader({ ...facts, time: 2, ...change })
    return linkFault(decodeHeader(bytes), { seq: 4, lsn: 12 }, before)
  }
  expect(faultOf({}, last)).toBeUndefined()
  for (const change of [{ seq: 5 }, { prev: noDigest }, { firstLsn: 9 }, { firstLsn: 5 }])
    expect(faultOf(change, last)).toBeDefined()
  expect(faultOf({ lastLsn: 13 }, last)).toBeDefined()
  expect(faultOf({ prev: noDigest, firstLsn: 1 })).toBeUndefined()
  expect(faultOf({ prev: noDigest, firstLsn: 0 })).toBeDefined()
})

test('commitments are on, off, or signed with a key, and nothing else', () => {
  const codeFor = (value: unknown) => codeOf(() => void commitments(value, config('commitments')))
  expect([false, true].map((value) => commitments(value, config()))).toEqual([undefined, {}])
  expect(commitments({ key: pem }, config())?.key).toEqual(privateKeyOf(pem))
  for (const wrong of [null, 7, {}, { key: 7 }, { key: 'none' }, { key: pem, keys: pem }])
    expect(codeFor(wrong)).toBe('CONFIG')
})

const verify = (text: string): void => {
  const proof = decodeProof(text)
  if (proof.kind === 'record') verifyRecordProof(proof)
  else verifyConsistency(proof)
}

test('a key that is no Ed25519 key is CONFIG, and the error does not have it', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  const secret = rsa.export({ type: 'pkcs8', format: 'pem' }).toString()
  for (const text of [secret, 'not a key']) {
    expect(codeOf(() => void privateKeyOf(text))).toBe('CONFIG')
    try {
      privateKeyOf(text)
    } catch (error) {
      expect(JSON.stringify(error) + String(error)).not.toContain(text.slice(30, 60) || text)
    }
  }
})

test.each([
  ['of an empty chain', { size: 0 }],
  ['with half a header', { size: 0.5 }],
  ['with a root of 65 digits', { root: `${noDigest}0` }],
  ['with a root in capitals', { root: 'A'.repeat(64) }],
  ['with a sign before its root', { root: `-${noDigest}` }],
  ['with a hash that is cut', { hash: noDigest.slice(1) }],
  ['without an LSN', { lsn: undefined }],
])('a head %s is malformed', (_, change) => {
  const head = { size: 2, root: noDigest, hash: noDigest, lsn: 5, time: 0 }
  expect(decodeHead(JSON.stringify(head))).toEqual(head)
  const text = JSON.stringify({ ...head, ...change })
  expect(codeOf(() => decodeHead(text))).toBe('CORRUPT format')
})
