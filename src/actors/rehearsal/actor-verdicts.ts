/**
 * Judges the rows of a durable actor by another program: whether the actor could be woken, and whether its
 * steps and alarms have handlers. Nothing of the actor runs but `migrate`, `index`, `isFinal` and
 * `formatStatus`, which are pure. It is apart from the actors that run, of which it makes none.
 */
import { retryOf } from '../../clock.ts'
import { isKeelsonError, KeelsonError, keptError, reasonText } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { readEntityRow } from '../../storage/index.ts'
import { isError, readError } from '../../thrown.ts'
import { thrownPlace } from '../../user-frames.ts'
import type { RecordOptions } from '../durable/turn-record.ts'
import { callStep, type DurableTable, type RecordedCall } from '../turns/durable-table.ts'
import type { StoredActor } from '../turns/judgement.ts'
import { endName } from '../turns/lifetime.ts'
import {
  type Fields,
  isParked,
  type Memory,
  mainRow,
  nothing,
  readAlarm,
  readBody,
} from '../turns/memory.ts'
import { stateIn } from '../turns/waking.ts'

/** How much a verdict weighs: something stops, something acts otherwise, or something is worth a look. */
export type Level = 'blocks' | 'acts' | 'notes'

/** A judgement of one run, actor or part by a new program. */
export type Verdict = {
  readonly level: Level
  /** A short text that is the same for all verdicts of one sort. */
  readonly what: string
  /** The case at hand: names of operations and parts. */
  readonly reason: string
  /** The remedy. */
  readonly fix: string
}

/** The server of a kind, or of a durable worker, in the new program. */
export type NewServer = {
  readonly table: DurableTable
  /** How long its entities are kept after their end; `undefined`: they never end by `isFinal`. */
  readonly keepMs: number | undefined
  readonly hasKind: (kind: string) => boolean
  /** The record of its turns. */
  readonly record?: RecordOptions | undefined
}

/** The most bytes of a state that a turn can write. */
const stateBytesMax = 1024 * 1024

/** The verdicts about an actor at rest. None: the program goes on with it. */
export const actorVerdicts = (stored: StoredActor, server: NewServer): readonly Verdict[] => {
  const entity = `${stored.kind}/${stored.id}`
  try {
    const state = stateIn(entity, stored.main, server.table)
    const fields = server.table.fieldsOf(state)
    return [...ofState(stored, state, fields, server), ...ofWork(stored, server)]
  } catch (error) {
    const { reason = reasonText(error) } = isKeelsonError(error) ? error.details : {}
    const fix = 'a higher `version` with a `migrate` from the old one'
    return [{ level: 'blocks', what: 'BLOCKED', reason: `${reason}${placeText(error)}`, fix }]
  }
}

/** Where the code of users has thrown it: `migrate`, `index`, `isFinal` or `formatStatus`. */
const placeText = (error: unknown): string => {
  const thrown = isKeelsonError(error, 'BLOCKED') ? error.cause : error
  const place = isError(thrown) ? thrownPlace(readError(thrown).stack) : undefined
  return place === undefined ? '' : `, at ${place}`
}

const ofState = (
  { main, alarms }: StoredActor,
  state: unknown,
  fields: Fields,
  { table, keepMs }: NewServer,
): readonly Verdict[] => {
  const { mark, body } = readEntityRow(main)
  const { steps, birth, ...before } = readBody(body)
  const found: Verdict[] = []
  const memory: Memory = { ...nothing, state, steps, birth, fields, mark }
  const refusal = refusalOf(() => mainRow(memory, mark, table.version, table.shape))
  if (refusal) {
    const fix = 'a `migrate` whose result can be stored, in at most 1 MiB'
    found.push({ level: 'blocks', what: refusal.code, reason: refusal.message, fix })
  }
  const moved = [...new Set([...Object.keys(before.fields), ...Object.keys(fields)])].filter(
    (name) => ownOf(before.fields, name) !== ownOf(fields, name),
  )
  if (moved.length > 0) {
    const reason = `the index has other values for ${moved.sort().join(', ')}`
    const fix = 'run `migrateAll` after the deploy: lists find the old values until then'
    found.push({ level: 'notes', what: 'index needs migrateAll', reason, fix })
  }
  const hasEnded = alarms.some(([name]) => name === endName)
  if (keepMs !== undefined && !hasEnded && table.isFinal(state)) {
    const reason = `\`isFinal\` says that its state is final: its next turn ends it, and it is removed after ${keepMs} ms`
    const fix = 'check `isFinal`'
    found.push({ level: 'acts', what: 'would end', reason, fix })
  }
  return found
}

const refusalOf = (write: () => Uint8Array): KeelsonError | undefined => {
  try {
    const { length } = write()
    if (length <= stateBytesMax) return undefined
    return new KeelsonError('TOO_LARGE', `its state takes more than ${stateBytesMax} bytes`)
  } catch (error) {
    return isKeelsonError(error)
      ? error
      : new KeelsonError('INVALID_ARGUMENT', keptError(error).message)
  }
}

/** The verdicts about the steps and alarms of an actor. */
const ofWork = (stored: StoredActor, { table, hasKind }: NewServer): readonly Verdict[] => {
  const found: Verdict[] = []
  const lacks = (what: string): void => {
    const fix = 'keep the handler until nothing of its name is stored'
    found.push({ level: 'blocks', what: 'no handler', reason: `there is no ${what}`, fix })
  }
  const tried = (section: 'continues' | 'alarms', name: string, tries: number): void => {
    const { max } = retryOf(table.retry, ownOf(table.retry?.[section], name))
    if (tries === 0 || tries < max) return
    const reason = `the ${section.slice(0, -1)} ${name} has failed ${tries} times, and \`retry\` allows ${max}`
    const fix = 'keep `retry.max` until this work is over'
    found.push({ level: 'acts', what: 'has no try left', reason, fix })
  }
  const { steps } = readBody(readEntityRow(stored.main).body)
  for (const step of steps) {
    const { name, payload, tries } = step
    if (isParked(step)) continue
    if (!Object.hasOwn(table.continues, name)) lacks(`continue ${name}`)
    else if (name === callStep) {
      const { kind } = payload as RecordedCall
      if (!hasKind(kind)) lacks(`kind ${kind}, which a recorded call is for`)
    } else tried('continues', name, tries)
  }
  for (const [name, row] of stored.alarms) {
    const alarm = readAlarm(row.value.bytes)
    if (name.startsWith('$') || isParked(alarm)) continue
    if (Object.hasOwn(table.alarms, name)) tried('alarms', name, alarm.tries)
    else lacks(`alarm ${name}`)
  }
  return found
}
