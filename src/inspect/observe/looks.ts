/**
 * The answers of an instance to the page of `keelson observe`: a table of views, and the head that
 * each answer has. Nothing is measured until the first question. It is apart from `observer.ts`,
 * which takes the messages of a session, because a look changes nothing.
 */

import { cutText, type PastOptions, type PastPage, type PastTurn } from '../../actors/index.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { keptText } from '../../failure-record.ts'
import type {
  Header,
  History,
  HistoryTurn,
  MemberRow,
  Overview,
  Past,
  Sizes,
  StreamShown,
  Views,
} from '../../observe/index.ts'
import { ownOf } from '../../own-names.ts'
import { workerKind } from '../../storage/index.ts'
import {
  type App,
  type Health,
  innerParts,
  type MemberHealth,
  type ShardHealth,
} from '../../supervisors/index.ts'
import { factsOf } from '../answers/facts.ts'
import {
  type RecentCrashes,
  recentCrashesAnywhere,
  recentCrashesOf,
  unlessSilent,
} from '../answers/member-looks.ts'
import { nextTurn } from '../answers/process-pages.ts'
import { troublesOfAll } from '../answers/troubles-of-all.ts'
import { causeTitle, otherOperations } from '../answers/turn-titles.ts'
import { flowKind } from '../recorder/flow-names.ts'
import { type Folded, foldedLatest } from '../recorder/folded-events.ts'
import { recordsOf } from '../recorder/recorder.ts'
import type { Records } from '../recorder/records.ts'
import { shortText } from '../text/shown-text.ts'
import { crashesElsewhere, crashesShown } from './crash-looks.ts'
import { entityIn, entityShown, kindShown, kindsShown } from './entity-looks.ts'
import {
  deadShown,
  flowsShown,
  jobShown,
  jobsShown,
  runShown,
  runsShown,
  schedulesShown,
} from './flow-looks.ts'
import { FlowRates } from './flow-rates.ts'
import { LogTail } from './log-tail.ts'
import { machineValue } from './machine-shown.ts'
import { ProcessLooks } from './process-looks.ts'
import { given, numberIn, optionalNumber, type Query, textIn } from './questions.ts'
import { pendingHandlers } from './running-handlers.ts'
import { Sampling } from './sampling.ts'
import { shownLine } from './shown-events.ts'
import { keyShown, replicationShown, storageShown, storeShown } from './storage-looks.ts'
import { streamPage, streamsShown } from './stream-looks.ts'
import { fitting, lastFitting, shownTree } from './value-trees.ts'

/** The views that wait for the owners of what they show. The others say themselves who did not answer. */
const ofOwner: ReadonlySet<string> = new Set<keyof Views>([
  ...(['run', 'runs', 'job', 'jobs', 'dead', 'schedules', 'kind'] as const),
  ...(['history', 'past', 'key', 'streams'] as const),
])

type Answers = {
  readonly [V in keyof Views]: (query: Query) => Views[V]['data'] | Promise<Views[V]['data']>
}

/** Of the recorder in an overview. */
const recentMax = 20
/** The most bytes of lists: a frame has 64 KiB, of which the series take up to 16. */
const troublesBytes = 20 * 1024
const recentBytes = 10 * 1024
const slowBytes = 4 * 1024
const elsewhereBytes = 8 * 1024

/**
 * A look at very many things costs at most a fortieth of the time: those who ask sooner get the last
 * one. 100,000 processes take about 200 ms. One that took long has waited for others, and is kept
 * for `keptMsMax` alone.
 */
const paceShare = 40
const keptMsMax = 30_000

/** The looks at one instance. */
export class Looks {
  readonly #app: App
  readonly #records: Records
  readonly #sampling: Sampling
  readonly #answers: Answers
  readonly #paced = new Map<string, { readonly until: number; readonly answer: Promise<unknown> }>()
  readonly #isWriting: boolean
  readonly #rates: FlowRates
  readonly #tail: LogTail
  readonly #processes: ProcessLooks
  #pending: Overview['pending'] | undefined
  /** The crashes of all members, by their last answers. */
  #crashes: RecentCrashes | undefined

