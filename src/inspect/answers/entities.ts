/** The kinds of entities of an instance, and one entity, as facts. Looking wakes none. */
import {
  type EntityRows,
  overdueOf,
  parkedCount,
  shownRows,
  surveyEntity,
} from '../../actors/index.ts'
import type { KeptError } from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import { name, type Ref, summaryOf } from '../../runtime/index.ts'
import { workerKind } from '../../storage/index.ts'
import type { App } from '../../supervisors/index.ts'
import { entityKindOf } from '../recorder/recorder.ts'
import { pluralText } from '../text/quantities.ts'
import type { NamedEntity } from './process-finder.ts'
import { nextTurn } from './process-pages.ts'
import { type ActorCrash, crashesOfActor } from './stored-crashes.ts'

/** A kind of entities that runs. */
export type KindFacts = {
  readonly kind: string
  readonly live: number
  readonly blocked: number
  /** How many have parked steps or alarms. */
  readonly parked: number
  /** How many have steps or alarms that fail and are tried again. */
  readonly failing: number
  /** How many alarms and steps are overdue, of the first 1,000 of each shard. */
  readonly overdue: number
}

/** The kinds that run, with a turn of the event loop before each. */
export const kindsOf = async (app: App): Promise<readonly KindFacts[]> => {
  const { entities } = app
  const failing = countsByKind(failingOf(app))
  const overdue = countsByKind(entities.shards.flatMap(overdueOf).map(({ entity }) => entity))
  const facts: KindFacts[] = []
  for (const kind of entities.kinds) {
    await nextTurn(app.system)
    const running = entities.kind(kind)
    if (!running) continue
    facts.push({
      kind,
      live: running.live,
      blocked: running.blocked.size,
      parked: await parkedCount(entities, kind),
      failing: failing.get(kind) ?? 0,
      overdue: overdue.get(kind) ?? 0,
    })
  }
  return facts
}

const failingOf = ({ entities }: App): string[] =>
  [...entities.trouble.failing.values()].flatMap((ofActor) =>
    [...ofActor.values()].slice(0, 1).map(({ entity }) => entity),
  )

const countsByKind = (entities: readonly string[]): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const entity of entities) {
    const kind = entityKindOf(entity)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}

/** The facts about one entity, or about a durable worker. */
export type EntityFacts = {
  readonly entity: string
  /** The other member that has it; absent for one that is here. */
  readonly member?: string | undefined
  /** The number of its process; `undefined` at rest. */
  readonly pid: number | undefined
  /** The message whose handler is pending, since when, in ms since 1970, and how many wait for it. */
  readonly handling:
    | { readonly message: string; readonly since: number; readonly waiting: number }
    | undefined
  /** Why it is blocked. */
  readonly blocked: string | undefined
  /** Why this build would block it when it wakes, while it rests. */
  readonly wouldBlock: string | undefined
  /** The record of that failure, with the stack of the user's code. */
  readonly blockedBy: KeptError | undefined
  /**
   * The crashes of its processes, those with one error as one: the one that its rows keep, over
   * restarts and members, and those since the start of the instance.
   */
  readonly crashes: readonly ActorCrash[]
  /** `undefined`: it is unborn. */
  readonly rows: EntityRows | undefined
}

/**
 * The number of the process of a durable actor here; `undefined` at rest.
 * @throws KeelsonError `INVALID_ARGUMENT` for a kind or an id that is none
 */
export const pidOf = (app: App, { kind, id }: NamedEntity): number | undefined => {
  if (kind === workerKind) return app.system.to(name(id)).pid
  app.entity(kind).ref(id)
  return app.entities.holder(`${kind}/${id}`)?.pid
}

/**
 * One entity or durable worker as it is now. `reveals`: its rows are not redacted.
 * @throws KeelsonError `INVALID_ARGUMENT`, `SHARD_DOWN`
 */
export const entityAt = (app: App, { kind, id }: NamedEntity, reveals = false): EntityFacts => {
  const { entities } = app
  const entity = `${kind}/${id}`
  const pid = pidOf(app, { kind, id })
  const blocked =
    kind === workerKind ? entities.trouble.blockedWorkers : entities.kind(kind)?.blocked
  const error = blocked?.get(id)
  const read = surveyEntity(entities, entity)
  return {
    entity,
    pid,
    handling: handlingIn(app, { kind, id }),
    blocked: error?.message,
    wouldBlock: entities.judgement.reasonAgainst(entity),
    blockedBy: error && failureRecord(error),
    crashes: crashesOfActor(app, kind === workerKind ? id : entity, read?.crash),
    rows: read && !reveals ? shownRows(entities, { kind, id }, read) : read,
  }
}

const handlingIn = (app: App, { kind, id }: NamedEntity): EntityFacts['handling'] => {
  const isWorker = kind === workerKind
  const ref = isWorker
    ? app.system.whereis(name(id))
    : app.entities.holder(`${kind}/${id}`)?.address
  const { handling, mailbox = 0 } = (ref && summaryOf(ref as Ref)) ?? {}
  return handling && { ...handling, waiting: mailbox }
}

/** A failure of an entity: which, and its record. */
export type EntityFailure = { readonly title: string; readonly error: KeptError }

/** The failures of an entity: why it is blocked, its crashes, and the last of its steps and alarms. */
export const failuresOf = ({ blockedBy, crashes, rows }: EntityFacts): readonly EntityFailure[] => [
  ...(blockedBy ? [{ title: 'the reason why it is blocked', error: blockedBy }] : []),
  ...crashes.map(({ count, firstAt, lastAt, reason, lastMessage, error }) => {
    const times = count === 1 ? '' : ` ${pluralText(count, 'time')}, first at ${timeText(firstAt)},`
    return {
      title: `it crashed${times} at ${timeText(lastAt)}, in ${lastMessage}`,
      error: error ?? { name: 'reason', message: reason },
    }
  }),
  ...(rows?.steps ?? []).flatMap(({ name, failure }) =>
    failure ? [{ title: `step ${name} failed`, error: failure.error }] : [],
  ),
  ...[...(rows?.alarms ?? [])].flatMap(([name, { failure }]) =>
    failure ? [{ title: `alarm ${name} failed`, error: failure.error }] : [],
  ),
]

const timeText = (ms: number): string => new Date(ms).toISOString()
