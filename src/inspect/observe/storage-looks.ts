/**
 * The store, the log and what is derived from it, as the page of `keelson observe` shows them. They
 * are apart from `looks.ts` because nothing here is kept from look to look.
 */
import type {
  DiskShown,
  Replication,
  StoragePage,
  StorageShard,
  StorePage,
  StoreValue,
} from '../../observe/index.ts'
import { hiddenText, isSecretName, shapeText } from '../../redaction.ts'
import {
  decodeValue,
  fieldCount,
  isStoredValue,
  lockOwner,
  lockRowKey,
  ropeLength,
  ropeOf,
  shardOf,
  valueTags,
} from '../../storage/index.ts'
import { type App, innerParts, type ShardHealth } from '../../supervisors/index.ts'
import { diskUse, type LiveDiskUse } from '../answers/disk-use.ts'
import { groupedBy } from '../answers/folded-troubles.ts'
import { askedMs, type ShardsHealth, shardsHealth } from '../answers/member-looks.ts'
import { surveyLogs } from '../answers/shard-survey.ts'
import { shortText } from '../text/shown-text.ts'
import { given, optionalNumber, optionalText, type Query, textIn } from './questions.ts'
import { fitting, redactedTree, shownTree } from './value-trees.ts'

const keysMax = 100
/** The most bytes of a page of shards, and of each list of one of them. */
const shardsBytes = 48 * 1024
const readersBytes = 4 * 1024

type KeyRow = StorePage['rows'][number]

/**
 * A page of keys of all members: the owner of a shard says what its keys hold.
 * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `SHARD_DOWN`
 */
export const storeShown = async (app: App, query: Query): Promise<StorePage> => {
  const { store, shards } = app
  const prefix = optionalText(query, 'prefix')
  const cursor = optionalText(query, 'cursor')
  const page = await store.page({ limit: keysMax, values: false, ...given({ prefix, cursor }) })
  const keys = page.entries.map(([key]) => key)
  const byShard = groupedBy(keys, (key) => shardOf(key, shards.length))
  const asked = [...byShard].map(([shard, own]) => keyRowsOf(app, shard, own))
  const rows = new Map((await Promise.all(asked)).flat().map((row) => [row.key, row]))
  return {
    rows: keys.map((key) => rows.get(key) ?? { key, type: '' }),
    ...given({ cursor: page.cursor }),
  }
}

/** The question of members to each other about keys. */
const keysQuestion = 'look.keys'

/** Answers other members about keys from now on. */
export const answerKeys = (app: App): void =>
  app[innerParts].way?.answer(keysQuestion, (payload) =>
    Array.isArray(payload) ? payload.map((key) => keyRow(app, String(key))) : [],
  )

const keyRowsOf = async (
  app: App,
  shard: number,
  keys: readonly string[],
): Promise<readonly KeyRow[]> => {
  const { way, phase } = app.shards[shard] ?? {}
  if (!way || phase?.kind !== 'elsewhere') return keys.map((key) => keyRow(app, key))
  return (await way.ask(shard, keysQuestion, keys, askedMs)) as readonly KeyRow[]
}

const keyRow = (app: App, key: string): KeyRow => {
  const { store, system } = app
  const ttl = store.ttl(key)
  const expires = ttl !== undefined && Number.isFinite(ttl)
  return {
    key,
    type: typeOf(app, key),
    ...(expires && { expiresAt: system.clock.now() + ttl }),
    ...given({ lock: lockOf(app, key) }),
  }
}

/**
 * The type of the value of a key. No blob is read: a damaged one must hide no other key, and a page
 * of large values would hold up the instance.
 */
const typeOf = ({ shards }: App, key: string): string => {
  const row = shards[shardOf(key, shards.length)]?.view().row(key)
  if (!row) return ''
  const { value } = row
  if (!isStoredValue(value)) return `compound of ${fieldCount(row)}`
  if (value.tag !== valueTags.blob) return shapeText(decodeValue(value))
  const rope = ropeOf(value)
  const length = ropeLength(rope)
  if (rope.content === valueTags.bytes) return `bytes of ${length}`
  return `${rope.content === valueTags.text ? 'string' : 'value'} of ${length} bytes`
}

/** The lock of a key. */
const lockOf = ({ shards }: App, key: string): StorePage['rows'][number]['lock'] => {
  const shard = shards[shardOf(key, shards.length)]
  const row = shard?.view().row(lockRowKey(key))
  if (!shard || !row || (row.expiresAt > 0 && row.expiresAt <= shard.now())) return undefined
  const owner = shortText(lockOwner(row), 200)
  return { owner, ...(row.expiresAt > 0 && { until: row.expiresAt }) }
}

/** The value of a key. The name of a key may say that it has a secret. */
export const keyShown = async ({ store }: App, query: Query): Promise<StoreValue> => {
  const key = textIn(query, 'key')
  const [found] = (await store.page({ gte: key, lte: key, limit: 1 })).entries
  const value = found?.[1]
  const isSecret = isSecretName(key.split(/[/:.]/).at(-1))
  return { value: isSecret ? shownTree(hiddenText(value)) : redactedTree(value ?? null) }
}

