/**
 * The answers of an instance to the page of `keelson observe`: a table of views, and the head that
 * each answer has. Nothing is measured until the first question.
 */
import { invalidArgument } from '../../errors.ts'
import type { Growth, Header, LogTail, Overview, Views } from '../../observe/index.ts'
import type { App } from '../../supervisors/index.ts'
import { recordsOf } from '../recorder/recorder.ts'
import { type Recorded, type Records, recordedSorts } from '../recorder/records.ts'
import { entityShown, kindShown, kindsShown } from './entity-looks.ts'
import { deadShown, flowsShown, runShown, runsShown } from './flow-looks.ts'
import { historyShown, pastShown } from './history-looks.ts'
import { ProcessLooks, shownEvent } from './process-looks.ts'
import type { Query } from './questions.ts'
import { rounded } from './recent-times.ts'
import { Sampling } from './sampling.ts'
import { keyShown, replicationShown, storageShown, storeShown } from './storage-looks.ts'
import { troublesOf } from './troubles.ts'

type Answers = {
  readonly [V in keyof Views]: (query: Query) => Views[V]['data'] | Promise<Views[V]['data']>
}

/** Of the recorder in an overview, and in the tail of the log. */
const recentMax = 20
const tailMax = 100
const recentMs = 600_000

/**
 * A look at very many things costs at most a fortieth of the time: those who ask sooner get the last
 * one. 100,000 processes take about 200 ms.
 */
const paceShare = 40

/** The looks at one instance. */
export class Looks {
  readonly #app: App
  readonly #records: Records
  readonly #sampling: Sampling
  readonly #answers: Answers
  readonly #paced = new Map<string, { readonly until: number; readonly answer: Promise<unknown> }>()
  readonly #isWriting: boolean
  readonly #growth = new Map<string, { readonly at: number; readonly value: number }[]>()

  constructor(app: App, isWriting: boolean) {
    this.#app = app
    this.#isWriting = isWriting
    this.#records = recordsOf(app.system)
    this.#sampling = new Sampling(app)
    const processes = new ProcessLooks(app, this.#records)
    this.#answers = {
      header: () => null,
      overview: () => this.#overview(),
      tree: () => this.#pace('tree', () => processes.tree()),
      processes: (query) =>
        this.#pace(`processes ${JSON.stringify(query)}`, () => processes.processes(query)),
      process: (query) => processes.process(query),
      entities: () => this.#pace('entities', () => kindsShown(app)),
      kind: (query) => kindShown(app, query),
      entity: (query) => entityShown(app, query),
      history: (query) => historyShown(app, query),
      past: (query) => pastShown(app, query),
      flows: () => this.#pace('flows', () => flowsShown(app)),
      dead: (query) => deadShown(app, query),
      runs: (query) => runsShown(app, query),
      run: (query) => runShown(app, query),
      store: (query) => storeShown(app, query),
      key: (query) => keyShown(app, query),
      storage: () => this.#pace('storage', () => storageShown(app)),
      replication: () => replicationShown(app),
      log: () => this.#tail(),
    }
  }

  /** Whether it measures now. */
  get isMeasuring(): boolean {
    return this.#sampling.isOn
  }

