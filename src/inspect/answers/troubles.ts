/**
 * Everything that is wrong in an instance, from its facts. Whether something is a trouble is judged
 * here, and only here: the prompt, the page, the metrics and the alerts show it. Pure.
 */

import { stuckTries } from '../../actors/index.ts'
import type { FlowHealth, QueueHealth } from '../../flow/index.ts'
import {
  clockText,
  type Link,
  runWaitText,
  type Trouble as ShownTrouble,
  unreadText,
} from '../../observe/index.ts'
import { noOptions, ownOf } from '../../own-names.ts'
import { streamProducersMax } from '../../storage/index.ts'
import type { Health, ShardHealth } from '../../supervisors/index.ts'
import { actorNamed } from '../recorder/flow-names.ts'
import { bytesText, countText, lastingText, pluralText } from '../text/quantities.ts'
import { shortText } from '../text/shown-text.ts'
import { causeKey, foldedTroubles, groupedBy, restText, shardsText } from './folded-troubles.ts'
import { lookFor, type TroubleKind, troubleKinds } from './trouble-kinds.ts'

/** A trouble. */
export type Trouble = ShownTrouble & { readonly kind: TroubleKind }

/** The facts from which troubles are judged. `now`: in ms since 1970. */
export type JudgedFacts = { readonly health: Health; readonly now: number }

/** The troubles of an instance, the critical ones first. Those with one cause are one. */
export const troublesOf = (facts: JudgedFacts): readonly Trouble[] =>
  worstFirst(foldedTroubles(eachTrouble(facts)))

/** The troubles of an instance before those with one cause are one. */
export const eachTrouble = ({ health, now }: JudgedFacts): readonly CausedTrouble[] => {
  const found: readonly CausedTrouble[] = [
    ...memberTroubles(health.cluster),
    ...health.members.flatMap(awayTroubles),
    ...fullDiskTroubles(health),
    ...health.shards.flatMap((shard) => shardTroubles(shard, health.fullDisk, now)),
    ...diskTroubles(health),
    ...(health.durable
      ? []
      : [trouble('not durable', 'the instance', 'what is acknowledged may be lost')]),
    ...health.gaveUp.map(({ supervisor, child, reason, at }) =>
      trouble('gave up', supervisor, `gave up: ${child} ended: ${reason}`, {
        since: at,
        link: linkTo('tree'),
      }),
    ),
    ...health.crashing.first.map(crashLoop),
    ...actorTroubles(health.actors, now),
    ...Object.entries(health.parts).flatMap(partTroubles),
    ...health.projections.flatMap(projectionTroubles),
    ...health.replication.flatMap(replicaTroubles),
  ]
  return found
}

/** The troubles of another member's report; `undefined`: one of another version, which reads otherwise. */
export const readTroubles = (
  { shards, ...reported }: Health,
  now: number,
): readonly CausedTrouble[] | undefined => {
  try {
    // Of the shards that nobody had when it was made the reader knows the owners of now.
    const owned = shards.filter(
      ({ phase, member }) => phase !== 'elsewhere' || member !== undefined,
    )
    return eachTrouble({ health: { ...reported, shards: owned }, now })
  } catch {
    return undefined
  }
}

/** Troubles with the critical ones first. */
export const worstFirst = <T extends ShownTrouble>(troubles: readonly T[]): readonly T[] => {
  const isWarning = ({ severity }: ShownTrouble): number => Number(severity === 'warning')
  return [...troubles].sort((left, right) => isWarning(left) - isWarning(right))
}

/**
 * A trouble before it is folded. `cause`: its text without what differs from try to try. `part`: the part
 * of its subject that has it, where a subject may have several. `isRest`: of the ones that health counts
 * and does not name.
 */
export type CausedTrouble = Trouble & {
  readonly cause?: string
  readonly part?: string
  readonly isRest?: boolean
}

const textMax = 400
const subjectMax = 300

const trouble = (
  kind: TroubleKind,
  subject: string,
  text: string,
  more: Pick<CausedTrouble, 'since' | 'link' | 'cause' | 'part' | 'count' | 'isRest'> = noOptions,
): CausedTrouble => {
  const { severity, alert } = troubleKinds[kind]
  const look = lookFor(kind, subject, more.link)
  return {
    severity,
    kind,
    alert,
    subject: shortText(subject, subjectMax),
    text: shortText(text, textMax),
    ...(look !== undefined && { look }),
    ...more,
  }
}

