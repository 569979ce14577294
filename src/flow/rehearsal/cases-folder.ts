/**
 * Writes and reads the folder with saved cases: one file, written as a whole. It is apart from
 * `saved-cases.ts`, which chooses the cases and is pure.
 */
import { join } from 'node:path'
import { invalidArgument } from '../../errors.ts'
import {
  type Disk,
  makeFolders,
  readBackup,
  readDataFolder,
  readWhole,
  refusing,
  replaceFile,
} from '../../storage/index.ts'
import { type CaseChoice, readCases, type SavedCases } from './saved-cases.ts'
import type { RehearsedParts, StoredFacts, StoredPart } from './stored-parts.ts'

/** The file with the cases. */
const casesFileName = 'cases.json'

/** So many cases come in one lot. */
const lotMax = 100

/** Actors that were saved as cases, for a judge. */
export class CaseParts implements RehearsedParts {
  readonly asOf: number
  readonly facts: StoredFacts
  readonly #parts: readonly StoredPart[]

  constructor({ asOf, facts, parts }: SavedCases) {
    this.asOf = asOf
    this.facts = facts
    this.#parts = parts
  }

  async *lots(): AsyncIterable<readonly StoredPart[]> {
    for (let at = 0; at < this.#parts.length; at += lotMax) yield this.#parts.slice(at, at + lotMax)
  }

  /** Cases have states and records of runs, and no turns. */
  async *turns(): AsyncIterable<never> {}
}

/** The cases in a folder; `undefined`: it has none. @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION` */
export const casesIn = (disk: Disk, dir: string): CaseParts | undefined => {
  const file = join(dir, casesFileName)
  if (!refusing(() => disk.entry(file))) return undefined
  const bytes = refusing(() => readWhole(disk, file))
  return new CaseParts(readCases(Buffer.from(bytes).toString(), file))
}

/** @throws KeelsonError `INVALID_ARGUMENT` for a data folder or a backup: with cases it would be read as cases */
export const expectCasesFolder = (disk: Disk, dir: string): void =>
  refusing(() => {
    if (readDataFolder(disk, dir).state === 'absent' && !readBackup(disk, dir)) return
    throw invalidArgument('save', 'a folder without an instance or a backup', dir)
  })

/** Writes the chosen cases into a folder, in place of earlier ones. @throws KeelsonError of the disk */
export const saveCases = (
  disk: Disk,
  dir: string,
  choice: CaseChoice,
  { asOf, facts }: { readonly asOf: number; readonly facts: StoredFacts },
): void => {
  const text = choice.text(asOf, facts)
  refusing(() => {
    if (!disk.entry(dir)) makeFolders(disk, dir)
    replaceFile(disk, join(dir, casesFileName), Buffer.from(text))
  })
}
