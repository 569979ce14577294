/**
 * Judges the runs that wait in a running instance by the bodies of its program: whether they would be
 * blocked when they wake. It is apart from `keeper.ts`, which wakes runs, because it wakes none: it replays
 * their bodies without an entity.
 */
import { type KindJudge, ownRowsOf, type StoredActor, type WouldBlock } from '../../actors/index.ts'
import { type AppContext, durableActors } from '../../supervisors/index.ts'
import type { Workflow } from '../runs/body.ts'
import { runKind } from '../runs/parts.ts'
import { restsUnread } from '../runs/unread-runs.ts'
import { type GivenRun, RunJudge } from './run-judge.ts'
import { lackOf, type NamedParts } from './run-verdict.ts'
import { recordIn, runStateOf, workflowOf } from './stored-run.ts'

/** A queue, as runs wait in it. */
type Place = { readonly name: string; readonly takesRuns: boolean }

/** The judge of the waiting runs of these workflows. It carries nothing out. */
export class WaitingRuns implements KindJudge {
  readonly #workflows: ReadonlyMap<string, Workflow>
  readonly #parts: NamedParts
  readonly #entities: AppContext[typeof durableActors]['entities']
  readonly #runs: RunJudge
  #found: WouldBlock[] = []

  constructor(app: AppContext, workflows: readonly Workflow[], queues: readonly Place[]) {
    this.#workflows = new Map(workflows.map((workflow) => [workflow.name, workflow]))
    this.#parts = {
      workflows: this.#workflows,
      queues: new Map(queues.map((queue) => [queue.name, queue])),
    }
    this.#entities = app[durableActors].entities
    this.#runs = new RunJudge(this.#entities.system, ({ name }, id, { level, what, reason }) => {
      if (level === 'blocks') this.#finds(name, id, `${what}: ${reason}`)
    })
  }

  get still(): number {
    return this.#runs.still
  }

  async judge(actors: readonly StoredActor[]): Promise<readonly WouldBlock[]> {
    const given: GivenRun[] = []
    let workflow: Workflow | undefined
    for (const actor of actors) {
      const state = runStateOf(actor)
      // Live runs wake at the start, and runs that have ended or are blocked wait for nothing.
      if (state?.status !== 'waiting') continue
      const name = workflowOf(actor.kind)
      restsUnread(this.#entities, { type: name, id: actor.id }, state)
      workflow = this.#workflows.get(name)
      const run = await recordIn(state, ownRowsOf(this.#entities, actor))
      const lack = lackOf(run, state, this.#parts)
      if (lack) this.#finds(name, actor.id, `${lack.what}: ${lack.reason}`)
      else if ('record' in run) given.push({ id: actor.id, loaded: run })
    }
    if (workflow) await this.#runs.judge(workflow, given)
    return this.#taken()
  }

  async rest(): Promise<readonly WouldBlock[]> {
    await this.#runs.rest()
    return this.#taken()
  }

  #finds(name: string, id: string, reason: string): void {
    this.#found.push({ entity: `${runKind(name)}/${id}`, reason })
  }

  #taken(): readonly WouldBlock[] {
    const found = this.#found
    this.#found = []
    return found
  }
}
