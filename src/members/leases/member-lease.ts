/**
 * The lease of a member in a directory, and the claim of an instance that depends on it. Pure: the
 * next request follows from what was seen, and the time is the member's own monotonic clock.
 *
 * 1. Each start of a member has an incarnation. Its entry, `member/NAME`, names the incarnation, and
 *    each renewal changes the revision of the entry.
 * 2. If a member sees one revision of an entry unchanged for the holder's `leaseMs`, that lease has
 *    expired. Time in which the engine was away does not count: nobody could renew. The member ends
 *    the lease: it marks the entry `ended` by compare-and-set at this revision. A later start of the
 *    holder's name overwrites the entry instead, which ends the lease too. A renewal and an end
 *    exclude each other, and an incarnation that was ended never holds its entry again. For that no
 *    entry is ever removed.
 * 3. The entry `owner` names the member and the incarnation that own the instance. It changes only
 *    after the lease of that incarnation was ended, to the next epoch.
 * 4. A member that has not read the logs leaves the ownership to others, and takes it when it has read
 *    them. It does not wait for that if all others have given their leases back.
 * 5. The owner counts its lease from before it sent its last acknowledged renewal, less 10 %. So no
 *    two members take themselves for the owner at one moment if their clocks differ by less.
 * 6. Where each shard has an owner (`isSpread`), nobody owns the instance: each member counts its
 *    lease as in 5, and ends those of the others that have expired. `shard-holds.ts` has the rest.
 *
 * The lease decides who tries to write. The logs decide who writes.
 */
import { DirectoryEntry, type DirectoryView, entryIn, entryText } from '../../storage/index.ts'

/** One start of a member. */
export type MemberIdentity = {
  readonly member: string
  /** Random: no two starts of any member have the same. */
  readonly incarnation: string
  readonly leaseMs: number
  /** For people who look at the directory. */
  readonly about?: MemberAbout | undefined
  /** The features of logs that it reads, as bits; none by default. */
  readonly reads?: number | undefined
  /** It reads the logs before it owns, if another member may be faster. */
  readonly readsFirst?: boolean | undefined
  /** It owns shards beside others, and not the instance. */
  readonly isSpread?: boolean | undefined
}

/** The process of a member. */
export type MemberAbout = {
  readonly host: string
  readonly pid: number
  /** When it began, in ms since 1970. */
  readonly since: number
  /** Where others reach it for links, as `host:port`. */
  readonly listen?: string | undefined
}

/** An entry at one revision, and when it was seen first. */
type Seen = { readonly revision: number; readonly since: number }

/** The knowledge of a member. */
export type LeaseState = MemberIdentity & {
  /** The words of the member, as the keeper set them. The next renewal has them. */
  readonly says: LeaseWords
  /** The last view, with the member's own later changes; `undefined` before the first one. */
  readonly view: DirectoryView | undefined
  /** Whether the directory must be looked at before the next decision. */
  readonly isStale: boolean
  /** When the engine has answered last. */
  readonly heardAt: number
  readonly seen: ReadonlyMap<string, Seen>
  /** Whether the entry of the member was seen with this incarnation. */
  readonly holds: boolean
  /** The lease counts until then. */
  readonly validUntil: number
  readonly renewAt: number
  readonly isClosing: boolean
  /** It has read the logs, or need not. */
  readonly isReady: boolean
  /** `lost`: another member has ended the lease. Only a new incarnation may go on. */
  readonly end: 'released' | 'lost' | undefined
}

/** A change of one entry. */
export type SetStep = {
  readonly kind: 'set'
  readonly name: string
  readonly revision: number
  readonly value: string
}

/**
 * The next thing to do. `wait`: until a time, or until the directory changes after a revision;
 * `member`: whose lease it waits for.
 */
export type LeaseStep =
  | SetStep
  | { readonly kind: 'look' }
  | {
      readonly kind: 'wait'
      readonly until: number
      readonly after: number
      readonly member: string | undefined
    }
  | { readonly kind: 'end' }

/**
 * The phase of a member. `unsure`: the member owns the instance, but its lease has ended for
 * itself. It may neither read nor send for others, until it has renewed the lease or lost it.
 */
export type LeasePhase = 'standby' | 'owner' | 'unsure' | 'ended'

/** The words of a member about itself, for people and other members who look at the directory. */
export type LeaseWords = {
  /** Shards that are down at this member. It keeps the others, and nobody takes over. */
  readonly down?: readonly number[]
  /** So many shards of others are in its cache, and so many of them lack little of their logs. */
  readonly follows?: { readonly shards: number; readonly warm: number }
  /** The members to which it has a link. */
  readonly links?: readonly string[]
  /** It closes, and takes no further shard. */
  readonly closes?: true
}

