/** `keelson journal head` and `prove`: read a log that is not open here, and change nothing. */
import { resolve } from 'node:path'
import { KeelsonError } from '../../errors.ts'
import {
  decodeHead,
  encodeHead,
  encodeProof,
  nodeDisk,
  otherField,
  readChain,
  refusing,
} from '../../storage/index.ts'
import type { Environment } from '../command/environment.ts'
import { readNamed, writeNamed } from '../command/named-file.ts'
import type { JournalHeadCommand, JournalProveCommand } from './journal-command-line.ts'
import { walTarget } from './wal-target.ts'

/**
 * Runs the command and resolves with the exit status.
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
