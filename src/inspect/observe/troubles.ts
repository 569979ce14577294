/** Everything in an instance that is broken, the worst first. Pure. */
import type { Link, Recorded, Trouble } from '../../observe/index.ts'
import type { Health } from '../../supervisors/index.ts'
import type { RunningStep } from '../prompt/running-steps.ts'
import { actorNamed } from '../recorder/flow-names.ts'
import { countText, lastingText } from '../text/quantities.ts'
import { clusterTrouble } from '../views/cluster-view.ts'
import { queueTroubles } from '../views/queue-troubles.ts'
import { shortText } from './value-trees.ts'

/** Health counts at most so many failures of a child. */
const failuresMax = 100

/** A projection with more lag has trouble. */
const lagMax = 15_000

/** A trouble. `cause`: its text without what differs from try to try. */
export type CausedTrouble = Trouble & { readonly cause?: string }

/** The troubles that no health has. */
export type FoundTroubles = {
  readonly gaveUp: readonly Recorded[]
  /** When actors and runs were blocked, as far as that is recorded. */
  readonly blocked: readonly Pick<Recorded, 'subject' | 'at'>[]
  readonly runs: readonly CausedTrouble[]
  /** Steps that run for more than a second. */
  readonly steps: readonly RunningStep[]
}

/** The troubles of a health, of the give-ups that were recorded, of runs, and of steps. */
export const troublesOf = (
  health: Health,
  { gaveUp, blocked, runs, steps }: FoundTroubles,
  now: number,
): readonly Trouble[] => {
  const blockedAt = new Map(blocked.map(({ subject, at }) => [subject, at]))
  const all: readonly CausedTrouble[] = [
    ...memberTroubles(health.cluster),
    ...health.shards.flatMap((shard) => shardTroubles(shard, now)),
    ...(health.durable
      ? []
      : [trouble('warn', 'not durable', 'the instance', 'what is acknowledged may be lost')]),
    ...latestOf(gaveUp)
      .filter(({ at }) => now - at < recentMs)
      .map(({ subject, text, at, link }) =>
        trouble('bad', 'gave up', subject, text, { at, ...(link && { link }) }),
      ),
    ...health.crashing.first.map(crashLoop),
    ...actorTroubles(health.actors, blockedAt, steps, now),
    ...blockedRuns(health.parts, blockedAt),
    ...queueTroubles(health.parts).map(({ tone, queue, sort, text }) =>
      trouble(tone, sort, queue, text, { link: linkTo('queue', queue) }),
    ),
    ...runs,
    ...health.projections.flatMap(({ name, shards }) =>
      shards.flatMap(({ shard, state, error }) =>
        state === 'halted' || state === 'stopped'
          ? [trouble('bad', `projection ${state}`, `${name}, shard ${shard}`, error ?? '')]
          : [],
      ),
    ),
    ...health.replication.flatMap(({ replica, shards }) =>
      shards.flatMap(({ shard, state, reason }) =>
        reason === undefined
          ? []
          : [
              trouble('warn', `replica ${state}`, `${replica}, shard ${shard}`, reason, {
                link: linkTo('replication'),
              }),
            ],
      ),
    ),
  ]
  const lines = [...foldedTroubles(all)]
  return lines.sort((left, right) => Number(left.tone === 'warn') - Number(right.tone === 'warn'))
}

const gaveUpMax = 10

/** The last event of each subject, ten at most. */
const latestOf = (events: readonly Recorded[]): readonly Recorded[] =>
  [...new Map(events.map((event) => [event.subject, event])).values()].slice(-gaveUpMax)

/** A supervisor that gave up longer ago is history. */
const recentMs = 600_000

const textMax = 400

const trouble = (
  tone: Trouble['tone'],
  sort: string,
  subject: string,
  text: string,
  more: Pick<CausedTrouble, 'at' | 'link' | 'cause'> = {},
): CausedTrouble => ({
  tone,
  sort,
  subject: shortText(subject, 300),
  text: shortText(text, textMax),
  ...more,
})

const linkTo = (view: Link['view'], ...parts: string[]): Link => ({ view, parts })

/** The page of an actor: a run and a queue have their own. */
const actorLink = (actor: string): Link => {
  const { sort, name, id } = actorNamed(actor)
  if (sort === 'queue') return linkTo('queue', name)
  return linkTo(sort === 'workflow' ? 'run' : 'entity', name, id)
}