/** The content of the entry of a member. */
export type Lease = LeaseWords & {
  readonly incarnation: string
  readonly ended?: true
  readonly leaseMs?: number
  readonly about?: MemberAbout
  /** It has not read the logs yet: it is no successor before it has. */
  readonly ready?: false
  /** The features of logs that it reads, as bits; none if it is absent. */
  readonly reads?: number
}

/** The content of the entry `owner`. */
export type Owner = {
  readonly member: string
  readonly incarnation: string
  readonly epoch: number
}

const ownerName = 'owner'
const memberName = (member: string): string => `member/${member}`

/** The part of a lease that its holder counts on. */
const countedPart = 0.9

/** A renewal is due after this part of a lease: two may be lost. */
const renewalPart = 0.3

/** An engine that answered nothing for this part of a lease was away: it answers each renewal. */
const awayPart = 0.5

/** The knowledge of a member at its start. */
export const leaseStart = (identity: MemberIdentity): LeaseState => ({
  ...identity,
  says: {},
  view: undefined,
  isStale: true,
  seen: new Map(),
  holds: false,
  heardAt: Number.NEGATIVE_INFINITY,
  validUntil: Number.NEGATIVE_INFINITY,
  renewAt: Number.NEGATIVE_INFINITY,
  isClosing: false,
  isReady: !identity.readsFirst,
  end: undefined,
})

/** The next request or pause. A member has one request in flight at a time. */
export const nextStep = (state: LeaseState, now: number): LeaseStep => {
  const { member, isClosing, view } = state
  if (state.end) return { kind: 'end' }
  if (state.isStale || !view || (!state.holds && now >= lookAt(state))) return { kind: 'look' }
  const own = set(view, memberName(member), ownLease(state))
  if (!state.holds) {
    if (isClosing) return { kind: 'end' }
    return isFree(state, member, now) ? own : rest(state, view, member)
  }
  if (isClosing) return set(view, memberName(member), { ...ownLease(state), ended: true })
  if (now >= state.renewAt) return own
  return state.isSpread ? stepBeside(state, view, now) : stepToOwner(state, view, now)
}

const ownLease = ({ incarnation, leaseMs, about, says, isReady, reads }: LeaseState): Lease => ({
  incarnation,
  leaseMs,
  ...says,
  ...(about && { about }),
  ...(!isReady && { ready: false as const }),
  ...(reads && { reads }),
})

/** The next step of a member with a lease to the ownership. */
const stepToOwner = (state: LeaseState, view: DirectoryView, now: number): LeaseStep => {
  const { member, incarnation } = state
  const owner = ownerIn(view)
  if (owner?.incarnation === incarnation) return rest(state, view)
  const lease = owner && leaseIn(view, owner.member)
  const held = lease?.incarnation === owner?.incarnation && !lease?.ended ? lease : undefined
  if (owner && held && !isFree(state, owner.member, now)) return rest(state, view, owner.member)
  if (!state.isReady && !isAlone(view, member)) return rest(state, view)
  if (owner && held) return set(view, memberName(owner.member), { ...held, ended: true })
  return set(view, ownerName, {
    member,
    incarnation,
    epoch: (owner?.epoch ?? 0) + 1,
  } satisfies Owner)
}

/** The next step of a member that owns shards beside others: their leases end when they expire. */
const stepBeside = (state: LeaseState, view: DirectoryView, now: number): LeaseStep => {
  const others = memberNames(view)
    .filter((each) => each !== state.member && !leaseIn(view, each)?.ended)
    .toSorted((one, other) => endOf(state, one) - endOf(state, other))
  const [first] = others
  const lease = first === undefined ? undefined : leaseIn(view, first)
  if (first === undefined || !lease || now < endOf(state, first)) return rest(state, view, first)
  return set(view, memberName(first), { ...lease, ended: true })
}

/** Whether all other members have given their leases back, or lost them. */
const isAlone = (view: DirectoryView, member: string): boolean =>
  memberNames(view).every((each) => each === member || leaseIn(view, each)?.ended === true)

/** A member that renews nothing looks as often, to know whether the engine is there. */
const lookAt = ({ heardAt, leaseMs }: LeaseState): number => heardAt + renewalPart * leaseMs

/** Until a renewal or a look is due, or the lease of `other` may have ended. */
const rest = (state: LeaseState, { revision }: DirectoryView, other?: string): LeaseStep => {
  const ends = other === undefined ? Number.POSITIVE_INFINITY : endOf(state, other)
  const until = Math.min(state.holds ? state.renewAt : lookAt(state), ends)
  return { kind: 'wait', until, after: revision, member: other }
}

/** The change that gives an entry a content, from what the view shows. */
export const set = (view: DirectoryView, name: string, content: object): SetStep => ({
  kind: 'set',
  name,
  revision: view.entries.get(name)?.revision ?? 0,
  value: entryText(name, content),
})

