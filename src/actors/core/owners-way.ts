/**
 * The other members of an instance, as an instance needs them: the owner of each shard, questions to
 * it, and processes there. This is a port. `src/members` has the links, and `routing` the questions.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { type ChildSpec, Envelope, type Message, type Name, type Ref } from '../../runtime/index.ts'

/** Answers a question of another member. Its argument comes from a peer, and may be wrong. */
export type Answerer = (payload: unknown) => unknown

/** The way to the owners of shards, and to members. */
export interface OwnersWay {
  /** The name of this member. */
  readonly member: string
  /** The names of the other members, whether they run or not. */
  readonly others: readonly string[]
  /** The member that has the shard, as far as it is known. */
  ownerOf(shard: number): string | undefined
  /** Whether there is a link to the member. */
  isLinked(member: string): boolean
  /**
   * Asks the owner of a shard, and the next one while no owner answers, within the time. The answer
   * comes from a peer.
   * @throws KeelsonError that of the owner, with `details.member`; `SHARD_DOWN` with `details.state`
   * `elsewhere`, the member and the reason, if none answered in time
   */
  ask(shard: number, question: string, payload: unknown, timeoutMs: number): Promise<unknown>
  /** Asks a member once, or this one. @throws KeelsonError that of it, with `details.member` */
  askMember(member: string, question: string, payload: unknown, timeoutMs: number): Promise<unknown>
  /** Answers a question of other members from now on. */
  answer(question: string, answerer: Answerer): void
  /** The ref of a process of another member. */
  at<M>(member: string, name: Name<M>): Ref<M>
  /** Calls `listener` with each shard that has another owner, or none. */
  onMoved(listener: (shard: number) => void): () => void
  /** Calls `listener` with each member whose link has ended. */
  onUnlinked(listener: (member: string) => void): () => void
}

/**
 * Things kept here for another member end with its link, and do not begin after that: a question
 * may be handled late. @throws KeelsonError `NO_PROCESS`
 */
export const checkLinked = (way: OwnersWay, member: string): void => {
  if (member === way.member || way.isLinked(member)) return
  throw new KeelsonError('NO_PROCESS', `the connection to ${member} has ended`)
}

/** A message of a link has at most 8 MiB. The values in one have at most so many bytes. */
export const sentBytesMax = 6 * 1024 * 1024

/** Checks the length of a value for a message. @throws KeelsonError `TOO_LARGE` */
export const checkSent = (length: number): void => {
  if (length <= sentBytesMax) return
  const message = `a value of ${length} bytes is read at the member that has it: at most ${sentBytesMax} go to another one`
  throw new KeelsonError('TOO_LARGE', message, { details: { length, lengthMax: sentBytesMax } })
}

/** A shard, as far as it matters where it is. */
type PlacedShard = {
  readonly index: number
  readonly phase: { readonly kind: string }
  readonly way: OwnersWay | undefined
  readonly isComing: boolean
  readonly beginnings: ReadonlySet<Promise<unknown>>
  readonly parts: { readonly settings: { readonly deadlineMs: number } }
  reopened(times: number, withinMs: number): Promise<boolean>
}

/** Whether another member has the shard, or none. */
export const isElsewhere = ({ phase }: PlacedShard): boolean => phase.kind === 'elsewhere'

/** Whether another member can be asked for the shard. */
const isAskable = (shard: PlacedShard): boolean => shard.way !== undefined && isElsewhere(shard)

/**
 * Waits until an owner has fixed the position of every watch that was called for before. A caller begins
 * a watch, reads everything, and then takes the changes from the watch. The question of the watch may be
 * refused on its way and sent again. If an owner answered the read first, changed a key, and then heard
 * of the watch, the caller would miss that change.
 */
export const watchesBegun = async ({
  beginnings,
}: Pick<PlacedShard, 'beginnings'>): Promise<void> => {
  if (beginnings.size > 0) await Promise.all(beginnings)
}

