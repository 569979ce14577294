/** Figures as people read them. */

/** A number with three digits that count: 13.6 M, 741 k, 612. */
export const amount = (value) => {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ]) {
    if (value >= size) return `${digits(value / size)} ${unit}`
  }
  return digits(value)
}

const digits = (value) => value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)

/** Rows of text with columns as wide as their widest cell; the first column to the left, all others to the right. */
export const table = (rows) => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
      )
      .join('   ')
      .trimEnd(),
  )
  return lines.map((line) => `  ${line}`).join('\n')
}

/**
 * The outcome of one case: first Keelson, then the others, then the language. The last column is how Keelson compares:
 * 2.0× is twice as good. Who could not take part is in a footnote, with the reason.
 */
export const report = ({ title, unit, measure, outcome }) => {
  const own = outcome.find(({ name }) => name === 'keelson')?.median
  const present = outcome.filter(({ absent }) => absent === undefined)
  const rows = present.map(({ name, median, lowest, highest }) => [
    name,
    amount(median),
    `${amount(lowest)} … ${amount(highest)}`,
    own === undefined || name === 'keelson' ? '' : ratio(own, median, measure),
  ])
  for (const { name } of outcome.filter(({ absent }) => absent !== undefined)) {
    rows.push([name, '–', '', ''])
  }
  const footnotes = outcome
    .filter(({ absent }) => absent !== undefined)
    .map(({ name, absent }) => `  – ${name}: ${absent}`)
  const head = [unit, 'median', 'lowest … highest', 'keelson']
  return [title, table([head, ...rows]), ...footnotes, ''].join('\n')
}

const ratio = (own, other, measure) => {
  const times = measure === 'bytes' ? other / own : own / other
  return `${times >= 9.95 ? times.toFixed(0) : times.toFixed(times < 0.095 ? 3 : 2)}×`
}
