/** The words about the past of an entity, and the tables that they print. None wakes any. */

import {
  cutText,
  type PastOptions,
  type PastPage,
  type PastTurn,
  type StateChange,
} from '../../actors/index.ts'
import { invalidArgument } from '../../errors.ts'
import { keptText } from '../../failure-record.ts'
import { noOptions } from '../../own-names.ts'
import { workerKind } from '../../storage/index.ts'
import type { App } from '../../supervisors/index.ts'
import { causeTitle, otherOperations } from '../answers/turn-titles.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import { lineText } from '../text/shown-text.ts'
import { textTable } from '../text/text-table.ts'
import type { View } from '../text/view.ts'
import { view } from './answer-view.ts'
import type { ShownValues } from './shown-values.ts'

/** `json`: the answer is one line of JSON. `inShell`: it is shown by `keelson history`. */
type Shown = { readonly json?: boolean; readonly inShell?: boolean }

/** The turns of one page. */
const shownAtOnce = 20

/** The words. `shown` says whether states are printed as they are stored. */
export const historyWords = (app: App, { reveals }: ShownValues) => ({
  /**
   * `history('order', '17')`, `history('order/17')`, with the options of `app.entity(kind).history`.
   * The kind of durable workers is `$worker`.
   */
  history: async (...given: unknown[]): Promise<View> => {
    const { kind, id, rest } = entityIn(given)
    const { json, inShell, ...options } = (rest[0] ?? noOptions) as PastOptions & Shown
    const asked = { limit: shownAtOnce, ...(reveals && { reveal: true }), ...options }
    const page =
      kind === workerKind
        ? await app.workerHistory(id, asked)
        : await app.entity(kind).history(id, asked)
    const line = (cursor: string): string =>
      `history('${kind}', ${quoted(id)}, { before: '${cursor}'${options.atLsn === undefined ? '' : `, atLsn: ${options.atLsn}`} })`
    const next = inShell ? (cursor: string): string => `the same with --before ${cursor}` : line
    return view(json, page, (shown) => pastTable(`${kind}/${id}`, shown, next), asked.reveal)
  },
  /** `diff('order', '17', lsn, lsn2)`. */
  diff: async (...given: unknown[]): Promise<View> => {
    const { kind, id, rest } = entityIn(given)
    const [lsn, lsn2, options = {}] = rest as [number, number, Shown?]
    const revealed = reveals ? { reveal: true } : {}
    const changes =
      kind === workerKind
        ? await app.workerDiff(id, lsn, lsn2, revealed)
        : await app.entity(kind).diff(id, lsn, lsn2, revealed)
    return view(options.json, changes, changesTable, reveals)
  },
})

/** The text as one writes it at the prompt. No byte of it acts on the terminal. */
const quoted = (text: string): string => `'${printable(text.replace(/['\\]/g, '\\$&'))}'`

/** The entity that the first arguments name, and the arguments after it. */
const entityIn = ([first, ...others]: readonly unknown[]) => {
  if (typeof first !== 'string')
    throw invalidArgument('entity', "'order', '17', or 'order/17'", first)
  const [, kind, id] = /^([^/]+)\/(.+)$/s.exec(first) ?? []
  if (kind !== undefined && id !== undefined) return { kind, id, rest: others }
  const [named, ...rest] = others
  return { kind: first, id: typeof named === 'number' ? String(named) : (named as string), rest }
}

const pastColumns = ['>lsn', 'time', '>seq', 'cause', 'changed', 'state after it']
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
      : `${next(cursor)} continues`
  if (turns.length === 0) return `no turn of ${printable(entity)} is found: ${end}`
  return `${textTable(pastColumns, turns.map(rowOf))}\n${end}`
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
const changesTable = (changes: readonly StateChange[]): string =>
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
