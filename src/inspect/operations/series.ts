/**
 * The values of metrics: each metric has series, one for each combination of its labels. From the
 * 200th on they are one series whose labels are `other`, so that no set of names can make a scrape
 * grow without bound. Pure.
 */
import type { Metric } from './metric-table.ts'

/** The most series of a metric, with `other`. A histogram is one series. */
export const seriesMax = 200

/** The values of the labels of a metric, in the order of its table. */
export type LabelValues = readonly (string | number)[]

/** One series. Of a histogram `value` is the sum of what was observed. */
export type Series = {
  readonly labels: LabelValues
  value: number
  /** Of a histogram: how many values each bucket has, the last one being above all bounds. */
  readonly buckets: number[]
}

/** The series of one metric. */
export class Family {
  readonly metric: Metric
  readonly #series = new Map<string, Series>()

  constructor(metric: Metric) {
    this.metric = metric
  }

  /** In the order of their first value. */
  get series(): Iterable<Series> {
    return this.#series.values()
  }

  /** Adds to a series, or takes the larger value, as the metric says. */
  add(value: number, ...labels: LabelValues): void {
    const series = this.#at(labels)
    series.value =
      this.metric.merge === 'max' ? Math.max(series.value, value) : series.value + value
  }

  /** Counts a value so many times in its bucket of a histogram. */
  observe(value: number, times: number, ...labels: LabelValues): void {
    const series = this.#at(labels)
    const { bounds } = this.metric
    let at = 0
    while (at < bounds.length && value > (bounds[at] as number)) at++
    series.buckets[at] = (series.buckets[at] as number) + times
    series.value += value * times
  }

  #at(labels: LabelValues): Series {
    const found = this.#series.get(labels.join('\0'))
    if (found) return found
    if (this.#series.size < seriesMax - 1 || labels.length === 0) return this.#new(labels)
    const others = labels.map(() => 'other')
    return this.#series.get(others.join('\0')) ?? this.#new(others)
  }

  #new(labels: LabelValues): Series {
    const { bounds } = this.metric
    const buckets = bounds.length > 0 ? Array<number>(bounds.length + 1).fill(0) : []
    const series = { labels, value: 0, buckets }
    this.#series.set(labels.join('\0'), series)
    return series
  }
}

/** The series of all metrics that have a value. */
export class Measurements {
  readonly #families = new Map<Metric, Family>()

  /** The series of a metric. */
  of(metric: Metric): Family {
    const found = this.#families.get(metric)
    if (found) return found
    const family = new Family(metric)
    this.#families.set(metric, family)
    return family
  }

  get(metric: Metric): Family | undefined {
    return this.#families.get(metric)
  }
}