/** Waits while a shard comes here, within its time: then it is read here, or where it went. */
const arrived = async (shard: PlacedShard): Promise<void> => {
  await watchesBegun(shard)
  if (isArriving(shard)) await shard.reopened(0, shard.parts.settings.deadlineMs)
}

const isArriving = ({ way, isComing }: PlacedShard): boolean => way !== undefined && isComing

/** The refusal of what cannot be done here, for the shard has another owner, or none. `then`: what can be done. */
export const elsewhere = (
  shard: number,
  member: string | undefined,
  then?: string,
): KeelsonError => {
  const place = member === undefined ? 'at no member now' : `at the member ${member}`
  const rest = then === undefined ? '' : `: ${then}`
  return new KeelsonError('ELSEWHERE', `shard ${shard} is ${place}${rest}`, {
    details: { shard, state: 'elsewhere', ...(member !== undefined && { member }) },
  })
}

/** Names the forms of a handle that work at every member, in code, for the text of `elsewhere`. */
export const fromHere = (forms: string): string => `from here use ${forms}`

/** The refusal of what is done at the owner of a shard alone. `act`: what, in code. */
export const onlyThere = ({ index, way }: PlacedShard, act: string): KeelsonError =>
  elsewhere(index, way?.ownerOf(index), `\`${act}\` works there alone`)

/** Checks that a shard is here. `act`: what is done, in code. @throws KeelsonError `ELSEWHERE` */
export const checkHere = (shard: PlacedShard, act: string): void => {
  if (isElsewhere(shard)) throw onlyThere(shard, act)
}

/**
 * Does work on a shard: here, or at its owner. A shard that leaves in between is asked for there.
 */
export const atOwner = async <T>(
  shard: PlacedShard,
  here: () => Promise<T>,
  there: (way: OwnersWay) => Promise<T>,
): Promise<T> => {
  const { way } = shard
  if (way === undefined) return here()
  await arrived(shard)
  if (isElsewhere(shard)) return there(way)
  try {
    return await here()
  } catch (error) {
    if (isElsewhere(shard)) return there(way)
    throw error
  }
}

/**
 * Does work on a shard here, or asks its owner for it: `wal.sync` is `sync` of `app.wal(shard)` there,
 * with these arguments after the shard.
 */
export const askedAtOwner = <T>(
  shard: PlacedShard,
  question: string,
  given: readonly unknown[],
  timeoutMs: number,
  here: () => Promise<T>,
): Promise<T> => {
  const { index } = shard
  return atOwner(
    shard,
    here,
    (way) => way.ask(index, question, [index, ...given], timeoutMs) as Promise<T>,
  )
}

/** The answer of a member: `shards` are the ones that it has, of the ones that it was asked for. */
type FoundThere<T> = { readonly shards: readonly number[]; readonly found: T }

/** A shard that another member may ask for. */
type AskedShard = PlacedShard & { unavailable(): KeelsonError }

const isHere = ({ phase }: AskedShard): boolean =>
  phase.kind !== 'elsewhere' && phase.kind !== 'closed'

/**
 * The shard that another member asks for.
 * @throws KeelsonError `ELSEWHERE`, `CLOSED`, `INVALID_ARGUMENT`
 */
export const shardAsked = <S extends AskedShard>(all: readonly S[], index: unknown): S => {
  const shard = all[index as number]
  if (!shard) throw invalidArgument('shard', `0 to ${all.length - 1}`, index)
  if (!isHere(shard)) throw shard.unavailable()
  return shard
}

/**
 * Answers another member with what `look` finds in the shards here, of the ones that it asks for.
 * @throws KeelsonError `ELSEWHERE` if the first one is not here; `INVALID_ARGUMENT`; as `look`
 */
export const foundFor = async <S extends AskedShard, T>(
  all: readonly S[],
  indexes: unknown,
  look: (shards: readonly S[]) => T | Promise<T>,
): Promise<FoundThere<T>> => {
  if (!Array.isArray(indexes)) throw invalidArgument('shards', 'a list', indexes)
  const asked = indexes.flatMap((index) => all[index] ?? [])
  const shards = asked.filter(isHere)
  const [first] = asked
  if (!first) throw invalidArgument('shards', `of 0 to ${all.length - 1}`, indexes)
  if (!shards.includes(first)) throw first.unavailable()
  return { shards: shards.map(({ index }) => index), found: await look(shards) }
}

