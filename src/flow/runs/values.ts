/** The values of runs: as a replay gives them, and their hashes. Pure. */

import { sha256 } from '../../bytes/sha256.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { Parse } from '../../schema.ts'
import { canonicalValue, decodeValue, encodeValue, type StoredValue } from '../../storage/index.ts'
import type { Outcome, UnreadUpdate } from './record.ts'

/**
 * The stored form of a value that a program gives away. `of` says what it is, such as `the input`:
 * a writer of workflows meets the refusal far from the value.
 * @throws KeelsonError `INVALID_ARGUMENT` with `of`, and with the `path` in the value, in `details`
 */
export const encoded = (value: unknown, of: string): ReturnType<typeof encodeValue> => {
  try {
    return encodeValue(value)
  } catch (cause) {
    if (!isKeelsonError(cause, 'INVALID_ARGUMENT')) throw cause
    const details = { ...cause.details, of }
    throw new KeelsonError('INVALID_ARGUMENT', `${of}: ${cause.message}`, { details, cause })
  }
}

/**
 * The value as it comes back from its row, so that the first activation of a run sees no other one than a
 * replay. @throws KeelsonError as `encoded`
 */
export const copied = <T>(value: T, of: string): T => {
  if (value === undefined || isItsCopy(value)) return value
  return decodeValue(encoded(value, of)) as T
}

/**
 * Whether a value comes back from its row as it is, so that nothing is stored to see that: `null`, a
 * boolean, a number.
 */
const isItsCopy = (value: unknown): boolean =>
  value === null || typeof value === 'number' || typeof value === 'boolean'

/** A longer value has another row than its operation. */
const longBytes = 16 * 1024

/** The outcome with this value, as `copied`. @throws KeelsonError as `encoded` */
export const outcomeOf = (value: unknown, of: string): Outcome => {
  if (value === undefined) return { kind: 'ok' }
  if (isItsCopy(value)) return { kind: 'ok', value }
  const stored = encoded(value, of)
  const outcome = { kind: 'ok', value: decodeValue(stored) } as const
  return stored.bytes.length > longBytes ? { ...outcome, isApart: true } : outcome
}

/** The input of a run, which its caller may change later, and 128 bits of its hash. */
export type Input = { readonly input: unknown; readonly inputHash: string }

/** The input as its run gets it. @throws KeelsonError as `encoded` */
export const inputOf = (input: unknown, of = 'the input'): Input => {
  if (input === undefined) return { input, inputHash: '' }
  const stored = encoded(input, of)
  return { input: decodeValue(stored), inputHash: hashOfStored(canonicalValue(stored)) }
}

/**
 * The input as a schema makes it, with the hash of the given one: a start is known by what its caller
 * gives, whatever the schema makes of it the next time. A given input that cannot be stored has no hash.
 * @throws KeelsonError as `encoded`, and `INVALID_ARGUMENT` if the schema refuses it
 */
export const parsedInput = (given: unknown, parse: Parse | undefined, of = 'the input'): Input => {
  if (!parse) return inputOf(given, of)
  const { input, inputHash } = inputOf(parse(given, of), of)
  return { input, inputHash: ifStorable(() => inputOf(given).inputHash) ?? inputHash }
}

/** A hash of what a caller gives to a schema; `undefined`: it cannot be stored. */
export const ifStorable = (hash: () => string): string | undefined => {
  try {
    return hash()
  } catch {
    return undefined
  }
}

/**
 * Whether a run with this hash has this input. An earlier build hashed the bytes with the names in
 * the order given; the hash may come from such a build, here or at a caller.
 */
export const isSameInput = (known: string, { input, inputHash }: Input): boolean => {
  if (known === inputHash) return true
  if (input === undefined) return false
  const stored = encoded(input, 'the input')
  return known === hashOfStored(stored) || known === hashOfStored(canonicalValue(stored))
}

const hashOfStored = ({ tag, bytes }: StoredValue): string =>
  hashOfBytes(Buffer.concat([Uint8Array.of(tag), bytes]))

/** 128 bits of the hash of a value that is no text. @throws KeelsonError as `encoded` */
export const hashOf = (value: object, of: string): string =>
  hashOfBytes(canonicalValue(encoded(value, of)).bytes)

/**
 * The hash as an earlier build made it: equal objects whose names come in another order have
 * different hashes.
 */
export const earlierHashOf = (value: object, of: string): string =>
  hashOfBytes(encoded(value, of).bytes)

const hashOfBytes = (bytes: Uint8Array): string => digest(bytes).toString('base64')

/** 128 bits of the hash of a text. */
export const hashOfText = (text: string): Buffer => digest(Buffer.from(text))

const digest = (bytes: Uint8Array): Buffer => Buffer.from(sha256(bytes)).subarray(0, 16)

/** The most bytes of a signal: the value of its row is read at once. */
export const signalBytesMax = 1024 * 1024

/** How many bytes a signal of this value has. @throws KeelsonError `INVALID_ARGUMENT` */
export const signalLength = (value: unknown): number =>
  value === undefined ? 0 : encodeValue(signalRow(value)).bytes.length

/** Why this value is no signal, and no update: its row is too long to be read at once. */
export const signalTooLarge = (value: unknown): KeelsonError | undefined => {
  const length = signalLength(value)
  if (length <= signalBytesMax) return undefined
  const text = `a signal or an update has at most ${signalBytesMax} bytes`
  return new KeelsonError('TOO_LARGE', text, { details: { length, max: signalBytesMax } })
}

/** The value of the row of an unread signal. */
export const signalRow = (value: unknown): readonly unknown[] =>
  value === undefined ? [] : [value]

/** The row of an unread update. */
export const updateRow = (update: string, value: unknown): UnreadUpdate =>
  value === undefined ? { update } : { update, value }

const progressBytesMax = 64 * 1024

/** The progress that a body reports, as `copied`. @throws KeelsonError `INVALID_ARGUMENT`, `TOO_LARGE` */
export const progressOf = (progress: unknown): unknown => {
  if (progress === undefined) return undefined
  const stored = encoded(progress, 'the progress')
  const { length } = stored.bytes
  if (length <= progressBytesMax) return decodeValue(stored)
  throw new KeelsonError('TOO_LARGE', `a progress has at most ${progressBytesMax} bytes`, {
    details: { length, max: progressBytesMax },
  })
}
