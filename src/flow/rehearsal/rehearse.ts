/** A rehearsal in one process: stored actors, judged by another tree. */
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../runtime/index.ts'
import {
  type AppContext,
  type AppTree,
  durableActors,
  loadedOptions,
} from '../../supervisors/index.ts'
import { type Finding, Findings } from './findings.ts'
import { Rehearsal } from './rehearsal.ts'
import { type RehearsedParts, StoredParts } from './stored-parts.ts'

/** The result of a rehearsal. */
export type RehearsalReport = {
  /** The worst first. */
  readonly findings: readonly Finding[]
  readonly counts: RehearsalCounts
  /** When the data were as they were judged, in ms since 1970. */
  readonly asOf: number
}

/** How much was judged, and what was not. */
export type RehearsalCounts = {
  /** Runs of workflows, ended ones too. */
  readonly runs: number
  /** Other durable actors: entities, workers, queues, schedules. */
  readonly actors: number
  /** Recorded turns. */
  readonly turns: number
  /** Ended runs that were left out: older ones than the newest of their workflow. */
  readonly endedLeft: number
  /** Runs and actors that no judge came to an end with. */
  readonly notJudged: number
}

/**
 * Judges what `tree` would do with the actors of an instance, which goes on. Nothing is started
 * or changed.
 * @throws KeelsonError `CONFIG`, `SHARD_DOWN`, `CLOSED`, `CORRUPT`
 */
export const rehearseTree = (
  app: AppContext,
  tree: AppTree,
  endedMax: number,
): Promise<RehearsalReport> => {
  const { system } = app[durableActors].entities
  const asOf = system.clock.now()
  return rehearseParts({ parts: new StoredParts(app, endedMax), system, asOf }, tree)
}

/** Stored actors, when they were so, and the clock and the log of the judged bodies. */
type Rehearsed = {
  readonly parts: RehearsedParts
  readonly asOf: number
  readonly system: { readonly clock: Clock; readonly logger: Logger }
}

/**
 * Judges what `tree` would do with these actors.
 * @throws KeelsonError `CONFIG`; `SHARD_DOWN`, `CLOSED`, `CORRUPT` when the data cannot be read
 */
export const rehearseParts = async (
  { parts, asOf, system }: Rehearsed,
  tree: AppTree,
): Promise<RehearsalReport> => {
  const { app: checked } = await loadedOptions({ dir: 'unused', app: tree })
  const judge = new Rehearsal(checked ?? false, system, asOf)
  const [findings, counts] = [new Findings(), { runs: 0, actors: 0, turns: 0 }]
  for await (const lot of parts.lots()) {
    for (const { run } of lot) counts[run ? 'runs' : 'actors']++
    for (const found of await judge.judge(lot)) findings.add(found)
  }
  for await (const lot of parts.turns()) {
    counts.turns += lot.length
    for (const found of await judge.judgeTurns(lot)) findings.add(found)
  }
  for (const found of await judge.rest()) findings.add(found)
  for (const found of judge.whole(parts.facts)) findings.add(found)
  const endedLeft = parts.facts.left
  return { findings: findings.list, counts: { ...counts, endedLeft, notJudged: 0 }, asOf }
}
