/** Processes as text: a table of all, or one in full. Pure. */
import { mailboxText, processNames } from '../../observe/index.ts'
import type { ProcessSummary, ProcessTies, WaitingMessage } from '../../runtime/index.ts'
import { shownName } from '../answers/process-finder.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { countText, durationText } from '../text/quantities.ts'
import { lineText } from '../text/shown-text.ts'
import { factList, textTable } from '../text/text-table.ts'
import { stateText } from './state-view.ts'

/** The most rows of a table: more of them would hold up the event loop. */
export const rowsMax = 500

/**
 * A table of processes without those of entities, and a line for each kind that has some. It is
 * gathered page by page, in the order of pids: an instance may have 100,000 of them.
 */
export class FoldedTable {
  readonly #kinds = new Map<number, { readonly title: string; live: number }>()
  readonly #shown: ProcessSummary[] = []
  #left = 0

  add(page: readonly ProcessSummary[]): void {
    for (const process of page) {
      const { kind, pid, parent, label } = process
      if (kind === 'entity_kind') this.#kinds.set(pid, { title: label ?? `<${pid}>`, live: 0 })
      const folded = parent === undefined ? undefined : this.#kinds.get(parent)
      if (folded) folded.live++
      else if (this.#shown.length < rowsMax) this.#shown.push(process)
      else this.#left++
    }
  }

  text(paint: Paint = plainPaint): string {
    const folded = [...this.#kinds.values()].filter(({ live }) => live > 0)
    const lines = folded.map(
      ({ title, live }) => `${title}: ${countText(live)} live, which ps({ all: true }) shows`,
    )
    const last = this.#left > 0 ? [`and ${countText(this.#left)} more`, moreText(this.#shown)] : []
    return [processTable(this.#shown, paint), ...last, ...lines].join('\n')
  }
}

/** One page of all processes, and how the next one is asked for. */
export const pageTable = (page: readonly ProcessSummary[], paint: Paint = plainPaint): string =>
  [processTable(page, paint), ...(page.length < rowsMax ? [] : [moreText(page)])].join('\n')

const moreText = (page: readonly ProcessSummary[]): string =>
  `ps({ all: true, after: ${page.at(-1)?.pid} }) shows the next ones`

/** A table of processes, ordered by pid. */
export const processTable = (
  processes: readonly ProcessSummary[],
  paint: Paint = plainPaint,
): string =>
  textTable(
    [...processColumns, ...counted.map((name) => `>${processNames[name]}`)],
    [...processes]
      .sort((left, right) => left.pid - right.pid)
      .map((process) => [
        ...processCells(process, paint),
        countText(process.mailbox),
        countText(process.handled),
        countText(process.restarts),
      ]),
  )

const counted = ['mailbox', 'handled', 'restarts'] as const

/** The first columns of a table of processes. */
export const processColumns = (['pid', 'name', 'kind', 'status'] as const).map(
  (name) => processNames[name],
)

/** Their cells. The name of a process, and its label, may hold the id of an entity. */
export const processCells = (process: ProcessSummary, paint: Paint): readonly string[] => [
  `<${process.pid}>`,
  printable(shownName(process) ?? ''),
  process.kind,
  stateText('process', process.status, paint),
]

/** The most links or monitors that are named. */
export const namesMax = 20

/** One process in full. `nameOf` gives the title of another one; `now` is in ms since 1970. */
export const processFacts = (
  process: ProcessSummary,
  ties: ProcessTies,
  nameOf: (pid: number) => string,
  now: number,
): string => {
  const { handling, mailbox, mailboxMax } = process
  const names = ({ count, pids }: ProcessTies['links']): string => {
    const rest = count - pids.length
    const more = rest > 0 ? [`and ${countText(rest)} more`] : []
    return [...pids.map(nameOf), ...more].join(', ') || '-'
  }
  return factList([
    [processNames.name, printable(process.name ?? '-')],
    ...(process.label === undefined || process.label === process.name
      ? []
      : [['label', printable(process.label)] as const]),
    [processNames.pid, `<${process.pid}>`],
    [processNames.kind, process.kind],
    [processNames.status, process.status],
    [processNames.handling, handlingText(handling, now)],
    [processNames.mailbox, mailboxText(mailbox, mailboxMax)],
    [processNames.handled, countText(process.handled)],
    [processNames.restarts, countText(process.restarts)],
    [processNames.parent, process.parent === undefined ? '-' : nameOf(process.parent)],
    [processNames.links, names(ties.links)],
    [processNames.monitors, names(ties.monitors)],
    [processNames.monitoredBy, names(ties.monitoredBy)],
    [processNames.trapExit, process.trapExit ? 'yes' : 'no'],
  ])
}

const handlingText = (handling: ProcessSummary['handling'], now: number): string =>
  handling
    ? `${printable(handling.message)}, for ${durationText(Math.max(0, now - handling.since))}`
    : '-'

/** The most messages of a mailbox that are shown. */
export const messagesMax = 20

const payloadWidth = 120

/**
 * The message that a process handles, and those after it: the first ones, and how many follow. `now` is
 * in ms since 1970.
 */
export const mailboxView = (
  { mailbox, handling }: ProcessSummary,
  messages: readonly WaitingMessage[],
  now: number,
): string => {
  const head = handling ? [`handling ${handlingText(handling, now)}`] : []
  if (mailbox === 0) return [...head, 'no message waits'].join('\n')
  const rows = messages.map(({ what, payload }) => [
    printable(what),
    payload === undefined ? '' : printable(lineText(payload, payloadWidth)),
  ])
  const rest = mailbox - messages.length
  return [
    ...head,
    textTable(['message', 'payload'], rows),
    ...(rest > 0 ? [`and ${countText(rest)} more`] : []),
  ].join('\n')
}