/** The fields of a time that may not be known. */
const sinceThen = (since: number | undefined): Pick<Trouble, 'since'> =>
  since === undefined ? {} : { since }

const linkTo = (view: string, ...parts: string[]): Link => ({ view, parts })

/** The place of an actor, or of this work of it: a run, a queue and a job have their own. */
const actorLink = (actor: string, what = ''): Link => {
  const { sort, name, id } = actorNamed(actor)
  const [, job] = /^job (\d+)$/.exec(what) ?? []
  if (sort === 'queue') return job === undefined ? linkTo('queue', name) : linkTo('job', name, job)
  return linkTo(sort === 'workflow' ? 'run' : 'entity', name, id)
}

const memberTroubles = (cluster: Health['cluster']): readonly CausedTrouble[] => {
  if (!cluster) return []
  const { phase, member, since, engine, reason = `see whether ${engine} answers` } = cluster
  if (phase === 'owner') return []
  const why =
    phase === 'ended'
      ? 'another member may own the instance, and this one ends'
      : `the lease is not renewed, so reads are refused: ${reason}`
  return [trouble(`member ${phase}`, `member ${member}`, why, { since, link: linkTo('storage') })]
}

/** A member that has ended, that starts, or whose process is stopped. */
const awayTroubles = ({
  member,
  linked,
  unanswered,
  awaySince,
}: Health['members'][number]): readonly CausedTrouble[] => {
  if (linked && unanswered === undefined) return []
  const text = linked
    ? `it is linked, and has not answered the last question: ${unanswered}`
    : 'no link to it: it has ended, starts, or hangs; when its process has ended, others take its shards'
  const kind = linked ? 'member silent' : 'member away'
  return [trouble(kind, `member ${member}`, text, sinceThen(awaySince))]
}

/** A full disk is one trouble, however many shards it stops, and whatever of them. */
export const fullDiskTroubles = ({ fullDisk, shards }: Health): readonly CausedTrouble[] => {
  if (!fullDisk) return []
  const { since, reason, writes, snapshots, projections } = fullDisk
  const also = [
    ...(snapshots.length > 0 ? [`no snapshot of ${shardsText(snapshots)} has space`] : []),
    ...(projections.length > 0
      ? [`the projection of ${shardsText(projections)} waits for it`]
      : []),
    spaceText(shards),
  ]
  const subject = shardsText(writes)
  return [
    trouble('refuses writes', subject, [reason, ...also].join('; '), {
      since,
      link: linkTo('storage'),
      ...(writes.length > 1 && { count: writes.length }),
    }),
  ]
}

type Found = (
  kind: TroubleKind,
  text: string,
  since?: number,
  cause?: string,
  part?: string,
) => CausedTrouble

/** `fullDisk`: the trouble of it says already what it stops. */
const shardTroubles = (
  health: ShardHealth,
  fullDisk: Health['fullDisk'],
  now: number,
): readonly CausedTrouble[] => {
  const { shard, phase, member, reason = '', recovery, space, snapshot, clockAheadMs } = health
  const link = linkTo('storage')
  const found: Found = (kind, text, since, cause = text, part = '') =>
    trouble(kind, `shard ${shard}`, text, {
      link,
      ...sinceThen(since),
      cause: shortText(cause, textMax),
      part,
    })
  if (phase === 'down') {
    const textOf = (again: string): string => `${reason}; ${wayToOpen(health, again)}`
    const text = textOf(`control.reopen(${shard})`)
    const cause = textOf('control.reopen(shard) of each')
    return [found('shard down', text, health.notOpenSince, cause)]
  }
  if (phase === 'elsewhere')
    return member === undefined
      ? [
          found(
            'shard without owner',
            'no member has it open: calls wait, and fail in the end',
            health.notOpenSince,
          ),
        ]
      : []
  const { refusing } = space
  return [
    ...(phase === 'open'
      ? []
      : [
          found(
            'shard not open',
            recovery ? `${phase}: ${recovery.source}` : phase,
            health.notOpenSince,
          ),
        ]),
    ...(refusing && !fullDisk?.writes.includes(shard)
      ? [found('refuses writes', refusing.reason, refusing.since)]
      : []),
    ...lagTroubles(health, found, fullDisk, now),
    ...(snapshot.failure === undefined || fullDisk?.snapshots.includes(shard)
      ? []
      : [found('no snapshot', snapshot.failure)]),
    ...derivedTroubles(health.derived, found),
    ...journalTroubles(health.journal, found),
    ...health.fullStreams.map(streamFull),
    ...(clockAheadMs === 0 ? [] : [clockSet(clockAheadMs, found)]),
  ]
}

