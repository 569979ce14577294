/** The titles of past turns of durable actors: the cause of each, in words. Pure. */
import type { PastTurn } from '../../actors/index.ts'
import { printable } from '../text/paint.ts'

/** `call place request-7 by clerk`, `step charge`, `birth, call place`: as much as is known. */
export const causeTitle = (turn: PastTurn): string => {
  const { by } = turn.cause
  return `${handledText(turn)}${by === undefined ? '' : ` by ${printable(by)}`}`
}

const handledText = (turn: PastTurn): string => {
  const { kind, name, message } = turn.cause
  const [operation] = operationIn(turn)
  if (operation !== undefined) return printable(operation)
  const id = name === undefined ? '' : ` ${printable(name)}`
  if (kind === 'step' || kind === 'alarm') {
    const onFailed = message?.startsWith('onFailed ') ? 'onFailed of ' : ''
    return `${onFailed}${kind}${id}`
  }
  if (message === undefined || message === kind) return `${kind}${id}`
  const handled = `${printable(message)}${id}`
  return kind === 'birth' || kind === 'end' ? `${kind}, ${handled}` : handled
}

/** The operation of a run that says more than its message. */
const operationIn = ({ cause, operations }: PastTurn): readonly string[] =>
  cause.kind === 'message' ? operations.slice(0, 1) : []

/** The operations of a turn that its title leaves out. */
export const otherOperations = (turn: PastTurn): readonly string[] =>
  turn.operations.slice(operationIn(turn).length)
