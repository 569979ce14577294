/**
 * The protocol of links: what two members say to each other, as the bodies of frames, and the check
 * of every body that comes in. A body is a list in the codec of stored values, so that payloads and
 * answers are refused as those of the store are. Kinds are numbered in the order in which they came
 * to be. Each side says the greatest that it knows, and gets no other. Pure.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type CallPlace,
  carriedAs,
  type ExitReason,
  type Message,
  type PendingCall,
  reasonFromWire,
  reasonToWire,
  type TraceOrigin,
  type WireReason,
} from '../../runtime/index.ts'
import { decodeFromOutside, encodeList, encodeValue } from '../../storage/index.ts'
import { traceContextIn } from '../../trace-context.ts'
import { bodyMax, headBytes, sealed } from './link-frames.ts'

/** The kinds of messages. A new one gets the next number; none changes its meaning. */
export const linkKinds = {
  call: 1,
  cast: 2,
  info: 3,
  reply: 4,
  failed: 5,
  abort: 6,
  monitor: 7,
  demonitor: 8,
  down: 9,
  owns: 10,
  returned: 11,
  held: 12,
  traced: 13,
} as const

/** The greatest kind that this version knows. */
export const knownKinds = Math.max(...Object.values(linkKinds))

/** The form of frames and of the greeting. Members with another one do not talk to each other. */
export const linkProtocol = 1

/** The first message in each direction. */
export type Greeting = {
  readonly cluster: string
  readonly member: string
  /** Another one for each start of a member. */
  readonly incarnation: string
  /** The greatest kind of message that it knows. */
  readonly knows: number
}

/** The position of an answer, if the call asked for one. */
type Position = { readonly shard: number; readonly lsn: number }

/** A message after its check. */
export type LinkMessage =
  | {
      readonly kind: typeof linkKinds.call
      readonly id: number
      readonly target: string
      readonly name: string
      readonly payload: unknown
      /** Until the deadline of the caller. */
      readonly leftMs: number
      readonly callId: string | undefined
      readonly asksPosition: boolean
      readonly waitsForName: boolean
    }
  | {
      readonly kind: typeof linkKinds.cast | typeof linkKinds.info
      readonly target: string
      readonly name: string
      /** Its place among the messages of its sender: it has this when it is returned. */
      readonly order: number
      readonly payload: unknown
    }
  | {
      readonly kind: typeof linkKinds.reply
      readonly id: number
      readonly value: unknown
      readonly position: Position | undefined
    }
  | { readonly kind: typeof linkKinds.failed; readonly id: number; readonly error: ExitReason }
  | { readonly kind: typeof linkKinds.abort | typeof linkKinds.demonitor; readonly id: number }
  | { readonly kind: typeof linkKinds.monitor; readonly id: number; readonly target: string }
  | { readonly kind: typeof linkKinds.down; readonly id: number; readonly reason: ExitReason }
  | { readonly kind: typeof linkKinds.owns; readonly shards: ReadonlySet<number> }
  | {
      readonly kind: typeof linkKinds.returned
      readonly shard: number
      readonly target: string
      readonly name: string
      readonly order: number
      readonly payload: unknown
    }
  | {
      /** Where the next message is in a trace; `undefined`: it was malformed. */
      readonly kind: typeof linkKinds.traced
      readonly origin: TraceOrigin | undefined
    }
  | ({ readonly kind: typeof linkKinds.held; readonly id: number } & CallPlace)

/** The frame of a list, whose members from `from` on are values of users. */
const frameOf = (list: unknown[], from = list.length): Buffer => {
  const frame = sealed(encodeList(list, headBytes, from))
  if (frame.length - headBytes <= bodyMax) return frame
  throw new KeelsonError(
    'TOO_LARGE',
    `a message to another member has ${frame.length - headBytes} bytes, more than ${bodyMax}`,
    { details: { size: frame.length - headBytes, max: bodyMax } },
  )
}