/** A stream that takes no more. The bound that it has reached says what to do. */
const streamFull = (full: ShardHealth['fullStreams'][number]): CausedTrouble => {
  const { entity, stream, bytes, producers, since } = full
  const has = `${bytesText(bytes)} of messages and ${pluralText(producers, 'producer')}`
  const remedy =
    producers < streamProducersMax
      ? 'trim it, or give it `keep`'
      : 'its producers need ids that are used again, or a further stream'
  const text = `appends fail with TOO_LARGE: it has ${has}; ${remedy}`
  const of = entity === undefined ? '' : ` of ${actorNamed(entity).title}`
  return trouble('stream full', `stream ${stream}${of}`, text, {
    since,
    cause: remedy,
    ...(entity !== undefined && { link: actorLink(entity) }),
  })
}

const wayToOpen = ({ reason = '', reopening }: ShardHealth, again: string): string => {
  // Nothing reads a damaged log better the next time.
  if (reason.startsWith('CORRUPT')) return 'end the service, and see what keelson doctor says'
  return reopening ? `it opens by itself when this has passed, or ${again}` : again
}

/** The shards of a machine whose clock was set differ by what they have looked at it. */
const clockSet = (aheadMs: number, found: Found): CausedTrouble => {
  const textIn = (of: (ms: number) => string): string =>
    `its time is ${clockText(aheadMs, of)}; control.acceptClock()`
  return found(
    'clock set',
    textIn((ms) => `${countText(ms)} ms`),
    undefined,
    textIn(lastingText),
  )
}

/** A projection with more lag has trouble: three times the longest pause of its flushes. */
const lagMax = 15_000

/** A projection that lags has one line with its cause, since its oldest write waits. */
const lagTroubles = (
  { shard, projection, suspended, suspendedBy, lagBytes }: ShardHealth,
  found: Found,
  fullDisk: Health['fullDisk'],
  now: number,
): readonly CausedTrouble[] => {
  const { mode, behindMs, reason = '' } = projection
  const isBehind = behindMs > 0
  const waits = `its oldest write waits for ${lastingText(behindMs)}, ${bytesText(lagBytes)} in all`
  const lags = (kind: TroubleKind, cause: string): CausedTrouble =>
    found(
      kind,
      [cause, ...(isBehind ? [waits] : [])].filter((text) => text !== '').join('; '),
      isBehind ? now - behindMs : projection.since,
      cause,
    )
  if (suspended)
    return [lags('projection suspended', `${suspendedBy.join(', ')} holds it until control.resume`)]
  if (fullDisk?.projections.includes(shard)) return []
  if (mode === 'degraded' || mode === 'halted') return [lags(`projection ${mode}`, reason)]
  return behindMs > lagMax ? [lags('projection behind', '')] : []
}

const derivedTroubles = (
  { lost, setAside }: ShardHealth['derived'],
  found: Found,
): readonly CausedTrouble[] => {
  const foundOf = (kind: TroubleKind, producer: string, text: string): CausedTrouble =>
    found(kind, text, undefined, text, producer)
  return [
    ...lost.map((name) =>
      foundOf('rows lost', name, `the derived rows of ${name}, which begins again`),
    ),
    ...[...groupedBy(setAside, ({ producer }) => producer)].map(([producer, groups]) =>
      foundOf(
        'rows set aside',
        producer,
        `${pluralText(groups.length, 'group')} of ${producer} cannot be committed: ${groups[0]?.reason}`,
      ),
    ),
  ]
}

