/** The page of `npm run bench -- all`: plots of what was measured, where Keelson loses, and all that was printed. */
import { environment } from './environment.mjs'
import { amount } from './table.mjs'

const escaped = (text) => String(text).replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`)

/** The cases of a report that compare contenders by a figure each. */
const cases = ({ results = [] }) =>
  results
    .filter(({ outcome }) => Array.isArray(outcome))
    .map((each) => ({ ...each, outcome: each.outcome.map(withMedian) }))
    .filter(({ outcome }) => outcome.some(({ median }) => median !== undefined))

const withMedian = (contender) =>
  contender.rate === undefined ? contender : { ...contender, median: contender.rate }

const titleOf = ({ title, case: name, id, writers }) =>
  `${title ?? name ?? id}${writers === undefined ? '' : `, ${writers} writers`}`

/** Whether less is better: bytes, and times. */
const isLess = ({ measure, unit = '' }) => measure === 'bytes' || /^(?:ms|µs|bytes)/.test(unit)

const isOwn = ({ name = '', label = '' }) => /keelson|^store\.put/i.test(name || label)

/** What the language and the machine can do: a floor, and no peer. */
const isFloor = (contender) =>
  /^(?:direct call|EventEmitter|queueMicrotask|MessagePort|async function|promise and|setTimeout|Map$|bare |a bare |here$)/.test(
    nameOf(contender),
  )

const nameOf = ({ name, label }) => name ?? label

const barHeight = 22
const [labelWidth, plotWidth, width] = [190, 430, 760]

/** Bars from zero to the median of each contender, with its lowest and highest turn. */
const plot = (each) => {
  const present = each.outcome.filter(({ median }) => median !== undefined)
  const most = Math.max(...present.map(({ highest, median }) => highest ?? median))
  const x = (value) => labelWidth + (value / most) * plotWidth
  const bars = present.map((contender, at) => {
    const { median, lowest = median, highest = median } = contender
    const y = at * barHeight
    const fill = isOwn(contender) ? '#2f81f7' : isFloor(contender) ? '#d8dee4' : '#9aa4b0'
    return `<text x="${labelWidth - 8}" y="${y + 15}" text-anchor="end">${escaped(nameOf(contender))}</text>
<rect x="${labelWidth}" y="${y + 4}" width="${Math.max(1, x(median) - labelWidth)}" height="14" fill="${fill}"/>
<path d="M${x(lowest)} ${y + 11}H${x(highest)}M${x(lowest)} ${y + 7}v8M${x(highest)} ${y + 7}v8" stroke="#24292f"/>
<text x="${labelWidth + plotWidth + 10}" y="${y + 15}">${escaped(amount(median))} ${escaped(each.unit ?? '')}</text>`
  })
  const absent = each.outcome.filter(({ absent }) => absent !== undefined)
  const notes = absent.map(({ name, absent }) => `${escaped(name)}: ${escaped(absent)}`)
  return `<h4>${escaped(titleOf(each))}${isLess(each) ? ' (less is better)' : ''}</h4>
<svg viewBox="0 0 ${width} ${present.length * barHeight}" role="img" font-size="13">${bars.join('')}</svg>
${notes.length > 0 ? `<p class="note">Not there: ${notes.join('; ')}</p>` : ''}`
}

/** The cases in which the best other contender is better than the best of Keelson. */
const losses = (reports) =>
  reports.flatMap((report) =>
    cases(report).flatMap((each) => {
      const best = (list) =>
        list
          .filter(({ median }) => median !== undefined)
          .sort((left, right) => (isLess(each) ? 1 : -1) * (left.median - right.median))[0]
      const own = best(each.outcome.filter(isOwn))
      const other = best(each.outcome.filter((each) => !isOwn(each) && !isFloor(each)))
      if (!own || !other) return []
      const times = isLess(each) ? own.median / other.median : other.median / own.median
      if (times <= 1) return []
      return [{ where: `${report.name}: ${titleOf(each)}`, other: nameOf(other), times }]
    }),
  )

const section = (report) => `<section>
<h2>${escaped(report.name)}</h2>
<p>Counted: ${escaped(report.counts)}.<br>Durability: ${escaped(report.durability)}.<br>
<code>npm run bench -- ${[report.name, ...(report.args ?? [])].map(escaped).join(' ')}</code>, ${report.seconds} s${report.failed ? `, <b>${escaped(report.failed)}</b>` : ''}</p>
${cases(report).map(plot).join('\n')}
<details><summary>As it was printed</summary><pre>${escaped(report.printed)}</pre></details>
</section>`

/** The page as one file, which asks no host for anything. */
export const resultsPage = ({ quick, seconds, peers, reports }) => {
  const { date, node, platform, cpu, cores, memoryGiB } = environment()
  const lost = losses(reports).sort((left, right) => right.times - left.times)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Keelson beside its peers</title><link rel="icon" href="data:,">
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:800px;margin:2em auto;padding:0 1em;color:#24292f}
svg{width:100%;fill:#24292f}pre{overflow-x:auto;font-size:12px;background:#f6f8fa;padding:1em}
.note{color:#57606a;font-size:14px}td,th{text-align:left;padding-right:2em}</style></head><body>
<h1>Keelson beside its peers</h1>
<p>${escaped(date.slice(0, 16))}, Node ${escaped(node)}, ${escaped(platform)}, ${escaped(cpu)} × ${cores}, ${memoryGiB} GiB;
${Math.round(seconds / 60)} minutes${quick ? ' of <b>quick</b> runs, which say little' : ''}.
Contenders run one at a time, in turns, each in a process of its own. A bar is the median of the turns, its line the lowest and the highest. Light bars are what the language and the machine can do without a peer.</p>
<p class="note">${Object.entries(peers)
    .map(([name, version]) => `${escaped(name)} ${escaped(version)}`)
    .join(' · ')}</p>
<h2>Where Keelson is slower</h2>
${
  lost.length === 0
    ? '<p>Nowhere in these cases.</p>'
    : `<table><tr><th>case</th><th>faster</th><th></th></tr>${lost
        .map(
          ({ where, other, times }) =>
            `<tr><td>${escaped(where)}</td><td>${escaped(other)}</td><td>${times.toFixed(2)}×</td></tr>`,
        )
        .join('')}</table>`
}
${reports.map(section).join('\n')}
</body></html>
`
}
