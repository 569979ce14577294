/** One fill, proved to an auditor with files: the operator makes them, the auditor only reads them. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bodyAt, changedBody, type Log, type Place } from './replica.ts'

const program = 'dist/inspect/cli/cli.js'

const journal = (...words: string[]): number | null =>
  spawnSync(process.execPath, [program, 'journal', ...words], { stdio: 'ignore' }).status

const flipped = (bytes: Uint8Array, at = bytes.length >> 1): Uint8Array =>
  bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

/**
 * Proves the entry at `place` of the folder `dir` to an auditor who has the published head and reads
 * the row in PostgreSQL. Then a byte of the proof, of the entry and of the row is changed, one after
 * another. Resolves with what the auditor should have refused, or accepted.
 */
export const provedFill = async (
  dir: string,
  place: Place,
  log: Log,
  folder: string,
): Promise<readonly string[]> => {
  const [head, proof, entry] = ['head.json', 'fill.proof', 'fill.entry'].map((name) =>
    join(folder, name),
  ) as [string, string, string]
  journal('head', dir, '--out', head)
  journal('prove', dir, '--lsn', `${place.lsn}`, '--out', proof)
  const proved = readFileSync(proof)
  const row = await bodyAt(log, place)

  const faults: string[] = []
  const audit = (
    what: string,
    expected: number,
    files: { proof?: Uint8Array; entry?: Uint8Array },
  ) => {
    writeFileSync(proof, files.proof ?? proved)
    writeFileSync(entry, files.entry ?? row)
    const status = journal('verify', proof, '--head', head, '--entry', entry)
    if (status !== expected) faults.push(`the auditor's check of ${what} ended with ${status}`)
  }
  audit('the fill', 0, {})
  audit('a changed proof', 4, { proof: flipped(proved) })
  audit('a changed entry', 4, { entry: flipped(row) })
  audit('a changed row', 4, { entry: await changedBody(log, place) })
  return faults
}
