/**
 * Judges stored data by the declarations of a program alone: which of its parts they name, and it lacks. No
 * code of users is called. Pure. It is apart from `rehearsal.ts`, because `keelson check` judges by this alone.
 */
import { readBody, type Verdict } from '../../actors/index.ts'
import { ownOf } from '../../own-names.ts'
import { readEntityRow } from '../../storage/index.ts'
import { lackOf, lacks, softened, verdictBefore } from '../judging/run-verdict.ts'
import { runStateOf, workflowOf } from '../judging/stored-run.ts'
import { declaredQueue, type Queue } from '../queue/queue-terms.ts'
import { runKind, scheduleKind, schedulesKind } from '../runs/parts.ts'
import { isOver } from '../runs/record.ts'
import { declaredSchedule } from '../schedule/schedule-entity.ts'
import { type Plan, planFor } from '../schedule/schedule-plan.ts'
import type { Catalogue } from './catalogue.ts'
import type { Found } from './findings.ts'
import type { StoredFacts, StoredPart } from './stored-parts.ts'

/** The judge by the declarations of one program. */
export class DeclarationJudge {
  readonly #catalogue: Catalogue
  readonly #asOf: number
  #found: Found[] = []

  /** `asOf`: when the data were as they are, in ms since 1970. */
  constructor(catalogue: Catalogue, asOf: number) {
    this.#catalogue = catalogue
    this.#asOf = asOf
  }

  /** The findings about a run: the workflow, queue and workflows of children that it needs and the program lacks. */
  lackOfRun(part: StoredPart): readonly Found[] {
    const state = runStateOf(part)
    if (!part.run || !state || isOver(state.status)) return []
    const name = workflowOf(part.kind)
    const lack = this.#catalogue.workflows.has(name)
      ? lackOf(part.run, state, this.#catalogue)
      : lacks(`workflow ${name}`)
    if (lack) this.#says(`workflow ${name}`, part.id, softened(state, lack))
    return this.#taken()
  }

  /** The finding that a run began with a version for which the program has no body. */
  versionOfRun(part: StoredPart): readonly Found[] {
    const state = runStateOf(part)
    const workflow = this.#catalogue.workflows.get(workflowOf(part.kind))
    if (state && workflow)
      this.#says(`workflow ${workflow.name}`, part.id, verdictBefore(state, workflow))
    return this.#taken()
  }

  /** The findings about a schedule, or about a queue with jobs. */
  ofActor(part: StoredPart): readonly Found[] {
    const { kind } = part
    if (kind === schedulesKind || kind.startsWith('$schedule-')) this.#judgePlan(part)
    else if (kind.startsWith('$queue-')) this.#judgeQueue(part)
    return this.#taken()
  }

  /** The findings about all data together. */
  ofWhole(facts: StoredFacts): readonly Found[] {
    for (const [kind, count] of facts.kinds) this.#judgeKind(kind, count, facts)
    for (const name of facts.workers) {
      if (this.#catalogue.workers.has(name)) continue
      const [kind, reason] = [`worker ${name}`, 'it has a state, and is not in the tree']
      this.#says(kind, name, this.#gone(reason, this.#unused('worker', facts)))
    }
    this.#judgeKeeping(facts)
    return this.#taken()
  }

  #taken(): readonly Found[] {
    const found = this.#found
    this.#found = []
    return found
  }

  #says(kind: string, id: string, verdict: Verdict | undefined): void {
    if (verdict) this.#found.push({ ...verdict, kind, id })
  }

  #judgePlan({ kind, id, main }: StoredPart): void {
    const plan = readBody(readEntityRow(main).body).state as Plan | undefined
    if (!plan) return
    const name = kind === schedulesKind ? id : kind.slice(scheduleKind('').length)
    const own = this.#catalogue.schedules.get(name)
    const { workflow } = plan
    if (kind === schedulesKind) {
      const isThere = this.#catalogue.workflows.has(workflow)
      this.#says(`schedule ${name}`, name, isThere ? undefined : lacks(`workflow ${workflow}`))
    } else if (!own) {
      const reason = 'it is not in the tree: it starts nothing more'
      const fix = 'put it back, if it was renamed under its old name'
      this.#says(`schedule ${name}`, name, { level: 'acts', what: 'is gone', reason, fix })
    } else {
      const { declared, times } = own[declaredSchedule]
      const next = planFor(declared, times, this.#asOf, plan)
      const isMoved = declared.cron !== plan.cron || declared.zone !== plan.zone
      if (!plan.isPaused && isMoved && next.next !== plan.next)
        this.#says(`schedule ${name}`, name, moved(plan.next, next.next))
      if (declared.workflow !== workflow) {
        const reason = `it starts ${declared.workflow} in the place of ${workflow}`
        const fix = 'check its workflow'
        this.#says(`schedule ${name}`, name, { level: 'acts', what: 'starts others', reason, fix })
      }
    }
  }

