/**
 * Work on a shard that may be at another member: it is done here, or the owner is asked for it. A
 * caller says both once, and need not know where the shard is.
 */
import { invalidArgument, type KeelsonError } from '../../errors.ts'
import { elsewhere, type ShardClient } from './shard-client.ts'
import type { ShardCore } from './shard-core.ts'

/** Whether another member has the shard, or none. */
export const isElsewhere = ({ phase }: ShardCore): boolean => phase.kind === 'elsewhere'

/** The way that a write to the shard goes now; `undefined`: it is made here. */
export const wayToWrite = ({ way, index }: ShardCore): ShardClient | undefined =>
  way?.takes(index) ? way : undefined

/** The way that a read with a promise goes now, and a stream; `undefined`: it is read here. */
export const wayToRead = ({ way, index }: ShardCore): ShardClient | undefined =>
  way?.takesReads(index) ? way : undefined

/** Whether another member can be asked for the shard. */
const isAskable = (shard: ShardCore): boolean => shard.way !== undefined && isElsewhere(shard)

/**
 * Waits until an owner has fixed the position of every watch that was called for before. A caller begins
 * a watch, reads everything, and then takes the changes from the watch. The question of the watch may be
 * refused on its way and sent again. If an owner answered the read first, changed a key, and then heard
 * of the watch, the caller would miss that change.
 */
export const watchesBegun = async ({
  beginnings,
}: Pick<ShardCore, 'beginnings'>): Promise<void> => {
  if (beginnings.size > 0) await Promise.all(beginnings)
}

/** Waits while a shard comes here, within its time: then it is read here, or where it went. */
const arrived = async (shard: ShardCore): Promise<void> => {
  await watchesBegun(shard)
  if (isArriving(shard)) await shard.reopened(0, shard.parts.settings.deadlineMs)
}

const isArriving = ({ way, isComing }: ShardCore): boolean => way !== undefined && isComing

/** The refusal of what is done at the owner of a shard alone. `act`: what, in code. */
export const onlyThere = ({ index, way }: ShardCore, act: string): KeelsonError =>
  elsewhere(index, way?.ownerOf(index), `\`${act}\` works there alone`)

/** Checks that a shard is here. `act`: what is done, in code. @throws KeelsonError `ELSEWHERE` */
export const checkHere = (shard: ShardCore, act: string): void => {
  if (isElsewhere(shard)) throw onlyThere(shard, act)
}

/**
 * Does work on a shard: here, or at its owner. A shard that leaves in between is asked for there.
 */
export const atOwner = async <T>(
  shard: ShardCore,
  here: () => Promise<T>,
  there: (way: ShardClient) => Promise<T>,
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
  shard: ShardCore,
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

const isHere = ({ phase }: ShardCore): boolean =>
  phase.kind !== 'elsewhere' && phase.kind !== 'closed'

/**
 * The shard that another member asks for.
 * @throws KeelsonError `ELSEWHERE`, `CLOSED`, `INVALID_ARGUMENT`
 */
export const shardAsked = <S extends ShardCore>(all: readonly S[], index: unknown): S => {
  const shard = all[index as number]
  if (!shard) throw invalidArgument('shard', `0 to ${all.length - 1}`, index)
  if (!isHere(shard)) throw shard.unavailable()
  return shard
}

/**
 * Answers another member with what `look` finds in the shards here, of the ones that it asks for.
 * @throws KeelsonError `ELSEWHERE` if the first one is not here; `INVALID_ARGUMENT`; as `look`
 */
export const foundFor = async <S extends ShardCore, T>(
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
 * @throws KeelsonError as `here`; as `ShardClient.ask`
 */
export const overOwners = async <S extends ShardCore, T, Sent>(
  shards: readonly S[],
  here: (shards: readonly S[]) => T | Promise<T>,
  question: string,
  given: readonly unknown[],
  received: (sent: Sent) => T,
): Promise<readonly T[]> => {
  const deadlineMs = shards[0]?.parts.settings.deadlineMs ?? 0
  const there = async (way: ShardClient, indexes: readonly number[]): Promise<FoundThere<T>> => {
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
const foundHere = async <S extends ShardCore, T>(
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
  shards: readonly ShardCore[],
): IterableIterator<readonly [way: ShardClient, indexes: readonly number[]]> {
  const groups = new Map<string | number, [ShardClient, number[]]>()
  for (const { index, way } of shards) {
    if (!way) continue
    const owner = way.ownerOf(index) ?? index
    const group = groups.get(owner) ?? [way, []]
    groups.set(owner, group)
    group[1].push(index)
  }
  yield* groups.values()
}