/** `undefined` is no stored value: a payload or an answer that is undefined is left out. */
const withValue = (list: unknown[], value: unknown): Buffer => {
  if (value === undefined) return frameOf(list)
  const from = list.length
  list.push(value)
  try {
    return frameOf(list, from)
  } catch (error) {
    // Its refusal names the place in the value, and not in the list.
    if (isKeelsonError(error, 'INVALID_ARGUMENT')) encodeValue(value)
    throw error
  }
}

const greetingMark = 'keelson-link'

/** The frame of a greeting. */
export const greetingFrame = ({ cluster, member, incarnation, knows }: Greeting): Buffer =>
  frameOf([greetingMark, linkProtocol, knows, cluster, member, incarnation])

const flags = { position: 1, waits: 2 }

/**
 * The frame of a call. @throws KeelsonError `INVALID_ARGUMENT` with `details.path` for a payload
 * that cannot be stored, `TOO_LARGE`
 */
export const callFrame = (id: number, target: string, call: PendingCall, leftMs: number): Buffer =>
  withValue(
    [
      linkKinds.call,
      id,
      target,
      call.name,
      Number.isFinite(leftMs) ? leftMs : null,
      (call.asksPosition ? flags.position : 0) | (call.waitsForName ? flags.waits : 0),
      call.id ?? null,
    ],
    call.payload,
  )

/** The frame of a cast or an info. @throws KeelsonError as `callFrame` */
export const sendFrame = (
  kind: typeof linkKinds.cast | typeof linkKinds.info,
  target: string,
  order: number,
  { name, payload }: Pick<Message, 'name' | 'payload'>,
): Buffer => withValue([kind, target, name, order], payload)

/** The frame of an answer. @throws KeelsonError as `callFrame` */
export const replyFrame = (id: number, value: unknown, position: Position | undefined): Buffer =>
  withValue([linkKinds.reply, id, position ? [position.shard, position.lsn] : null], value)

/** The frame of a message that has a number alone. */
export const idFrame = (
  kind: typeof linkKinds.abort | typeof linkKinds.demonitor,
  id: number,
): Buffer => frameOf([kind, id])

/** The frame of a monitor. */
export const monitorFrame = (id: number, target: string): Buffer =>
  frameOf([linkKinds.monitor, id, target])

/** The frame of all shards that the sender has now. */
export const ownsFrame = (shards: Iterable<number>): Buffer =>
  frameOf([linkKinds.owns, [...shards]])

/** The frame of a cast of the peer, which is for the next owner of the shard. @throws as `callFrame` */
export const returnedFrame = (
  shard: number,
  target: string,
  order: number,
  { name, payload }: Pick<Message, 'name' | 'payload'>,
): Buffer => withValue([linkKinds.returned, shard, target, name, order], payload)

/** The frame before that of a call or a cast, with its place in a trace. */
export const tracedFrame = ({ trace, isLate }: TraceOrigin): Buffer =>
  frameOf([linkKinds.traced, trace.traceparent, trace.tracestate ?? null, isLate])

/** The frame that says where a call of the peer waits. */
export const heldFrame = (id: number, { title, handling }: CallPlace): Buffer =>
  frameOf([
    linkKinds.held,
    id,
    shortened(title, nameMax),
    shortened(handling.message, nameMax),
    handling.since,
  ])

/** The frame of a failed call, or of the end of a monitored process. It is never too large. */
export const reasonFrame = (
  kind: typeof linkKinds.failed | typeof linkKinds.down,
  id: number,
  reason: ExitReason,
): Buffer => {
  let short: object = { value: 'a reason that cannot be shown' }
  try {
    const wire = tidied(reasonToWire(reason, storable))
    if ('message' in wire) short = { ...wire, details: {}, cause: undefined }
    return frameOf([kind, id, wire], 2)
  } catch {
    // It is too large, or reading it throws.
    return frameOf([kind, id, short], 2)
  }
}

