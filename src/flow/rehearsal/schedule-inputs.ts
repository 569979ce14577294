/**
 * Judges schedules by the schemas of a program: whether a workflow takes the time that its schedule gives. A
 * schedule with its own input gives what a schema has made before, which no schema parses again. It is
 * apart from `declaration-judge.ts` because schemas are code of users.
 */
import { readBody, type Verdict } from '../../actors/index.ts'
import { keptError } from '../../errors.ts'
import { readEntityRow } from '../../storage/index.ts'
import { scheduleKind, schedulesKind } from '../runs/parts.ts'
import { parsedInput } from '../runs/values.ts'
import { declaredSchedule } from '../schedule/schedule-entity.ts'
import type { Declared, Plan } from '../schedule/schedule-plan.ts'
import type { Catalogue } from './catalogue.ts'
import type { Found } from './findings.ts'
import type { StoredFacts, StoredPart } from './stored-parts.ts'

/** The findings about a stored schedule: its workflow refuses what it gives. */
export const inputOfSchedule = (
  { kind, id, main }: StoredPart,
  catalogue: Catalogue,
  asOf: number,
): readonly Found[] => {
  const isMade = kind === schedulesKind
  if (!isMade && !kind.startsWith(scheduleKind(''))) return []
  const plan = readBody(readEntityRow(main).body).state as Plan | undefined
  if (!plan || plan.isPaused) return []
  const name = isMade ? id : kind.slice(scheduleKind('').length)
  const declared = isMade ? plan : catalogue.schedules.get(name)?.[declaredSchedule].declared
  return declared ? refused(name, declared, catalogue, plan.next ?? asOf) : []
}

/** The same about the schedules of the program that no data have yet. */
export const inputsOfNewSchedules = (
  { kinds }: StoredFacts,
  catalogue: Catalogue,
  asOf: number,
): readonly Found[] => {
  const stored = new Set(kinds.map(([kind]) => kind))
  return [...catalogue.schedules]
    .filter(([name]) => !stored.has(scheduleKind(name)))
    .flatMap(([name, own]) => refused(name, own[declaredSchedule].declared, catalogue, asOf))
}

const refused = (
  name: string,
  { workflow, input }: Declared,
  { workflows }: Catalogue,
  at: number,
): readonly Found[] => {
  const parse = workflows.get(workflow)?.options.input
  if (!parse || input) return []
  try {
    parsedInput({ at }, parse)
    return []
  } catch (error) {
    const { code, name: what, message } = keptError(error)
    const verdict: Verdict = {
      level: 'blocks',
      what: code ?? what,
      reason: `its runs of ${workflow} get { at }: ${message}`,
      fix: 'let the `input` of the workflow take `{ at }`; or make the schedule with an `input`',
    }
    return [{ ...verdict, kind: `schedule ${name}`, id: name }]
  }
}
