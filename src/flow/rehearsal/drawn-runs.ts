/**
 * Judges runs once more under other clocks and draws, if their bodies read any: a body that branches on
 * them fits its record now, and may not when its run wakes. The whole process gets these clocks, so only a
 * judge that has its process for itself does this. It is apart from `run-judge.ts`, which judges live
 * instances, too.
 */
import { type Draw, setDraws, type Verdict, yearsMs } from '../../actors/index.ts'
import type { ReplayParts } from '../judging/rehearsed-run.ts'
import { type GivenRun, type Judged, RunJudge } from '../judging/run-judge.ts'
import type { Workflow } from '../runs/body.ts'

/** So many runs of a workflow are judged so: bodies that stand still take seconds. */
const runsMax = 500

/** The judge of draws in the bodies of one program. */
export class DrawnRuns {
  readonly #system: ReplayParts
  readonly #judged: Judged
  /** How many runs of a workflow were judged so. */
  readonly #counts = new Map<string, number>()

  constructor(system: ReplayParts, judged: Judged) {
    this.#system = system
    this.#judged = judged
  }

  /** Calls `judge`, which replays these runs, and looks at what their bodies draw. */
  async watch(
    workflow: Workflow,
    runs: readonly GivenRun[],
    judge: () => Promise<void>,
  ): Promise<void> {
    const { draws, restore } = setDraws(0, this.#system.clock.now())
    await judge().finally(restore)
    const count = this.#counts.get(workflow.name) ?? 0
    const [draw] = draws
    if (!draw || count >= runsMax) return
    const some = runs.slice(0, runsMax - count)
    this.#counts.set(workflow.name, count + some.length)
    await this.#compare(workflow, some, draw)
  }

  async #compare(workflow: Workflow, runs: readonly GivenRun[], draw: Draw): Promise<void> {
    const looks = []
    for (const seed of [0, 1, 2]) looks.push(await this.#look(workflow, runs, seed))
    for (const { id } of runs) {
      const found = looks.map((look) => (look.get(id) ?? []).sort().join(', ') || 'nothing')
      const other = found.find((each) => each !== found[0])
      if (other === undefined) continue
      this.#judged(workflow, id, dependsOn(draw, [found[0] ?? '', other]))
    }
  }

  /** The findings about each run under the draws of a seed, three years later with each. */
  async #look(
    workflow: Workflow,
    runs: readonly GivenRun[],
    seed: number,
  ): Promise<ReadonlyMap<string, string[]>> {
    const found = new Map<string, string[]>()
    const judge = new RunJudge(this.#system, (_, id, { level, what }) => {
      if (level !== 'notes') found.set(id, [...(found.get(id) ?? []), what])
    })
    const { restore } = setDraws(seed, this.#system.clock.now() + seed * yearsMs)
    try {
      await judge.judge(workflow, runs)
      await judge.rest()
      return found
    } finally {
      restore()
    }
  }
}

const dependsOn = ({ what, place }: Draw, [one, other]: readonly [string, string]): Verdict => ({
  level: 'acts',
  what: 'depends on the clock or on chance',
  reason: `${what} at ${place}: with one answer it finds ${one}, with another ${other}`,
  fix: 'use `ctx.now()`, `ctx.random()` and `ctx.uuid()`, which are recorded',
})