const journalTroubles = (
  { subscriptions, held }: ShardHealth['journal'],
  found: Found,
): readonly CausedTrouble[] => {
  const keptFor = `its log is kept for ${held.by.join(', ')}`
  const kept = `${bytesText(held.bytes)} of its log are kept for ${held.by.join(', ')}`
  return [
    ...subscriptions.flatMap(({ name, failure }) => {
      const text = `${name}: ${failure}`
      if (failure === undefined) return []
      return [found('subscription stopped', text, undefined, text, name)]
    }),
    ...(held.state === 'high' ? [found('log held', kept, undefined, keptFor)] : []),
    ...(held.state === 'full'
      ? [
          found(
            'journal full',
            `${kept}; appends fail with BUSY`,
            undefined,
            `${keptFor}; appends fail with BUSY`,
          ),
        ]
      : []),
  ]
}

/** Shards may be on several disks: the one with the least free space has to bear all. */
export const spaceOf = (shards: Health['shards']) => ({
  free: Math.min(...shards.map(({ space }) => space.freeBytes ?? Number.POSITIVE_INFINITY)),
  needed: shards.reduce((sum, { space }) => sum + space.neededBytes, 0),
})

const spaceText = (shards: Health['shards']): string => {
  const { free, needed } = spaceOf(shards)
  const isKnown = Number.isFinite(free)
  return `${isKnown ? bytesText(free) : 'unknown'} free, ${bytesText(needed)} needed until the next snapshots`
}

/** A full disk has its own trouble. */
const diskTroubles = ({ shards, fullDisk }: Health): readonly CausedTrouble[] => {
  const { free, needed } = spaceOf(shards)
  if (fullDisk || free >= 2 * needed) return []
  return [trouble('disk low', 'the disk', spaceText(shards), { link: linkTo('storage') })]
}

/** Health counts at most so many failures of a child. */
const failuresMax = 100

const crashLoop = (loop: Health['crashing']['first'][number]): CausedTrouble => {
  const { child, message, isEntity, failures, since, reason } = loop
  const times = `${failures} times in a minute${failures < failuresMax ? '' : ', or more'}`
  const text = `failed ${times}${message === undefined ? '' : `, now at ${message}`}: ${reason}`
  const subject = isEntity ? actorNamed(child).title : child
  const link = isEntity ? actorLink(child) : linkTo('tree')
  return trouble('crash loop', subject, text, { since, link })
}

const actorTroubles = (actors: Health['actors'], now: number): readonly CausedTrouble[] => [
  ...listed(actors.blocked, ({ entity, reason, since }) =>
    ofActor('blocked', entity, { cause: reason, since }),
  ),
  ...listed(actors.wouldBlock, ({ entity, reason, since }) =>
    ofActor('would block', entity, { cause: reason, text: `when it wakes: ${reason}`, since }),
  ),
  ...listed(actors.parked, ({ entity, what, at, error }) =>
    ofActor('parked', entity, { cause: `${turnText(what)}: ${error}`, since: at }),
  ),
  ...listed(actors.hanging, ({ entity, what, since, isRecorded }) =>
    ofActor(isRecorded ? 'hanging step' : 'hanging handler', entity, {
      cause: turnText(what),
      since,
      text: `${turnText(what)} runs for ${lastingText(now - since)}`,
    }),
  ),
  ...failingTroubles(actors.failing, now),
  ...listed(actors.waiting, ({ entity, what, since }) =>
    ofActor('waits for space', entity, { cause: what, since }),
  ),
  ...listed(onlyOverdue(actors), ({ entity, what, at }) =>
    ofActor('overdue', entity, { cause: what, since: at }),
  ),
]

/** A first failure is a trouble after so long: most work that fails once succeeds at its next try. */
const freshMs = 5_000

/** Health has stuck work before any other that fails. */
const failingTroubles = (
  failing: Health['actors']['failing'],
  now: number,
): readonly CausedTrouble[] => {
  const isFresh = ({ tries, since }: (typeof failing.first)[number]): boolean =>
    tries === 1 && now - since < freshMs
  const first = failing.first.filter((each) => !isFresh(each))
  // Stuck work comes first: if nothing of what is named is, all of the rest is as fresh.
  const count = first.length === 0 ? 0 : failing.count - (failing.first.length - first.length)
  const stuck = first.filter(({ tries }) => tries >= stuckTries)
  const others = first.filter(({ tries }) => tries < stuckTries)
  const areAllStuck = others.length === 0
  const troubleOf =
    (kind: TroubleKind) =>
    ({ entity, what, tries, since, error }: (typeof first)[number]) =>
      ofActor(kind, entity, {
        cause: `${turnText(what)}: ${error}`,
        since,
        what,
        text: `${turnText(what)} failed ${timesText(tries)}: ${error}`,
      })
  return [
    ...listed({ count: areAllStuck ? count : stuck.length, first: stuck }, troubleOf('stuck step')),
    ...(areAllStuck
      ? []
      : listed({ count: count - stuck.length, first: others }, troubleOf('failing step'))),
  ]
}