  #judgeQueue(part: StoredPart): void {
    const { kind, id, hasJobs, areHandled } = part
    const name = kind.slice('$queue-'.length)
    const queue = this.#catalogue.queues.get(name)
    if (!queue && hasJobs) this.#says(shownKind(kind, id), id, lacks(`queue ${name}`))
    else if (queue?.takesRuns && areHandled)
      this.#says(shownKind(kind, id), id, lacks(`handler of the queue ${name}, for its jobs`))
    else if (queue) this.#judgeTries(part, queue)
  }

  /** Jobs that have failed as often as the queue allows now: they die in the place of their next try. */
  #judgeTries({ kind, id, failed = [] }: StoredPart, queue: Queue): void {
    const { triesMax } = queue[declaredQueue].limits
    for (const { tries, count, first } of failed) {
      if (tries < triesMax) continue
      const jobs = first.join(', ') + (count > first.length ? ', …' : '')
      const reason = `${count} jobs have failed ${tries} times, and \`retry\` allows ${triesMax}: ${jobs}`
      const fix = 'keep `retry.max` until these jobs are over'
      const verdict: Verdict = { level: 'acts', what: 'has no try left', reason, fix }
      this.#says(shownKind(kind, id), id, verdict)
    }
  }

  /** A kind of the users' that has rows, and is not in the tree. Runs, jobs and schedules are judged one by one. */
  #judgeKind(kind: string, count: number, facts: StoredFacts): void {
    if (kind.startsWith('$') || this.#catalogue.kinds.has(kind)) return
    const reason = `it has ${count} rows, and is not in the tree`
    const verdict = this.#gone(reason, this.#unused('kind', facts))
    this.#says(`entity ${kind}`, kind, verdict)
  }

  /** The parts of the tree that begin without rows: what is gone may have one of these names now. */
  #unused(sort: 'kind' | 'worker', { kinds, workers }: StoredFacts): readonly string[] {
    const [declared, stored] =
      sort === 'kind'
        ? [this.#catalogue.kinds, new Set(kinds.map(([kind]) => kind))]
        : [this.#catalogue.workers, new Set(workers)]
    return [...declared.keys()].filter((name) => !stored.has(name)).sort()
  }

  #gone(reason: string, unused: readonly string[]): Verdict {
    const others = unused.length === 0 ? '' : `; without rows begins ${unused.join(', ')}: renamed?`
    const fix = 'keep the name; or move what it holds first, and remove its rows'
    const what = 'is not in the tree'
    if (!this.#catalogue.hasOthers) return { level: 'blocks', what, reason: reason + others, fix }
    const unknown = 'parts with their own start functions may start it'
    return { level: 'notes', what, reason: `${reason}, but ${unknown}${others}`, fix }
  }

  /** Ended runs that were kept until now, and that go at the start. */
  #judgeKeeping({ ended, newest }: StoredFacts): void {
    const going = new Map<string, number>()
    const hours = ended.map(([, , hour]) => hour * hourMs)
    for (const [name, status, hour, count] of ended) {
      const keep = this.#catalogue.workflows.get(name)?.options.keep
      const keepMs = ownOf(keep, status as keyof typeof keep)
      if (keepMs === undefined) continue
      const over = (hour + 1) * hourMs + keepMs
      // An instance that was off for that long has not removed them yet: it has to have run since then.
      const wasOn = hours.some((at) => at >= over && newest - at > lateMs)
      if (!wasOn) continue
      going.set(name, (going.get(name) ?? 0) + count)
    }
    for (const [name, count] of going) {
      const reason = `${count} ended runs are removed at the start, which were kept until now`
      const fix = 'keep `keep` as it was, if these runs are still needed'
      const kind = `workflow ${name}`
      this.#says(kind, runKind(name), { level: 'acts', what: 'shorter keep', reason, fix })
    }
  }
}

const hourMs = 3_600_000

/** The keeper removes ended runs once an hour, so a run may outlive its retention by that. */
const lateMs = 3 * hourMs

const moved = (before: number | undefined, next: number | undefined): Verdict => ({
  level: 'acts',
  what: 'next time moves',
  reason: `from ${timeText(before)} to ${timeText(next)}`,
  fix: 'check its pattern and its zone',
})

const timeText = (time: number | undefined): string =>
  time === undefined ? 'never' : new Date(time).toISOString()

/** A kind as its users say it. */
export const shownKind = (kind: string, id: string): string => {
  if (kind === '$worker') return `worker ${id}`
  return kind.startsWith('$queue-') ? `queue ${kind.slice('$queue-'.length)}` : `entity ${kind}`
}
