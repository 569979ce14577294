/**
 * Proofs as plain JSON, and their verification. A proof is text in one form only: every changed
 * byte of it is refused. An auditor needs nothing but the proof to verify it. Only a head that was
 * kept elsewhere shows that the history is the published one. Pure.
 */
import { plainJson } from '../../bytes/json.ts'
import { KeelsonError } from '../../errors.ts'
import type { CommitmentHead } from '../ports/log-host.ts'
import { decodeHeader, hasItsSignature, type ReadHeader } from './commitment-header.ts'
import { type Digest, isDigest, noDigest } from './digests.ts'
import { rootFromLeaf, rootsFromBlocks } from './mountains.ts'
import { type RecordPath, type RecordPlace, recordDigest, rootFromRecord } from './record-root.ts'

/** The number of headers of a chain, and the root over them. */
export type HistoryRoot = { readonly size: number; readonly root: Digest }

/** Proves that a record is in the history with this head. */
export type RecordProof = RecordPath & {
  readonly kind: 'record'
  readonly record: RecordPlace & { readonly bytes: Uint8Array }
  /** The index of the record among those of its group. */
  readonly place: number
  /** The header of the group, as in its COMMITMENT frame. */
  readonly header: Uint8Array
  /** The blocks around the header. */
  readonly history: readonly Digest[]
  readonly head: HistoryRoot
}

/** Proves that the history with the head `to` continues that with the head `from`. */
export type ConsistencyProof = {
  readonly kind: 'consistency'
  readonly from: HistoryRoot
  readonly to: HistoryRoot
  readonly blocks: readonly Digest[]
}

/** The kinds of proofs. */
export type Proof = RecordProof | ConsistencyProof

const format = 1

/** A proof as text, with a line end. */
export const encodeProof = (proof: Proof): string => `${plainJson(jsonOf(proof), 1)}\n`

const jsonOf = (proof: Proof) =>
  proof.kind === 'record' ? recordJson(proof) : consistencyJson(proof)

const recordJson = ({ record, place, row, path, header, history, head }: RecordProof) => ({
  keelson: 'record proof',
  format,
  record: {
    lsn: record.lsn,
    index: record.index,
    time: record.time,
    bytes: Buffer.from(record.bytes).toString('hex'),
  },
  place,
  row: [...row],
  path: [...path],
  header: Buffer.from(header).toString('hex'),
  history: [...history],
  head: rootJson(head),
})

const consistencyJson = ({ from, to, blocks }: ConsistencyProof) => ({
  keelson: 'consistency proof',
  format,
  from: rootJson(from),
  to: rootJson(to),
  blocks: [...blocks],
})

const rootJson = ({ size, root }: HistoryRoot) => ({ size, root })

/** A head as text, with a line end. */
export const encodeHead = ({ size, root, hash, lsn, time }: CommitmentHead): string =>
  `${plainJson({ keelson: 'head', format, size, root, hash, lsn, time }, 1)}\n`

/** An index is hashed as u16: a greater one would pass for another. */
const indexMax = 0xffff

/** No proof is longer. */
const textMax = 2 ** 30

/**
 * A proof from its text.
 * @throws KeelsonError `CORRUPT` unless the text is exactly that of a proof; `UNSUPPORTED_VERSION`
 */
export const decodeProof = (text: string): Proof => {
  const fields = fieldsOf(text, 'a proof')
  const proof = fields.keelson === 'record proof' ? recordOf(fields) : consistencyOf(fields)
  // Unknown fields, spaces, bytes that are not in hex: nothing may change unnoticed.
  if (!proof || encodeProof(proof) !== text) throw malformed('it is not written as a proof is')
  return proof
}

/** A head from its text. @throws as `decodeProof` */
export const decodeHead = (text: string): CommitmentHead => {
  const { size, root, hash, lsn, time } = fieldsOf(text, 'a head')
  if (![size, lsn, time].every(isCount) || size === 0 || !isDigest(root) || !isDigest(hash))
    throw malformed('it is not written as a head is')
  return { size: Number(size), root, hash, lsn: Number(lsn), time: Number(time) }
}

