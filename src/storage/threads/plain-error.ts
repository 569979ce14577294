/**
 * How an error crosses between a thread and its host: as plain data, without its class. It is apart
 * because errors of Node, LMDB and the system cross too. Pure.
 */
import {
  type ErrorCode,
  type ErrorDetails,
  isKeelsonError,
  KeelsonError,
  reasonText,
} from '../../errors.ts'
import { isError, readError } from '../../thrown.ts'

/** An error without its class. */
export type PlainError = {
  readonly code: ErrorCode
  readonly message: string
  readonly details: ErrorDetails
}

/** The error as plain data. One without a code of ours has its stack as its message. */
export const plainError = (error: unknown): PlainError => {
  if (isKeelsonError(error)) {
    const { code, message, details } = error.toJSON()
    return { code, message, details }
  }
  const stack = isError(error) ? readError(error).stack : undefined
  return { code: 'SHARD_DOWN', message: stack ?? reasonText(error), details: { reason: 'thread' } }
}

/** The error that crossed. */
export const errorOfPlain = ({ code, message, details }: PlainError): KeelsonError =>
  new KeelsonError(code, message, { details })