const crashLoop = (loop: Health['crashing']['first'][number]): CausedTrouble => {
  const { child, message, isEntity, failures, since, reason } = loop
  const times = `${failures} times in a minute${failures < failuresMax ? '' : ', or more'}`
  const text = `failed ${times}${message === undefined ? '' : `, now at ${message}`}: ${reason}`
  const subject = isEntity ? actorNamed(child).title : child
  return trouble('bad', 'crash loop', subject, text, {
    ...{ at: since, link: isEntity ? actorLink(child) : linkTo('tree') },
  })
}

const memberTroubles = (cluster: Health['cluster']): readonly Trouble[] => {
  const why = cluster && clusterTrouble(cluster)
  if (why === undefined) return []
  const { phase, member, since } = cluster as NonNullable<typeof cluster>
  return [
    trouble('bad', `member ${phase}`, `member ${member}`, why, {
      at: since,
      link: linkTo('storage'),
    }),
  ]
}

const shardTroubles = (health: Health['shards'][number], now: number): readonly Trouble[] => {
  const { phase, reason = '', space, projection, snapshot, journal, suspended } = health
  const of = `shard ${health.shard}`
  const link = linkTo('storage')
  const found: Found = (tone, sort, text, at) =>
    trouble(tone, sort, of, text, { link, ...(at !== undefined && { at }) })
  if (phase === 'down') return [found('bad', 'shard down', reason)]
  const { mode, behindMs } = projection
  return [
    ...(phase === 'open' ? [] : [found('warn', 'shard not open', phase)]),
    ...(space.refusing
      ? [found('bad', 'refuses writes', space.refusing.reason, space.refusing.since)]
      : []),
    ...(mode === 'degraded' || mode === 'halted'
      ? [found('bad', `projection ${mode}`, projection.reason ?? '')]
      : []),
    ...(suspended || behindMs > lagMax ? [behind(found, health.suspendedBy, behindMs, now)] : []),
    ...(snapshot.failure === undefined ? [] : [found('warn', 'no snapshot', snapshot.failure)]),
    ...journal.subscriptions.flatMap(({ name, failure }) =>
      failure === undefined ? [] : [found('bad', 'subscription stopped', `${name}: ${failure}`)],
    ),
    ...(journal.held.state === 'fine'
      ? []
      : [found('warn', 'log held', `by ${journal.held.by.join(', ')}`)]),
  ]
}

type Found = (tone: Trouble['tone'], sort: string, text: string, at?: number) => Trouble

/** A projection that lags: one line with its cause, since its oldest write waits. */
const behind = (
  found: Found,
  suspendedBy: readonly string[],
  behindMs: number,
  now: number,
): Trouble => {
  const waits = behindMs > 0 ? `its oldest write waits for ${lastingText(behindMs)}` : ''
  const at = behindMs > 0 ? now - behindMs : undefined
  if (suspendedBy.length === 0) return found('warn', 'projection behind', waits, at)
  const held = `${suspendedBy.join(', ')} holds it until control.resume`
  return found('warn', 'projection suspended', waits ? `${held}; ${waits}` : held, at)
}

/** A step that runs for longer is named. Health calls it overdue then. In ms. */
const stuckMs = 10_000

const stuckSteps = (steps: readonly RunningStep[], now: number): readonly Trouble[] =>
  steps
    .filter(({ since }) => now - since > stuckMs)
    .map(({ kind, id, step, since }) =>
      trouble(
        ...(['warn', 'stuck step', `${kind}/${id}`] as const),
        `step ${step} runs for ${lastingText(now - since)}`,
        { at: since, link: linkTo('entity', kind, id) },
      ),
    )

/** The overdue work without that of blocked actors, and without the steps that run. */
const onlyOverdue = (
  { overdue, blocked }: Health['actors'],
  steps: readonly RunningStep[],
): Health['actors']['overdue'] => {
  const running = new Set(steps.map(({ kind, id }) => `${kind}/${id}`))
  const named = new Set(blocked.first.map(({ entity }) => entity))
  const first = overdue.first.filter(
    ({ entity, what }) => !named.has(entity) && (what !== 'a step' || !running.has(entity)),
  )
  return { count: overdue.count - (overdue.first.length - first.length), first }
}

