/**
 * The proofs of `keelson journal`. `head` and `prove` read a log that is not open here, and change
 * nothing. `verify` checks a proof from a file against the head, the key and the write that were
 * kept, without any log. Its exit status is 0 if all of it holds, 4 if not, or if it cannot decide.
 */
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { resolve } from 'node:path'
import { publicKeyOf } from '../../bytes/ed25519.ts'
import { isKeelsonError, KeelsonError, keptError } from '../../errors.ts'
import {
  type CommitmentHead,
  type ConsistencyProof,
  decodeHead,
  decodeProof,
  encodeHead,
  encodeProof,
  entriesOf,
  type FrameContent,
  nodeDisk,
  otherField,
  type RecordProof,
  readChain,
  recordContent,
  refusing,
  verifyConsistency,
  verifyRecordProof,
} from '../../storage/index.ts'
import { walTarget } from '../../tools/index.ts'
import { type Environment, printLine } from '../command/environment.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import type {
  JournalHeadCommand,
  JournalProveCommand,
  JournalVerifyCommand,
} from './journal-command-line.ts'
import { contentJson, contentText, withoutValues } from './wal-dump-view.ts'

/**
 * Runs `head` or `prove` and resolves with the exit status.
 * @throws KeelsonError `NO_SEGMENTS`; `INVALID_ARGUMENT` if there is no such record or commitment,
 * or a file cannot be read or written; `CORRUPT`
 */
export const runJournalProof = async (
  command: JournalHeadCommand | JournalProveCommand,
  environment: Environment,
): Promise<number> => {
  const { cwd, output } = environment
  const text = refusing(() => textFor(command, cwd))
  if (command.out === undefined) output.write(text)
  else writeNamed(resolve(cwd, command.out), text)
  return 0
}

const textFor = (command: JournalHeadCommand | JournalProveCommand, cwd: string): string => {
  const reader = readChain(nodeDisk(), logOf(resolve(cwd, command.dir), command.shard))
  try {
    if (command.kind === 'journal prove')
      return encodeProof(reader.recordProof(command, command.at))
    if (command.since === undefined) return encodeHead(reader.head)
    const since = decodeHead(readNamed(resolve(cwd, command.since)).toString('utf8'))
    const field = otherField(reader.headAt(since.size), since)
    if (field === undefined) return encodeProof(reader.consistencyProof(since.size))
    const { size, root } = since
    throw new KeelsonError(
      'CORRUPT',
      `the log does not continue the history of that head: its ${field} is another`,
      { details: { size, root, field } },
    )
  } finally {
    reader.close()
  }
}

const logOf = (dir: string, shard: number): string => {
  const { logs } = walTarget(nodeDisk(), dir)
  const log = logs[shard]
  if (log) return log.dir
  throw new KeelsonError('INVALID_ARGUMENT', `${dir} has no shard ${shard}`, { details: { shard } })
}

/** Facts as lines of text, and the same as plain data. */
type Finding = { readonly facts: readonly (readonly [string, string])[]; readonly json: object }

/**
 * Runs `verify` and resolves with the exit status.
 * @throws KeelsonError `CONFIG` for a key that is none; `INVALID_ARGUMENT` for a file that cannot be
 * read
 */
export const runJournalVerify = async (
  command: JournalVerifyCommand,
  environment: Environment,
): Promise<number> => {
  const { output } = environment
  try {
    const { facts, json } = findingOf(command, environment.cwd)
    const text = factList([['holds', 'yes'], ...facts])
    printLine(output, command.json ? JSON.stringify({ holds: true, ...json }) : text)
    return 0
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    const { code, message, details } = error
    const isNewer = code === 'UNSUPPORTED_VERSION'
    if (!isNewer && code !== 'CORRUPT') throw error
    const newer = { step: 'format', evidence: `${message}: this keelson cannot check it` }
    const { step, evidence } = isNewer ? newer : details
    const json = { holds: false, step, evidence }
    printLine(output, command.json ? JSON.stringify(json) : `holds  no: ${String(evidence)}`)
    return 4
  }
}

const findingOf = (command: JournalVerifyCommand, cwd: string): Finding => {
  const read = (file: string): Buffer => readNamed(resolve(cwd, file))
  const proof = decodeProof(read(command.proof).toString('utf8'))
  const head =
    command.head === undefined ? undefined : decodeHead(read(command.head).toString('utf8'))
  const key =
    command.key === undefined ? undefined : publicKeyOf(read(command.key).toString('utf8'))
  const entry = command.entry === undefined ? undefined : read(command.entry)
  return proof.kind === 'record'
    ? recordFinding(proof, head, key, entry, command.reveal)
    : consistencyFinding(proof, head)
}