const timesText = (times: number): string => (times === 1 ? 'once' : `${countText(times)} times`)

/** The words of the views of an entity: `step charge` for `continue charge`. */
const turnText = (what: string): string => what.replace(/^continue /, 'step ')

/** The overdue work without that of blocked actors, and of actors with a step that hangs. */
const onlyOverdue = ({
  overdue,
  blocked,
  hanging,
}: Health['actors']): Health['actors']['overdue'] => {
  const named = new Set([...blocked.first, ...hanging.first].map(({ entity }) => entity))
  const first = overdue.first.filter(({ entity }) => !named.has(entity))
  return { count: overdue.count - (overdue.first.length - first.length), first }
}

const ofActor = (
  kind: TroubleKind,
  entity: string,
  {
    cause,
    text = cause,
    since,
    what,
  }: {
    readonly cause: string
    readonly text?: string
    readonly since?: number | undefined
    readonly what?: string
  },
): CausedTrouble =>
  trouble(kind, actorNamed(entity).title, text, {
    ...sinceThen(since),
    cause: shortText(cause, textMax),
    link: actorLink(entity, what),
  })

/** Parts of the user's tree report what they want: those of `flows` their runs and queues. */
const partTroubles = ([part, report]: [string, unknown]): readonly CausedTrouble[] => {
  if (part.startsWith(queuePart)) return queueTroubles(part.slice(queuePart.length), report)
  const { blocked, failed, schedules, unread } = Object(report) as Partial<FlowHealth>
  return [
    ...(blocked ? listed(blocked, stoppedRun('run blocked')) : []),
    ...(failed ? listed(failed, stoppedRun('run failed')) : []),
    ...(schedules ? listed(schedules, brokenSchedule) : []),
    ...(unread ? listed(unread, unreadRun) : []),
  ]
}

const stoppedRun =
  (kind: TroubleKind) =>
  ({ run, reason, since }: FlowHealth['blocked']['first'][number]): CausedTrouble => {
    const [type = '', ...id] = run.split('/')
    return trouble(kind, run, reason, {
      since,
      cause: shortText(reason, textMax),
      link: linkTo('run', type, id.join('/')),
    })
  }

/** Its body waits for one name, and its senders have used another one. */
const unreadRun = ({
  run,
  waitsFor: { kind, name },
  unread,
  since,
}: FlowHealth['unread']['first'][number]): CausedTrouble => {
  const [type = '', ...id] = run.split('/')
  const text = `it waits for ${runWaitText({ kind, name })}, and has not read ${unreadText(unread)}`
  return trouble('unread signals', run, text, {
    since,
    cause: shortText(text, textMax),
    link: linkTo('run', type, id.join('/')),
  })
}

/** It goes on when the tree is mended. */
const brokenSchedule = ({
  schedule,
  reason,
  since,
}: FlowHealth['schedules']['first'][number]): CausedTrouble =>
  trouble('schedule broken', schedule, `${reason}: it starts no run`, {
    ...sinceThen(since),
    cause: shortText(reason, textMax),
    link: linkTo('flows'),
  })

const queuePart = 'queue/'

/** Jobs that are tried again are among the failing work of actors. A part may not be readable now. */
const queueTroubles = (queue: string, report: unknown): readonly CausedTrouble[] => {
  const { dead, deadSince, unreadable, isFull, ready, delayed, running, overdue } =
    report as QueueHealth
  if (typeof dead !== 'number') return []
  const found = (
    is: boolean,
    kind: TroubleKind,
    text: string,
    since?: number,
  ): readonly CausedTrouble[] =>
    is ? [trouble(kind, queue, text, { ...sinceThen(since), link: linkTo('queue', queue) })] : []
  const jobs = pluralText(ready + delayed + running, 'job')
  const failed = `${pluralText(dead, 'job')} failed all tries`
  const unread = `${pluralText(unreadable.length, 'row')} cannot be read`
  const ignored = `${pluralText(overdue.length, 'handler')} ignored the end of their time`
  const late = someOf(overdue.map(({ id }) => `job ${id}`))
  return [
    ...found(dead > 0, 'dead jobs', `${failed}: retry them, or fix the handler first`, deadSince),
    ...found(unreadable.length > 0, 'unreadable jobs', `${unread}: ${someOf(unreadable)}`),
    ...found(isFull, 'queue full', `it has ${jobs}, and takes no more`),
    ...found(
      overdue.length > 0,
      'overdue jobs',
      `${ignored}: ${late}`,
      Math.min(...overdue.map((each) => each.since)),
    ),
  ]
}

