/**
 * The metrics of an instance as observable instruments of OpenTelemetry: those of the page of
 * `keelson/operations`, which is where they come from. It is apart from `otel.ts`, because spans need
 * no metrics.
 */
import {
  type BatchObservableCallback,
  type MeterProvider,
  metrics,
  type Observable,
} from '@opentelemetry/api'
import { argument, noMore, readOptions } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions, ownOf } from '../../own-names.ts'

/** A metric, as `measurements` of `keelson/operations` has it. */
export interface MeteredMetric {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'info' | 'stateset'
  readonly labels: readonly string[]
  readonly help: string
  /** The upper bounds of the buckets of a histogram. */
  readonly bounds: readonly number[]
}

/** A series of a metric. Of a histogram `value` is the sum, and `buckets` has the counts. */
export interface MeteredSeries {
  readonly labels: readonly (string | number)[]
  readonly value: number
  readonly buckets: readonly number[]
}

/** The metrics of an instance: `measurements(app)` of `keelson/operations`. */
export interface MeteredInstance {
  readonly metrics: readonly MeteredMetric[]
  /** The present series by the names of the metrics. */
  take(): Promise<Readonly<Record<string, readonly MeteredSeries[]>>>
  /** When the instance started, and the present time, in ms since 1970. */
  readonly since: number
  now(): number
  /** Aborts when the instance closes. */
  readonly ending: AbortSignal
}

/** The options of `metering`. */
export interface MeteringOptions {
  /** The maker of instruments; by default the global one, which an SDK registers. */
  readonly meterProvider?: MeterProvider
}

/** An instance that is metered. */
export interface Metering {
  /** Ends it. A second call does nothing. */
  stop(): void
}

/**
 * Registers an observable instrument for each metric of the instance, until `stop` or its close. A
 * histogram is two counters, `.count` and `.sum`: no instrument of the API takes buckets that are
 * counted already; `metricProducer` has them. Throws `INVALID_ARGUMENT` for wrong arguments.
 */
export const metering = (
  of: MeteredInstance,
  options: MeteringOptions = noOptions,
  ...surplus: []
): Metering => {
  noMore(surplus, 'metering(measurements(app), { meterProvider })')
  const { meterProvider = metrics } = readOptions(
    options,
    ['meterProvider'],
    argument('', 'metering'),
  )
  const isProvider = meterProvider !== metrics
  const found: unknown = isProvider ? (meterProvider as MeterProvider | null)?.getMeter : undefined
  if (isProvider && typeof found !== 'function')
    throw invalidArgument('meterProvider', 'a meter provider of OpenTelemetry', meterProvider)
  if (typeof (of as MeteredInstance | null)?.take !== 'function')
    throw invalidArgument('of', 'measurements(app) of keelson/operations', of)
  const meter = meterProvider.getMeter('keelson')
  const made = of.metrics.flatMap((metric) =>
    instrumentsOf(metric).map(({ kind, name, unit, read }) => {
      const about = { description: metric.help, unit }
      const instrument: Observable =
        kind === 'counter'
          ? meter.createObservableCounter(name, about)
          : meter.createObservableGauge(name, about)
      return { metric, instrument, read }
    }),
  )
  const observe: BatchObservableCallback = async (result) => {
    if (of.ending.aborted) return
    const taken = await of.take()
    for (const { metric, instrument, read } of made)
      for (const series of ownOf(taken, metric.name) ?? [])
        result.observe(instrument, read(series), attributesOf(metric, series))
  }
  const instruments = made.map(({ instrument }) => instrument)
  meter.addBatchObservableCallback(observe, instruments)
  const stop = (): void => {
    of.ending.removeEventListener('abort', stop)
    meter.removeBatchObservableCallback(observe, instruments)
  }
  of.ending.addEventListener('abort', stop)
  if (of.ending.aborted) stop()
  return { stop }
}

type Instrument = {
  readonly kind: 'counter' | 'gauge'
  readonly name: string
  readonly unit: string
  readonly read: (series: MeteredSeries) => number
}

const totalOf = ({ value }: MeteredSeries): number => value

const countOf = ({ buckets }: MeteredSeries): number => buckets.reduce((sum, each) => sum + each, 0)

/** The instruments of a metric. */
const instrumentsOf = ({ name: ownName, type }: MeteredMetric): readonly Instrument[] => {
  const { name, unit } = named(ownName)
  if (type === 'counter') return [{ kind: 'counter', name, unit, read: totalOf }]
  if (type !== 'histogram') return [{ kind: 'gauge', name, unit, read: totalOf }]
  return [
    { kind: 'counter', name: `${name}.count`, unit: '1', read: countOf },
    { kind: 'counter', name: `${name}.sum`, unit, read: totalOf },
  ]
}

/** Metrics that the conventions of OpenTelemetry name, or that differ in their units alone. */
const conventional = new Map([
  ['keelson_projection_lag_bytes', 'keelson.projection.lag_size'],
  ['keelson_projection_lag_seconds', 'keelson.projection.lag_time'],
  ['process_cpu_seconds_total', 'process.cpu.time'],
  ['process_resident_memory_bytes', 'process.memory.usage'],
])

const units = new Map([
  ['seconds', 's'],
  ['bytes', 'By'],
])

/**
 * The name of a metric by the conventions: its namespaces end with dots, its unit is no part of it, and
 * nor is `total`. `keelson_wal_written_bytes_total` is `keelson.wal.written` in `By`.
 */
export const named = (name: string): { readonly name: string; readonly unit: string } => {
  const words = name.replace(/_total$/, '').split('_')
  const unit = units.get(words.at(-1) ?? '')
  if (unit !== undefined) words.pop()
  const [space = '', topic, ...rest] = words
  const last = rest.length > 0 ? [rest.join('_')] : []
  const dotted = [space, ...(topic === undefined ? [] : [topic]), ...last].join('.')
  return { name: conventional.get(name) ?? dotted, unit: unit ?? '1' }
}

/** The labels of a series as attributes. */
export const attributesOf = (
  { labels }: MeteredMetric,
  series: MeteredSeries,
): Record<string, string | number> =>
  Object.fromEntries(labels.map((label, at) => [`keelson.${label}`, series.labels[at] ?? '']))
