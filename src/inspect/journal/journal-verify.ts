/**
 * `keelson journal verify`: checks a proof from a file against the head, the key and the write that
 * were kept, without any log. Exit status 0 if all of it holds, 4 if not.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type CommitmentHead,
  type ConsistencyProof,
  decodeHead,
  decodeProof,
  publicKeyOf,
  type RecordProof,
  recordContent,
  verifyConsistency,
  verifyRecordProof,
} from '../../storage/index.ts'
import { type Environment, printLine } from '../command/environment.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import { contentJson, contentText } from '../wal/wal-dump-view.ts'
import type { JournalVerifyCommand } from './journal-command-line.ts'

/** Facts as lines of text, and the same as plain data. */
type Finding = { readonly facts: readonly (readonly [string, string])[]; readonly json: object }

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError `CONFIG` for a key that is none; `UNSUPPORTED_VERSION`
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
    if (!isKeelsonError(error, 'CORRUPT')) throw error
    const { step, evidence } = error.details
    const json = { holds: false, step, evidence }
    printLine(output, command.json ? JSON.stringify(json) : `holds  no: ${String(evidence)}`)
    return 4
  }
}

const findingOf = (command: JournalVerifyCommand, cwd: string): Finding => {
  const read = (file: string): Buffer => readFileSync(resolve(cwd, file))
  const proof = decodeProof(read(command.proof).toString('utf8'))
  const head =
    command.head === undefined ? undefined : decodeHead(read(command.head).toString('utf8'))
  const key =
    command.key === undefined ? undefined : publicKeyOf(read(command.key).toString('utf8'))
  const entry = command.entry === undefined ? undefined : read(command.entry)
  return proof.kind === 'record'
    ? recordFinding(proof, head, key, entry)
    : consistencyFinding(proof, head)
}

const recordFinding = (
  proof: RecordProof,
  kept: CommitmentHead | undefined,
  key: string | undefined,
  entry: Uint8Array | undefined,
): Finding => {
  const { record, header } = verifyRecordProof(proof)
  if (entry && Buffer.compare(entry, record.bytes) !== 0)
    throw unmet('entry', 'the write is not the one in the file')
  if (key !== undefined && header.signer !== key)
    throw unmet('key', 'the group is not signed with this key')
  refuseOtherHead(proof.head, kept)
  const isSigned = /[1-9a-f]/.test(header.signer)
  const signer = isSigned ? header.signer : null
  const content = recordContent(record)
  const { lsn, index, time } = record
  const { size, root } = proof.head
  return {
    facts: [
      ['write', `lsn ${countText(lsn)}, index ${index}: ${printable(contentText(content, 200))}`],
      ['group', `${countText(header.seq)}, lsn ${header.firstLsn} to ${header.lastLsn}`],
      ['signed', signer ?? 'no'],
      ['head', `${countText(size)} groups, root ${root}`],
      ['the head', kept ? 'is the one in the file' : 'was not compared: --head FILE does'],
    ],
    json: {
      record: { lsn, index, time, ...contentJson(content) },
      group: { seq: header.seq, firstLsn: header.firstLsn, lastLsn: header.lastLsn },
      signer,
      head: { size, root },
      headIsKept: kept !== undefined,
    },
  }
}

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

const refuseOtherHead = (
  { size, root }: { readonly size: number; readonly root: string },
  kept: CommitmentHead | undefined,
): void => {
  if (!kept || (kept.size === size && kept.root === root)) return
  throw unmet(
    'head',
    kept.size === size
      ? 'it is against another history than that of the head'
      : `it is against ${size} groups, and the head has ${kept.size}: prove --at ${kept.size}`,
  )
}

const unmet = (step: string, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', evidence, { details: { step, evidence } })