const actorTroubles = (
  actors: Health['actors'],
  blockedAt: ReadonlyMap<string, number>,
  steps: readonly RunningStep[],
  now: number,
): readonly CausedTrouble[] => [
  ...listed(actors.blocked, ({ entity, reason }) =>
    ofActor('bad', 'blocked', entity, { cause: reason, at: blockedAt.get(entity) }),
  ),
  ...listed(actors.parked, ({ entity, what, error }) =>
    ofActor('bad', 'parked', entity, { cause: `${turnText(what)}: ${error}` }),
  ),
  ...stuckSteps(steps, now),
  ...listed(actors.failing, ({ entity, what, tries, since, error }) =>
    ofActor('warn', 'failing step', entity, {
      cause: `${turnText(what)}: ${error}`,
      text: `${turnText(what)} failed ${timesText(tries)}: ${error}`,
      at: since,
    }),
  ),
  ...listed(actors.waiting, ({ entity, what, since }) =>
    ofActor('warn', 'waits for space', entity, { cause: what, at: since }),
  ),
  ...listed(onlyOverdue(actors, steps), ({ entity, what, at }) =>
    ofActor('warn', 'overdue', entity, { cause: what, at }),
  ),
]

const ofActor = (
  tone: Trouble['tone'],
  sort: string,
  entity: string,
  {
    cause,
    text = cause,
    at,
  }: { readonly cause: string; readonly text?: string; readonly at?: number | undefined },
): CausedTrouble =>
  trouble(tone, sort, actorNamed(entity).title, text, {
    ...(at !== undefined && { at }),
    cause: shortText(cause, textMax),
    link: actorLink(entity),
  })

const timesText = (times: number): string => (times === 1 ? 'once' : `${countText(times)} times`)

/** The words of the views of an entity: `step charge` for `continue charge`. */
const turnText = (what: string): string => what.replace(/^continue /, 'step ')

/** Of very many with the same trouble, or the same cause, so many are named. */
const namedMax = 3

/** One trouble each; of more than the health names, the first ones and how many more there are. */
const listed = <T>(
  { count, first }: { readonly count: number; readonly first: readonly T[] },
  troubleOf: (item: T) => CausedTrouble,
): readonly CausedTrouble[] => {
  const isWhole = count <= first.length
  const named = (isWhole ? first : first.slice(0, namedMax)).map(troubleOf)
  const [one] = named
  if (isWhole || !one) return named
  const more = `and ${countText(count - named.length)} more`
  return [...named, trouble(one.tone, one.sort, more, '', { link: linkTo('entities') })]
}

type Blocked = { readonly first?: readonly { readonly run: string; readonly reason: string }[] }

/** Parts of the user's tree report what they want; those of workflows name their blocked runs. */
const blockedRuns = (
  parts: Health['parts'],
  blockedAt: ReadonlyMap<string, number>,
): readonly CausedTrouble[] =>
  Object.values(parts).flatMap((report) => {
    const { blocked } = Object(report) as { readonly blocked?: Blocked }
    return (blocked?.first ?? []).map(({ run, reason }) => {
      const [type = '', ...id] = run.split('/')
      const at = blockedAt.get(run)
      return trouble('bad', 'run blocked', run, reason, {
        ...(at !== undefined && { at }),
        cause: shortText(reason, textMax),
        link: linkTo('run', type, id.join('/')),
      })
    })
  })

/**
 * Troubles of the same sort and cause become one line, in the place of the first of them. Its time
 * is the earliest.
 */
const foldedTroubles = (all: readonly CausedTrouble[]): readonly Trouble[] => {
  const groups = new Map<unknown, CausedTrouble[]>()
  for (const trouble of all) {
    const { tone, sort, cause, subject } = trouble
    const key =
      cause === undefined ? trouble : JSON.stringify([tone, sort, withoutIds(cause, subject)])
    const group = groups.get(key)
    if (group) group.push(trouble)
    else groups.set(key, [trouble])
  }
  return [...groups.values()].map(folded)
}

/** A cause without the id of its subject, and without keys such as `4e29b3cbb0d3ef26`. */
const withoutIds = (cause: string, subject: string): string => {
  const id = subject.slice(subject.indexOf('/') + 1)
  return cause.replace(/[\w-]+/g, (word) => (word === id || isKey(word) ? '…' : word))
}

const isKey = (word: string): boolean =>
  word.length >= 8 && /\d/.test(word) && /^[\da-f-]+$/i.test(word)

const folded = (group: readonly CausedTrouble[]): Trouble => {
  const [{ cause, ...first }, ...others] = group as [CausedTrouble, ...CausedTrouble[]]
  if (others.length === 0) return first
  const times = group.flatMap(({ at }) => at ?? [])
  return {
    ...{ ...first, text: cause ?? first.text, count: group.length },
    ...(times.length > 0 && { at: Math.min(...times) }),
    others: others
      .slice(0, namedMax - 1)
      .map(({ subject, link }) => ({ subject, ...(link && { link }) })),
  }
}
