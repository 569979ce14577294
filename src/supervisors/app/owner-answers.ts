/**
 * The answers of this member to others about its shards: the calls of `app.control`, `wal`, `lmdbWriter`,
 * `batcher` and `projection` for a shard that is here, as they are made here. It is apart from
 * `app-context.ts`, because an instance without members answers nobody.
 */
import {
  Access,
  answerBackups,
  answerProjections,
  answerReaders,
  answerStreams,
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
  type OwnersWay,
  ProjectionView,
  pageHere,
  type Store,
  type StoredEntry,
  shardAsked,
  turnsFor,
} from '../../actors/index.ts'
import { invalidArgument } from '../../errors.ts'
import { type EventPayload, readEventPayload } from '../../storage/index.ts'
import type { Shard } from '../tree/shard.ts'
import type { AppContext, InstanceParts } from './app-context.ts'
import { answerHealth } from './members-health.ts'

type Given = readonly unknown[]

type Call = (app: AppContext, shard: Shard, given: Given) => unknown

/** The calls that other members may ask for. Each checks its arguments as for a caller here. */
const calls: Readonly<Record<string, Call>> = {
  'control.flush': ({ control }, { index }, [options]) => control.flush(index, options as never),
  'control.discard': ({ control }, { index }, [options]) =>
    control.discard(index, options as never),
  'control.sweep': ({ control }, { index }, [options]) => control.sweep(index, options as never),
  'control.snapshot': ({ control }, { index }, [options]) =>
    control.snapshot(index, options as never),
  'control.acceptClock': (_, { time }) => time.follow(),
  'control.reopen': ({ control }, { index }, [part]) => control.reopen(index, part as never),
  'batcher.flush': ({ batcher }, { index }, [options]) =>
    batcher.flush({ ...(options as object), shard: index }),
  'batcher.stop': ({ batcher }, { index }, [options]) => batcher.stop(index, options as never),
  'wal.describe': (app, { index }) => app.wal(index).describe(),
  'wal.sync': (app, { index }) => app.wal(index).sync(),
  'wal.commitment': (app, { index }) => app.wal(index).commitment(),
  'wal.checkpoint': (app, { index }, [options]) => app.wal(index).checkpoint(options as never),
  'wal.release': (app, { index }, [lsn]) => app.wal(index).release(lsn as never),
  'lmdbWriter.request': (app, { index }, [lsn, options]) =>
    app.lmdbWriter(index).request(lsn as never, options as never),
  'lmdbWriter.describe': async (app, { index }) => {
    const { suspensions, ...described } = await app.lmdbWriter(index).describe()
    // A process cannot be sent.
    return { ...described, suspensions: suspensions.map(({ owner: _, ...rest }) => rest) }
  },
  'journal.saveState': ({ journal }, { index }, [lsn, content]) =>
    journal.on(index).saveState(lsn as number, readEventPayload(content as EventPayload).value),
  'projection.reached': (app, { index, appliedLsn }, [name, lsn, timeoutMs]) =>
    app
      .projection(name as string)
      .reached(
        { shard: index, lsn: (lsn ?? appliedLsn) as number },
        { timeoutMs: timeoutMs as number },
      ),
}

/** Answers the other members from now on. `app`: the handles of the user's processes. */
export const answerMembers = (way: OwnersWay, parts: InstanceParts, app: AppContext): void => {
  const { system, shards, deadlineMs } = parts
  for (const [question, made] of Object.entries(calls))
    way.answer(question, (payload) => {
      const [index, ...given] = payload as Given
      return made(app, shardAsked(shards, index), given)
    })
  way.answer('projection.rebuild', (payload) => {
    const [index, name] = payload as Given
    const shard = shardAsked(shards, index)
    return new ProjectionView(system, [shard], name as string, deadlineMs, new Access()).rebuild()
  })
  way.answer('batcher.setWindow', (payload) => {
    const [namespace, ms, by] = payload as [string, number, string]
    parts.windows.set(namespace, ms, by, system.clock.now())
  })
  answerBackups(way, parts.backups, shards)
  answerHealth(way, parts, app.health)
  answerTotals(way, parts.entities)
  answerProjections(way, shards)
  way.answer('entities.page', (payload) => pageHere(parts.entities, payload))
  way.answer('entities.blocked', (payload) => blockedHere(parts.entities, payload as Given))
  const kinds = {
    store: (shard: Shard, terms: unknown) => changesFor(shard, terms),
    entities: (shard: Shard, terms: unknown) => turnsFor(parts.entities, shard, terms),
    journal: (shard: Shard) => ({
      source: entriesIn(shard),
      sent: (entry: StoredEntry) => entry,
    }),
  }
  answerReaders(system, way, kinds, (index) => shardAsked(shards, index))
  answerStreams(system, way, shards.length, (index) => shardAsked(shards, index))
  way.answer('journal.loadState', (payload) =>
    newestAppState(system, shardAsked(shards, (payload as Given)[0])),
  )
  way.answer('store.read', (payload) => {
    const [index, what, ...given] = payload as Given
    shardAsked(shards, index)
    return keyRead(app.store, what, given)
  })
  answerSuspensions(way, parts)
}

/** Suspensions and resumptions that the control of another member asks for. */
const answerSuspensions = (way: OwnersWay, { system, instance, shards }: InstanceParts): void => {
  const control = system.to(Control.name(instance))
  way.answer('suspend', async (payload) => {
    if (!isAskedSuspension(payload)) throw invalidArgument('request', 'a suspension', payload)
    const { shard, token, member, isApps, ...rest } = payload as Control.AskedSuspension
    const { index } = shardAsked(shards, shard)
    // It ends with the control of the member that asks, or the link to that.
    const owner = way.at(member, Control.name(instance))
    const asked = { token, isApps }
    only(
      await Control.suspend(control, {
        leaseMs: undefined,
        ...rest,
        shards: [index],
        owner,
        asked,
      }),
    )
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
