/**
 * The record of a failure of user code, as the row of the work keeps it and every view shows it:
 * the error, the chain of its causes, and the user's own frames of its stack. It is made once, where
 * the code fails, and is bounded: what does not fit is left out from the end of the stack on. Pure.
 */
import { isKeelsonError, type KeptCause, type KeptError, keptError } from './errors.ts'
import { isError, readError } from './thrown.ts'
import { isFrame, isHiddenFrame } from './user-frames.ts'

/** The most bytes of a record. */
const bytesMax = 8 * 1024

const causesMax = 8

/** The most characters of the message of a cause. */
const causeMax = 400

/** The most frames that are kept of a stack. */
const framesMax = 30

/** The record of what user code has thrown. Reading a stack costs some 10 µs: only failures pay for it. */
export const failureRecord = (thrown: unknown, messageMax?: number): KeptError => {
  const kept = keptError(thrown, messageMax)
  if (!isError(thrown)) return kept
  const causes: KeptCause[] = []
  const frames: string[] = []
  let left = bytesMax - sizeOf({ ...kept, causes, stack: '' })
  const hasRoom = (part: unknown): boolean => {
    const size = sizeOf(part)
    if (size > left) return false
    left -= size
    return true
  }
  for (const cause of causesOf(thrown)) {
    const { name, message, code, address, port } = keptError(cause, causeMax)
    const at = placeOf(framesOf(cause))
    const of = { name, message, code, address, port, at: at?.trim().replace(/^at /, '') }
    const given = Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined))
    if (!hasRoom(given)) break
    causes.push(given as KeptCause)
  }
  for (const frame of framesOf(thrown)) {
    if (frames.length >= framesMax || !hasRoom(frame)) break
    frames.push(frame)
  }
  return {
    ...kept,
    ...(causes.length > 0 && { causes }),
    ...(frames.length > 0 && { stack: frames.join('\n') }),
  }
}

const sizeOf = (part: unknown): number => Buffer.byteLength(JSON.stringify(part)) + 1

/** The causes of an error, each before its own; the errors of an `AggregateError` follow it. */
export const causesOf = (error: Error): readonly unknown[] => {
  const found: unknown[] = []
  const visit = (each: unknown): void => {
    if (found.length >= causesMax || each === error || found.includes(each)) return
    found.push(each)
    inside(each)
  }
  const inside = (each: unknown): void => {
    if (!isError(each)) return
    const { cause, errors } = readError(each)
    if (cause !== undefined) visit(cause)
    for (const one of errors) visit(one)
  }
  inside(error)
  return found
}

/**
 * The user's frames of a stack. An error without one is a fault of Keelson or of Node, and keeps all,
 * unless it is a refusal.
 */
const framesOf = (error: unknown): readonly string[] => {
  if (!isError(error)) return []
  const frames = (readError(error).stack ?? '').split('\n').filter(isFrame)
  const own = frames.filter((frame) => !isHiddenFrame(frame))
  return own.length > 0 || isKeelsonError(error) ? own : frames
}

/** The first frame in a file of the user, as `JSON.parse` and sockets have none; without one the first. */
const placeOf = (frames: readonly string[]): string | undefined =>
  frames.find((frame) => !/\bnode:|<anonymous>\)?$|\(native\)$/.test(frame)) ?? frames[0]

/** A record in one line: the error and its causes. */
export const keptText = ({ causes = [], ...error }: KeptError): string =>
  [error, ...causes]
    .map(({ name, code, message }) => `${code ?? name}: ${message}`)
    .join('; cause: ')

/** The error of a record without its numbers: errors that differ in these only are one failure. */
export const alikeText = ({ name, code, message }: KeptError): string =>
  `${code ?? name}: ${message.slice(0, 400)}`.replace(/\d+/g, '0')

/**
 * The lines of a record: the error, its frames, and each cause with the place where it was thrown.
 * Without `texts` the errors have names and codes only.
 */
export const recordLines = (
  { causes = [], stack, ...error }: KeptError,
  texts = true,
): readonly string[] => {
  const titleOf = ({ name, code, message }: KeptCause): string =>
    (code === undefined ? name : `${name} [${code}]`) + (texts ? `: ${message}` : '')
  return [
    titleOf(error),
    ...(stack?.split('\n') ?? []),
    ...causes.flatMap((cause) => [
      `caused by ${titleOf(cause)}`,
      ...(cause.at === undefined ? [] : [`    at ${cause.at}`]),
    ]),
  ]
}
