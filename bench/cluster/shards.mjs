/**
 * Three members that share the shards of an instance in PostgreSQL with a synchronous standby: turns of entities at another
 * member, how long callers wait while shards move, what 64 shards cost that have nothing to do, and how soon all answer after
 * all three were killed at once, as by a loss of power.
 */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { isWanted } from '../harness/options.mjs'
import { Member, movesOf, placed, turnsOf } from '../members/sharing.mjs'
import { median } from '../wal/turns.mjs'

const names = ['a', 'b', 'c']
const shards = 64
const leaseMs = 5_000

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Three members of a cluster of their own, and `start`, which starts one again. */
const withMembers = async ({ folder, pair }, name, use) => {
  const ports = {}
  for (const each of names) ports[each] = await freePort()
  const dirOf = (member) => join(folder, `${name}-${member}`)
  const start = (member) => {
    const cluster = {
      ...{ name, copies: 2, leaseMs, placement: 'spread', secret: 's'.repeat(32) },
      connectionString: `postgres:///postgres?host=${encodeURIComponent(pair.socket)}&user=bench`,
      listen: `127.0.0.1:${ports[member]}`,
    }
    return new Member(member, dirOf(member), JSON.stringify(cluster), shards)
  }
  const members = names.map(start)
  try {
    await Promise.all(members.map(({ began }) => began))
    await placed(members)
    return await use(members, start, dirOf)
  } finally {
    for (const { child } of members) child.kill('SIGKILL')
  }
}

/** So many commits has the server seen. */
const commitsOf = ({ bin, socket }) => {
  const sql = 'select sum(xact_commit) from pg_stat_database'
  const words = ['-h', socket, '-U', 'bench', '-d', 'postgres', '-X', '-q', '-A', '-t', '-c', sql]
  return Number(spawnSync(join(bin, 'psql'), words, { encoding: 'utf8' }).stdout)
}

/** So many packets went over the loopback interface: those of the links. The engine is reached by a socket of files. */
const packets = () => Number(/lo:\s*\d+\s+(\d+)/.exec(readFileSync('/proc/net/dev', 'utf8'))?.[1])

const idleOf = (pair, { idleMs }) => {
  const counts = async (members) => ({
    cpu: (await Promise.all(members.map((each) => each.ask('cpu')))).reduce((sum, ms) => sum + ms),
    commits: commitsOf(pair),
    packets: packets(),
  })
  return async (members) => {
    const before = await counts(members)
    await pause(idleMs)
    const after = await counts(members)
    const each = (what) => (after[what] - before[what]) / (idleMs / 1_000)
    const [percent, commits, sent] = [each('cpu') / 10, each('commits'), each('packets')]
    console.log(
      `Three members, ${shards} shards, idle for ${idleMs / 1_000} s: ${percent.toFixed(2)} % of a core, ${sent.toFixed(1)} packets between members and ${commits.toFixed(1)} commits a second\n`,
    )
    return { percent, commits, packets: sent }
  }
}

/** Kills all at once and starts them again; until a counter in each shard has answered to the first one. */
const powerCutsOf =
  ({ cuts }) =>
  async (members, start) => {
    const times = []
    const of = Array.from({ length: shards }, (_, shard) => shard)
    for (let at = 0; at < cuts; at++) {
      await Promise.all(members.map((member) => member.kill()))
      const begun = performance.now()
      members.splice(0, names.length, ...names.map(start))
      await members[0].began
      await members[0].ask('answers', { of })
      times.push(performance.now() - begun)
      await placed(members)
    }
    const [p50, longest] = [median(times), Math.max(...times)]
    console.log(
      `All three killed and started again, a lease of ${leaseMs / 1_000} s: all ${shards} shards answer after ${(p50 / 1_000).toFixed(1)} s at the median of ${cuts}, ${(longest / 1_000).toFixed(1)} s at most\n`,
    )
    return { p50, times }
  }

/** A member that comes has read its shards, and has begun its copies, after so long. */
const copiedMs = 20 * leaseMs

/** Loses one machine after another, and its cache with it; until a counter in each of its shards has answered to another one. */
const lossesOf =
  ({ losses, megabytes }) =>
  async (members, start, dirOf) => {
    await members[0].ask('put', { count: megabytes * 16, bytes: 64 * 1024 })
    await pause(copiedMs)
    const times = []
    for (let at = 0; at < losses; at++) {
      const lost = members[at % names.length]
      const of = await lost.ask('open')
      await lost.kill()
      times.push(await members[(at + 1) % names.length].ask('answers', { of }))
      rmSync(dirOf(lost.name), { recursive: true, force: true })
      members[at % names.length] = start(lost.name)
      await members[at % names.length].began
      await placed(members)
      await pause(copiedMs)
    }
    const [p50, longest] = [median(times), Math.max(...times)]
    console.log(
      `A machine lost, ${megabytes} MB in the engine, a lease of ${leaseMs / 1_000} s: its shards answer after ${(p50 / 1_000).toFixed(1)} s at the median of ${losses}, ${(longest / 1_000).toFixed(1)} s at most\n`,
    )
    return { p50, times }
  }

/** Runs the cases that are wanted. */
export const runShards = async (servers, { only, quick, repeats = quick ? 3 : 5 }) => {
  const how = {
    ...{ repeats, seconds: quick ? 0.5 : 2, idleMs: quick ? 10_000 : 60_000 },
    ...{ moves: quick ? 2 : 10, cuts: quick ? 2 : 5 },
    ...{ losses: quick ? 2 : 3, megabytes: quick ? 32 : 512 },
  }
  const cases = {
    'shards: turns': turnsOf(how),
    'shards: idle': idleOf(servers.pair, how),
    'shards: moves': movesOf(how),
    'shards: power cuts': powerCutsOf(how),
    'shards: losses': lossesOf(how),
  }
  const results = []
  for (const [at, [title, measure]] of Object.entries(cases).entries())
    if (isWanted(only, title)) {
      console.log(title)
      results.push({ case: title, figures: await withMembers(servers, `s${at}`, measure) })
    }
  return results
}
