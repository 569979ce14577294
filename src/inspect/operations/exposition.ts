/**
 * Metrics as text: the format 0.0.4 of Prometheus, and OpenMetrics 1.0. Both have the same samples.
 * Pure.
 */
import type { Metric, MetricType } from './metric-table.ts'
import type { Series } from './series.ts'

/** The series of one metric. */
export type ShownFamily = { readonly metric: Metric; readonly series: Iterable<Series> }

/** A format, with its content type. */
export type Format = { readonly isOpen: boolean; readonly contentType: string }

const text: Format = { isOpen: false, contentType: 'text/plain; version=0.0.4; charset=utf-8' }

const open: Format = {
  isOpen: true,
  contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** The format for a request with this `Accept`: OpenMetrics, if it is wanted no less than text. */
export const formatFor = (accept = ''): Format => {
  const wanted = new Map(accept.toLowerCase().split(',').map(mediaRange))
  const openly = wanted.get('application/openmetrics-text') ?? 0
  const plainly = wanted.get('text/plain') ?? 0
  return openly > 0 && openly >= plainly ? open : text
}

/** A media type that a client takes, and how much it wants it: from 0, not at all, to 1. */
const mediaRange = (range: string): [type: string, quality: number] => {
  const [type = '', ...parameters] = range.split(';').map((each) => each.trim())
  const quality = parameters.find((each) => each.startsWith('q='))?.slice(2)
  return [type, Number(quality ?? 1)]
}

/** The end of all metrics. */
export const endOf = ({ isOpen }: Format): string => (isOpen ? '# EOF\n' : '')

/** The lines of one metric. */
export const familyText = (family: ShownFamily, { isOpen }: Format): string => {
  const { metric } = family
  const [name, type] = isOpen ? openNames(metric) : [metric.name, textTypes[metric.type]]
  const unit = /_(seconds|bytes)$/.exec(name)?.[1]
  const help = isOpen ? escaped(metric.help) : metric.help.replaceAll('\\', '\\\\')
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]
  if (isOpen && unit !== undefined) lines.push(`# UNIT ${name} ${unit}`)
  for (const series of family.series)
    if (type === 'histogram') bucketLines(metric, series, lines)
    else
      lines.push(
        `${metric.name}${braces(labelsOf(metric, series, isOpen))} ${numberText(series.value)}`,
      )
  return `${lines.join('\n')}\n`
}

/** OpenMetrics names a family without the ending of its samples. */
const openNames = ({ name, type }: Metric): [string, string] => [
  name.replace(/_(total|info)$/, ''),
  type,
]

const textTypes: Readonly<Record<MetricType, string>> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  info: 'gauge',
  stateset: 'gauge',
}

/** A state set of OpenMetrics has its states in a label with the name of the metric too. */
const labelsOf = ({ name, type, labels }: Metric, series: Series, isOpen: boolean): string => {
  const pairs = labels.map((label, at) => pair(label, series.labels[at]))
  if (isOpen && type === 'stateset') pairs.push(pair(name, series.labels.at(-1)))
  return pairs.join(',')
}

const pair = (label: string, value: string | number = ''): string =>
  `${label}="${escaped(String(value))}"`

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')

const braces = (labels: string): string => (labels === '' ? '' : `{${labels}}`)

/** A bucket has the values up to its bound, with those of the buckets before it. */
const bucketLines = (metric: Metric, series: Series, lines: string[]): void => {
  const { name, bounds } = metric
  const labels = labelsOf(metric, series, false)
  const before = labels === '' ? '' : `${labels},`
  let count = 0
  series.buckets.forEach((values, at) => {
    count += values
    lines.push(`${name}_bucket{${before}le="${boundText(bounds[at])}"} ${count}`)
  })
  lines.push(`${name}_sum${braces(labels)} ${numberText(series.value)}`)
  lines.push(`${name}_count${braces(labels)} ${count}`)
}

const boundText = (bound: number | undefined): string => {
  if (bound === undefined) return '+Inf'
  return Number.isInteger(bound) ? `${bound}.0` : String(bound)
}

/** A disk may say that its space is infinite. */
const numberText = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? '+Inf' : String(value)
