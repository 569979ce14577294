/**
 * The tables of `top()`: the processes that did most since the last call, and for `top('memory')`
 * those whose state and mailbox take most. Pure.
 */
import { invalidArgument, type KeelsonError } from '../../errors.ts'
import type { ProcessSummary } from '../../runtime/index.ts'
import type { Load, LoadOrder } from '../answers/process-load.ts'
import { type Paint, plainPaint } from '../text/paint.ts'
import { bytesText, countText, durationText } from '../text/quantities.ts'
import { textTable } from '../text/text-table.ts'
import { processCells, processColumns, rowsMax } from './process-view.ts'

/** The arguments of `top`, checked. @throws KeelsonError `INVALID_ARGUMENT` */
export const loadQuery = (order: unknown = 'handled', rows: unknown = 10) => {
  const found = orders.find((each) => each === order)
  if (found === undefined)
    throw invalid('order', orders.map((each) => `'${each}'`).join(', '), order)
  if (!Number.isSafeInteger(rows) || (rows as number) < 1 || (rows as number) > rowsMax)
    throw invalid('rows', `a whole number from 1 to ${rowsMax}`, rows)
  return { order: found, rows: rows as number }
}

/**
 * The table of `loads`. `elapsedMs` is the time since the last sample; `undefined` for the first.
 */
export const loadTable = (
  loads: readonly Load[],
  elapsedMs: number | undefined,
  paint: Paint = plainPaint,
): string => {
  const since =
    elapsedMs === undefined ? 'their start' : `the last look, ${durationText(elapsedMs)} ago`
  if (loads.length === 0) return `no process has handled a message since ${since}, and none waits`
  const rows = loads.map(({ process, handled, queue, grown }) => [
    ...processCells(process, paint),
    countText(handled),
    elapsedMs === undefined || elapsedMs <= 0 ? '-' : countText((handled * 1_000) / elapsedMs),
    countText(queue),
    `${grown < 0 ? '-' : '+'}${countText(Math.abs(grown))}`,
  ])
  return `since ${since}\n${textTable(columns, rows)}`
}

const orders: readonly (LoadOrder | 'memory')[] = ['handled', 'queue', 'grown', 'memory']

const columns = [...processColumns, '>handled', '>a second', '>queue', '>grown']

const invalid = (path: string, expected: string, found: unknown): KeelsonError =>
  invalidArgument(`top: ${path}`, expected, found)

/** A process, and about how many bytes it holds. */
export type Held = { readonly process: ProcessSummary; readonly bytes: number }

/** The `rows` largest ones, the largest first. `others` are the largest ones of other pages. */
export const largest = (page: readonly Held[], rows: number, others: readonly Held[]): Held[] =>
  page
    .concat(others)
    .sort((left, right) => right.bytes - left.bytes || left.process.pid - right.process.pid)
    .slice(0, rows)

/** The memory of the whole of Node's process, in bytes. */
type WholeMemory = Readonly<Record<'rss' | 'heapUsed' | 'external', number>>

const memoryColumns = [...processColumns, '>queue', '>about']

/** The table of `held`, below the memory of the whole. */
export const memoryTable = (
  held: readonly Held[],
  { rss, heapUsed, external }: WholeMemory,
  paint: Paint = plainPaint,
): string => {
  const rows = held.map(({ process, bytes }) => [
    ...processCells(process, paint),
    countText(process.mailbox),
    bytesText(bytes),
  ])
  const whole = `heap ${bytesText(heapUsed)}, buffers ${bytesText(external)}, resident ${bytesText(rss)}`
  return `states and waiting messages, of a process with ${whole}\n${textTable(memoryColumns, rows)}`
}
