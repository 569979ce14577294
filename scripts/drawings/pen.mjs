/**
 * The pen of the drawings in `docs/drawings`: boxes, arrows and words as one SVG that is readable on a light and on a dark page.
 * Pure: the same shapes give the same text. A drawing has its own ground, so that it also stands on a page of the other kind.
 *
 * The colours have one meaning in all drawings: blue is in memory, green is durable, red is a crash, grey is outside or supervises.
 */

const size = 14
/** How wide a text may get in a wide font (DejaVu Sans). The test holds all words to this. */
export const textWidth = (text, bold = false) => text.length * size * (bold ? 0.64 : 0.56)

const style = `
  .ground { fill: #ffffff } text { font: ${size}px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
  .bold { font-weight: 600 } .quiet { fill: #59636e } .middle { text-anchor: middle } .end { text-anchor: end }
  .box { stroke-width: 1.3 } .outside { fill: #f6f8fa; stroke: #8c959f } .memory { fill: #ddf4ff; stroke: #0969da }
  .durable { fill: #dafbe1; stroke: #1a7f37 } .crash { fill: #ffebe9; stroke: #cf222e }
  .frame { fill: none; stroke: #8c959f; stroke-dasharray: 4 4 } .line { fill: none; stroke: #59636e; stroke-width: 1.4 }
  .held { stroke-dasharray: 5 4 } .cut { stroke: #cf222e; stroke-width: 2 }
  .tip { fill: #59636e } .tip-cut { fill: #cf222e } .words-crash { fill: #cf222e } .words-durable { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #e6edf3 } .quiet { fill: #9198a1 }
    .outside { fill: #151b23; stroke: #656c76 } .memory { fill: #121d2f; stroke: #4493f8 }
    .durable { fill: #12261e; stroke: #3fb950 } .crash { fill: #25171c; stroke: #f85149 }
    .frame { stroke: #656c76 } .line { stroke: #9198a1 } .cut { stroke: #f85149 }
    .tip { fill: #9198a1 } .tip-cut { fill: #f85149 } .words-crash { fill: #f85149 } .words-durable { fill: #3fb950 }
  }`

const escaped = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Words at a place. `anchor` is `start` (the left end, the default), `middle` or `end`; `look` is bold, quiet, crash or durable. */
export const words = (x, y, text, { anchor = 'start', look = '' } = {}) => {
  const names = [
    ...(anchor === 'start' ? [] : [anchor]),
    ...look
      .split(' ')
      .filter((name) => name !== '')
      .map((name) => (name === 'bold' || name === 'quiet' ? name : `words-${name}`)),
  ]
  const named = names.length === 0 ? '' : ` class="${names.join(' ')}"`
  return {
    svg: `<text x="${x}" y="${y}"${named}>${escaped(text)}</text>`,
    text,
    bounds: bounds(x, y, text, anchor, look),
  }
}

const bounds = (x, y, text, anchor, look) => {
  const width = textWidth(text, look.includes('bold'))
  const left = anchor === 'start' ? x : anchor === 'middle' ? x - width / 2 : x - width
  return { left, right: left + width, top: y - size, bottom: y + 4 }
}

/** A box with a bold first line and more lines below it, all in the middle. */
export const box = (x, y, width, height, kind, lines) => {
  const first = y + height / 2 + 5 - ((lines.length - 1) * 19) / 2
  const inside = lines.map((line, index) =>
    words(x + width / 2, first + index * 19, line, {
      anchor: 'middle',
      look: index === 0 ? 'bold' : 'quiet',
    }),
  )
  return [
    {
      svg: `<rect class="box ${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>`,
    },
    ...inside.map((line) => ({
      ...line,
      within: { left: x, right: x + width, top: y, bottom: y + height },
    })),
  ]
}

/** A dashed frame around boxes that belong together, with its name at the top left. */
export const frame = (x, y, width, height, name) => [
  { svg: `<rect class="frame" x="${x}" y="${y}" width="${width}" height="${height}" rx="10"/>` },
  ...(name === '' ? [] : [words(x + 12, y + 20, name, { look: 'quiet' })]),
]

/** A line through points. `look` has words: held (dashed), cut (red), bare (without a tip at its end). */
export const arrow = (points, look = '') => {
  const path = points.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join(' ')
  const looks = look.split(' ').filter((name) => name !== '')
  const line = `<path class="${['line', ...looks.filter((name) => name !== 'bare')].join(' ')}" d="${path}"/>`
  if (looks.includes('bare')) return { svg: line }
  const [[x0, y0], [x, y]] = points.slice(-2)
  const length = Math.hypot(x - x0, y - y0)
  const [dx, dy] = [(x - x0) / length, (y - y0) / length]
  const corner = (side) =>
    `${round(x - 9 * dx - side * 4.5 * dy)},${round(y - 9 * dy + side * 4.5 * dx)}`
  const tip = `<polygon class="${looks.includes('cut') ? 'tip-cut' : 'tip'}" points="${x},${y} ${corner(1)} ${corner(-1)}"/>`
  return { svg: line + tip }
}

const round = (number) => Math.round(number * 10) / 10

/** The whole SVG. `title` is what a screen reader says. */
export const drawing = ({ width, height, title }, shapes) => {
  const flat = shapes.flat(2)
  return {
    width,
    height,
    shapes: flat,
    svg: [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
      `<title>${escaped(title)}</title>`,
      `<style>${style}\n</style>`,
      `<rect class="ground" width="${width}" height="${height}" rx="8"/>`,
      ...flat.map((shape) => shape.svg),
      '</svg>\n',
    ].join('\n'),
  }
}
