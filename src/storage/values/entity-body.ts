/**
 * The body of an entity's main row: a list of its format, the version of its handlers, its shape,
 * the recorded steps, the index fields, the birth of the rows that it keeps, if any, the names of its
 * streams, if any, and its state. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import { valueTags } from '../ports/projection-store.ts'
import type { IndexValue } from './index-value.ts'
import { decodeValue } from './value.ts'

/** The first format. Each addition raises it by its number. */
const firstFormat = 1
const additions = { birth: 1, failures: 2, streams: 4 }

/** The format of a body: whether it has the birth of own rows, a step that has failed, and streams. */
export const entityBodyFormat = (
  hasBirth: boolean,
  hasFailures: boolean,
  hasStreams: boolean,
): number =>
  firstFormat +
  (hasBirth ? additions.birth : 0) +
  (hasFailures ? additions.failures : 0) +
  (hasStreams ? additions.streams : 0)

/**
 * A step as it is stored: its step, name, tries, the times of its next try and wake, its payload, and
 * perhaps its place in a trace.
 */
export type StoredStep = readonly [string, string, unknown, number, number, ...unknown[]]

/** The content of the body of a main row. */
export type EntityBody = {
  readonly version: number
  readonly shape: string
  readonly steps: readonly StoredStep[]
  /** The fields in its index rows. */
  readonly fields: Readonly<Record<string, IndexValue>>
  readonly birth: string | undefined
  /** The names of its streams; absent for none. */
  readonly streams?: readonly string[]
  readonly state: unknown
}

/**
 * Reads the body of a main row.
 * @throws KeelsonError `UNSUPPORTED_VERSION` for a later layout; `CORRUPT`
 */
export const readEntityBody = (bytes: Uint8Array): EntityBody => {
  const read = decodeValue({ tag: valueTags.structured, bytes }) as [number, ...unknown[]]
  const [format, version, shape, steps, fields, ...rest] = read as [
    ...[number, number, string, EntityBody['steps'], EntityBody['fields']],
    ...unknown[],
  ]
  const has = format - firstFormat
  if (has < 0 || has > additions.birth + additions.failures + additions.streams)
    throw new KeelsonError('UNSUPPORTED_VERSION', `a newer version wrote this row: ${format}`)
  const birth = has & additions.birth ? (rest.shift() as string) : undefined
  const streams = has & additions.streams ? (rest.shift() as readonly string[]) : undefined
  const [state] = rest
  const body = { version, shape, steps, fields, birth, state }
  return streams ? { ...body, streams } : body
}