const recordFinding = (
  proof: RecordProof,
  kept: CommitmentHead | undefined,
  key: string | undefined,
  entry: Uint8Array | undefined,
  reveal: boolean,
): Finding => {
  const { record, header, hash } = verifyRecordProof(proof)
  const content = recordContent(record)
  if (entry && !writesOf(record, content).some((bytes) => Buffer.compare(entry, bytes) === 0))
    throw unmet('entry', 'the write is not the one in the file')
  if (key !== undefined && header.signer !== key)
    throw unmet('key', 'the group is not signed with this key')
  const { size, root } = proof.head
  // Root and size have all headers in them. The other fields are those of the last one.
  const isLast = header.seq === size - 1
  const { lastLsn, time: committed } = header
  const head = { ...proof.head, ...(isLast && { hash, lsn: lastLsn, time: committed }) }
  refuseOtherHead(head, kept)
  const isSigned = /[1-9a-f]/.test(header.signer)
  const signer = isSigned ? header.signer : null
  const { lsn, index, time } = record
  const json = reveal ? contentJson(content) : (withoutValues(contentJson(content)) as object)
  const text = printable(reveal ? JSON.stringify(json) : contentText(content))
  return {
    facts: [
      ['write', `lsn ${countText(lsn)}, index ${index}: ${text}`],
      ['group', `${countText(header.seq)}, lsn ${header.firstLsn} to ${header.lastLsn}`],
      ['signed', signer ?? 'no'],
      ['head', `${countText(size)} groups, root ${root}`],
      ['the head', kept ? keptText(isLast) : 'was not compared: --head FILE does'],
    ],
    json: {
      record: { lsn, index, time, ...json },
      group: { seq: header.seq, firstLsn: header.firstLsn, lastLsn: header.lastLsn },
      signer,
      head: { size, root },
      headIsKept: kept !== undefined,
    },
  }
}

/** The forms in which a write may be kept: its bytes, or the body of an entry, as a replica has it. */
const writesOf = ({ bytes }: Pick<RecordProof['record'], 'bytes'>, content: FrameContent) => [
  bytes,
  ...(content.kind === 'units' ? content.units.flatMap(entriesOf).map(({ body }) => body) : []),
]

const consistencyFinding = (proof: ConsistencyProof, kept: CommitmentHead | undefined): Finding => {
  verifyConsistency(proof)
  const { from, to } = proof
  refuseOtherHead(kept?.size === from.size ? from : to, kept)
  return {
    facts: [
      ['from', `${countText(from.size)} groups, root ${from.root}`],
      ['to', `${countText(to.size)} groups, root ${to.root}`],
    ],
    json: { from, to, headIsKept: kept !== undefined },
  }
}

const keptText = (isLast: boolean): string =>
  isLast
    ? 'is the one in the file'
    : 'has the groups and the root of the one in the file; a proof has no more of it'

/** Compares what is proven of a head with the one that was kept. */
const refuseOtherHead = (
  proven: Pick<CommitmentHead, 'size' | 'root'> & Partial<CommitmentHead>,
  kept: CommitmentHead | undefined,
): void => {
  if (!kept) return
  const field = otherField(proven, kept)
  const { size } = kept
  if (field === undefined) return
  if (field === 'size')
    throw unmet(
      'head',
      `it is against ${proven.size} groups, and the head has ${size}: prove --at ${size}`,
    )
  if (field === 'root') throw unmet('head', 'it is against another history than that of the head')
  throw unmet('head', `the ${field} of the head is not that of its last group`)
}

const unmet = (step: string, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', evidence, { details: { step, evidence } })

/** The bytes of a file. @throws KeelsonError `INVALID_ARGUMENT` */
const readNamed = (path: string): Buffer => {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw refused(path, 'read', keptError(cause).message, cause)
  }
}

const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants

/**
 * Writes a new file, for its own user only, in place of an earlier one. It follows no link.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
const writeNamed = (path: string, text: string): void => {
  try {
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile()) unlinkSync(path)
    const file = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600)
    try {
      writeFileSync(file, text)
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw refused(path, 'written', keptError(cause).message, cause)
  }
}

/** The refusal of a file that cannot be read, or written. */
const refused = (path: string, done: string, found: string, cause: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${path} cannot be ${done}: ${found}`, {
    details: { path, found },
    cause,
  })
