/**
 * The scrapes of an instance: all metrics as text, computed when they are asked for. The work is in
 * slices, with turns of the event loop between them. It is apart from `operations.ts`, which
 * answers requests, because counters last from scrape to scrape.
 */

import { countsOf as actorCounts, parkedField } from '../../actors/index.ts'
import type { Clock, LoopDelay } from '../../clock.ts'
import { errorOf, isKeelsonError } from '../../errors.ts'
import type { CountsOf, QueueLook } from '../../flow/index.ts'
import { noOptions, ownOf } from '../../own-names.ts'
import {
  heardIn,
  type ProcessSummary,
  type System,
  type SystemEvents,
  TimeSlice,
  telemetry,
} from '../../runtime/index.ts'
import { workerKind } from '../../storage/index.ts'
import { type AppContext, type InstanceParts, innerParts } from '../../supervisors/index.ts'
import { factsOf } from '../answers/facts.ts'
import { countsOf } from '../answers/flow-parts.ts'
import { processPages } from '../answers/process-pages.ts'
import { isPending, MessageAges } from '../answers/process-times.ts'
import { troublesOf } from '../answers/troubles.ts'
import { actorNamed, flowKind } from '../recorder/flow-names.ts'
import { codeOf, kindOf, recordsOf } from '../recorder/recorder.ts'
import type { Records } from '../recorder/records.ts'
import { endOf, type Format, familyText, type ShownFamily } from './exposition.ts'
import {
  takeFailures,
  takeInstance,
  takeProcess,
  takeProjectionLags,
  takeShard,
  takeTroubles,
} from './instance-metrics.ts'
import { type Metric, metrics } from './metric-table.ts'
import { type LabelValues, Measurements, type Series } from './series.ts'

/**
 * The looks at the processes of one System, in pages with turns of the event loop between them. The
 * ages of messages last from scrape to scrape.
 */
class ProcessSurvey {
  readonly #system: System
  readonly #ages = new MessageAges()

  constructor(system: System) {
    this.#system = system
  }

  /** Looks at every process. */
  async take(into: Measurements): Promise<void> {
    for await (const page of processPages(this.#system))
      for (const process of page) this.#take(process, into)
    this.#ages.over()
  }

  #take(process: ProcessSummary, into: Measurements): void {
    const { mailbox } = process
    const { clock } = this.#system
    const kind = kindOf(process)
    into.of(metrics.processes).add(1, kind)
    into.of(metrics.mailbox).add(mailbox, kind)
    into.of(metrics.mailboxMax).add(mailbox, kind)
    const ageMs = this.#ages.of(process, clock.monotonic())
    if (ageMs !== undefined) into.of(metrics.mailboxOldest).add(ageMs / 1_000, kind)
    into.of(metrics.handlerPending).add(isPending(process, clock.now()) ? 1 : 0, kind)
  }
}

/** A slice of a scrape: with one more metric it is not twice as long. */
const lookMs = 2

/** The scrapes of one instance. It listens until the instance closes. */
export class Scrapes {
  readonly #app: AppContext
  readonly #parts: InstanceParts
  readonly #survey: ProcessSurvey
  readonly #records: Records
  /** Counters and histograms, which last from scrape to scrape. */
  readonly #heard = new Measurements()
  #loop: LoopDelay | undefined
  #work: HeardWork | undefined
  /** The values of the scrape that is taken now. */
  #taking: Promise<Measurements> | undefined

  /** Those of the instance: a worker that begins again measures nothing twice. */
  static of(app: AppContext): Scrapes {
    const { kept } = app[innerParts]
    const scrapes = (kept.get(Scrapes) as Scrapes | undefined) ?? new Scrapes(app)
    kept.set(Scrapes, scrapes)
    return scrapes
  }

