/** The parts of an instance that may grow without end: their slopes, their bounds, and the time left. */
import type { Growth } from '../../observe/index.ts'
import type { App, Health } from '../../supervisors/index.ts'
import { rounded } from '../views/recent-times.ts'
import type { LongQueue } from './queue-survey.ts'

/** A slope is that of the last minute of looks. */
const slopeMs = 60_000

/** Looks that are closer give no slope. */
const slopeMsMin = 1_000

type Grown = Pick<Growth, 'title' | 'unit' | 'value' | 'link' | 'max' | 'atMax' | 'isRoutine'>
type Point = { readonly at: number; readonly value: number }

/** The growth of one instance, from look to look. */
export class Growths {
  readonly #kept = new Map<string, readonly Point[]>()

  /** The present values. `longest`: the longest mailbox. */
  of(app: App, health: Health, longest: LongQueue | undefined): readonly Growth[] {
    const at = app.system.clock.monotonic()
    for (const [title, points] of this.#kept)
      if (at - (points.at(-1)?.at ?? 0) > slopeMs) this.#kept.delete(title)
    return [...queueOf(longest), ...storageOf(health), ...actorsOf(app, health), ...memory()].map(
      (grown) => this.#withSlope(grown, at),
    )
  }

  #withSlope(grown: Grown, at: number): Growth {
    const { title, value, max } = grown
    const kept = (this.#kept.get(title) ?? []).filter((point) => at - point.at < slopeMs)
    const [first = { at, value }] = kept
    this.#kept.set(title, [...kept, { at, value }])
    const elapsedMs = at - first.at
    const perMs = elapsedMs < slopeMsMin ? 0 : (value - first.value) / elapsedMs
    const leftMs = max === undefined || perMs === 0 ? Number.NaN : (max - value) / perMs
    return {
      ...grown,
      perSecond: rounded(perMs * 1_000),
      // A value that moves away from its bound never reaches it.
      ...(leftMs >= 0 && Number.isFinite(leftMs) && { fullInMs: Math.round(leftMs) }),
    }
  }
}

const queueOf = (longest: LongQueue | undefined): readonly Grown[] =>
  longest === undefined
    ? []
    : [
        {
          ...{ title: `queue of ${longest.name}`, unit: 'count', value: longest.mailbox },
          ...(Number.isFinite(longest.mailboxMax) && {
            ...{ max: longest.mailboxMax, atMax: 'its calls are refused' },
          }),
          link: { view: 'process', parts: [String(longest.pid)] },
        },
      ]

const storageOf = ({ shards }: Health): readonly Grown[] => {
  const sum = (of: (shard: (typeof shards)[number]) => number): number =>
    shards.reduce((total, shard) => total + of(shard), 0)
  const link = { view: 'storage', parts: [] } as const
  // Shards may be on several disks: the one with the least room counts.
  const [tight] = [...shards].sort((a, b) => roomOf(a) - roomOf(b))
  const { freeBytes = Number.NaN, neededBytes = 0 } = tight?.space ?? {}
  return [
    {
      ...{ title: 'writes waiting', unit: 'count' },
      value: sum(({ writes }) => writes.waiting),
      link,
    },
    { ...{ title: 'projection lag', unit: 'bytes' }, value: sum(({ lagBytes }) => lagBytes), link },
    {
      ...{ title: 'log since the snapshot', unit: 'bytes', link },
      value: sum(({ snapshot }) => snapshot.logBytes),
      max: sum(({ snapshot }) => snapshot.dueBytes),
      ...{ atMax: 'the next snapshot', isRoutine: true },
    },
    ...(Number.isFinite(freeBytes)
      ? [
          {
            ...{ title: 'free on the disk', unit: 'bytes' as const, value: freeBytes, link },
            ...{ max: neededBytes, atMax: 'writes are refused' },
          },
        ]
      : []),
  ] as Grown[]
}

const roomOf = ({ space }: Health['shards'][number]): number =>
  (space.freeBytes ?? Number.POSITIVE_INFINITY) - space.neededBytes

const actorsOf = ({ entities }: App, { actors }: Health): readonly Grown[] => {
  const link = { view: 'entities', parts: [] } as const
  const live = entities.kinds.reduce((total, kind) => total + (entities.kind(kind)?.live ?? 0), 0)
  return [
    { title: 'overdue alarms and steps', unit: 'count', value: actors.overdue.count, link },
    { title: 'live entities', unit: 'count', value: live, link },
  ]
}

/** The operating system counts everything: the heap, external memory, threads and mapped files. */
const memory = (): readonly Grown[] => {
  const { rss, heapUsed, external } = process.memoryUsage()
  return [
    { title: 'memory', unit: 'bytes', value: rss },
    { title: 'memory: heap of V8', unit: 'bytes', value: heapUsed },
    { title: 'memory: buffers, external', unit: 'bytes', value: external },
  ]
}
