/**
 * The measurements of an instance while a page looks at it: they begin with the first question and
 * end ten seconds after the last one. Nobody else pays for them. They are apart from `looks.ts`
 * because they go on between two questions.
 */
import type { Cancel, LoopDelay } from '../../clock.ts'
import type { Latency, Series } from '../../observe/index.ts'
import { heardIn, type SystemEvents, telemetry } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { type InstanceParts, innerParts } from '../../supervisors/index.ts'
import { RecentTimes, rounded } from './recent-times.ts'
import { WhileLooked } from './while-looked.ts'

/** Time between two points of the series, in ms, and how many are kept: ten minutes. */
const pointMs = 2_000
const pointsMax = 300

const titles = ['commit wait', 'sync', 'turn', 'call', 'mailbox wait', 'loop delay'] as const
type Title = (typeof titles)[number]

type Point = { readonly [K in keyof Series]: Series[K][number] }

/** The measurements of one instance. */
export class Sampling {
  readonly #parts: InstanceParts
  #times = newTimes()
  #points: Point[] = []
  #ends: (() => void)[] = []
  #loop: LoopDelay | undefined
  #loopDelayMs: number | undefined
  readonly #looked: WhileLooked
  #since = 0
  #turns = 0
  #writes = 0

  constructor(app: App) {
    this.#parts = app[innerParts]
    this.#looked = new WhileLooked(this.#parts.system.clock, () => {
      this.#begin()
      return () => this.#stop()
    })
  }

  /** The longest delay of the loop in the last two seconds, in ms. */
  get loopDelayMs(): number | undefined {
    return this.#loopDelayMs
  }

  /** Since when it measures, in ms since 1970. */
  get since(): number {
    return this.#since
  }

  /** A page looks. */
  look(): void {
    this.#looked.look()
  }

  /** The times of the last minute. */
  get latencies(): readonly Latency[] {
    const now = this.#parts.system.clock.monotonic()
    return titles.flatMap((title) => {
      const times = this.#times[title].summary(now)
      return times.count === 0 ? [] : [{ title, ...times }]
    })
  }

  /** The points since the beginning of the measurements. */
  get series(): Series {
    const column = <K extends keyof Series>(name: K) => this.#points.map((point) => point[name])
    return {
      times: column('times') as number[],
      turnsPerSecond: column('turnsPerSecond'),
      writesPerSecond: column('writesPerSecond'),
      loopDelayMs: column('loopDelayMs'),
      commitP99Ms: column('commitP99Ms'),
    }
  }

  /** Ends the measurements. */
  end(): void {
    this.#looked.end()
  }

  #stop(): void {
    for (const end of this.#ends.splice(0)) end()
    this.#loop = undefined
    this.#loopDelayMs = undefined
    this.#times = newTimes()
    this.#points = []
  }

  #begin(): void {
    const { system, instance } = this.#parts
    const { clock } = system
    this.#since = clock.now()
    const { 'call.done': calls, 'turn.done': turns } = heardIn(system)
    const bus = telemetry(system)
    const committed: SystemEvents['wal.commit'] = (commit) => {
      if (commit.instance !== instance) return
      this.#writes += commit.frames
      this.#add('commit wait', commit.waitMs)
      this.#add('sync', commit.syncMs)
    }
    bus.on('wal.commit', committed)
    this.#loop = clock.loopDelay?.()
    this.#ends = [
      () => void bus.off('wal.commit', committed),
      () => this.#loop?.stop(),
      calls.sample((call, weight) => {
        if (call.instance === undefined || call.instance === instance)
          this.#add('call', call.tookMs, weight)
      }),
      turns.sample((turn, weight) => {
        if (turn.instance !== instance) return
        this.#turns += weight
        this.#add('turn', turn.tookMs, weight)
        if (turn.waitMs !== undefined) this.#add('mailbox wait', turn.waitMs)
      }),
      this.#ticking(),
    ]
  }

  #add(title: Title, tookMs: number, weight = 1): void {
    this.#times[title].add(this.#parts.system.clock.monotonic(), tookMs, weight)
  }

  #ticking(): Cancel {
    const { clock } = this.#parts.system
    let at = clock.monotonic()
    let cancel: Cancel = () => undefined
    const wait = (): void => {
      cancel = clock.after(pointMs, tick, { holdsProcess: false })
    }
    const tick = (): void => {
      const now = clock.monotonic()
      this.#point(now, (now - at) / 1_000)
      at = now
      wait()
    }
    wait()
    return () => cancel()
  }

  #point(now: number, seconds: number): void {
    const { clock } = this.#parts.system
    const delayMs = this.#loop?.read()
    this.#loopDelayMs = delayMs === undefined ? undefined : rounded(delayMs)
    if (delayMs !== undefined) this.#add('loop delay', delayMs)
    const commits = this.#times['commit wait'].summary(now, 0)
    const point = {
      times: clock.now(),
      turnsPerSecond: rounded(this.#turns / seconds),
      writesPerSecond: rounded(this.#writes / seconds),
      loopDelayMs: this.#loopDelayMs ?? null,
      commitP99Ms: commits.count === 0 ? null : commits.p99Ms,
    }
    this.#turns = this.#writes = 0
    // While the machine sleeps, or its clock is set, the times jump.
    const from = point.times - pointMs * pointsMax
    const kept = this.#points.filter(({ times }) => times > from && times < point.times)
    this.#points = [...kept.slice(1 - pointsMax), point]
  }
}

const newTimes = (): Record<Title, RecentTimes> => ({
  'commit wait': new RecentTimes(),
  sync: new RecentTimes(),
  turn: new RecentTimes(),
  call: new RecentTimes(),
  'mailbox wait': new RecentTimes(),
  'loop delay': new RecentTimes(),
})
