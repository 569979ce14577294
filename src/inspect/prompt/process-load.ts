/**
 * What `top()` shows: the processes that did most since the last look, as OTP's `etop` and recon's windows do. Messages
 * handled stand for reductions, which JavaScript does not count; a queue that grows shows who falls behind. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import type { ProcessInfo } from '../../runtime/index.ts'
import { type Paint, plainPaint } from '../text/paint.ts'
import { countText, durationText } from '../text/quantities.ts'
import { type Column, textTable } from '../text/text-table.ts'

/** What was seen at one look: counts by pid, and when, in ms of any clock that goes on evenly. */
export type Look = {
  readonly at: number
  readonly counts: ReadonlyMap<number, { readonly handled: number; readonly queue: number }>
}

/** What processes are compared by: messages handled since the last look, messages that wait now, or by how many more wait. */
export type LoadOrder = 'handled' | 'queue' | 'grown'

/** What one process did since the last look, or since its start when it is younger. */
export type Load = {
  readonly process: ProcessInfo
  readonly handled: number
  readonly queue: number
  readonly grown: number
}

/** What is seen of `processes` at the time `at`. */
export const look = (processes: readonly ProcessInfo[], at: number): Look => ({
  at,
  counts: new Map(processes.map(({ pid, handled, mailbox }) => [pid, { handled, queue: mailbox }])),
})

/** The `rows` busiest by `order` since `before`, the busiest first; whoever neither did nor has anything is left out. */
export const busiest = (
  processes: readonly ProcessInfo[],
  before: Look | undefined,
  order: LoadOrder,
  rows: number,
): Load[] =>
  processes
    .map((process) => loadOf(process, before?.counts.get(process.pid)))
    .filter((load) => load.handled > 0 || load.queue > 0)
    .sort(
      (left, right) =>
        right[order] - left[order] ||
        right.handled - left.handled ||
        left.process.pid - right.process.pid,
    )
    .slice(0, rows)

/** The arguments of `top`, checked. @throws KeelsonError `INVALID_ARGUMENT` */
export const loadQuery = (order: unknown = 'handled', rows: unknown = 10) => {
  const found = orders.find((each) => each === order)
  if (found === undefined)
    throw invalid('order', orders.map((each) => `'${each}'`).join(', '), order)
  if (!Number.isSafeInteger(rows) || (rows as number) < 1)
    throw invalid('rows', 'a whole number from 1', rows)
  return { order: found, rows: rows as number }
}

/** The table of `loads`; `elapsedMs` since the last look, `undefined` when this is the first. */
export const loadTable = (
  loads: readonly Load[],
  elapsedMs: number | undefined,
  paint: Paint = plainPaint,
): string => {
  const since =
    elapsedMs === undefined ? 'their start' : `the last look, ${durationText(elapsedMs)} ago`
  if (loads.length === 0) return `nobody handled a message since ${since}, and none waits`
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

const orders: readonly LoadOrder[] = ['handled', 'queue', 'grown']

const columns: readonly Column[] = [
  { title: 'pid' },
  { title: 'name' },
  { title: 'kind' },
  { title: 'status' },
  { title: 'handled', align: 'right' },
  { title: 'a second', align: 'right' },
  { title: 'queue', align: 'right' },
  { title: 'grown', align: 'right' },
]

const loadOf = (
  process: ProcessInfo,
  before: { readonly handled: number; readonly queue: number } | undefined,
): Load => ({
  process,
  handled: process.handled - (before?.handled ?? 0),
  queue: process.mailbox,
  grown: process.mailbox - (before?.queue ?? 0),
})

const invalid = (path: string, expected: string, found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `top: ${path} is ${expected}.`, {
    details: { path, expected, found: String(found) },
  })
