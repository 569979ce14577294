/**
 * Contenders on one disk, in turns: what one leaves to the disk the next one pays, so the order changes from turn to turn,
 * and a ratio is the median of the ratios within the turns. What else the machine does then hits both sides of it.
 */
import { amount, table } from '../harness/table.mjs'

/**
 * Runs `turn(contender, until)`, which answers how many were done and how long each took, in ms, or a sample of them.
 * Answers the figures of each contender; `ofFirst`: its rate as a share of that of the first.
 */
export const race = async (contenders, { turns, seconds }, turn) => {
  const figures = contenders.map(() => ({ rates: [], times: [] }))
  for (let at = 0; at <= turns; at++) {
    for (let step = 0; step < contenders.length; step++) {
      const index = (at + step) % contenders.length
      const began = performance.now()
      const { count, times } = await turn(contenders[index], began + seconds * 1_000)
      // The first turn only warms up.
      if (at === 0) continue
      figures[index].rates.push((count * 1_000) / (performance.now() - began))
      for (const time of times) figures[index].times.push(time)
    }
  }
  const [first] = figures
  return contenders.map(({ name }, index) => {
    const { rates, times } = figures[index]
    times.sort((left, right) => left - right)
    return {
      name,
      rate: median(rates),
      ofFirst: median(rates.map((rate, at) => rate / first.rates[at])),
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
    }
  })
}

/** The middle one, or the mean of both middle ones: the lower of these would make each ratio of four turns too small. */
export const median = (figures) => {
  const sorted = [...figures].sort((left, right) => left - right)
  const middle = (sorted.length - 1) / 2
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
}

/** The one at `share` of a sorted list. */
export const quantile = (sorted, share) => sorted[Math.floor(share * (sorted.length - 1))]

const milliseconds = (value) => `${value.toFixed(value < 9.995 ? 2 : 1)} ms`

/** The outcome of a race as a table; `unit` is what the rates count. The last column compares the medians of the times. */
export const outcomeTable = (unit, outcome) => {
  const rows = outcome.map(({ name, rate, p50, p99, ofFirst }) => [
    name,
    amount(rate),
    milliseconds(p50),
    milliseconds(p99),
    ofFirst.toFixed(2),
    (outcome[0].p50 / p50).toFixed(2),
  ])
  return table([['', `${unit}/s`, 'p50', 'p99', 'of bare', 'by p50'], ...rows])
}
