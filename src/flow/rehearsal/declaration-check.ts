/**
 * Checks a tree against stored data by its declarations. It is apart from `rehearse.ts` because it calls no
 * code of users, and so needs no clock and no log.
 */
import type { AppTree } from '../../supervisors/index.ts'
import { Catalogue } from './catalogue.ts'
import { DeclarationJudge } from './declaration-judge.ts'
import { type Finding, Findings } from './findings.ts'
import type { RehearsedParts } from './stored-parts.ts'

/** The result of a check of declarations. */
export type DeclarationReport = {
  /** The worst first. */
  readonly findings: readonly Finding[]
  /** How many runs that have not ended, and how many other actors were looked at. */
  readonly counts: { readonly runs: number; readonly actors: number }
}

/**
 * The parts that stored data name and the tree lacks. `tree`: checked, with its modules loaded; `false`:
 * the store alone. `asOf`: when the data were so, in ms since 1970.
 * @throws KeelsonError `SHARD_DOWN`, `CLOSED`, `CORRUPT` when the data cannot be read
 */
export const checkDeclarations = async (
  tree: AppTree | false,
  { parts, asOf }: { readonly parts: RehearsedParts; readonly asOf: number },
): Promise<DeclarationReport> => {
  const judge = new DeclarationJudge(new Catalogue(tree), asOf)
  const [findings, counts] = [new Findings(), { runs: 0, actors: 0 }]
  for await (const lot of parts.lots())
    for (const part of lot) {
      counts[part.run ? 'runs' : 'actors']++
      const found = part.run
        ? [...judge.lackOfRun(part), ...judge.versionOfRun(part)]
        : judge.ofActor(part)
      for (const each of found) findings.add(each)
    }
  for (const each of judge.ofWhole(parts.facts)) findings.add(each)
  return { findings: findings.list, counts }
}
