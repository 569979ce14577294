/**
 * A member of a folder or of PostgreSQL for the bench, with counters that are entities. It serves its parent over messages.
 * folder-member.mjs MEMBER DIR ENGINE SHARDS, where ENGINE is the members of the folder, or the options of a cluster as JSON
 */
import { setTimeout as pause } from 'node:timers/promises'
import { call, entity, reply, start, supervisor } from 'keelson'
import { folderEngine } from '../../dist/storage/index.js'

const [member, dir, engine, shards] = process.argv.slice(2)

const clusterOf = async () => {
  if (!engine.startsWith('{'))
    return { name: 'c', engine: folderEngine({ members: engine.split(',') }) }
  const { connectionString, ...cluster } = JSON.parse(engine)
  const { postgresEngine } = await import('keelson/postgres')
  return { ...cluster, engine: postgresEngine({ connectionString }) }
}

const spin = (ms) => {
  for (const until = performance.now() + ms; performance.now() < until; );
}
const counter = {
  init: () => 0,
  calls: {
    add: (count, by) => reply(count + by, count + by),
    work: (count, ms) => {
      spin(ms)
      return reply(count + 1, count + 1)
    },
    look: (count) => reply(count, count),
  },
}

const app = await start({
  ...{ dir, shards: Number(shards), app: supervisor('app', {}, [entity('counter', counter)]) },
  logger: { error: console.error, warn: () => undefined, info: () => undefined },
  ...(engine && { cluster: { ...(await clusterOf()), member } }),
})

const open = () =>
  app
    .health()
    .shards.filter(({ phase }) => phase === 'open')
    .map(({ shard }) => shard)

/** Ids of counters in some shards, or in any. */
const idsOf = (of, count) => {
  const ids = []
  for (let at = 0; ids.length < count; at++)
    if (!of || of.includes(app.store.shardOf(`{counter/c${at}}`))) ids.push(`c${at}`)
  return ids
}

const serve = {
  open,
  /** Calls counters for so long with so many in flight. The times of the calls are taken with one in flight. */
  calls: async ({ what, payload, of, inFlight, seconds }) => {
    const refs = idsOf(of, Math.max(inFlight, 64)).map((id) => app.entity('counter').ref(id))
    const [begun, cpu, times] = [performance.now(), process.cpuUsage(), []]
    const until = begun + seconds * 1_000
    let count = 0
    const caller = async (_, index) => {
      for (let at = begun, step = 0; at < until; step++) {
        await call(refs[(index + step * inFlight) % refs.length], what, payload, {
          timeoutMs: 60_000,
        })
        count++
        const now = performance.now()
        if (inFlight === 1) times.push(now - at)
        at = now
      }
    }
    await Promise.all(Array.from({ length: inFlight }, caller))
    const spent = performance.now() - begun
    const { user, system } = process.cpuUsage(cpu)
    return { rate: (count * 1_000) / spent, cpu: (user + system) / count, ...partsOf(times) }
  },
  put: async ({ count, bytes }) => {
    const value = Buffer.alloc(bytes, 7).toString('latin1')
    for (let at = 0; at < count; at += 64)
      await Promise.all(
        Array.from({ length: 64 }, (_, each) => app.store.put(`k${at + each}`, value)),
      )
  },
  /** When one counter in each of these shards has answered, in ms from now. */
  answers: async ({ of }) => {
    const begun = performance.now()
    await Promise.all(
      of.map((shard) =>
        call(app.entity('counter').ref(idsOf([shard], 1)[0]), 'look', undefined, {
          ...{ timeoutMs: 60_000, id: `l${begun}-${shard}` },
        }),
      ),
    )
    return performance.now() - begun
  },
  /** The longest wait of one caller at a counter of each of these shards, in ms. */
  waits: async ({ of, seconds }) => {
    const until = performance.now() + seconds * 1_000
    const callerOf = async (shard) => {
      const ref = app.entity('counter').ref(idsOf([shard], 1)[0])
      let longest = 0
      for (let at = performance.now(); at < until; ) {
        await call(ref, 'look', undefined, { timeoutMs: 60_000 })
        const now = performance.now()
        longest = Math.max(longest, now - at)
        // Other callers and the members that move shards need the processor, too.
        await pause(5)
        at = performance.now()
      }
      return longest
    }
    return Promise.all(of.map(callerOf))
  },
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  },
  close: () => app.close(),
}

const partsOf = (times) => {
  times.sort((left, right) => left - right)
  const at = (part) => times[Math.floor(times.length * part)]
  return { p50: at(0.5), p99: at(0.99) }
}

process.on('message', async ({ number, what, words }) => {
  const value = await serve[what](words)
  process.send({ number, value }, () => what === 'close' && process.exit())
})
process.on('disconnect', () => process.exit())
process.send({ began: true })
