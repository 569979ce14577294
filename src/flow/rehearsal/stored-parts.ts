/**
 * Reads the actors of an instance for a rehearsal, in lots of bounded size: runs with their records, and
 * of ended runs the newest alone. It runs no code of users.
 */
import {
  ownRowsOf,
  type RecordedTurn,
  recordedTurns,
  type StoredActor,
  storedActors,
} from '../../actors/index.ts'
import { type AppContext, durableActors } from '../../supervisors/index.ts'
import { type RunRecord, recordIn, runStateOf, workflowOf } from '../judging/stored-run.ts'
import { isOver, type RunState } from '../runs/record.ts'
import { type StoredJobs, storedJobs } from './stored-jobs.ts'

/** An actor as a judge gets it. */
export type StoredPart = StoredActor & {
  /** Of a run: its record, or why it cannot be read. */
  readonly run?: RunRecord
} & Partial<StoredJobs>

type EndedHour = readonly [
  workflow: string,
  status: RunState['status'],
  hour: number,
  count: number,
]

/** Counts over all actors, by which declarations are judged. */
export type StoredFacts = {
  /** How many actors each kind has. */
  readonly kinds: readonly (readonly [kind: string, count: number])[]
  readonly workers: readonly string[]
  /** How many runs of a workflow ended in a status, by the hour since 1970. */
  readonly ended: readonly EndedHour[]
  /** The newest time in the status of a run, in ms since 1970. */
  readonly newest: number
  /** Ended runs that no lot has: older ones than the newest of their workflow. */
  readonly left: number
}

/** Stored actors as a rehearsal goes through them. Ask for `facts` when the last lot was read. */
export interface RehearsedParts {
  lots(): AsyncIterable<readonly StoredPart[]>
  /** The recorded turns, shard by shard in their order. */
  turns(): AsyncIterable<readonly RecordedTurn[]>
  readonly facts: StoredFacts
}

/** The kinds of rows that are no actors of a program. */
const others: readonly string[] = ['$state', '$journal']

const lotMax = 500
/** The most that a lot is estimated to take, in operations of runs and in bytes of states. */
const lotOperationsMax = 20_000
const lotBytesMax = 8 * 1024 * 1024

type Ended = { readonly actor: StoredActor; readonly since: number }

/** Reads the actors of an instance. */
export class StoredParts implements RehearsedParts {
  readonly #app: AppContext
  readonly #endedMax: number
  readonly #kinds = new Map<string, number>()
  readonly #workers: string[] = []
  readonly #hours = new Map<string, EndedHour>()
  readonly #ended = new Map<string, Ended[]>()
  #newest = 0
  #left = 0

  /** `endedMax`: how many of the runs that have ended are read of each workflow. */
  constructor(app: AppContext, endedMax: number) {
    this.#app = app
    this.#endedMax = endedMax
  }

  get facts(): StoredFacts {
    return {
      kinds: [...this.#kinds].sort(),
      workers: this.#workers.sort(),
      ended: [...this.#hours].sort().map(([, hour]) => hour),
      newest: this.#newest,
      left: this.#left,
    }
  }

  /** @throws KeelsonError `SHARD_DOWN`, `CLOSED`, `CORRUPT` */
  async *lots(): AsyncIterable<readonly StoredPart[]> {
    const { entities } = this.#app[durableActors]
    let lot = new Lot()
    for (const { actors } of storedActors(entities))
      for (const actor of actors) {
        if (others.includes(actor.kind) || this.#keepsApart(actor)) continue
        lot.add(await this.#part(actor), actor)
        if (lot.isFull) {
          yield lot.parts
          lot = new Lot()
        }
      }
    for (const ended of this.#ended.values()) {
      if (ended.length > this.#endedMax) this.#dropOldest(ended)
      for (const { actor } of ended) {
        lot.add(await this.#part(actor), actor)
        if (lot.isFull) {
          yield lot.parts
          lot = new Lot()
        }
      }
    }
    if (lot.parts.length > 0) yield lot.parts
  }

  /** @throws KeelsonError `SHARD_DOWN`, `CLOSED`, `CORRUPT` */
  turns(): AsyncIterable<readonly RecordedTurn[]> {
    return recordedTurns(this.#app[durableActors].entities)
  }

  /** Counts an actor. True: it is a run that has ended, which is read in the end, or not at all. */
  #keepsApart(actor: StoredActor): boolean {
    const { kind, id } = actor
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1)
    if (kind === '$worker') this.#workers.push(id)
    const state = runStateOf(actor)
    if (!state) return false
    this.#newest = Math.max(this.#newest, state.since)
    if (!isOver(state.status)) return false
    const workflow = workflowOf(kind)
    const hour = Math.floor(state.since / 3_600_000)
    const key = `${workflow} ${state.status} ${hour}`
    const count = (this.#hours.get(key)?.[3] ?? 0) + 1
    this.#hours.set(key, [workflow, state.status, hour, count])
    const known = this.#ended.get(kind) ?? []
    this.#ended.set(kind, known)
    known.push({ actor, since: state.since })
    // Sorted once for as many as are kept.
    if (known.length >= 2 * this.#endedMax + 1) this.#dropOldest(known)
    return true
  }

  #dropOldest(known: Ended[]): void {
    known.sort((one, other) => other.since - one.since || (one.actor.id < other.actor.id ? -1 : 1))
    this.#left += known.length - this.#endedMax
    known.length = this.#endedMax
  }

  async #part(actor: StoredActor): Promise<StoredPart> {
    const { entities } = this.#app[durableActors]
    const rows = ownRowsOf(entities, actor)
    const state = runStateOf(actor)
    if (state) return { ...actor, run: await recordIn(state, rows) }
    if (!actor.kind.startsWith('$queue-')) return actor
    return { ...actor, ...(await storedJobs(rows, entities.system.clock)) }
  }
}

class Lot {
  readonly parts: StoredPart[] = []
  #operations = 0
  #bytes = 0

  get isFull(): boolean {
    return (
      this.parts.length >= lotMax ||
      this.#operations >= lotOperationsMax ||
      this.#bytes >= lotBytesMax
    )
  }

  add(part: StoredPart, { main }: StoredActor): void {
    this.parts.push(part)
    this.#bytes += main.value.bytes.length
    if (!part.run || !('record' in part.run)) return
    const { record, input } = part.run
    this.#operations += record.length
    this.#bytes += weightOf(input)
    for (const { outcome } of record)
      if (outcome?.kind === 'ok') this.#bytes += weightOf(outcome.value)
  }
}

/** About how many bytes the texts and bytes of a value take. */
const weightOf = (value: unknown): number => {
  if (typeof value === 'string') return value.length
  if (value instanceof Uint8Array) return value.length
  if (typeof value !== 'object' || value === null) return 8
  let weight = 8
  for (const member of value instanceof Map ? value.values() : Object.values(value))
    weight += weightOf(member)
  return weight
}
