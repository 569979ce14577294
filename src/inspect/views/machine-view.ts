/** A state machine as text: its states with their transitions, and where it is. Pure. */
import { isIn, type MachineOutline, type MachineState } from '../../runtime/index.ts'
import { printable } from '../text/paint.ts'
import { lineText } from '../text/shown-text.ts'
import { textTable } from '../text/text-table.ts'

/** A machine, and its state as it may be shown: a snapshot, a saved one, or none. */
export type MachineFacts = {
  readonly title: string
  readonly outline: MachineOutline
  readonly state: unknown
}

const widthMax = 500

/** The states, the present ones marked by `*`, and the context. */
export const machineView = ({ title, outline, state }: MachineFacts): string => {
  const { value, context, status } = partsOf(state)
  const head = `machine ${outline.id} of ${title}: ${stateText(state)}`
  const rows = outline.states.flatMap((each) => rowsOf(each, value))
  return [
    printable(status === undefined || status === 'active' ? head : `${head}, ${status}`),
    textTable(['', 'state', 'event', 'to'], rows),
    ...(context === undefined ? [] : [`context  ${printable(lineText(context, widthMax))}`]),
  ].join('\n')
}

/** Where a machine is: `open`, `{ left: 'on', right: 'off' }`. */
export const stateText = (state: unknown): string => {
  const { value } = partsOf(state)
  if (state === undefined) return 'not begun'
  if (value === undefined) return 'its formatStatus hides the state'
  return typeof value === 'string' ? value : lineText(value, widthMax)
}

type Parts = { readonly value?: unknown; readonly context?: unknown; readonly status?: unknown }

const partsOf = (state: unknown): Parts =>
  typeof state === 'object' && state !== null ? (state as Parts) : {}

/** A state, with a row for each of its transitions. The machine itself has a row if it has one. */
const rowsOf = ({ path, isFinal, transitions }: MachineState, value: unknown): string[][] => {
  const key = path.at(-1)
  if (key === undefined && transitions.length === 0) return []
  const name = key === undefined ? '(any)' : `${'  '.repeat(path.length - 1)}${key}`
  const mark = key !== undefined && value !== undefined && isIn(value, path) ? '*' : ''
  const arrows = transitions.map(({ event, guard, to }) => [
    [event, guard === undefined ? '' : `[${guard}]`].filter((part) => part !== '').join(' '),
    to.length === 0 ? 'stays' : to.map((each) => each.join('.')).join(', '),
  ])
  const [first = isFinal ? ['(final)'] : [], ...others] = arrows
  return [[mark, name, ...first], ...others.map((arrow) => ['', '', ...arrow])].map((row) =>
    row.map(printable),
  )
}
