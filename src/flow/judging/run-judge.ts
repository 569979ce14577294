/**
 * Judges runs in lots, as a program would replay them. A body that stands still may await something else than
 * `ctx`: such runs are kept, and wait together in the end for as long as an activation waits. It is apart
 * from `rehearsal.ts` because that one decides at once, by rows alone, and nothing in it waits.
 */
import type { Verdict } from '../../actors/index.ts'
import { passed } from '../../clock.ts'
import type { Workflow } from '../runs/body.ts'
import { type LoadedRun, stillMs } from '../runs/replaying.ts'
import { RehearsedRun, type ReplayParts, type RehearsedRun as Run } from './rehearsed-run.ts'
import { isReplayed, verdictBefore, verdictOf } from './run-verdict.ts'

/** A run that is to be judged. */
export type GivenRun = { readonly id: string; readonly loaded: LoadedRun }

/** Gets the verdict about a run of a workflow. */
export type Judged = (workflow: Workflow, id: string, verdict: Verdict) => void

/** So many runs at most are kept: more have waited before others are looked at. */
const stillMax = 10_000

/** If a body has gone on by itself after so many waits, the rest of it is not judged. */
const waitsMax = 3

/** The judge of the runs of one program. */
export class RunJudge {
  readonly #system: ReplayParts
  readonly #judged: Judged
  /** The runs that stand still, each with its progress when it began to. */
  readonly #still = new Map<Run, Run['replay']['progress']>()

  constructor(system: ReplayParts, judged: Judged) {
    this.#system = system
    this.#judged = judged
  }

  /** How many runs stand still, and are not judged yet. */
  get still(): number {
    return this.#still.size
  }

  /** Judges these runs of a workflow, but for the ones that stand still. */
  async judge(workflow: Workflow, runs: readonly GivenRun[]): Promise<void> {
    const begun = new Set<Run>()
    for (const { id, loaded } of runs) {
      const verdict = verdictBefore(loaded.state, workflow)
      if (verdict) this.#judged(workflow, id, verdict)
      if (!isReplayed(loaded.state, workflow)) continue
      const run = new RehearsedRun(workflow, id, loaded, this.#system)
      run.begin()
      begun.add(run)
    }
    await this.#replay(begun)
    if (this.#still.size >= stillMax) await this.rest()
  }

  /** Judges the runs that stand still. */
  async rest(): Promise<void> {
    for (let waits = 1; this.#still.size > 0; waits++) {
      const still = new Map(this.#still)
      this.#still.clear()
      await passed(this.#system.clock, stillMs)
      const gone = new Set<Run>()
      for (const [run, progress] of still) {
        const goesOn = run.isBodyOver || run.isStopped || run.replay.progress !== progress
        if (!goesOn) await this.#says(run)
        else if (waits === waitsMax) this.#judged(run.workflow, run.id, awaitsOthers)
        else {
          run.awaitsOthers = true
          gone.add(run)
        }
      }
      await this.#replay(gone)
    }
  }

  /** Each of these runs gets one outcome in a turn of the event loop, as in life. */
  async #replay(runs: Set<Run>): Promise<void> {
    while (runs.size > 0) {
      await new Promise<void>((resolve) => void this.#system.clock.soon(resolve))
      for (const run of runs) {
        const place = run.goesOn()
        if (place === 'goes') continue
        runs.delete(run)
        if (place === 'still') this.#still.set(run, run.replay.progress)
        else await this.#says(run)
      }
    }
  }

  async #says(run: Run): Promise<void> {
    const verdict = await verdictOf(run)
    if (verdict) this.#judged(run.workflow, run.id, verdict)
    if (run.awaitsOthers) this.#judged(run.workflow, run.id, awaitsOthers)
  }
}

const awaitsOthers: Verdict = {
  level: 'notes',
  what: 'awaits something else than ctx',
  reason: 'its body stood still, and continued by itself',
  fix: 'do in a step what the body awaits',
}
