/** The past of a durable actor as text. Pure. */
import {
  cutText,
  keptText,
  type PastPage,
  type PastTurn,
  type StateChange,
} from '../../actors/index.ts'
import { causeTitle, otherOperations } from '../answers/turn-titles.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import { lineText } from '../text/shown-text.ts'
import { textTable } from '../text/text-table.ts'

const columns = ['>lsn', 'time', '>seq', 'cause', 'changed', 'state after it']
const stateWidth = 80
const pathsMax = 4

/** A page of turns, and what is before it. `next`: how the page before is asked for. */
export const pastTable = (
  entity: string,
  { turns, cursor, isCut, firstLsn }: PastPage,
  next: (cursor: string) => string,
): string => {
  const end = isCut
    ? cutText(firstLsn)
    : cursor === undefined
      ? 'there is nothing before'
      : `${next(cursor)} goes on`
  if (turns.length === 0) return `no turn of ${printable(entity)} is found: ${end}`
  return `${textTable(columns, turns.map(rowOf))}\n${end}`
}

const rowOf = (turn: PastTurn): readonly string[] => [
  countText(turn.lsn),
  new Date(turn.time).toISOString(),
  countText(turn.seq),
  causeText(turn),
  changesText(turn),
  turn.cause.kind === 'end' ? '-' : lineText(turn.state, stateWidth),
]

const causeText = (turn: PastTurn): string => {
  const { error } = turn.cause
  const title = causeTitle(turn)
  return error === undefined ? title : `${title} failed: ${printable(keptText(error))}`
}

/** The changed paths of the state, and what else the turn changed. */
const changesText = (turn: PastTurn): string => {
  const { changed = [], steps, alarms, writes, entries, rows } = turn
  const paths = changed.slice(0, pathsMax).map((path) => (path === '' ? 'all' : printable(path)))
  const left = changed.length - paths.length
  const parts = [
    ...(left > 0 ? [...paths, `${countText(left)} more`] : paths),
    ...steps.map(({ name, tries }) => `step ${name}${tries === 0 ? '' : ` (${tries} failed)`}`),
    ...alarms.map(({ name, at }) => `alarm ${name}${at === undefined ? ' gone' : ''}`),
    ...writes.map(({ kind, keys }) => `${kind} ${keys.join(' ')}`),
    ...entries.map((id) => `entry ${id}`),
    ...(turn.operations.length > 0 ? otherOperations(turn) : rows.map((key) => `row ${key}`)),
  ]
  const shown = parts.slice(0, 2 * pathsMax).map(printable)
  const rest = parts.length - shown.length
  return [...shown, ...(rest > 0 ? [`${countText(rest)} more`] : [])].join(', ') || '-'
}

/** The differences of two states. */
export const changesTable = (changes: readonly StateChange[]): string =>
  changes.length === 0
    ? 'nothing differs'
    : textTable(
        ['path', 'before', 'after'],
        changes.map((change) => [
          printable(change.path === '' ? 'all' : change.path),
          'before' in change ? lineText(change.before, stateWidth) : '-',
          'after' in change ? lineText(change.after, stateWidth) : '-',
        ]),
      )
