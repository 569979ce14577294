/**
 * The answers of this member to others about its shards: the calls of `app.control`, `wal`, `lmdbWriter`,
 * `batcher` and `projection` for a shard that is here, as they are made here. Rooms that keep their
 * own questions answer them with functions that are called here (`answerBackups`, `answerPages`).
 */
import {
  Access,
  answerBackups,
  answerPages,
  answerProjections,
  answerTotals,
  blockedHere,
  Control,
  changesFor,
  entriesIn,
  isAskedResumption,
  isAskedSuspension,
  isKeyRead,
  newestAppState,
  type Outcomes,
  ProjectionView,
  pageHere,
  type ShardClient,
  type Store,
  type StoredEntry,
  shardAsked,
  turnsFor,
} from '../../actors/index.ts'
import { invalidArgument } from '../../errors.ts'
import { readEventPayload } from '../../storage/index.ts'
import {
  type AppContext,
  answerHealth,
  healthOf,
  type InstanceParts,
  type Shard,
  streamsOf,
} from '../../supervisors/index.ts'
import { answerReaders } from './shard-readers.ts'
import { answerStreams } from './shard-streams.ts'

type Given = readonly unknown[]

/** Arguments of any type: the call that gets them checks them. */
type Unchecked = readonly [never, never, never]

type Call = (app: AppContext, shard: Shard, given: Unchecked) => unknown

/** A call of `app.control` about one shard. */
const controlled =
  (method: 'flush' | 'discard' | 'sweep' | 'snapshot' | 'reopen'): Call =>
  ({ control }, { index }, [given]) =>
    control[method](index, given)

/** The calls that other members may ask for. Each checks its arguments as for a caller here. */
const calls: Readonly<Record<string, Call>> = {
  'control.flush': controlled('flush'),
  'control.discard': controlled('discard'),
  'control.sweep': controlled('sweep'),
  'control.snapshot': controlled('snapshot'),
  'control.acceptClock': (_, { time }) => time.follow(),
  'control.reopen': controlled('reopen'),
  'batcher.flush': ({ batcher }, { index }, [options]) =>
    batcher.flush({ ...(options as object), shard: index }),
  'batcher.stop': ({ batcher }, { index }, [options]) => batcher.stop(index, options),
  'wal.describe': (app, { index }) => app.wal(index).describe(),
  'wal.sync': (app, { index }) => app.wal(index).sync(),
  'wal.commitment': (app, { index }) => app.wal(index).commitment(),
  'wal.checkpoint': (app, { index }, [options]) => app.wal(index).checkpoint(options),
  'wal.release': (app, { index }, [lsn]) => app.wal(index).release(lsn),
  'lmdbWriter.request': (app, { index }, [lsn, options]) =>
    app.lmdbWriter(index).request(lsn, options),
  'lmdbWriter.describe': async (app, { index }) => {
    const { suspensions, ...described } = await app.lmdbWriter(index).describe()
    // A process cannot be sent.
    return { ...described, suspensions: suspensions.map(({ owner: _, ...rest }) => rest) }
  },
  'journal.saveState': ({ journal }, { index }, [lsn, content]) =>
    journal.on(index).saveState(lsn, readEventPayload(content).value),
  'projection.reached': (app, { index, appliedLsn }, [name, lsn, timeoutMs]) =>
    app.projection(name).reached({ shard: index, lsn: lsn ?? appliedLsn }, { timeoutMs }),
}

/** Answers the other members from now on. `app`: the handles of the user's processes. */
export const answerMembers = (way: ShardClient, parts: InstanceParts, app: AppContext): void => {
  const { system, shards, deadlineMs } = parts
  const shardHere = (index: unknown): Shard => shardAsked(shards, index)
  for (const [question, made] of Object.entries(calls))
    way.answer(question, (payload) => {
      const [index, ...given] = payload as readonly [unknown, ...Unchecked]
      return made(app, shardHere(index), given)
    })
  way.answer('projection.rebuild', (payload) => {
    const [index, name] = payload as Given
    const here = [shardHere(index)]
    return new ProjectionView(system, here, name as string, deadlineMs, new Access()).rebuild()
  })
  way.answer('batcher.setWindow', (payload) => {
    const [namespace, ms, by] = payload as [string, number, string]
    parts.windows.set(namespace, ms, by, system.clock.now())
  })
  answerBackups(way, parts.backups, shards)
  // The one that asks wants to know of this member: nobody is asked in turn.
  const { since, runs } = parts
  answerHealth(way, { since, ...runs }, () => healthOf(parts))
  answerTotals(way, parts.entities)
  answerPages(way, shards)
  answerProjections(way, shards)
  way.answer('entities.page', (payload) => pageHere(parts.entities, payload))
  way.answer('entities.blocked', (payload) => blockedHere(parts.entities, payload as Given))
  const turns = (shard: Shard, terms: unknown) => turnsFor(parts.entities, shard, terms)
  const kinds = {
    store: changesFor,
    entities: turns,
    'entities.where': turns,
    journal: (shard: Shard) => ({
      source: entriesIn(shard),
      sent: (entry: StoredEntry) => entry,
    }),
  }
  answerReaders(system, way, kinds, shardHere)
  answerStreams(system, way, shards.length, shardHere)
  streamsOf(parts).answer(way)
  way.answer('journal.loadState', (payload) =>
    newestAppState(system, shardHere((payload as Given)[0])),
  )
  way.answer('store.read', (payload) => {
    const [index, what, ...given] = payload as Given
    shardHere(index)
    return keyRead(app.store, what, given)
  })
  answerSuspensions(way, parts)
}

/** Suspensions and resumptions that the control of another member asks for. */
const answerSuspensions = (way: ShardClient, { system, instance, shards }: InstanceParts): void => {
  const control = system.to(Control.name(instance))
  way.answer('suspend', async (payload) => {
    if (!isAskedSuspension(payload)) throw invalidArgument('request', 'a suspension', payload)
    const { shard, token, member, isApps, ...rest } = payload as Control.AskedSuspension
    const { index } = shardAsked(shards, shard)
    // It ends with the control of the member that asks, or the link to that.
    const owner = way.at(member, Control.name(instance))
    const asked = { token, isApps }
    const request = { leaseMs: undefined, ...rest, shards: [index], owner, asked }
    only(await Control.suspend(control, request))
    return way.member
  })
  way.answer('resume', async (payload) => {
    if (!isAskedResumption(payload)) throw invalidArgument('request', 'a resumption', payload)
    const { shard, which, timeoutMs } = payload as Control.AskedResumption
    const { index } = shardAsked(shards, shard)
    only(await Control.resume(control, { shards: [index], which, timeoutMs, isAsked: true }))
  })
}

/** The read of one key, as its caller asks for it: an answer that is undefined is left out. */
const keyRead = (store: Store, what: unknown, given: Given): { readonly found?: unknown } => {
  if (!isKeyRead(what)) throw invalidArgument('what', 'a read of one key', what)
  const found = (store[what] as (...given: Given) => unknown)(...given)
  return found === undefined ? {} : { found }
}

const only = ({ outcomes: [outcome] }: Outcomes): void => {
  if (outcome?.error) throw outcome.error
}