/**
 * Reads in several shards: here, and by asking each other owner once, which answers with `foundFor`. A
 * shard that leaves in between is read at its next owner, so each is read once. `given` follows the
 * shards in the question, and `received` is what has come.
 * @throws KeelsonError as `here`; as `OwnersWay.ask`
 */
export const overOwners = async <S extends PlacedShard, T, Sent>(
  shards: readonly S[],
  here: (shards: readonly S[]) => T | Promise<T>,
  question: string,
  given: readonly unknown[],
  received: (sent: Sent) => T,
): Promise<readonly T[]> => {
  const deadlineMs = shards[0]?.parts.settings.deadlineMs ?? 0
  const there = async (way: OwnersWay, indexes: readonly number[]): Promise<FoundThere<T>> => {
    const answer = await way.ask(indexes[0] ?? 0, question, [indexes, ...given], deadlineMs)
    const { shards, found } = answer as FoundThere<Sent>
    return { shards, found: received(found) }
  }
  const found: T[] = []
  const awaited = new Set<S>()
  let left = shards
  while (left.length > 0) {
    await Promise.all(left.map(watchesBegun))
    // While one is awaited, another one may begin to come.
    for (;;) {
      const coming = left.filter((shard) => isArriving(shard) && !awaited.has(shard))
      if (coming.length === 0) break
      for (const shard of coming) awaited.add(shard)
      await Promise.all(coming.map(arrived))
    }
    const near = left.filter((shard) => !isAskable(shard))
    const asked = [...byOwner(left.filter(isAskable))].map(([way, indexes]) => there(way, indexes))
    const parts = await Promise.all([...(near.length > 0 ? [foundHere(near, here)] : []), ...asked])
    const done = new Set(parts.flatMap((part) => part?.shards ?? []))
    for (const part of parts) if (part) found.push(part.found)
    left = left.filter(({ index }) => !done.has(index))
  }
  return found
}

/** `undefined`: one of the shards has left in between. */
const foundHere = async <S extends PlacedShard, T>(
  shards: readonly S[],
  here: (shards: readonly S[]) => T | Promise<T>,
): Promise<FoundThere<T> | undefined> => {
  try {
    return { shards: shards.map(({ index }) => index), found: await here(shards) }
  } catch (error) {
    if (shards.some(isAskable)) return undefined
    throw error
  }
}

/** The shards of each owner; each without one by itself. */
function* byOwner(
  shards: readonly PlacedShard[],
): IterableIterator<readonly [way: OwnersWay, indexes: readonly number[]]> {
  const groups = new Map<string | number, [OwnersWay, number[]]>()
  for (const { index, way } of shards) {
    if (!way) continue
    const owner = way.ownerOf(index) ?? index
    const group = groups.get(owner) ?? [way, []]
    groups.set(owner, group)
    group[1].push(index)
  }
  yield* groups.values()
}

/** The messages that every process takes. */
export type AnyMessages = {
  calls: Record<string, (payload: unknown) => unknown>
  casts: Record<string, (payload: unknown) => void>
  infos: Record<string, (payload: unknown) => void>
}

/** The process that another member means by a name; `undefined` for one that it must not reach. */
export type Reach = (name: string) => Ref<AnyMessages> | undefined

/** A member of the instance: another one, or this one. */
export type Member = {
  readonly name: string
  /**
   * The ref of the process that has a name there, looked up there at each use. Payloads and answers
   * must be values that can be stored. A call rejects as one to a process here does, and with
   * `NO_PROCESS` (`details.reason`: `noconnection`) while the members are not connected: with
   * `waitForName` it waits for that within its time. `BUSY`: too much waits to be sent there.
   * `UNKNOWN_OUTCOME`: the connection ended before the answer came; a call with an `id` is repeated
   * instead. `NOT_SUBMITTED`: it ended before the call left, and there was no other one in time.
   * Monitors and links end with `noconnection` when the connection does.
   * @throws KeelsonError `INVALID_ARGUMENT` for a name that is not text of 1 to 1,024 characters
   */
  ref<M = unknown, S = unknown>(name: Name<M> | string): Ref<M, S>
}

