/**
 * One instance on a folder, with everything at once: the load, kills of storage actors, commands of the control, backups and a
 * replica. It answers its parent what it uses, and at the end whether the ledger is right, also after another start.
 * instance.mjs DIR PACE [SOCKET of a PostgreSQL server]
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { start } from 'keelson'
import { play } from '../entities/turn.mjs'
import { Load } from './load.mjs'
import { sampler } from './sampler.mjs'
import { desk, soakTree } from './tree.mjs'

const [dir, pace, socket] = process.argv.slice(2)
const MiB = 2 ** 20
const tickMs = 50

/** All that a shard's supervisor starts again; a shard allows five restarts in 10 s. */
const victims = ['blob_store', 'wal_writer', 'applier', 'batcher', 'journal', 'lmdb_writer']
  .concat(['followers', 'expirer', 'alarms', 'snapshotter'])
  .flatMap((name) => [`${name}(0)`, `${name}(1)`])

const connectionString = () =>
  `postgres://bench@localhost/postgres?host=${encodeURIComponent(socket)}`

const replicas = async () => {
  if (!socket) return []
  const { postgres } = await import('keelson/postgres')
  return [{ client: postgres({ connectionString: connectionString() }) }]
}

/** Errors of the instance are told. Kills make warnings and errors of their own, so of each text only the first. */
const told = new Set()
const error = (...words) => {
  const text = words.join(' ').replaceAll(/[\d<>]+/g, '#')
  if (told.size > 100 || told.has(text)) return
  told.add(text)
  console.error(`    ${words.join(' ').slice(0, 300)}`)
}
const silent = () => undefined

const open = async () =>
  start({
    ...{ dir: join(dir, 'data'), shards: 2, app: soakTree() },
    logger: { error, warn: silent, info: silent },
    wal: { maxFileSize: MiB },
    blobs: { segmentBytes: 4 * MiB, graceMs: 20_000, sweepMs: 10_000 },
    snapshot: { minLogBytes: 4 * MiB, keep: 2 },
    replication: await replicas(),
  })

let app = await open()
let asked = desk(app)
const load = new Load({ ask: (what, ...words) => asked[what](words), pause: sleep })
const counts = { kills: 0, commands: 0, backups: 0, snapshots: 0, states: 0 }
app.events.on('snapshot.made', () => counts.snapshots++)

const tick = setInterval(() => load.tick(tickMs, Number(pace)), tickMs)

/** Commands of the control, one after another. */
const commands = [
  () => app.control.flushAll(),
  () => app.control.snapshot(0),
  async () => {
    const { token } = await app.control.suspendAll({ writes: true, leaseMs: 10_000 })
    await sleep(500)
    await app.control.resumeAll({ token })
  },
  () => app.control.snapshotAll(),
  () => app.control.sweepAll(),
  () => app.batcher.setWindow('key', counts.commands % 2 === 0 ? 5 : 0),
  () => app.control.reopen(1),
  () => app.healthOfAll(),
]

/** What a command or a backup was refused with, by its code: a storage actor that is killed under it may refuse it. */
const refused = {}
let isOver = false
/** Does `work` each `ms` until the end. */
const each = async (ms, work) => {
  while (!isOver) {
    await sleep(ms)
    if (isOver) return
    await work().catch(({ code, message }) => {
      const text = `${work.name} ${code}: ${message}`.slice(0, 200)
      refused[text] = (refused[text] ?? 0) + 1
    })
  }
}

const kill = async () => {
  app.system.kill(victims[counts.kills++ % victims.length])
}
const command = async () => {
  await commands[counts.commands++ % commands.length]()
}
const backup = async () => {
  await app.backup(join(dir, 'backup'), { consistent: counts.backups++ % 2 === 0 })
}
/** The state of an application that its journal is replayed into: without it the journal holds the log. */
const saveStates = async () => {
  counts.states++
  const { appliedLsn } = app.health().shards[0]
  await app.journal.saveState(Math.max(0, appliedLsn - 1), { states: counts.states })
}
const goingOn = [each(7_000, kill), each(11_000, command), each(30_000, backup)]
goingOn.push(each(10_000, saveStates))

const used = sampler(app)

/** What is used now, and what was done. With `collect` the garbage is collected first. */
const sample = ({ collect }) => ({
  ...used([collect]),
  inFlight: load.inFlight,
  ...counts,
  done: load.done,
  failures: load.failures,
  refused,
  wrong: load.wrong.length,
})

const untilReplicated = async () => {
  for (let tries = 0; socket && tries < 300; tries++) {
    const states = app.health().replication.flatMap(({ shards }) => shards)
    if (states.every(({ state, lag }) => state === 'following' && lag.records === 0)) return
    await sleep(200)
  }
  if (socket) throw new Error('the replica has not come to the end within a minute')
}

/** The replica has each entry of the journal once. */
const verifyReplica = async () => {
  if (!socket) return
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: connectionString() })
  await client.connect()
  const { rows } = await client.query(
    'select count(*)::int as all, count(distinct id)::int as ids from keelson.journal',
  )
  await client.end()
  const [{ all, ids }] = rows
  const entries = load.sumOf('entries')
  if (all !== entries || ids !== entries)
    throw new Error(`the replica has ${all} entries, ${ids} ids, not ${entries}`)
}

/** Compares everything with the ledger, before and after another start. */
const stop = async () => {
  clearInterval(tick)
  isOver = true
  await Promise.all(goingOn)
  await load.end()
  const found = await load.verify()
  await app.backup(join(dir, 'backup'), { consistent: true })
  await untilReplicated()
  await app.close()
  app = await open()
  asked = desk(app)
  await load.verify()
  await verifyReplica()
  return {
    ...found,
    entries: load.sumOf('entries'),
    done: load.done,
    failures: load.failures,
    refused,
    counts,
  }
}

play({ sample, stop, keys: () => load.verifyKeys(), close: () => app.close() })