/** The first field of a head that `proven` has otherwise; `undefined` if there is none. */
export const otherField = (
  proven: Partial<CommitmentHead>,
  head: CommitmentHead,
): keyof CommitmentHead | undefined =>
  (['size', 'root', 'hash', 'lsn', 'time'] as const).find(
    (field) => proven[field] !== undefined && proven[field] !== head[field],
  )

type Fields = Record<string, unknown>

const fieldsOf = (text: string, what: string): Fields => {
  if (text.length > textMax) throw malformed(`it is longer than ${what}`)
  let fields: unknown
  try {
    fields = JSON.parse(text)
  } catch {
    throw malformed('it is no JSON')
  }
  if (!isObject(fields)) throw malformed('it is no JSON object')
  if (typeof fields.format === 'number' && fields.format > format)
    throw new KeelsonError('UNSUPPORTED_VERSION', `${what} of a newer version`, {
      details: { format: fields.format, supported: format },
    })
  return fields
}

const recordOf = (fields: Fields): RecordProof | undefined => {
  const { record, place, row, path, header, history, head } = fields
  if (!isObject(record) || !isRoot(head)) return undefined
  const { lsn, index, time, bytes } = record
  if (![place, lsn, index, time].every(isCount) || Number(index) > indexMax) return undefined
  if (![row, path, history].every(areDigests)) return undefined
  return {
    kind: 'record',
    record: {
      lsn: Number(lsn),
      index: Number(index),
      time: Number(time),
      bytes: Buffer.from(String(bytes), 'hex'),
    },
    place: Number(place),
    row: row as Digest[],
    path: path as Digest[],
    header: Buffer.from(String(header), 'hex'),
    history: history as Digest[],
    head,
  }
}

const consistencyOf = ({ from, to, blocks }: Fields): ConsistencyProof | undefined =>
  isRoot(from) && isRoot(to) && areDigests(blocks)
    ? { kind: 'consistency', from, to, blocks }
    : undefined

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0
const areDigests = (value: unknown): value is Digest[] =>
  Array.isArray(value) && value.every(isDigest)
const isRoot = (value: unknown): value is HistoryRoot =>
  isObject(value) && isCount(value.size) && isDigest(value.root)

/** The facts that a record proof proves. */
export type ProvenRecord = {
  readonly record: RecordProof['record']
  readonly header: ReadHeader['header']
  readonly hash: Digest
}

/**
 * Verifies a record proof: record, group, signature if there is one, and history.
 * @throws KeelsonError `CORRUPT` with `details.step`, the first step that does not hold
 */
export const verifyRecordProof = (proof: RecordProof): ProvenRecord => {
  const { record, place, header: bytes, history, head } = proof
  const read = decodeHeader(bytes)
  if (!read) throw broken('header', 'the header of its group is malformed')
  const { header, hash } = read
  const { lsn, time } = record
  if (lsn < header.firstLsn || lsn > header.lastLsn || time > header.time)
    throw broken('header', `the header covers lsn ${header.firstLsn} to ${header.lastLsn}`)
  const root = rootFromRecord(recordDigest(record, record.bytes), place, header.count, proof)
  if (root !== header.records) throw broken('record', 'the record is not in the group')
  if (header.signer !== noDigest && !hasItsSignature(read))
    throw broken('signature', 'the signature of the header is wrong')
  const at = { index: header.seq, size: head.size }
  if (rootFromLeaf('history', at, hash, history) !== head.root)
    throw broken('history', 'the group is not in the history with this head')
  return { record, header, hash }
}

/**
 * Verifies a consistency proof.
 * @throws KeelsonError `CORRUPT` with `details.step`
 */
export const verifyConsistency = ({ from, to, blocks }: ConsistencyProof): void => {
  const roots = rootsFromBlocks('history', from.size, to.size, blocks)
  if (roots?.from !== from.root)
    throw broken('from', 'the proof does not begin with the earlier head')
  if (roots.to !== to.root) throw broken('to', 'the later head does not continue the earlier one')
}

const malformed = (evidence: string): KeelsonError => broken('format', evidence)

const broken = (step: string, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `the proof does not hold: ${evidence}`, {
    details: { step, evidence },
  })