/**
 * `details.reason` of the refusal of a member that has the shard no longer. The caller's member sends
 * the message to the next owner.
 */
const movedReason = 'moved'

/** That refusal. */
export const movedError = (shard: number): KeelsonError =>
  new KeelsonError('SHARD_DOWN', `shard ${shard} is at another member`, {
    details: { shard, state: 'elsewhere', reason: movedReason },
  })

/** Whether it is that refusal. */
export const isMoved = ({ details }: KeelsonError): boolean => details.reason === movedReason

/** `details.reason` of a call for which a link has no room now. */
const fullReason = 'link'

/** The refusal of a link without room. The owner has not heard of the call. */
export const linkFull = (
  message: string,
  details: Readonly<Record<string, unknown>>,
): KeelsonError =>
  new KeelsonError('BUSY', message, { details: { ...details, reason: fullReason } })

/** Whether a link refused it, and not the owner. */
export const isLinkFull = ({ code, details }: KeelsonError): boolean =>
  code === 'BUSY' && details.reason === fullReason

/** The owners of shards, for what has to reach them. */
export interface ShardOwners {
  /** The name of the member that has the shard open; `undefined`: nobody now, as far as it is known. */
  ownerOf(shard: number): string | undefined
  /** Whether this member has it. */
  isHere(shard: number): boolean
  /**
   * The ref of the process with that name at the owner of the shard, looked up at each use. A call
   * waits within its time while there is no owner, and a minute if it has no deadline. Then it
   * rejects with `SHARD_DOWN` (`details.state`: `elsewhere`), and with `BUSY` if 1,024 wait. A cast waits with them, for 30 s.
   * The rest is as of `Member.ref`, and a call with an `id` is repeated at the next owner.
   */
  refOf<M = unknown, S = unknown>(shard: number, name: string): Ref<M, S>
  /**
   * Sends a call or a cast to the process with that name at the owner of the shard. It was for one
   * that was here. While there is no owner, calls are kept, and 65,536 casts.
   */
  pass(shard: number, name: string, message: Message): void
  /** Whether earlier messages to its owner wait: later ones wait until these are sent, also if it is here. */
  hasWaiting(shard: number): boolean
  /** Whether nobody has it, and nobody is waited for: this member closes. */
  isLost(shard: number): boolean
  /** Resolves when this member closes and waits no longer for shards that nobody has. */
  readonly givenUp: Promise<void>
  /** Calls `listener` with each shard that has another owner, or none. Returns a function that ends this. */
  onMoved(listener: (shard: number) => void): () => void
}

/** The links of this member to the others. */
export interface OtherMembers extends ShardOwners {
  /** The name of this member. */
  readonly member: string
  /** The names of the others, whether they run or not. */
  readonly others: readonly string[]
  /** Whether there is a link to a member. */
  isLinked(member: string): boolean
  /**
   * A member by its name, whether it runs or not.
   * @throws KeelsonError `INVALID_ARGUMENT` for a text that is no name of a member
   */
  at(name: string): Member
  /** Calls `listener` with each member whose link has ended. */
  onUnlinked(listener: (member: string) => void): () => void
  /** Says to the others whether this member has the shard. */
  own(shard: number, has: boolean): void
  /** Resolves when the others have heard it. */
  exchanged(): Promise<unknown>
  /** Resolves when the calls of the others are answered. */
  answered(): Promise<unknown>
  /** The tree of the links. */
  childSpec(): ChildSpec
}

/** A cast that another member has sent. */
export abstract class MembersCast extends Envelope {
  /** The shard has left before the cast was handled: its sender sends it to the next owner. False: it does not. */
  abstract giveBack(shard: number): boolean
}
