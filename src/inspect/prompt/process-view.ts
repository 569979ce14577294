/** Processes as text: a table of all, or one in full. Pure. */
import type { ProcessInfo } from '../../runtime/index.ts'
import { type Paint, plainPaint } from '../text/paint.ts'
import { countText, durationText } from '../text/quantities.ts'
import { type Column, factList, textTable } from '../text/text-table.ts'

const columns: readonly Column[] = [
  { title: 'pid' },
  { title: 'name' },
  { title: 'kind' },
  { title: 'status' },
  { title: 'queue', align: 'right' },
  { title: 'handled', align: 'right' },
  { title: 'restarts', align: 'right' },
]

/** A table of processes, ordered by pid. */
export const processTable = (
  processes: readonly ProcessInfo[],
  paint: Paint = plainPaint,
): string =>
  textTable(
    columns,
    [...processes]
      .sort((left, right) => left.pid - right.pid)
      .map((process) => [
        `<${process.pid}>`,
        process.name ?? process.label ?? '',
        process.kind,
        paint(process.status === 'waiting' ? 'good' : 'odd', process.status),
        countText(process.mailbox),
        countText(process.handled),
        countText(process.restarts),
      ]),
  )

/** One process in full. `nameOf` gives the title of another one; `now` is in ms since 1970. */
export const processFacts = (
  process: ProcessInfo,
  nameOf: (pid: number) => string,
  now: number,
): string => {
  const { handling, mailbox, mailboxMax } = process
  const names = (pids: readonly number[]): string => pids.map(nameOf).join(', ') || '-'
  return factList([
    ['name', process.name ?? '-'],
    ...(process.label === undefined || process.label === process.name
      ? []
      : [['label', process.label] as const]),
    ['pid', `<${process.pid}>`],
    ['kind', process.kind],
    ['status', process.status],
    [
      'handling',
      handling
        ? `${handling.message}, for ${durationText(Math.max(0, now - handling.since))}`
        : '-',
    ],
    [
      'queue',
      Number.isFinite(mailboxMax)
        ? `${countText(mailbox)} of ${countText(mailboxMax)}`
        : `${countText(mailbox)}, bounded by its senders`,
    ],
    ['handled', countText(process.handled)],
    ['restarts', countText(process.restarts)],
    ['parent', process.parent === undefined ? '-' : nameOf(process.parent)],
    ['links', names(process.links)],
    ['monitors', names(process.monitors)],
    ['monitored by', names(process.monitoredBy)],
    ['traps exits', process.trapExit ? 'yes' : 'no'],
  ])
}
