/**
 * Judges recorded turns by another program: each is run twice with other clocks and draws, and what came of it
 * is compared with what the log has of it: state, steps, alarms, writes, entries, streams, own rows, the
 * answer and the messages. The index follows from the state. With a state of another version the logged state is migrated first.
 */
import { isDeepStrictEqual } from 'node:util'
import { plainJson } from '../../bytes/json.ts'
import { sha256Hex } from '../../bytes/sha256.ts'
import { isKeelsonError, keptError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { redacted } from '../../redaction.ts'
import type { System } from '../../runtime/index.ts'
import {
  alarmRows,
  type Command,
  decodeValue,
  encodeFrame,
  encodeValue,
  isWithin,
  readMainRow,
  rowTags,
  type StoredValue,
  type StreamPart,
  valueTags,
} from '../../storage/index.ts'
import {
  hashOf,
  type Part,
  type RecordOptions,
  readRecord,
  type TurnRecord,
} from '../durable/turn-record.ts'
import { readAlarm, readBody, type Step } from '../turns/memory.ts'
import { stateIn } from '../turns/waking.ts'
import type { NewServer, Verdict } from './actor-verdicts.ts'
import { type Draw, withDraws } from './drawn.ts'
import type { RecordedTurn } from './recorded-turns.ts'
import { NotRerun, type Rerun, rerun } from './turn-rerun.ts'

/** The effects of a turn that are compared, by their names for people. */
type Effects = Readonly<Record<string, unknown>>

/** The verdicts about a recorded turn. None: the program acts as the log says. */
export const turnVerdicts = async (
  system: System,
  recorded: RecordedTurn,
  server: NewServer,
): Promise<readonly Verdict[]> => {
  const record = readRecord(recorded.turn.recorded as Uint8Array)
  if (record.awaits) return [notRerun(record, 'its handler has returned a promise')]
  try {
    const ran = async (seed: number) => {
      let draws: readonly Draw[] = []
      const within = <T>(run: () => T): T => {
        const drawn = withDraws(seed, recorded.time, run)
        draws = drawn.draws
        return drawn.result
      }
      const found = await rerun(system, recorded, record, server, within)
      return { effects: effectsOf(`${recorded.kind}/${recorded.id}`, found), draws }
    }
    const one = await ran(1)
    const other = await ran(2)
    if (differences(one.effects, other.effects).length > 0)
      return [notRepeatable(record, one.draws.length > 0 ? one.draws : other.draws)]
    const differing = differences(loggedEffects(recorded, record, server), one.effects)
    return differing.length === 0 ? [] : [otherwise(recorded, record, server, differing)]
  } catch (error) {
    if (error instanceof NotRerun) return [notRerun(record, error.message)]
    // A state that cannot be read is found with the actor.
    if (isKeelsonError(error, 'BLOCKED'))
      return [notRerun(record, 'the state before it is unreadable')]
    const { code, name, message } = keptError(error)
    if (code === 'REHEARSAL') return [notRerun(record, message)]
    return [otherwise(recorded, record, server, [`it throws ${code ?? name}: ${message}`])]
  }
}

const effectsOf = (entity: string, { memory, draft, record }: Rerun): Effects => {
  const before = draft.before.memory
  const set = new Map<string, unknown>()
  for (const name of new Set([...before.alarms.keys(), ...memory.alarms.keys()])) {
    const [old, next] = [before.alarms.get(name), memory.alarms.get(name)]
    if (old !== next) set.set(name, next ? [next.at, stored(next.payload)] : 'is cancelled')
  }
  const { writes, entries, streams } = draft.othersOf(entity)
  const own = draft.own === before.own ? [] : [...(draft.own?.changes ?? [])]
  const { answer, sent } = record ? readRecord(record) : { answer: {}, sent: {} }
  return {
    state: stored(memory.state),
    steps: stepsIn(memory.steps),
    alarms: set,
    writes: writesIn(writes),
    entries: entries.map(digestOf),
    streams: streamsIn(streams),
    rows: new Map(own.map(([key, value]) => [key, value && valueText(value)])),
    answer,
    messages: sent,
  }
}

const loggedEffects = (
  { kind, id, turn }: RecordedTurn,
  { answer, sent }: TurnRecord,
  { table }: NewServer,
): Effects => {
  const entity = `${kind}/${id}`
  const body = turn.row && readBody(readMainRow(turn.row).body)
  const value = turn.row && { tag: rowTags.entity, bytes: turn.row }
  const state = value && stateIn(entity, { value, expiresAt: 0 }, table)
  const set = new Map<string, unknown>()
  for (const [key, bytes] of turn.rows) {
    if (!isWithin(key, alarmRows(entity))) continue
    const alarm = bytes && readAlarm(bytes)
    set.set(
      key.slice(key.lastIndexOf('\0') + 1),
      alarm ? [alarm.at, stored(alarm.payload)] : 'is cancelled',
    )
  }
  return {
    state: stored(state),
    steps: stepsIn(body?.steps ?? []),
    alarms: set,
    writes: writesIn(turn.writes),
    entries: (turn.entries ?? []).map(digestOf),
    streams: streamsIn(turn.streams ?? []),
    rows: new Map((turn.own?.changes ?? []).map(([key, each]) => [key, each && valueText(each)])),
    answer,
    messages: sent,
  }
}

/** A value as it is after it was stored. */
const stored = (value: unknown): unknown =>
  value === undefined ? undefined : decodeValue(encodeValue(value))

const stepsIn = (steps: readonly Step[]): unknown =>
  steps.map(({ name, payload }) => [name, stored(payload)])

const writesIn = (commands: readonly Command[]): unknown =>
  commands.length === 0
    ? 'none'
    : Buffer.from(encodeFrame([{ kind: 'batch', commands }])).toString('base64')

const streamsIn = (parts: readonly StreamPart[]): unknown =>
  parts.length === 0
    ? 'none'
    : Buffer.from(encodeFrame([{ kind: 'streams', parts }])).toString('base64')

const digestOf = ({ id, digest }: { readonly id: string; readonly digest: Uint8Array }): string =>
  `${id} ${Buffer.from(digest).toString('hex')}`

const valueText = ({ tag, bytes }: StoredValue): string =>
  tag === valueTags.structured
    ? plainText(decodeValue({ tag, bytes }))
    : `${tag} ${sha256Hex(bytes)}`

/** A structured value as a text, whatever the order of its fields. */
const plainText = (value: unknown): string =>
  Buffer.from(encodeValue(sorted(value)).bytes).toString('base64')

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  const fields = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return Object.fromEntries(fields.map(([name, each]) => [name, sorted(each)]))
}