/** A value as it can be stored; what cannot be is text. */
const storable = (value: unknown): unknown => {
  if (value === undefined) return null
  const carried = carriedAs(value, (found) => {
    encodeList([found])
    return found
  })
  return carried === value ? carried : wellFormed(carried)
}

const textMax = 16_000

/** Texts of errors are those of any code: half a character cannot be stored. */
const tidied = (wire: WireReason): WireReason => {
  if (!('message' in wire)) return wire
  const { name, message, stack, cause, errors, reasons, ...rest } = wire
  return {
    ...rest,
    name: shortened(name, 200),
    message: shortened(message, textMax),
    stack: stack === undefined ? undefined : shortened(stack, textMax),
    cause: cause && tidied(cause),
    ...(errors && { errors: errors.map(tidied) }),
    ...(reasons && { reasons: eachTidied(reasons) }),
  }
}

const eachTidied = (reasons: Readonly<Record<string, WireReason>>) =>
  Object.fromEntries(
    Object.entries(reasons).map(([key, each]) => [key.toWellFormed(), tidied(each)]),
  )

const shortened = (text: string, max: number): string => text.slice(0, max).toWellFormed()

const wellFormed = (carried: unknown): unknown =>
  typeof carried === 'string'
    ? carried.toWellFormed()
    : Object.fromEntries(
        Object.entries(Object(carried)).map(([key, each]) => [
          key.toWellFormed(),
          String(each).toWellFormed(),
        ]),
      )

// From the peer.

/** The refusal of a body that no member of this or another version writes. */
const malformed = (what: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `a message of a link is malformed: ${what}`)

const listIn = (body: Uint8Array): readonly unknown[] => {
  const list = decodeFromOutside(body)
  if (Array.isArray(list)) return list
  throw malformed('it is no list')
}

const isNumber = (found: unknown): found is number =>
  Number.isSafeInteger(found) && Number(found) >= 0

const idIn = (found: unknown): number => {
  if (isNumber(found)) return found
  throw malformed('its number')
}

const nameIn = (found: unknown): string => {
  if (typeof found === 'string' && found.length <= nameMax) return found
  throw malformed('a name')
}

/** The most characters of the name of a process or a message elsewhere. */
export const nameMax = 1_024

const identifier = /^[A-Za-z0-9_.-]{1,64}$/

/** Whether a text can name a cluster or a member. */
export const isIdentifier = (found: unknown): found is string =>
  typeof found === 'string' && identifier.test(found)

/**
 * Reads the first message of a peer. @throws KeelsonError `INVALID_ARGUMENT`;
 * `UNSUPPORTED_VERSION` for that of another protocol
 */
export const readGreeting = (body: Uint8Array): Greeting => {
  const [mark, protocol, knows, cluster, member, incarnation] = listIn(body)
  if (mark !== greetingMark) throw malformed('it is no greeting')
  if (protocol !== linkProtocol)
    throw new KeelsonError(
      'UNSUPPORTED_VERSION',
      `it speaks the protocol ${isNumber(protocol) ? protocol : '?'}, and this member ${linkProtocol}`,
      { details: { protocol, expected: linkProtocol } },
    )
  if (!isNumber(knows) || !isIdentifier(cluster) || !isIdentifier(member))
    throw malformed('a greeting')
  if (!isIdentifier(incarnation)) throw malformed('a greeting')
  return { cluster, member, incarnation, knows }
}

