/**
 * The judge of a program: it gets stored actors in lots, and says what the program would do with each.
 * Nothing is started, and no function of a step, job, alarm or handler is called. It is apart from
 * `rehearse.ts`, because a judge in another process has no instance.
 */
import { actorVerdicts, type RecordedTurn, turnVerdicts, type Verdict } from '../../actors/index.ts'
import { createSystem, type System } from '../../runtime/index.ts'
import type { AppTree } from '../../supervisors/index.ts'
import type { ReplayParts } from '../judging/rehearsed-run.ts'
import { type GivenRun, type Judged, RunJudge } from '../judging/run-judge.ts'
import { workflowOf } from '../judging/stored-run.ts'
import { Catalogue } from './catalogue.ts'
import { DeclarationJudge, shownKind } from './declaration-judge.ts'
import { DrawnRuns } from './drawn-runs.ts'
import type { Found } from './findings.ts'
import { inputOfSchedule, inputsOfNewSchedules } from './schedule-inputs.ts'
import type { StoredFacts, StoredPart } from './stored-parts.ts'

/** The judge of one program. */
export class Rehearsal {
  readonly #catalogue: Catalogue
  readonly #runs: RunJudge
  readonly #draws: DrawnRuns | undefined
  readonly #declarations: DeclarationJudge
  readonly #system: ReplayParts
  /** Where recorded turns are run again. */
  #turns: System | undefined
  readonly #asOf: number
  #found: Found[] = []

  /**
   * `asOf`: when the data were as they are, in ms since 1970. `ownsProcess`: nothing else runs in this
   * process, so its clocks may be set.
   */
  constructor(tree: AppTree | false, system: ReplayParts, asOf: number, ownsProcess = false) {
    this.#system = system
    this.#asOf = asOf
    this.#catalogue = new Catalogue(tree)
    this.#declarations = new DeclarationJudge(this.#catalogue, asOf)
    const judged: Judged = ({ name }, id, verdict) =>
      void this.#found.push({ ...verdict, kind: `workflow ${name}`, id })
    this.#runs = new RunJudge(system, judged)
    this.#draws = ownsProcess ? new DrawnRuns(system, judged) : undefined
  }

  /** How many runs stand still: their findings come later. */
  get still(): number {
    return this.#runs.still
  }

  /** The findings about these actors. Runs that stand still come with a later lot, or the rest. */
  async judge(lot: readonly StoredPart[]): Promise<readonly Found[]> {
    const runs = new Map<string, StoredPart[]>()
    for (const part of lot)
      if (part.run) runs.set(part.kind, [...(runs.get(part.kind) ?? []), part])
      else this.#judgeActor(part)
    for (const [kind, parts] of runs) await this.#judgeRuns(workflowOf(kind), parts)
    return this.#taken()
  }

  /** The findings about recorded turns. */
  async judgeTurns(turns: readonly RecordedTurn[]): Promise<readonly Found[]> {
    const { kinds, hasKind } = this.#catalogue
    this.#turns ??= createSystem({ clock: this.#system.clock, logger: this.#system.logger })
    for (const recorded of turns) {
      const { kind, id } = recorded
      const server = kinds.get(kind)
      // A kind that is gone is found with its actors.
      if (!server) continue
      const verdicts = await turnVerdicts(this.#turns, recorded, { ...server, hasKind })
      for (const verdict of verdicts) this.#says(shownKind(kind, id), id, verdict)
    }
    return this.#taken()
  }

  /** The findings about the runs that stand still. */
  async rest(): Promise<readonly Found[]> {
    await this.#runs.rest()
    return this.#taken()
  }

  /** The findings about the declarations, when all lots were judged. */
  whole(facts: StoredFacts): readonly Found[] {
    return [
      ...this.#declarations.ofWhole(facts),
      ...inputsOfNewSchedules(facts, this.#catalogue, this.#asOf),
    ]
  }

  #taken(): readonly Found[] {
    const found = this.#found
    this.#found = []
    return found
  }

  #says(kind: string, id: string, verdict: Verdict): void {
    this.#found.push({ ...verdict, kind, id })
  }

  async #judgeRuns(name: string, parts: readonly StoredPart[]): Promise<void> {
    for (const part of parts) this.#found.push(...this.#declarations.lackOfRun(part))
    const workflow = this.#catalogue.workflows.get(name)
    if (!workflow) return
    const given: GivenRun[] = []
    for (const { id, run } of parts) if (run && 'record' in run) given.push({ id, loaded: run })
    const judge = (): Promise<void> => this.#runs.judge(workflow, given)
    await (this.#draws?.watch(workflow, given, judge) ?? judge())
  }

  #judgeActor(part: StoredPart): void {
    const { kind, id } = part
    const { kinds, workers, hasKind } = this.#catalogue
    const server = kind === '$worker' ? workers.get(id) : kinds.get(kind)
    const verdicts = server ? actorVerdicts(part, { ...server, hasKind }) : []
    for (const verdict of verdicts) this.#says(shownKind(kind, id), id, verdict)
    if (server) return
    this.#found.push(...this.#declarations.ofActor(part))
    this.#found.push(...inputOfSchedule(part, this.#catalogue, this.#asOf))
  }
}