/** A page of shards: the log of each and what is derived from it. @throws KeelsonError `INVALID_ARGUMENT` */
export const storageShown = async (app: App, query: Query): Promise<StoragePage> => {
  const from = optionalNumber(query, 'from', { max: app.shards.length - 1 }) ?? 0
  const health = await shardsHealth(app)
  const logs = await surveyLogs(app, askedMs)
  const after = health.shards.filter(({ shard }) => shard >= from)
  const shards = fitting(
    after.map((each) => shardShown(app, each, health, logs[each.shard]?.description)),
    shardsBytes,
  )
  const use = await diskUse(app, health)
  return { shards, ...given({ next: after[shards.length]?.shard, disk: use && diskShown(use) }) }
}

/** So many of a part, and so many holders, are shown. */
const mostMax = 3
const holdersMax = 8

const diskShown = ({ holders, parts, ...use }: LiveDiskUse): DiskShown => {
  const { bytes, freeBytes, neededBytes, backupBytes } = use
  return {
    bytes,
    neededBytes,
    backupBytes,
    parts: parts.map(({ of, ...part }) => ({
      ...part,
      most: of.slice(0, mostMax).map((each) => ({ ...each, name: shortText(each.name) })),
      count: of.length,
    })),
    holders: holders.slice(0, holdersMax).map((each) => ({ ...each, by: shortText(each.by) })),
    ...given({ freeBytes }),
  }
}

type LogDescription = Awaited<ReturnType<typeof surveyLogs>>[number]['description']

const shardShown = (
  app: App,
  health: ShardHealth,
  { projections, silent }: ShardsHealth,
  log: LogDescription,
): StorageShard => {
  const { shard, phase, member, appliedLsn, projectedLsn, projection, space, snapshot } = health
  const reason = health.reason ?? (phase === 'elsewhere' ? silenceOf(member, silent) : undefined)
  const { segments = [], engineBytes } = log?.log ?? {}
  return {
    isSuspended: health.suspended,
    shard,
    phase,
    projectedLsn,
    mode: projection.mode,
    lagBytes: health.lagBytes,
    lastLsn: log?.lastLsn ?? appliedLsn,
    durableLsn: log?.durableLsn ?? appliedLsn,
    lagMs: Math.round(projection.behindMs),
    logBytes: engineBytes ?? segments.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
    sinceSnapshotBytes: snapshot.logBytes,
    snapshotDueBytes: snapshot.dueBytes,
    neededBytes: space.neededBytes,
    writesWaiting: health.writes.waiting,
    clockAheadMs: health.clockAheadMs,
    subscriptions: fitting(subscriptionsOf(health), readersBytes),
    projections: fitting(
      projections.flatMap(({ name, shards: each }) =>
        each.flatMap((status) =>
          status.shard === shard ? [{ name, lag: Math.max(0, appliedLsn - status.lsn) }] : [],
        ),
      ),
      readersBytes,
    ),
    ...given<StorageShard>({
      member: app[innerParts].way && member,
      segments: engineBytes === undefined ? segments.length : undefined,
      reason: reason === undefined ? undefined : shortText(reason),
      snapshotFailure: snapshot.failure,
      held: heldBy(health),
      freeBytes: Number.isFinite(space.freeBytes) ? space.freeBytes : undefined,
      refusing: space.refusing?.reason,
      snapshot: snapshot.last && {
        lsn: snapshot.last.lsn,
        bytes: snapshot.last.bytes,
        ...given({ at: snapshot.madeAt }),
      },
    }),
  }
}

/** Why a shard elsewhere has no figures. */
const silenceOf = (member: string | undefined, silent: ShardsHealth['silent']): string => {
  if (member === undefined) return 'no member has it open'
  const reason = silent.find((each) => each.member === member)?.reason ?? 'it has it since just now'
  return `member ${member} does not answer: ${reason}`
}

const heldBy = ({ journal: { held } }: ShardHealth): string | undefined =>
  held.bytes === 0 ? undefined : held.by.join(', ')

const subscriptionsOf = ({ appliedLsn, journal }: ShardHealth): StorageShard['subscriptions'] =>
  journal.subscriptions.map(({ name, state, position }) => ({
    name,
    state,
    lag: Math.max(0, appliedLsn + 1 - (position?.lsn ?? 1)),
  }))

/** The replicas of the configuration. */
export const replicationShown = async (app: App): Promise<Replication> => ({
  followers: (await shardsHealth(app)).replication.map(
    ({ replica, required, failures, retryInMs, shards }) => ({
      replica,
      isRequired: required,
      failures,
      ...given({ retryInMs }),
      shards: shards.map(({ shard, state, lag, reason }) => ({
        shard,
        state,
        lagRecords: lag.records,
        ...(Number.isFinite(lag.ms) && { lagMs: Math.round(lag.ms) }),
        ...given({ reason }),
      })),
    }),
  ),
})
