/** A chart of numbers over time. */
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { on } from './browser.ts'

/** A line of a chart. */
export type Line = { readonly title: string; readonly values: readonly (number | null)[] }

/** The colours of the lines, from the style of the page. */
const colours = ['--accent', '--second']

/** Seconds between labels of times, and the least room for one in pixels. */
const labelSeconds = [1, 2, 5, 10, 30, 60, 120, 300, 600]
const labelRoom = 80

/** The height of a chart, in pixels. */
const height = 170

/** `times` in ms since 1970; `textOf` shows a value. */
export const Chart = (props: {
  readonly times: readonly number[]
  readonly lines: readonly Line[]
  readonly textOf: (value: number) => string
}) => {
  const { times, lines, textOf } = props
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  const data = [
    times.map((at) => at / 1_000),
    ...lines.map(({ values }) => [...values]),
  ] as uPlot.AlignedData
  const titles = lines.map(({ title }) => title).join()
  useEffect(() => {
    const found = place.current
    if (!found) return
    const make = (): void => {
      plot.current?.destroy()
      plot.current = new uPlot(optionsOf(found, lines, textOf), data, found)
    }
    make()
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const resize = new ResizeObserver(() =>
      plot.current?.setSize({ width: found.clientWidth, height }),
    )
    resize.observe(found)
    const end = on(dark, 'change', make)
    return () => {
      end()
      resize.disconnect()
      plot.current?.destroy()
    }
    // The chart is made once for its lines; new values go into it.
  }, [titles])
  useEffect(() => {
    plot.current?.setData(data)
    plot.current?.setLegend({} as never)
  }, [times, lines])
  return (
    <>
      <div class="chart" ref={place} hidden={times.length < 2} />
      {times.length < 2 && <p class="muted">It is measured from now on.</p>}
    </>
  )
}

const clock = uPlot.fmtDate('{HH}:{mm}:{ss}')

const timeOf = (at: number | undefined): string =>
  at === undefined ? '–' : clock(new Date(at * 1_000))

const optionsOf = (
  place: HTMLElement,
  lines: readonly Line[],
  textOf: (value: number) => string,
): uPlot.Options => {
  const style = getComputedStyle(place)
  const colour = (name: string): string => {
    const probe = document.createElement('i')
    probe.style.color = `var(${name})`
    place.append(probe)
    const found = getComputedStyle(probe).color
    probe.remove()
    return found
  }
  const axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: `11px ${style.fontFamily}`,
  }
  return {
    width: place.clientWidth,
    height,
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] } },
    axes: [
      { ...axis, size: 26, space: labelRoom, incrs: labelSeconds, values: '{HH}:{mm}:{ss}' },
      { ...axis, size: 54, values: (_, ticks) => ticks.map(textOf) },
    ],
    series: [
      // Without a pointer on the chart the legend has the last values.
      { label: 'at', value: (plot, at) => timeOf(at ?? plot.data[0].at(-1)) },
      ...lines.map(({ title }, at) => ({
        label: title,
        stroke: colour(colours[at % colours.length] ?? '--accent'),
        width: 1.4,
        points: { show: false },
        value: (plot: uPlot, at: number | null, series: number, index: number | null) => {
          const value = index === null ? plot.data[series]?.at(-1) : at
          return value === null || value === undefined ? '–' : textOf(value)
        },
      })),
    ],
  }
}
