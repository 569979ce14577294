/** A state machine as the page of `keelson observe` draws it. Pure. */
import type { Machine } from '../../observe/index.ts'
import { machineOutline } from '../../runtime/index.ts'
import { bytesOf } from './value-trees.ts'

/** The most bytes of an answer with its drawing: a frame has 64 KiB, of which the head takes some. */
const drawnBytes = 60 * 1024

/** The machine with the states that `state` is in; `undefined` for any other definition. */
export const machineShown = (definition: unknown, state: unknown): Machine | undefined => {
  const outline = machineOutline(definition)
  return outline && { states: outline.states.map(plain), value: machineValue(state) ?? null }
}

/** An answer with the drawing of its machine. One that does not fit into a frame is left out. */
export const withDrawing = <T extends object>(
  answer: T,
  machine: Machine | undefined,
): T & { readonly machine?: Machine } =>
  machine && bytesOf(answer) + bytesOf(machine) <= drawnBytes ? { ...answer, machine } : answer

/** The state value of a machine's state: a text, or an object of texts. */
export const machineValue = (state: unknown): unknown => {
  const value: unknown = Object(state).value
  return typeof value === 'string' || isValue(value, 0) ? value : undefined
}

/** The parts of a running machine's state that are a user's. A snapshot has its whole machine too. */
export const machineParts = (state: unknown): unknown => {
  const { value, context, status } = Object(state) as Record<string, unknown>
  return { status, value, context }
}

const depthMax = 20

const isValue = (value: unknown, depth: number): boolean =>
  typeof value === 'string' ||
  (typeof value === 'object' &&
    value !== null &&
    depth < depthMax &&
    Object.values(value).every((part) => isValue(part, depth + 1)))

type State = NonNullable<ReturnType<typeof machineOutline>>['states'][number]

const plain = ({ path, isFinal, transitions }: State): Machine['states'][number] => ({
  path,
  isFinal,
  transitions: transitions.map(({ event, guard, to }) => ({
    event,
    to,
    ...(guard !== undefined && { guard }),
  })),
})
