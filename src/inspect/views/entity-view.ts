/** Kinds of entities and one entity as text. Pure. */

import { inspect } from 'node:util'
import type { EntityRows } from '../../actors/index.ts'
import { keptText } from '../../failure-record.ts'
import { nextTexts } from '../../observe/index.ts'
import { type EntityFacts, failuresOf, type KindFacts } from '../answers/entities.ts'
import { printable } from '../text/paint.ts'
import { countText, pluralText } from '../text/quantities.ts'
import { lineText } from '../text/shown-text.ts'
import { factList, textTable } from '../text/text-table.ts'
import { recordText } from './record-view.ts'

const columns = ['kind', '>live', '>blocked', '>parked']

/** A table of kinds. */
export const kindTable = (kinds: readonly KindFacts[]): string =>
  kinds.length === 0
    ? 'no kind of entities runs'
    : textTable(
        columns,
        kinds.map(({ kind, live, blocked, parked }) => [
          kind,
          ...[live, blocked, parked].map(countText),
        ]),
      )

/** One entity of a page as a row of its table. */
export const entityRow = (entity: {
  readonly id: string
  readonly pid: number | undefined
  readonly state: unknown
  readonly blocked: string | undefined
}): readonly string[] => {
  const { id, pid, state, blocked } = entity
  return [
    printable(id),
    pid === undefined ? 'at rest' : `<${pid}>`,
    blocked === undefined ? lineText(state, stateWidth) : `blocked: ${printable(blocked)}`,
  ]
}

/** A table of one page of entities, and how the next one is asked for. */
export const entityTable = (
  kind: string,
  rows: readonly (readonly string[])[],
  cursor: string | undefined,
): string => {
  if (rows.length === 0) return `no entity of the kind ${kind} is found`
  const table = textTable(['id', 'process', 'state'], rows)
  return cursor === undefined
    ? table
    : `${table}\nentities('${kind}', { cursor: '${cursor}' }) shows the next ones`
}

/** The entities of a kind that are in trouble, with why and since when. */
export const troubledTable = (
  kind: string,
  rows: readonly { readonly id: string; readonly text: string; readonly since?: number }[],
): string => {
  if (rows.length === 0) return `no entity of the kind ${kind} is in this trouble`
  const shown = rows.map(({ id, text, since }) => [
    printable(id),
    since === undefined ? '' : timeText(since),
    printable(text),
  ])
  return textTable(['id', 'since', 'why'], shown)
}

const stateWidth = 100

/** One entity in full. */
export const entityFacts = (shown: EntityFacts): string => {
  const { entity, member, pid, handling, blocked, wouldBlock, rows } = shown
  const failures = failuresOf(shown)
    .flatMap(({ title, error }) => recordText(printable(title), error))
    .slice(0, recordsMax)
  const process = pid === undefined ? 'at rest' : `<${pid}>`
  const head = [
    ['entity', printable(entity)],
    ...(member === undefined ? [] : [['member', printable(member)] as const]),
    ['process', process],
    ...(handling === undefined ? [] : [['handling', handlingText(handling)] as const]),
    ...(blocked === undefined ? [] : [['blocked', printable(blocked)] as const]),
    ...(wouldBlock === undefined ? [] : [['when it wakes', printable(wouldBlock)] as const]),
  ] as const
  if (rows === undefined)
    return [factList([...head, ['row', 'none: it is unborn']]), ...failures].join('\n\n')
  const steps = rows.steps.map(
    ({ name, step, notBefore, ...tried }) => `${name} ${step}${triedText(tried, notBefore)}`,
  )
  const alarms = [...rows.alarms].map(
    ([name, { at, dueAt, ...tried }]) => `${name} ${timeText(at)}${triedText(tried, dueAt)}`,
  )
  const facts = factList([
    ...head,
    ['incarnation', rows.incarnation],
    ['seq', countText(rows.seq)],
    ['version', String(rows.version)],
    [
      'state',
      inspect(rows.state, { breakLength: Number.POSITIVE_INFINITY, compact: true, depth: 4 }),
    ],
    ['index', fieldsText(rows.fields)],
    ...listed('steps', steps),
    ...listed('alarms', alarms),
    ...(rows.crash ? [['crashed', crashedText(rows.crash)] as const] : []),
    ['calls kept', countText(rows.calls)],
  ])
  return [facts, ...failures].join('\n\n')
}

const handlingText = ({ message, since, waiting }: NonNullable<EntityFacts['handling']>): string =>
  printable(`${message}, since ${timeText(since)}; ${pluralText(waiting, 'message')} waiting`)

/** The most records after the facts. */
const recordsMax = 5

const crashedText = ({ what, count, failure }: NonNullable<EntityRows['crash']>): string =>
  printable(
    `in ${what}, ${pluralText(count, 'time')}, last at ${timeText(failure.at)} (${keptText(failure.error)})`,
  )

/** How often a step or an alarm has failed, with its last error, and what comes next. */
const triedText = (
  { tries, failure }: Pick<EntityRows['steps'][number], 'tries' | 'failure'>,
  nextAt: number,
): string => {
  if (tries === 0) return ''
  const { next = 'retry' } = failure ?? {}
  const error = failure ? ` (${keptText(failure.error)})` : ''
  const at = next === 'retry' ? ` ${timeText(nextAt)}` : ''
  return `, failed ${pluralText(tries, 'time')}${error}, ${nextTexts[next]}${at}`
}

const timeText = (ms: number): string => new Date(ms).toISOString()

const fieldsText = (fields: EntityRows['fields']): string =>
  Object.entries(fields)
    .map(([field, value]) => `${field} ${inspect(value)}`)
    .join(', ') || '-'

/** A line for each, the first after the name. */
const listed = (name: string, lines: readonly string[]): [string, string][] =>
  lines.length === 0
    ? [[name, '-']]
    : lines.map((line, at) => [at === 0 ? name : '', printable(line)])
