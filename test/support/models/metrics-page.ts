/** What the page of metrics and the dashboard are made of, from the table of metrics. */
import { type Metric, metrics } from '../../../src/inspect/operations/metric-table.ts'

const all: readonly Metric[] = Object.values(metrics)

/** The unit of a metric, which the end of its name says. */
const unitOf = ({ name, type }: Metric): string => {
  const unit = /_(seconds|bytes)(_total)?$/.exec(name)?.[1]
  return unit ?? (type === 'info' || type === 'stateset' ? '–' : '1')
}

/** The rows of the table in `docs/metrics.md`. */
export const metricRows = (): readonly string[] =>
  all.map((metric) => {
    const labels = metric.labels.map((label) => `\`${label}\``).join(', ') || '–'
    return `| \`${metric.name}\` | ${metric.type} | ${unitOf(metric)} | ${labels} | ${metric.help} |`
  })

const columns = 3
const [width, height] = [24 / columns, 7]

/** The dashboard: a panel for each metric that has a course. */
export const dashboard = (): object => {
  const drawn = all.filter(
    ({ type, name }) => type !== 'info' && name !== 'process_start_time_seconds',
  )
  return {
    title: 'Keelson',
    uid: 'keelson',
    schemaVersion: 39,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'source', type: 'datasource', query: 'prometheus' },
        {
          ...{ name: 'job', type: 'query', query: 'label_values(keelson_durable, job)' },
          ...{ datasource: { type: 'prometheus', uid: '$source' }, refresh: 2 },
        },
      ],
    },
    panels: drawn.map((metric, at) => ({
      id: at + 1,
      type: 'timeseries',
      title: metric.name.replace(/^keelson_/, ''),
      description: metric.help,
      datasource: { type: 'prometheus', uid: '$source' },
      gridPos: {
        ...{ x: (at % columns) * width, y: Math.floor(at / columns) * height },
        ...{ w: width, h: height },
      },
      fieldConfig: {
        defaults: { unit: { seconds: 's', bytes: 'bytes' }[unitOf(metric)] ?? 'short' },
      },
      targets: [{ refId: 'A', expr: courseOf(metric), legendFormat: legendOf(metric) }],
    })),
  }
}

/** Of a counter its rate, of a histogram the 99th percentile. */
const courseOf = ({ name, type, labels }: Metric): string => {
  const by = ['instance', ...labels]
  if (type === 'counter') return `rate(${name}{job="$job"}[$__rate_interval])`
  if (type !== 'histogram') return `${name}{job="$job"}`
  const rate = `sum by (le, ${by.join(', ')}) (rate(${name}_bucket{job="$job"}[$__rate_interval]))`
  return `histogram_quantile(0.99, ${rate})`
}

const legendOf = ({ labels }: Metric): string =>
  ['instance', ...labels].map((label) => `{{${label}}}`).join(' ')