/** Whether the entry of a member has no holder, or one whose lease has ended. */
const isFree = (state: LeaseState, member: string, now: number): boolean => {
  const lease = state.view && leaseIn(state.view, member)
  return !lease || lease.ended === true || now >= endOf(state, member)
}

/** A lease lasts as long as its holder says. */
const endOf = ({ seen, view, leaseMs: own }: LeaseState, member: string): number => {
  const { leaseMs = own } = (view && leaseIn(view, member)) ?? {}
  return (seen.get(memberName(member))?.since ?? Number.NEGATIVE_INFINITY) + leaseMs
}

/** The lease of a member. */
export const leaseIn = (view: DirectoryView, member: string): Lease | undefined =>
  entryIn(view, memberName(member))

/** The owner of the instance. */
export const ownerIn = (view: DirectoryView): Owner | undefined => entryIn(view, ownerName)

/** The names of all members that have ever begun. */
export const memberNames = ({ entries }: DirectoryView): readonly string[] =>
  [...entries.keys()]
    .filter((name) => name.startsWith(memberName('')))
    .map((name) => name.slice(memberName('').length))

/** Refuses a view whose later readings would fail. @throws KeelsonError `CORRUPT` */
const refuseDamaged = (view: DirectoryView): void => {
  ownerIn(view)
  for (const member of memberNames(view)) leaseIn(view, member)
}

/** The knowledge after an answered look. @throws KeelsonError `CORRUPT` for a damaged entry */
export const afterLook = (state: LeaseState, view: DirectoryView, now: number): LeaseState => {
  refuseDamaged(view)
  const known = heard(state, now)
  const seen = new Map<string, Seen>()
  for (const [name, { revision }] of view.entries) {
    const before = known.seen.get(name)
    seen.set(name, before?.revision === revision ? before : { revision, since: now })
  }
  const lease = leaseIn(view, state.member)
  const isOwn = lease?.incarnation === state.incarnation
  const holds = isOwn && !lease.ended
  const hasEnded = isOwn ? lease.ended === true : state.holds
  const end = hasEnded ? (state.isClosing ? 'released' : 'lost') : state.end
  return { ...known, view, seen, isStale: false, holds, end }
}

/** The knowledge after an answer of the engine: what was seen is younger by the time that it was away. */
const heard = (state: LeaseState, now: number): LeaseState => {
  const silentMs = now - state.heardAt
  if (silentMs < awayPart * state.leaseMs) return { ...state, heardAt: now }
  const seen = new Map<string, Seen>()
  for (const [name, { revision, since }] of state.seen)
    seen.set(name, { revision, since: since + silentMs })
  return { ...state, heardAt: now, seen }
}

/** The knowledge after an acknowledged change, which was sent at `sentAt`. */
export const afterSet = (
  state: LeaseState,
  { name, value }: SetStep,
  revision: number,
  sentAt: number,
  now: number,
): LeaseState => {
  const { leaseMs, member } = state
  const known = heard(state, now)
  const entries = new Map(state.view?.entries).set(name, new DirectoryEntry(value, revision))
  const seen = new Map(known.seen).set(name, { revision, since: now })
  // Of the changes between the last look and this one nothing is known: the next look is from there.
  const view = { revision: state.view?.revision ?? 0, entries }
  if (name !== memberName(member)) return { ...known, view, seen }
  const { ended } = JSON.parse(value) as Lease
  if (ended) return { ...known, view, seen, holds: false, end: 'released' }
  const validUntil = sentAt + countedPart * leaseMs
  return { ...known, view, seen, holds: true, validUntil, renewAt: sentAt + renewalPart * leaseMs }
}

/** The knowledge after a refused change, one without an answer, or a sign of a change elsewhere. */
export const toLook = (state: LeaseState): LeaseState => ({ ...state, isStale: true })

/** The member has read the logs. */
export const ready = (state: LeaseState): LeaseState => ({ ...state, isReady: true })

/** The member gives its lease back. From now on it owns nothing. */
export const closing = (state: LeaseState): LeaseState => ({ ...state, isClosing: true })

/** The member ends without an answer. Its lease ends by time. */
export const abandoned = (state: LeaseState): LeaseState => ({ ...state, end: 'released' })

/** The phase of a member at `now`, with the epoch of its ownership. */
export const phaseAt = (
  { view, incarnation, validUntil, isClosing, end, isSpread }: LeaseState,
  now: number,
): { readonly phase: LeasePhase; readonly epoch: number } => {
  const owner = view && ownerIn(view)
  const epoch = owner?.epoch ?? 0
  if (end || isClosing) return { phase: 'ended', epoch }
  const mayOwn = isSpread
    ? validUntil > Number.NEGATIVE_INFINITY
    : owner?.incarnation === incarnation
  if (!mayOwn) return { phase: 'standby', epoch }
  return { phase: now < validUntil ? 'owner' : 'unsure', epoch }
}