  constructor(app: App, isWriting: boolean) {
    this.#app = app
    this.#isWriting = isWriting
    this.#records = recordsOf(app.system)
    this.#sampling = new Sampling(app)
    this.#rates = new FlowRates(app)
    this.#tail = new LogTail(app, this.#records)
    const processes = new ProcessLooks(app, this.#records)
    this.#processes = processes
    this.#answers = {
      header: () => null,
      overview: () => this.#overview(),
      tree: () => this.#pace('tree', () => processes.tree()),
      processes: (query) =>
        this.#pace(`processes ${JSON.stringify(query)}`, () => processes.processes(query)),
      process: (query) => processes.process(query),
      entities: () => this.#pace('entities', () => kindsShown(app)),
      kind: (query) => kindShown(app, query),
      entity: async (query) => {
        const { kind, id } = entityIn(app, query)
        return withStreams(app, kind, id, entityShown(app, query))
      },
      history: (query) => historyShown(app, query),
      past: (query) => pastShown(app, query),
      flows: () => this.#pace('flows', () => flowsShown(app, this.#rates)),
      dead: (query) => deadShown(app, query),
      jobs: (query) => jobsShown(app, query),
      job: (query) => jobShown(app, query),
      schedules: (query) => schedulesShown(app, query),
      runs: (query) => runsShown(app, query),
      run: async (query) => {
        const kind = flowKind('workflow', textIn(query, 'type'))
        return withStreams(app, kind, textIn(query, 'id'), await runShown(app, query))
      },
      store: (query) => storeShown(app, query),
      key: (query) => keyShown(app, query),
      storage: (query) =>
        this.#pace(`storage ${JSON.stringify(query)}`, () => storageShown(app, query)),
      replication: () => replicationShown(app),
      log: (query) => this.#tail.look(query),
      crashes: (query) => crashesShown(app, query),
      streams: (query) => streamPage(app, query),
    }
  }