/** The names of the effects that differ, with the place in the state. */
const differences = (before: Effects, now: Effects): readonly string[] =>
  Object.keys(before).flatMap((name) => {
    const [old, next] = [ownOf(before, name), ownOf(now, name)]
    if (name === 'answer' || name === 'messages')
      return isSamePart(old as Part, next as Part) ? [] : [`its ${name}`]
    if (isDeepStrictEqual(old, next)) return []
    return [`its ${name}${name === 'state' ? placeText(old, next) : ''}`]
  })

const isSamePart = (one: Part, other: Part): boolean => {
  if ('hash' in one || 'hash' in other) {
    const [left, right] = [one, other].map((part) => ('hash' in part ? part : hashOf(part)))
    return left?.hash === right?.hash
  }
  return isDeepStrictEqual(one, other)
}

/** The first field of two states that differs. Values are not shown. */
const placeText = (before: unknown, now: unknown): string => {
  const path: string[] = []
  let [old, next] = [before, now]
  for (;;) {
    if (!isFields(old) || !isFields(next)) break
    const [one, other] = [old, next]
    const name = [...new Set([...Object.keys(one), ...Object.keys(other)])].find(
      (each) => !isDeepStrictEqual(ownOf(one, each), ownOf(other, each)),
    )
    if (name === undefined || path.length === 8) break
    path.push(name)
    ;[old, next] = [ownOf(one, name), ownOf(other, name)]
  }
  return path.length === 0 ? '' : ` at ${path.join('.')}`
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !(value instanceof Map) && !(value instanceof Set)

const nameOf = ({ section, name }: TurnRecord): string => `${section.slice(0, -1)} ${name}`

const otherwise = (
  { lsn }: RecordedTurn,
  record: TurnRecord,
  { record: options }: NewServer,
  differing: readonly string[],
): Verdict => ({
  level: 'acts',
  what: 'a recorded turn differs',
  reason: `${nameOf(record)}${payloadText(record, options)} of lsn ${lsn}: ${differing.join(', ')}`,
  fix: 'check the handler; if the change is meant, deploy it',
})

/** The payload of a message, as it may be shown. */
const payloadText = ({ payload, name }: TurnRecord, options: RecordOptions | undefined): string => {
  if ('hash' in payload || payload.value === undefined) return ''
  const shown = options?.redact ? options.redact(payload.value, name) : redacted(payload.value)
  try {
    const text = plainJson(shown)
    return ` ${text.length > shownMax ? `${text.slice(0, shownMax)}…` : text}`
  } catch {
    return ''
  }
}

const shownMax = 200

const notRerun = (record: TurnRecord, why: string): Verdict => ({
  level: 'notes',
  what: 'a recorded turn was not run again',
  reason: `${nameOf(record)}: ${why}`,
  fix: 'none: what these handlers do is not compared',
})

const notRepeatable = (
  record: TurnRecord,
  draws: readonly { readonly what: string; readonly place: string }[],
): Verdict => ({
  level: 'notes',
  what: 'a turn is not repeatable',
  reason: `${nameOf(record)}: ${draws.map(({ what, place }) => `${what} at ${place}`).join(', ') || 'two runs differ'}`,
  fix: 'let the caller draw, and pass it in the message; take the time from `context.now()`',
})
