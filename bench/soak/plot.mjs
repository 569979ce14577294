/**
 * Curves over time as an SVG, one panel below the other. It has no background, and its colours are as far from white as from
 * black, so a light and a dark page show it equally well.
 */
const width = 760
const panelHeight = 130
const gap = 46
const left = 70
const right = 14
const top = 34
const grey = '#76808c'
const colours = ['#2f81f7', '#d9760b', '#1a9c5b', '#b565d8', '#c2a200']

const inner = width - left - right
const round = (value) => Math.round(value * 10) / 10

/** A greatest value that an axis ends with: 1, 2 or 5 times a power of ten. */
const niceAbove = (value) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)))
  return [1, 2, 5, 10].map((step) => step * power).find((each) => each >= value)
}

/** At most `many` points: the greatest value of each stretch, so that no peak is lost. */
const thinned = (values, many) => {
  const stretch = Math.max(1, Math.ceil(values.length / many))
  const points = []
  for (let at = 0; at < values.length; at += stretch)
    points.push([at, Math.max(...values.slice(at, at + stretch))])
  return points
}

const text = (x, y, content, rest = '') => `<text x="${x}" y="${y}" ${rest}>${content}</text>`

const curve = (values, scale, colour) => {
  const points = thinned(values, 300).map(([at, value]) => {
    const x = left + (inner * at) / Math.max(1, values.length - 1)
    return `${round(x)},${round(scale(value))}`
  })
  return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.5"/>`
}

const panel = ({ title, unit, curves, limit }, at) => {
  const from = top + at * (panelHeight + gap)
  const to = from + panelHeight
  const greatest = Math.max(limit ?? 0, ...curves.flatMap(({ values }) => values))
  const end = niceAbove(greatest)
  const scale = (value) => to - (panelHeight * value) / end
  const grid = [0, end / 2, end].map((value) => {
    const y = round(scale(value))
    const line = `<line x1="${left}" x2="${width - right}" y1="${y}" y2="${y}" stroke="${grey}" stroke-opacity="0.35"/>`
    return line + text(left - 8, y + 4, `${Number(value.toPrecision(3))}`, 'text-anchor="end"')
  })
  let x = left + 8 * (title.length + unit.length + 4)
  const legend = curves.map(({ name }, index) => {
    const label = text(x, from - 10, name, `fill="${colours[index]}" font-weight="bold"`)
    x += 8 * name.length + 18
    return label
  })
  const bound =
    limit === undefined
      ? ''
      : `<line x1="${left}" x2="${width - right}" y1="${round(scale(limit))}" y2="${round(scale(limit))}" stroke="#d1383d" stroke-dasharray="6 4"/>`
  return [
    text(left, from - 10, `${title}, ${unit}`),
    ...legend,
    ...grid,
    bound,
    ...curves.map(({ values }, index) => curve(values, scale, colours[index])),
  ].join('\n')
}

/** A time on an axis of `all` seconds. */
const timeText = (seconds, all) => {
  if (all < 300) return `${round(seconds)} s`
  return all < 10_800 ? `${round(seconds / 60)} min` : `${round(seconds / 3_600)} h`
}

/**
 * Draws `panels` of `{ title, unit, curves: [{ name, values }], limit }`, whose values are a second apart; `limit` is a dashed
 * line. `caption` says what was run.
 */
export const plot = (panels, { caption, seconds }) => {
  const height = top + panels.length * (panelHeight + gap) + 8
  const axis = height - 30
  const [middle, end] = [timeText(seconds / 2, seconds), timeText(seconds, seconds)]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="${grey}" role="img" aria-label="${caption}">
${panels.map(panel).join('\n')}
${text(left, axis, '0')}
${text(left + inner / 2, axis, middle, 'text-anchor="middle"')}
${text(width - right, axis, end, 'text-anchor="end"')}
${text(left, height - 8, caption)}
</svg>
`
}
