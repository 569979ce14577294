/** Processes as text: a table of all, or one in full. Pure. */
import type { ProcessInfo } from '../../runtime/index.ts'
import { type Paint, plainPaint } from '../text/paint.ts'
import { countText, durationText } from '../text/quantities.ts'
import { factList, textTable } from '../text/text-table.ts'

const columns = ['pid', 'name', 'kind', 'status', '>queue', '>handled', '>restarts']

/**
 * Processes without those of entities, and a line for each kind that has some. An instance may have
 * 100,000 of them.
 */
export const foldedTable = (
  processes: readonly ProcessInfo[],
  paint: Paint = plainPaint,
): string => {
  const kinds = new Map(
    processes.flatMap(({ kind, pid, label }) =>
      kind === 'entity_kind' ? [[pid, { title: label ?? `<${pid}>`, live: 0 }]] : [],
    ),
  )
  const shown = processes.filter(({ parent }) => {
    const kind = parent === undefined ? undefined : kinds.get(parent)
    if (kind) kind.live++
    return kind === undefined
  })
  const folded = [...kinds.values()].filter(({ live }) => live > 0)
  const lines = folded.map(
    ({ title, live }) => `${title}: ${countText(live)} live, which ps({ all: true }) shows`,
  )
  return [processTable(shown, paint), ...lines].join('\n')
}

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

/** The most links or monitors that are named. */
const namesMax = 20

/** One process in full. `nameOf` gives the title of another one; `now` is in ms since 1970. */
export const processFacts = (
  process: ProcessInfo,
  nameOf: (pid: number) => string,
  now: number,
): string => {
  const { handling, mailbox, mailboxMax } = process
  const names = (pids: readonly number[]): string => {
    const rest = pids.length - namesMax
    const shown = pids.slice(0, namesMax).map(nameOf)
    return [...shown, ...(rest > 0 ? [`and ${countText(rest)} more`] : [])].join(', ') || '-'
  }
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