  /** The answer to a question. @throws KeelsonError */
  async answer(view: string, query: Query): Promise<{ header: Header; data: unknown }> {
    if (!Object.hasOwn(this.#answers, view))
      throw invalidArgument('view', Object.keys(this.#answers).join(', '), view)
    this.#sampling.look()
    const data = await this.#answers[view as keyof Views](query)
    return { header: this.header(), data }
  }

  /** The head of every answer. */
  header(): Header {
    const { instance, system, shards } = this.#app
    const now = system.clock.now()
    const { durable, shards: healths } = this.#app.health()
    const crashes = this.#records.last('crash').filter(({ at }) => now - at < recentMs)
    return {
      instance,
      pid: process.pid,
      startedAt: Math.round(now - process.uptime() * 1_000),
      at: now,
      phase: worstOf(healths.map(({ phase, projection }) => phaseOf(phase, projection.mode))),
      isDurable: durable,
      loopDelayMs: this.#sampling.loopDelayMs ?? null,
      lagMs: Math.round(Math.max(0, ...shards.map(({ projection }) => projection.behindMs))),
      crashes: crashes.length,
      isWriting: this.#isWriting,
    }
  }

  /** Ends every measurement. */
  end(): void {
    this.#sampling.end()
    this.#paced.clear()
  }

  #overview(): Overview {
    const health = this.#app.health()
    const now = this.#app.system.clock.now()
    const recent = recordedSorts
      .flatMap((sort) => this.#records.last(sort).slice(-recentMax))
      .sort((left, right) => left.at - right.at)
    return {
      troubles: troublesOf(health, this.#records.last('gave_up').map(shownEvent), now),
      latencies: this.#sampling.latencies,
      slow: this.#records.last('slow_handler').slice(-recentMax).map(shownLine),
      growing: this.#growing(health),
      series: this.#sampling.series,
      recent: recent.slice(-recentMax).map(shownLine),
    }
  }

  #growing({ shards, actors }: ReturnType<App['health']>): readonly Growth[] {
    const sum = (of: (shard: (typeof shards)[number]) => number): number =>
      shards.reduce((total, shard) => total + of(shard), 0)
    const link = { view: 'storage', parts: [] } as const
    const entities = this.#app.entities.kinds.reduce(
      (total, kind) => total + (this.#app.entities.kind(kind)?.live ?? 0),
      0,
    )
    const heap = process.memoryUsage()
    return [
      this.#grown(
        'writes waiting',
        'count',
        sum(({ writes }) => writes.waiting),
        { link },
      ),
      this.#grown(
        'projection lag',
        'bytes',
        sum(({ lagBytes }) => lagBytes),
        { link },
      ),
      this.#grown(
        'log since the snapshot',
        'bytes',
        sum(({ snapshot }) => snapshot.logBytes),
        {
          link,
        },
      ),
      this.#grown('overdue alarms', 'count', actors.overdue.count, {
        link: { view: 'entities', parts: [] },
      }),
      this.#grown('live entities', 'count', entities, { link: { view: 'entities', parts: [] } }),
      this.#grown('memory', 'bytes', heap.heapUsed, {}),
    ]
  }

  /** A value with its slope over the last minute of looks. */
  #grown(
    title: string,
    unit: Growth['unit'],
    value: number,
    more: Pick<Growth, 'max' | 'link'>,
  ): Growth {
    const at = this.#app.system.clock.monotonic()
    const kept = (this.#growth.get(title) ?? []).filter((point) => at - point.at < slopeMs)
    const [first = { at, value }] = kept
    this.#growth.set(title, [...kept, { at, value }])
    const seconds = (at - first.at) / 1_000
    return {
      ...{ title, unit, value, ...more },
      perSecond: seconds < 1 ? 0 : rounded((value - first.value) / seconds),
    }
  }

  #tail(): LogTail {
    const all = recordedSorts
      .flatMap((sort) => this.#records.last(sort).slice(-tailMax))
      .sort((left, right) => left.at - right.at)
    const lines = all.slice(-tailMax).map(shownLine)
    const total = recordedSorts.reduce((sum, sort) => sum + this.#records.total(sort), 0)
    return { lines, left: total - lines.length }
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
        hold(now + (now - begun) * paceShare)
      })
    return answer
  }
}

const slopeMs = 60_000

/** An event in a list: its stack is with its process. */
const shownLine = (event: Recorded) => {
  const shown = shownEvent(event)
  return { ...shown, text: shown.text.slice(0, lineMax) }
}

const lineMax = 300

const phases = ['open', 'closed', 'recovering', 'degraded', 'halted', 'down'] as const
type Phase = (typeof phases)[number]

const phaseOf = (phase: Phase, mode: string): Phase =>
  phase === 'open' && (mode === 'degraded' || mode === 'halted') ? mode : phase

const worstOf = (found: readonly Phase[]): Phase =>
  phases[Math.max(0, ...found.map((phase) => phases.indexOf(phase)))] ?? 'open'