  private constructor(app: AppContext) {
    this.#app = app
    this.#parts = app[innerParts]
    const { system, ending } = this.#parts
    this.#survey = new ProcessSurvey(system)
    this.#records = recordsOf(system)
    ending.addEventListener('abort', () => this.#stop())
    if (this.#parts.way) answerScrapes(this.#parts.way, () => this.taken())
  }

  /** Measures from now on what costs something while nobody looks. */
  hearWork(): void {
    const { system, instance, ending } = this.#parts
    if (this.#work || ending.aborted) return
    this.#work = hearWork(system, instance, this.#heard)
    this.#loop = system.clock.loopDelay?.()
  }

  /** All metrics, of all members that share the folder. */
  async text(format: Format): Promise<string> {
    const { way, system } = this.#parts
    const taken = way ? await allTaken(way, await this.taken()) : [await this.taken()]
    const slice = new TimeSlice(system.clock, lookMs)
    const texts: string[] = []
    for (const metric of Object.values(metrics)) {
      const family = way ? joined(metric, taken) : ownFamily(metric, taken[0]?.series)
      if (family) texts.push(familyText(family, format))
      await slice.spent()
    }
    return texts.join('') + endOf(format)
  }

  /** The metrics of this member alone. Requests at one time get the values of one scrape. */
  async taken(): Promise<Taken> {
    this.hearWork()
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined
    })
    const taken = await this.#taking
    const series = Object.values(metrics).flatMap((metric): [string, readonly Series[]][] => {
      const family = taken.get(metric) ?? this.#heard.get(metric)
      return family ? [[metric.name, [...family.series]]] : []
    })
    return { member: this.#parts.way?.member ?? '', series: Object.fromEntries(series) }
  }

  async #take(): Promise<Measurements> {
    const into = new Measurements()
    const { system, shards } = this.#parts
    const slice = new TimeSlice(system.clock, lookMs)
    this.#work?.restart()
    takeProcess(this.#loop?.read(), into)
    const facts = factsOf(this.#app, system)
    takeInstance(this.#parts, into)
    await slice.spent()
    takeTroubles(troublesOf(facts), into)
    await slice.spent()
    takeFailures(this.#records, into)
    const questions: (() => Promise<void>)[] = []
    for (const shard of shards) {
      await slice.spent()
      takeShard(shard, into)
      questions.push(...takeProjectionLags(shard, into))
    }
    await slice.spent()
    // A disk that hangs holds up logs and queues. They are waited for once.
    const lags = Promise.all(questions.map((ask) => ask()))
    await Promise.all([soon(system.clock, lags), takeRows(this.#app, into)])
    await this.#survey.take(into)
    return into
  }

  #stop(): void {
    this.#work?.stop()
    this.#loop?.stop()
  }
}

/** A log, a queue or a workflow that answers later is left out. */
const timeoutMs = 1_000

/**
 * The metrics that are counted from rows: parked steps, runs of workflows, jobs of queues. Mostly
 * there are counters of the rows. A part that cannot be read now is left out of the scrape. Of every kind of durable actors that runs. Where a workflow runs, the
 * flows are loaded.
 */
const takeRows = async (app: AppContext, into: Measurements): Promise<void> => {
  const { entities, system } = app[innerParts]
  const { shardsHere } = entities
  const open = { system, shards: shardsHere.filter(({ phase }) => phase.kind === 'open') }
  // Of members one counts what any of them sees whole.
  const isTheOne = shardsHere[0]?.index === 0
  const parts: { readonly sort: 'queue' | 'workflow'; readonly name: string }[] = []
  for (const kind of [...entities.kinds, workerKind]) {
    const { sort, name } = actorNamed(`${kind}/`)
    if ((sort === 'queue' || sort === 'workflow') && isTheOne) parts.push({ sort, name })
    try {
      for (const count of (await actorCounts(open, kind, parkedField)).values())
        into.of(metrics.actorsParked).add(count, kind)
    } catch (error) {
      if (!isKeelsonError(error)) throw error
    }
  }
  // Those of a shard whose writes are held, or that has no owner, answer late: together they are waited for once.
  const looks = parts.map(({ sort, name }) => {
    const take =
      sort === 'queue'
        ? countsOf(app, sort, name).then(
            (look) => () => takeJobs(look, name, system.clock.now(), into),
          )
        : countsOf(app, sort, name).then((look) => () => takeRuns(look, name, into))
    return soon(system.clock, take).catch(unlessUnknown)
  })
  for (const take of await Promise.all(looks)) take?.()
}

const unlessUnknown = (error: unknown): undefined => {
  if (!isKeelsonError(error)) throw error
}

/** Resolves as `answer` does, or after `timeoutMs` with `undefined`. */
const soon = <T>(clock: Clock, answer: Promise<T>): Promise<T | undefined> =>
  new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => resolve(undefined))
    answer.finally(cancel).then(resolve, reject)
  })

const takeRuns = (counts: CountsOf, workflow: string, into: Measurements): void => {
  for (const [status, count] of Object.entries(counts))
    into.of(metrics.flowRuns).add(count, workflow, status)
  into.of(metrics.entitiesBlocked).add(counts.blocked, flowKind('workflow', workflow))
}

const takeJobs = (look: QueueLook, queue: string, now: number, into: Measurements): void => {
  const { ready, delayed, running, dead, oldest } = look
  for (const [status, count] of Object.entries({ ready, delayed, running, dead }))
    into.of(metrics.queueJobs).add(count, queue, status)
  const waitMs = oldest === undefined ? 0 : Math.max(0, now - oldest)
  into.of(metrics.queueOldest).add(waitMs / 1_000, queue)
}

type Handlers = { readonly [E in keyof SystemEvents]?: SystemEvents[E] }

/** Ends the listening. */
type StopHearing = () => void

/** The listening to work. `restart`: the next call and turn are samples. */
export type HeardWork = { readonly restart: () => void; readonly stop: StopHearing }

/**
 * Measures the writes, calls and turns of an instance. Of very many calls and turns it gets samples,
 * each of which counts for those since the last one.
 */
export const hearWork = (system: System, instance: string, into: Measurements): HeardWork => {
  const { 'call.done': calls, 'turn.done': turns } = heardIn(system)
  const { failures } = recordsOf(system)
  const stops = [
    hear(system, instance, {
      'wal.commit': ({ shard, frames, bytes, waitMs, syncMs }) => {
        into.of(metrics.commitWait).observe(waitMs / 1_000, 1, shard)
        into.of(metrics.sync).observe(syncMs / 1_000, 1, shard)
        into.of(metrics.groupFrames).observe(frames, 1, shard)
        into.of(metrics.walBytes).add(bytes, shard)
      },
      'streams.written': ({ shard, messages, bytes, refused, tookMs }) => {
        into.of(metrics.streamMessages).add(messages, shard)
        into.of(metrics.streamBytes).add(bytes, shard)
        into.of(metrics.streamAppend).observe(tookMs / 1_000, 1, shard)
        for (const [why, count] of Object.entries(refused))
          into.of(metrics.streamRefused).add(count, why)
      },
      'streams.said': ({ shard, messages, bytes }) => {
        into.of(metrics.streamMessages).add(messages, shard)
        into.of(metrics.streamBytes).add(bytes, shard)
      },
      'streams.tailed': ({ shard, tookMs }) =>
        into.of(metrics.streamTail).observe(tookMs / 1_000, 1, shard),
      'flow.ended': ({ type, end, at, startedAt }) => {
        into.of(metrics.flowRunDuration).observe((at - startedAt) / 1_000, 1, type, end.status)
        if (end.status === 'failed')
          failures.add('run', flowKind('workflow', type), codeOf(errorOf(end.error)))
      },
      'queue.batch': ({ queue, jobs }) => into.of(metrics.queueBatch).observe(jobs, 1, queue),
      'lmdb.flushed': ({ shard, durationMs }) =>
        into.of(metrics.flush).observe(durationMs / 1_000, 1, shard),
    }),
    calls.sample((call, weight) => {
      if (call.instance !== undefined && call.instance !== instance) return
      const { message, result, tookMs } = call
      into.of(metrics.callDuration).observe(tookMs / 1_000, weight, kindOf(call), message, result)
    }),
    turns.sample(({ instance: own, kind, result, tookMs }, weight) => {
      if (own !== instance) return
      into.of(metrics.turnDuration).observe(tookMs / 1_000, weight, kind, result)
    }),
  ]
  return {
    restart: () => {
      calls.restart()
      turns.restart()
    },
    stop: () => {
      for (const stop of stops) stop()
    },
  }
}

/** Several instances may share a System. A process outside of any counts for each of them. */
const hear = (system: System, instance: string, handlers: Handlers): StopHearing => {
  const bus = telemetry(system)
  const listeners = Object.entries(handlers).map(([event, handle]) => {
    const listener = (facts: { readonly instance?: string | undefined }): void => {
      if (facts.instance === undefined || facts.instance === instance) handle(facts as never)
    }
    bus.on(event as never, listener as never)
    return [event, listener] as const
  })
  return () => {
    for (const [event, listener] of listeners) bus.off(event as never, listener as never)
  }
}

type Way = NonNullable<InstanceParts['way']>

/** The metrics of one member: the series of each metric by its name. */
export type Taken = {
  readonly member: string
  readonly series: Readonly<Record<string, readonly Series[]>>
}

const question = 'metrics'

/** A member that has not answered after so long is missing in the scrape, in ms. */
const memberMs = 2_000

/** Answers the scrapes of other members. */
const answerScrapes = (way: Way, taken: () => Promise<Taken>): void => way.answer(question, taken)

/** The metrics of all members that answer, and of the others that they did not. */
const allTaken = async (way: Way, own: Taken): Promise<readonly Taken[]> => {
  const others = await Promise.all(
    way.others.map(async (member): Promise<Taken> => {
      try {
        const found = (await way.askMember(member, question, null, memberMs)) as Taken
        return withUp(member, 1, found.series)
      } catch {
        return withUp(member, 0)
      }
    }),
  )
  const all = [withUp(own.member, 1, own.series), ...others]
  return all.sort((one, other) => (one.member < other.member ? -1 : 1))
}

const withUp = (member: string, value: number, series: Taken['series'] = noOptions): Taken => ({
  member,
  series: { ...series, [metrics.memberUp.name]: [{ labels: [], value, buckets: [] }] },
})

/** The series of a metric of all members, with the label `member`. */
export const joined = (metric: Metric, all: readonly Taken[]): ShownFamily | undefined => {
  const series = all.flatMap(({ member, series }) =>
    (ownOf(series, metric.name) ?? []).map((each): Series => {
      const labels: LabelValues = [member, ...each.labels]
      return { ...each, labels }
    }),
  )
  if (series.length === 0) return undefined
  return { metric: { ...metric, labels: ['member', ...metric.labels] }, series }
}

/** The series of a metric of an instance without members. */
const ownFamily = (
  metric: Metric,
  series: Taken['series'] = noOptions,
): ShownFamily | undefined => {
  const found = ownOf(series, metric.name)
  return found && { metric, series: found }
}