  /** The answer to a question. @throws KeelsonError */
  async answer(view: string, query: Query): Promise<{ header: Header; data: unknown }> {
    const look = ownOf(this.#answers, view)
    if (!look) throw invalidArgument('view', Object.keys(this.#answers).join(', '), view)
    this.#sampling.look()
    this.#rates.look()
    const asked: unknown = look(query)
    const isOfOwner = ofOwner.has(view) && asked instanceof Promise
    const counted = this.#countCrashes()
    const data = await (isOfOwner ? unlessSilent(this.#app, `the view ${view}`, asked) : asked)
    // The members are awaited once. Later the count of the last answers is shown.
    if (!this.#crashes) await counted
    return { header: this.header(), data }
  }

  /** The head of every answer. */
  header(): Header {
    const { instance, system, shards } = this.#app
    const now = system.clock.now()
    const { durable, shards: healths } = this.#app.health()
    const { crashes, areMore } = this.#crashes ?? recentCrashesOf(this.#app)
    return {
      instance,
      at: now,
      phase: worstOf(healths.map(phaseOf)),
      isDurable: durable,
      loopDelayMs: this.#sampling.loopDelayMs ?? null,
      lagMs: Math.round(Math.max(0, ...shards.map(({ projection }) => projection.behindMs))),
      crashes,
      areCrashesMore: areMore,
      isWriting: this.#isWriting,
      ...membersNamed(this.#app),
    }
  }

  /** Ends every measurement. */
  end(): void {
    this.#sampling.end()
    this.#rates.end()
    this.#tail.end()
    this.#processes.end()
    this.#paced.clear()
  }

  async #overview(): Promise<Overview> {
    const surveyed = this.#pace('pending', async () => {
      this.#pending = await pendingHandlers(this.#app)
    })
    // A look at very many processes is awaited once. Later the last one is shown.
    if (!this.#pending) await surveyed
    // Then the reports of the others are here.
    const members = await this.#members()
    const facts = factsOf(this.#app, this.#app.system)
    const { health } = facts
    const lineOf = (event: Folded) => shownLine(this.#app, event)
    const troubles = fitting(troublesOfAll(facts), troublesBytes)
    // Health, the last events and the head each take milliseconds: others have a turn between them.
    await nextTurn(this.#app.system)
    const recent = lastFitting(foldedLatest(this.#records, recentMax).map(lineOf), recentBytes)
    await nextTurn(this.#app.system)
    return {
      troubles,
      ...memberShown(health),
      ...members,
      measuredSince: this.#sampling.since,
      latencies: this.#sampling.latencies,
      slow: lastFitting(
        this.#records.last('slow_handler').slice(-recentMax).map(lineOf),
        slowBytes,
      ),
      pending: this.#pending ?? [],
      sizes: sizesOf(health),
      series: this.#sampling.series,
      recent,
    }
  }

  /** All members and the crashes at the others, as they answer. */
  async #members(): Promise<Pick<Overview, 'members' | 'elsewhere'>> {
    if (!this.#app[innerParts].way) return {}
    const [{ members }, crashes] = await Promise.all([
      this.#pace('members', () => this.#app.healthOfAll({ timeoutMs: askedMs })),
      this.#pace('crashes', () => crashesElsewhere(this.#app)),
    ])
    return { members: members.map(memberRow), elsewhere: lastFitting(crashes, elsewhereBytes) }
  }

  /** Counts the crashes of all members, without members at once. */
  async #countCrashes(): Promise<void> {
    if (!this.#app[innerParts].way) return
    this.#crashes = await this.#pace('head', () => recentCrashesAnywhere(this.#app))
  }

  #pace<T>(key: string, make: () => Promise<T>): Promise<T> {
    const { clock } = this.#app.system
    const begun = clock.monotonic()
    for (const [each, { until }] of this.#paced) if (until < begun) this.#paced.delete(each)
    const kept = this.#paced.get(key)
    if (kept) return kept.answer as Promise<T>
    const answer = make()
    const hold = (until: number) => this.#paced.set(key, { until, answer })
    hold(Number.POSITIVE_INFINITY)
    answer
      .catch(() => undefined)
      .finally(() => {
        const now = clock.monotonic()
        hold(now + Math.min((now - begun) * paceShare, keptMsMax))
      })
    return answer
  }
}

/** The memory of the process, and the space of the shard with the least room. */
const sizesOf = ({ shards }: Health): Sizes => {
  const { rss, heapUsed, external } = process.memoryUsage()
  const roomOf = ({ freeBytes = Number.POSITIVE_INFINITY, neededBytes }: SpaceHealth): number =>
    freeBytes - neededBytes
  const [tight] = shards.map(({ space }) => space).sort((a, b) => roomOf(a) - roomOf(b))
  const { freeBytes, neededBytes } = tight ?? {}
  return {
    residentBytes: rss,
    heapBytes: heapUsed,
    externalBytes: external,
    ...(Number.isFinite(freeBytes) && given({ freeBytes, neededBytes })),
    logBytes: shards.reduce((sum, { snapshot }) => sum + snapshot.logBytes, 0),
  }
}

type SpaceHealth = ShardHealth['space']

/** A member has so long to answer for an overview, in ms. */
const askedMs = 1_000

/** The names in the head. */
const membersNamed = (app: App): Pick<Header, 'member' | 'members'> => {
  const { way } = app[innerParts]
  return way ? { member: way.member, members: [way.member, ...way.others].sort() } : {}
}

const memberRow = ({ member, shards, health, ...found }: MemberHealth): MemberRow => {
  const { since, version, build, reason } = found
  const own = health?.shards.filter(({ phase }) => phase !== 'elsewhere')
  return {
    name: member,
    shards: shards.length,
    ...given<MemberRow>({
      phase: own && worstOf(own.map(phaseOf)),
      lagBytes: own?.reduce((sum, { lagBytes }) => sum + lagBytes, 0),
      since,
      version,
      build,
      reason,
    }),
  }
}

/** The member of a cluster in an overview. */
const memberShown = ({ cluster }: Health): Pick<Overview, 'member'> => {
  if (!cluster) return {}
  const { name, member, copies: _copies, engine: _engine, ...shown } = cluster
  return { member: { cluster: name, name: member, ...shown } }
}

const phases = [
  ...(['open', 'closed', 'recovering', 'degraded', 'halted'] as const),
  ...(['refuses writes', 'elsewhere', 'down'] as const),
] as const
type Phase = (typeof phases)[number]

const phaseOf = ({ phase, member, projection: { mode }, space }: ShardHealth): Phase => {
  if (phase === 'elsewhere' && member !== undefined) return 'open'
  if (phase !== 'open') return phase
  if (space.refusing) return 'refuses writes'
  return mode === 'degraded' || mode === 'halted' ? mode : phase
}

const worstOf = (found: readonly Phase[]): Phase =>
  phases[Math.max(0, ...found.map((phase) => phases.indexOf(phase)))] ?? 'open'

const turnsMax = 50
const changesMax = 20
/** A search ends after two seconds without a turn; it goes on as often. */
const roundsMax = 4

/** A page of turns, the newest first. @throws KeelsonError `INVALID_ARGUMENT` */
const historyShown = async (app: App, query: Query): Promise<History> => {
  const before = optionalNumber(query, 'before', { min: 2 })
  const limit = optionalNumber(query, 'limit', { min: 1, max: turnsMax }) ?? turnsMax
  const { turns, cursor, isCut, firstLsn } = await pageOf(app, query, before, limit)
  const last = turns.at(-1)?.lsn ?? 0
  // Turns may share an LSN: the next page begins with all of the last one.
  const whole = turns.filter(({ lsn }) => lsn > last)
  const isWhole = cursor === undefined || whole.length === 0
  return {
    turns: (isWhole ? turns : whole).map(turnShown),
    ...given<History>({
      before: cursor === undefined ? undefined : isWhole ? last : last + 1,
      end: isCut ? cutText(firstLsn) : undefined,
    }),
  }
}

/** An entity after the last turn up to an LSN. @throws KeelsonError `NO_PROCESS` without one */
const pastShown = async (app: App, query: Query): Promise<Past> => {
  const lsn = numberIn(query, 'lsn', { min: 1 })
  const { turns, isCut, firstLsn } = await pageOf(app, query, lsn + 1, 1)
  const [turn] = turns
  if (!turn) {
    const why = isCut ? `: ${cutText(firstLsn)}` : ''
    throw new KeelsonError('NO_PROCESS', `the log has no turn of it up to LSN ${lsn}${why}`)
  }
  return {
    lsn: turn.lsn,
    at: turn.time,
    state: shownTree(turn.state ?? null),
    ...given<Past>({ machineValue: machineValue(turn.state) }),
  }
}

const pageOf = async (app: App, query: Query, before: number | undefined, limit: number) => {
  const { kind, id } = entityIn(app, query)
  const options = { limit, ...(before !== undefined && { atLsn: before - 1 }) }
  const read = (asked: PastOptions): Promise<PastPage> =>
    kind === workerKind ? app.workerHistory(id, asked) : app.entity(kind).history(id, asked)
  let page = await read(options)
  for (let round = 0; round < roundsMax && page.turns.length === 0 && page.cursor; round++)
    page = await read({ ...options, before: page.cursor })
  return page
}

const turnShown = (turn: PastTurn): HistoryTurn => {
  const { lsn, time, seq, changed = [], steps, alarms, writes, entries } = turn
  const { kind, error } = turn.cause
  const notes = [
    ...steps.map((step) => `step ${step.name}${step.tries > 0 ? ` (${step.tries} failed)` : ''}`),
    ...alarms.map(({ name: alarm, at }) =>
      at === undefined ? `alarm ${alarm} gone` : `alarm ${alarm} at ${new Date(at).toISOString()}`,
    ),
    ...otherOperations(turn),
    ...(writes.length > 0 ? [`${writes.length} writes`] : []),
    ...(entries.length > 0 ? [`${entries.length} journal entries`] : []),
  ]
  return {
    lsn,
    at: time,
    seq,
    cause: shortText(causeTitle(turn), 300),
    changed: changed.slice(0, changesMax).map((path) => shortText(path, 200)),
    notes: notes.slice(0, changesMax).map((note) => shortText(note, 200)),
    ...given<HistoryTurn>({
      error: error && shortText(keptText(error), 400),
      isDeleted: kind === 'end' || undefined,
    }),
  }
}

/** The answer about an actor, with its streams if it has some. */
const withStreams = async <T extends object>(
  app: App,
  kind: string,
  id: string,
  shown: T,
): Promise<T & { readonly streams?: readonly StreamShown[] }> => {
  const streams = await streamsShown(app, kind, id)
  return streams.length > 0 ? { ...shown, streams } : shown
}
