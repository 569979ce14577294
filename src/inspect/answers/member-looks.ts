/**
 * Looks of one member at things that others have. The owner of an entity is asked for it, and for the
 * kinds of entities each member is asked for its own ones. A member that does not answer is named.
 */
import { passed } from '../../clock.ts'
import { invalidArgument, isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import { getStatus, type Ref } from '../../runtime/index.ts'
import { type App, type Health, innerParts } from '../../supervisors/index.ts'
import type { CrashRecord } from '../recorder/crash-records.ts'
import { actorNamed } from '../recorder/flow-names.ts'
import { recordsOf } from '../recorder/recorder.ts'
import { shortText } from '../text/shown-text.ts'
import { type EntityFacts, entityAt, type KindFacts, kindsOf } from './entities.ts'
import type { NamedEntity } from './process-finder.ts'
import { storedCrashes, storedCrashText } from './stored-crashes.ts'

/** A member has so long to answer a look, in ms. */
export const askedMs = 2_000

/** A member that has not answered, and why. */
export type Silent = { readonly member: string; readonly reason: string }

/** Answers the looks of other members from now on. */
export const answerLooks = (app: App): void => {
  const { way } = app[innerParts]
  way?.answer('look.alive', () => true)
  way?.answer('look.kinds', () => kindsOf(app))
  way?.answer('look.crashes', (title) => crashesOf(app, String(title)))
  way?.answer('look.crashList', () => listedCrashes(app))
  way?.answer('look.recentCrashes', () => recentCrashesOf(app))
  way?.answer('look.judge', () => judgedAgain(app))
  way?.answer('look.lines', (title) => linesAbout(app, String(title)))
  way?.answer('look.entity', (payload) => {
    const [kind, id, reveals] = Array.isArray(payload) ? payload : []
    if (typeof kind !== 'string' || typeof id !== 'string')
      throw invalidArgument('entity', 'a kind and an id', payload)
    return entityAt(app, { kind, id }, reveals === true)
  })
  way?.answer('look.idle', async (payload) => {
    const [kind, id] = Array.isArray(payload) ? payload : []
    const ref = app.entities.holder(`${kind}/${id}`)?.address
    if (ref) await getStatus(ref as Ref, { timeoutMs: idleMs })
  })
}

/** A durable actor has so long to end the handler that is pending, in ms: less than the look has. */
const idleMs = 1_500

/**
 * Resolves when an entity of another member handles nothing, as a look at its process does here.
 * @throws KeelsonError `TIMEOUT` with the handler that does not end
 */
export const idleElsewhere = async (app: App, { kind, id }: NamedEntity): Promise<void> => {
  const { way } = app[innerParts]
  const entity = `${kind}/${id}`
  if (!way || !app.entities.isElsewhere(entity)) return
  await way.ask(app.entities.shardOf(entity).index, 'look.idle', [kind, id], askedMs)
}

/** Has the actors at rest at this member judged once more: in how many parts; `undefined`: it judges none. */
const judgedAgain = async ({ entities }: App): Promise<JudgingMember> => ({
  parts: await entities.judgement.again?.(),
})

/** A member that judges: in how many parts, the actors of one kind in one shard each. */
type JudgingMember = { readonly parts: number | undefined }

/** The sorts of actors at rest that this build would block, such as `workflow order: DIVERGED`. */
export const judgedSorts = ({ entities }: App): readonly string[] => {
  const sorts = new Set<string>()
  for (const { entity, reason } of entities.judgement.known()) {
    const { sort, name } = actorNamed(entity)
    sorts.add(`${sort} ${name}: ${reason.split(':', 1)[0]}`)
  }
  return [...sorts].slice(0, sortsMax)
}

/** A parent of members gets so many sorts at most. */
const sortsMax = 100

/** Has the actors at rest at all members judged once more. */
export const judgedAnywhere = (
  app: App,
): Promise<{ readonly found: readonly JudgingMember[]; readonly silent: readonly Silent[] }> =>
  eachMember(app, 'look.judge', null, () => judgedAgain(app))

/**
 * As `entityAt`, and of an entity elsewhere as its owner sees it.
 * @throws KeelsonError as `entityAt`; `SHARD_DOWN` with the member if no owner answers
 */
export const entityAnywhere = async (
  app: App,
  named: NamedEntity,
  reveals = false,
): Promise<EntityFacts> => {
  const { way } = app[innerParts]
  const { kind, id } = named
  const entity = `${kind}/${id}`
  if (!way || !app.entities.isElsewhere(entity)) return entityAt(app, named, reveals)
  const { index } = app.entities.shardOf(entity)
  const found = await way.ask(index, 'look.entity', [kind, id, reveals], askedMs)
  return { ...(found as EntityFacts), member: way.ownerOf(index) }
}

/** The answers of all members to a question, this one's first, and the members without an answer. */
export const eachMember = async <T>(
  app: App,
  question: string,
  payload: unknown,
  own: () => T | Promise<T>,
): Promise<{ readonly found: readonly T[]; readonly silent: readonly Silent[] }> => {
  const { way } = app[innerParts]
  const silent: Silent[] = []
  const asked = (way?.others ?? []).map(async (member): Promise<readonly T[]> => {
    try {
      return [(await way?.askMember(member, question, payload, askedMs)) as T]
    } catch (error) {
      silent.push({ member, reason: reasonText(error) })
      return []
    }
  })
  const found = (await Promise.all([own(), Promise.all(asked).then((all) => all.flat())])) as [
    T,
    readonly T[],
  ]
  return { found: [found[0], ...found[1]], silent }
}

/** The kinds of all members: each counts the entities of the shards that it has. */
export const kindsAnywhere = async (
  app: App,
): Promise<{ readonly kinds: readonly KindFacts[]; readonly silent: readonly Silent[] }> => {
  const { found, silent } = await eachMember(app, 'look.kinds', null, () => kindsOf(app))
  const kinds = new Map<string, KindFacts>()
  for (const { kind, ...counts } of found.flat()) {
    const before = kinds.get(kind)
    kinds.set(kind, before ? { kind, ...summed(before, counts) } : { kind, ...counts })
  }
  return { kinds: [...kinds.values()], silent }
}

type Counts = Omit<KindFacts, 'kind'>

const summed = (one: Counts, other: Counts): Counts => ({
  live: one.live + other.live,
  blocked: one.blocked + other.blocked,
  parked: one.parked + other.parked,
  failing: one.failing + other.failing,
  overdue: one.overdue + other.overdue,
})

/**
 * The crashes of a process, or of the processes below it, as text: of each error the last one, the
 * newest at the end, by its title or its pid as `<7>`. Without one, the crash that its rows keep.
 */
const crashesOf = (app: App, title: string): readonly string[] => {
  const recorded = recordsOf(app.system).crashes.of(title)
  if (recorded.length > 0) return recorded.slice(-crashesMax).map(crashText)
  return storedCrashes(app)
    .filter(({ subject }) => title === subject || title.endsWith(`/${subject}`))
    .map(storedCrashText)
}

const crashText = ({ text, count, firstAt, lastAt }: CrashRecord): string => {
  const times =
    count === 1 ? '' : `\n  times: ${count}, first at ${new Date(firstAt).toISOString()}`
  return `${new Date(lastAt).toISOString()} ${text}${times}`
}

/** A crash of a process is shown with its stack. */
const crashesMax = 5

/**
 * The last lines of the log that name a process: a child whose start fails has no crash, and its
 * supervisor says why.
 */
const linesAbout = ({ system }: App, title: string): readonly string[] => {
  const names = [title, title.slice(title.lastIndexOf('/') + 1)]
  const isAbout = (text: string): boolean =>
    (text.split('\n', 1)[0] ?? '').split(/[\s:,()]+/).some((word) => names.includes(word))
  return recordsOf(system)
    .last('log')
    .flatMap(({ text }) => (isAbout(text) ? [text] : []))
    .slice(-linesMax)
}

const linesMax = 3

/** The crashes of a process at all members; without one the lines of the log that name it. */
export const crashesAbout = async (
  app: App,
  title: string,
): Promise<{
  readonly crashes: readonly string[]
  readonly lines: readonly string[]
  readonly silent: readonly Silent[]
}> => {
  const own = crashesOf(app, title)
  // A number is of a process here.
  if (own.length > 0 || title.startsWith('<')) return { crashes: own, lines: [], silent: [] }
  const { found, silent } = await eachMember(app, 'look.crashes', title, () => own)
  if (found.flat().length > 0 || silent.length > 0)
    return { crashes: found.flat(), lines: linesAbout(app, title), silent }
  const lines = await eachMember(app, 'look.lines', title, () => linesAbout(app, title))
  return { crashes: [], lines: lines.found.flat().slice(-linesMax), silent: lines.silent }
}

/** A crash of a list. */
export type ListedCrash = Omit<CrashRecord, 'text' | 'error' | 'starters' | 'pid'> & {
  /** `undefined`: its process has ended with an earlier instance, and its rows keep the crash. */
  readonly pid?: number
  /** The member that has it; absent without members. */
  readonly member?: string | undefined
  /** Its report, shortened. */
  readonly text: string
}

type CrashList = {
  /** The member, and how many there were since its start. */
  readonly member?: string | undefined
  readonly total: number
  readonly crashes: readonly ListedCrash[]
}

/**
 * The crashes here, those of one process with one error as one, and the ones that only rows have; and
 * how many there were since the start.
 */
const listedCrashes = (app: App): CrashList => {
  const records = recordsOf(app.system)
  const member = app[innerParts].way?.member
  const listed = (text: string) => ({ member, text: shortText(text, listedTextMax) })
  return {
    member,
    total: records.total('crash'),
    crashes: [
      ...storedCrashes(app).map((crash) => {
        const { error: _, ...kept } = crash
        return Object.assign(kept, listed(storedCrashText(crash)))
      }),
      ...records.crashes.all.map(({ text, error: __, starters: ___, ...kept }) =>
        Object.assign(kept, listed(text)),
      ),
    ]
      .sort((one, other) => one.lastAt - other.lastAt)
      .slice(-listedMax),
  }
}

const listedMax = 20
const listedTextMax = 2_000

/** How many crashes there were in the last ten minutes; `areMore`: at least so many. */
export type RecentCrashes = { readonly crashes: number; readonly areMore: boolean }

const recentMs = 600_000

/** The recent crashes of this member. There were more if the recorder has forgotten some of them. */
export const recentCrashesOf = ({ system }: App): RecentCrashes => {
  const records = recordsOf(system)
  const now = system.clock.now()
  const recorded = records.last('crash')
  const crashes = recorded.filter(({ at }) => now - at < recentMs).length
  const forgotten = records.total('crash') - recorded.length
  return { crashes, areMore: forgotten > 0 && crashes === recorded.length }
}

/** The recent crashes of all members. A member that does not answer may have more. */
export const recentCrashesAnywhere = async (app: App): Promise<RecentCrashes> => {
  const own = () => recentCrashesOf(app)
  const { found, silent } = await eachMember(app, 'look.recentCrashes', null, own)
  return {
    crashes: found.reduce((sum, { crashes }) => sum + crashes, 0),
    areMore: silent.length > 0 || found.some(({ areMore }) => areMore),
  }
}

/** How many crashes a member has had since its start. */
export type CrashCount = { readonly member: string; readonly total: number }

/** The crashes of all members, the newest last. */
export const crashesAnywhere = async (
  app: App,
): Promise<
  CrashList & { readonly silent: readonly Silent[]; readonly elsewhere: readonly CrashCount[] }
> => {
  const { found, silent } = await eachMember(app, 'look.crashList', null, () => listedCrashes(app))
  const crashes = found.flatMap((list) => list.crashes)
  return {
    total: found.reduce((sum, { total }) => sum + total, 0),
    crashes: crashes.sort((one, other) => one.lastAt - other.lastAt).slice(-listedMax),
    silent,
    // The first answer is that of this member.
    elsewhere: found.slice(1).flatMap(({ member, total }) => (member ? [{ member, total }] : [])),
  }
}

/** The parts of a health that have rows for shards, each row as the owner of its shard says. */
export type ShardsHealth = Pick<Health, 'shards' | 'projections' | 'replication'> & {
  readonly silent: readonly Silent[]
}

/** The health of the shards at all members. */
export const shardsHealth = async (app: App): Promise<ShardsHealth> => {
  const own = app.health()
  if (own.members.length === 0) return { ...own, silent: [] }
  const { members, shards } = await app.healthOfAll({ timeoutMs: askedMs })
  const healths = members.flatMap(({ member, health }) => (health ? [{ member, health }] : []))
  const projections = own.projections.map(({ name }) => ({
    name,
    shards: healths
      .flatMap(({ health }) => health.projections.find((each) => each.name === name)?.shards ?? [])
      .sort((one, other) => one.shard - other.shard),
  }))
  const replication = own.replication.map((replica) => ({
    ...replica,
    shards: replica.shards.map((row) => {
      const owner = shards[row.shard]?.member
      const { health } = healths.find(({ member }) => member === owner) ?? {}
      const there = health?.replication.find((each) => each.replica === replica.replica)
      return there?.shards.find(({ shard }) => shard === row.shard) ?? row
    }),
  }))
  const silent = members.flatMap(({ member, reason }) =>
    reason === undefined ? [] : [{ member, reason }],
  )
  return { shards, projections, replication, silent }
}

// Waits for members that may not answer: of the prompt, and of the page.

/** Work that has not ended after so long has the members asked, and again after as long, in ms. */
const askMs = 1_000

/**
 * The answer of `work`. It goes on if this ends before. A call or a look ends with the first question
 * that a member leaves without an answer, after 3 s; `isLong` work, such as a backup, with the second
 * one in a row, because a pause of a member ends none.
 * @throws KeelsonError `TIMEOUT` with the members that do not answer
 */
export const unlessSilent = async <T>(
  app: App,
  what: string,
  work: Promise<T>,
  isLong = false,
): Promise<T> => {
  if (!app[innerParts].way) return work
  let isOver = false
  const over = work.finally(() => {
    isOver = true
  })
  over.catch(() => undefined)
  const watched = async (): Promise<T> => {
    let before: ReadonlySet<string> | undefined
    for (;;) {
      await passed(app.system.clock, askMs)
      if (isOver) return over
      const silent = await silentOf(app)
      const lasting = silent.filter((member) => !isLong || before?.has(member))
      if (!isOver && lasting.length > 0) throw waitsFor(what, lasting)
      before = new Set(silent)
    }
  }
  return Promise.race([over, watched()])
}

/**
 * The members that leave a question without an answer. One without a link is one of them while a shard
 * has no owner: another member takes the shards of one that has ended.
 */
const silentOf = async (app: App): Promise<readonly string[]> => {
  const { way } = app[innerParts]
  if (!way) return []
  const asked = way.others.map(async (member): Promise<readonly string[]> => {
    if (!way.isLinked(member))
      return app.shards.some(({ index }) => way.ownerOf(index) === undefined) ? [member] : []
    try {
      await way.askMember(member, 'look.alive', null, askedMs)
      return []
    } catch (error) {
      // An earlier version knows no such question, and has answered with that.
      return isKeelsonError(error, 'TIMEOUT') ? [member] : []
    }
  })
  return (await Promise.all(asked)).flat()
}

const waitsFor = (what: string, members: readonly string[]): KeelsonError => {
  const names = `${members.length === 1 ? 'the member' : 'the members'} ${members.join(', ')}`
  const text = `${what} has not ended, as no answer comes from ${names}; it continues by itself`
  return new KeelsonError('TIMEOUT', text, { details: { members } })
}

/** An object whose methods that answer later end as `unlessSilent` says, but for those of `own`. */
export const unlessSilentIn = <T extends object>(
  app: App,
  name: string,
  parts: T,
  own: ReadonlySet<PropertyKey> = noNames,
): T =>
  new Proxy(parts, {
    get: (target, key) => {
      const part: unknown = Reflect.get(target, key, target)
      if (typeof part !== 'function' || typeof key !== 'string') return part
      const method = part.bind(target)
      return own.has(key) ? method : waiting(app, `${name}.${key}()`, method)
    },
  })

const noNames: ReadonlySet<PropertyKey> = new Set()

/** A function whose promise ends as `unlessSilent` says. Another answer stays as it is. */
export const waiting =
  (app: App, what: string, work: (...given: unknown[]) => unknown) =>
  (...given: unknown[]): unknown => {
    const answer = work(...given)
    return answer instanceof Promise ? unlessSilent(app, what, answer) : answer
  }