/** Reads a later message. @throws KeelsonError `INVALID_ARGUMENT` */
export const readMessage = (body: Uint8Array): LinkMessage => {
  const list = listIn(body)
  const [kind, first, second] = list
  switch (kind) {
    case linkKinds.call:
      return callIn(list)
    case linkKinds.cast:
    case linkKinds.info:
      ofLength(list, 4, 5)
      return {
        kind,
        target: nameIn(first),
        name: nameIn(second),
        order: idIn(list[3]),
        payload: list[4],
      }
    case linkKinds.reply:
      ofLength(list, 3, 4)
      return { kind, id: idIn(first), position: positionIn(second), value: list[3] }
    case linkKinds.failed:
      ofLength(list, 3, 3)
      return { kind, id: idIn(first), error: reasonIn(second) }
    case linkKinds.abort:
    case linkKinds.demonitor:
      ofLength(list, 2, 2)
      return { kind, id: idIn(first) }
    case linkKinds.monitor:
      ofLength(list, 3, 3)
      return { kind, id: idIn(first), target: nameIn(second) }
    case linkKinds.down:
      ofLength(list, 3, 3)
      return { kind, id: idIn(first), reason: reasonIn(second) }
    case linkKinds.owns:
      ofLength(list, 2, 2)
      return { kind, shards: shardsIn(first) }
    case linkKinds.returned:
      ofLength(list, 5, 6)
      return {
        kind,
        shard: shardIn(first),
        target: nameIn(second),
        name: nameIn(list[3]),
        order: idIn(list[4]),
        payload: list[5],
      }
    case linkKinds.traced: {
      ofLength(list, 4, 4)
      const trace = traceContextIn({ traceparent: first, tracestate: second })
      return { kind, origin: trace && { trace, isLate: list[3] !== false } }
    }
    case linkKinds.held: {
      ofLength(list, 5, 5)
      const handling = { message: nameIn(list[3]), since: idIn(list[4]) }
      return { kind, id: idIn(first), title: nameIn(second), handling }
    }
    default:
      throw malformed('its kind')
  }
}

/** No folder has more. */
const shardsMax = 65_536

const shardsIn = (found: unknown): ReadonlySet<number> => {
  if (!Array.isArray(found) || found.length > shardsMax) throw malformed('its shards')
  return new Set(found.map(idIn))
}

const shardIn = (found: unknown): number => {
  const shard = idIn(found)
  if (shard < shardsMax) return shard
  throw malformed('its shard')
}

const ofLength = ({ length }: readonly unknown[], least: number, most: number): void => {
  if (length < least || length > most) throw malformed('its length')
}

const callIn = (list: readonly unknown[]): LinkMessage => {
  ofLength(list, 7, 8)
  const [kind, id, target, name, leftMs, flagged, callId, payload] = list
  if (kind !== linkKinds.call) throw malformed('its kind')
  if (leftMs !== null && !(typeof leftMs === 'number' && leftMs >= 0)) throw malformed('a deadline')
  if (!isNumber(flagged) || flagged > (flags.position | flags.waits)) throw malformed('its flags')
  return {
    kind,
    id: idIn(id),
    target: nameIn(target),
    name: nameIn(name),
    payload,
    leftMs: leftMs ?? Number.POSITIVE_INFINITY,
    callId: callId === null ? undefined : nameIn(callId),
    asksPosition: (flagged & flags.position) > 0,
    waitsForName: (flagged & flags.waits) > 0,
  }
}

const positionIn = (found: unknown): Position | undefined => {
  if (found === null) return undefined
  if (!Array.isArray(found) || found.length !== 2) throw malformed('a position')
  return { shard: idIn(found[0]), lsn: idIn(found[1]) }
}

const reasonIn = (found: unknown): ExitReason => {
  checkReason(found)
  return reasonFromWire(found as WireReason)
}

const optionalText = (found: unknown): boolean => found === undefined || typeof found === 'string'

/** Causes within causes: a value is not deeper than the codec allows. */
const checkReason = (found: unknown): void => {
  if (typeof found !== 'object' || found === null) throw malformed('a reason')
  if (!('message' in found)) {
    if (!('value' in found)) throw malformed('a reason')
    return
  }
  const { name, message, stack, cause, code, details } = found as Record<string, unknown>
  const isText = typeof name === 'string' && typeof message === 'string'
  if (!isText || !optionalText(stack) || !optionalText(code)) throw malformed('an error')
  if (details !== undefined && (typeof details !== 'object' || details === null))
    throw malformed('the details of an error')
  if (cause !== undefined) checkReason(cause)
}
