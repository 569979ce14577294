/**
 * The metrics of an instance as a metric producer of the SDK of OpenTelemetry, with the buckets of its
 * histograms. It is apart from `metering.ts` because no instrument of the API takes buckets that are
 * counted already: a reader of the SDK does.
 */
import { noMore } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import {
  attributesOf,
  type MeteredInstance,
  type MeteredMetric,
  type MeteredSeries,
  named,
} from './metering.ts'

/** A metric producer, as readers of `@opentelemetry/sdk-metrics` take it. */
export interface InstanceMetricProducer {
  /** The present metrics, from the start of the instance until now. Empty once it closes. */
  collect(): Promise<CollectedMetrics>
}

/** The metrics of an instance, in the form of the SDK. Readers have a resource of their own. */
export interface CollectedMetrics {
  readonly resourceMetrics: {
    readonly resource: EmptyResource
    readonly scopeMetrics: {
      readonly scope: { readonly name: string }
      readonly metrics: CollectedMetric[]
    }[]
  }
  readonly errors: unknown[]
}

/** A resource without attributes. */
export interface EmptyResource {
  readonly attributes: Record<string, never>
  merge<R>(other: R | null): R
  getRawAttributes(): []
}

/** One metric: a histogram (0), a gauge (2) or a sum (3), always cumulative (1). */
export type CollectedMetric = {
  readonly descriptor: {
    readonly name: string
    readonly description: string
    readonly unit: string
    readonly valueType: 1
  }
  readonly aggregationTemporality: 1
} & (
  | { readonly dataPointType: 0; readonly dataPoints: CollectedPoint<CollectedBuckets>[] }
  | { readonly dataPointType: 2; readonly dataPoints: CollectedPoint<number>[] }
  | {
      readonly dataPointType: 3
      readonly isMonotonic: true
      readonly dataPoints: CollectedPoint<number>[]
    }
)

/** A series at one time. Times are seconds and nanoseconds since 1970. */
export interface CollectedPoint<T> {
  readonly startTime: [number, number]
  readonly endTime: [number, number]
  readonly attributes: Record<string, string | number>
  readonly value: T
}

/** A histogram: `counts` has one more than `boundaries`. */
export interface CollectedBuckets {
  readonly buckets: { readonly boundaries: number[]; readonly counts: number[] }
  readonly sum: number
  readonly count: number
}

/**
 * The metrics of `measurements(app)` for a reader of the SDK: its option `metricProducers` takes this. They
 * have the names of `metering`, and histograms have the buckets of the page for Prometheus. Use one of both.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const metricProducer = (of: MeteredInstance, ...surplus: []): InstanceMetricProducer => {
  noMore(surplus, 'metricProducer(measurements(app))')
  if (typeof (of as MeteredInstance | null)?.take !== 'function')
    throw invalidArgument('of', 'measurements(app) of keelson/operations', of)
  return {
    collect: async () => {
      const errors: unknown[] = []
      const metrics = of.ending.aborted
        ? []
        : await collected(of).catch((error: unknown) => {
            errors.push(error)
            return []
          })
      const scopeMetrics = [{ scope: { name: 'keelson' }, metrics }]
      return { resourceMetrics: { resource: nothing, scopeMetrics }, errors }
    },
  }
}

const nothing: EmptyResource = {
  attributes: {},
  merge: (other) => other as never,
  getRawAttributes: () => [],
}

const collected = async (of: MeteredInstance): Promise<CollectedMetric[]> => {
  const taken = await of.take()
  const times = { startTime: timeOf(of.since), endTime: timeOf(of.now()) }
  return of.metrics.flatMap((metric) => {
    const found = ownOf(taken, metric.name) ?? []
    return found.length === 0 ? [] : [metricOf(metric, found, times)]
  })
}

const timeOf = (ms: number): [number, number] => {
  const seconds = Math.trunc(ms / 1_000)
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)]
}

type Times = Pick<CollectedPoint<unknown>, 'startTime' | 'endTime'>

const metricOf = (
  metric: MeteredMetric,
  found: readonly MeteredSeries[],
  times: Times,
): CollectedMetric => {
  const { name, unit } = named(metric.name)
  const about = {
    descriptor: { name, unit, description: metric.help, valueType: 1 },
    aggregationTemporality: 1,
  } as const
  const pointsOf = <T>(read: (series: MeteredSeries) => T): CollectedPoint<T>[] =>
    found.map((series) => ({
      ...times,
      attributes: attributesOf(metric, series),
      value: read(series),
    }))
  if (metric.type === 'histogram') {
    const bucketsOf = ({ value, buckets }: MeteredSeries): CollectedBuckets => ({
      buckets: { boundaries: [...metric.bounds], counts: [...buckets] },
      sum: value,
      count: buckets.reduce((sum, each) => sum + each, 0),
    })
    return { ...about, dataPointType: 0, dataPoints: pointsOf(bucketsOf) }
  }
  const dataPoints = pointsOf(({ value }) => value)
  return metric.type === 'counter'
    ? { ...about, dataPointType: 3, isMonotonic: true, dataPoints }
    : { ...about, dataPointType: 2, dataPoints }
}