const someOf = (texts: readonly string[]): string =>
  texts.slice(0, namedMax).join(', ') + (texts.length > namedMax ? ', …' : '')

const projectionTroubles = ({
  name,
  shards,
}: Health['projections'][number]): readonly CausedTrouble[] =>
  shards.flatMap(({ shard, state, error = '', haltedAt }) =>
    state === 'halted' || state === 'stopped'
      ? [
          trouble(`projection ${state}`, `${name}, shard ${shard}`, error, {
            link: linkTo('storage'),
            cause: shortText(error, textMax),
            ...sinceThen(haltedAt),
          }),
        ]
      : [],
  )

const replicaTroubles = ({
  replica,
  shards,
}: Health['replication'][number]): readonly CausedTrouble[] =>
  shards.flatMap(({ shard, state, reason, since }) => {
    if (reason === undefined) return []
    const kind = state === 'fenced' || state === 'halted' ? state : 'waiting'
    return [
      trouble(`replica ${kind}`, `${replica}, shard ${shard}`, reason, {
        ...sinceThen(since),
        cause: reason,
        link: linkTo('replication'),
      }),
    ]
  })

/** Of very many with the same trouble, or the same cause, so many are named. */
const namedMax = 3

/**
 * One trouble each; of more than the health names, the first ones and how many more there are, with
 * their cause if the named ones have a common one.
 */
const listed = <T>(
  { count, first }: { readonly count: number; readonly first: readonly T[] },
  troubleOf: (item: T) => CausedTrouble,
): readonly CausedTrouble[] => {
  const isWhole = count <= first.length
  const all = first.map(troubleOf)
  const named = isWhole ? all : all.slice(0, namedMax)
  const [one] = named
  if (isWhole || !one) return named
  const left = count - named.length
  const unnamed = all.slice(named.length)
  const causes = new Set(all.map(causeKey))
  const times = (unnamed.length > 0 ? unnamed : named).flatMap(({ since }) => since ?? [])
  const rest = trouble(one.kind, restText(left), causes.size === 1 ? (one.cause ?? '') : '', {
    link: linkToMore(one),
    count: left,
    isRest: true,
    ...(times.length > 0 && { since: Math.min(...times) }),
  })
  return [...named, rest]
}

/** The list of the ones that are not named, and of no others as far as that can be asked. */
const linkToMore = ({ kind, link, subject }: CausedTrouble): Link => {
  const { view = '', parts: [name = ''] = [] } = link ?? {}
  if (view === 'flows') return linkTo(view)
  if (view === 'job') return linkTo('queue', name)
  const only = ownOf(onlyWords, kind)
  const status = ownOf(runStatusOf, kind)
  if (status !== undefined) return { view: 'runs', parts: [name], query: { status } }
  if (only === undefined)
    return linkTo(view === 'run' ? 'runs' : 'entities', ...(view === 'run' ? [name] : []))
  const ofRun = view === 'run' ? `$flow-${name}` : undefined
  const ofActor = subject.includes('/') ? subject.slice(0, subject.indexOf('/')) : undefined
  const kindName = ofRun ?? ofActor
  if (kindName === undefined) return linkTo('entities')
  return { view: 'kind', parts: [kindName], query: { only } }
}

/** The filter of a list of actors that has those of a kind of trouble. */
const onlyWords: Readonly<Record<string, string>> = {
  blocked: 'blocked',
  parked: 'parked',
  'stuck step': 'failing',
  'failing step': 'failing',
  overdue: 'overdue',
}

/** The status of the runs of a kind of trouble. */
const runStatusOf: Readonly<Record<string, string>> = {
  'run blocked': 'blocked',
  'run failed': 'failed',
  'unread signals': 'waiting',
}
