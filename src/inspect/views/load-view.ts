/** The table of `top()`: the processes that did most since the last call. Pure. */
import type { KeelsonError } from '../../errors.ts'
import { invalidArgument } from '../../errors.ts'
import type { Load, LoadOrder } from '../answers/process-load.ts'
import { type Paint, plainPaint } from '../text/paint.ts'
import { countText, durationText } from '../text/quantities.ts'
import { textTable } from '../text/text-table.ts'
import { rowsMax } from './process-view.ts'

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
    `<${process.pid}>`,
    process.name ?? process.label ?? '',
    process.kind,
    paint(process.status === 'waiting' ? 'good' : 'odd', process.status),
    countText(handled),
    elapsedMs === undefined || elapsedMs <= 0 ? '-' : countText((handled * 1_000) / elapsedMs),
    countText(queue),
    `${grown < 0 ? '-' : '+'}${countText(Math.abs(grown))}`,
  ])
  return `since ${since}\n${textTable(columns, rows)}`
}

const orders: readonly (LoadOrder | 'memory')[] = ['handled', 'queue', 'grown', 'memory']

const columns = ['pid', 'name', 'kind', 'status', '>handled', '>a second', '>queue', '>grown']

const invalid = (path: string, expected: string, found: unknown): KeelsonError =>
  invalidArgument(`top: ${path}`, expected, found)
