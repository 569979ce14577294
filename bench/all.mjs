/**
 * Every bench that has peers or a bound, one after another, each in a process of its own: what they print, their figures
 * in one `results.json`, and a page with plots. Each may be run alone by its name.
 */
import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { resultsPage } from './harness/results-page.mjs'

export const about = 'all of them, with a page of plots: .tmp/bench/index.html'

const folder = resolve('.tmp/bench')
const main = fileURLToPath(new URL('./main.mjs', import.meta.url))
const peers = new URL('./peers/package.json', import.meta.url)

/** The suites in order, with what keeps each one short, what it counts, and when it says that a write is done. */
const suites = [
  {
    name: 'messages',
    counts: 'messages, calls, processes and bytes of one process, without storage',
    durability: 'none: nothing is written',
  },
  {
    name: 'writes',
    counts: 'acknowledged writes a second of one process; all are read back',
    durability:
      'Keelson: fdatasync of the log. better-sqlite3: WAL, synchronous=FULL. lmdb-js: a synced commit (overlappingSync off). classic-level: sync. PostgreSQL: fsync and synchronous_commit on',
  },
  {
    name: 'sporadic',
    args: ['--minutes', '2'],
    counts: 'time and CPU of one write, with pauses between',
    durability: 'as in writes',
  },
  {
    name: 'wal',
    counts: 'acknowledged entries a second of the log as a library; recovery',
    durability: 'fdatasync, one for a group',
  },
  {
    name: 'entities',
    counts: 'acknowledged turns of durable actors a second; all counts are read back',
    durability:
      'as puts. DBOS: a workflow without steps on PostgreSQL, fsync and synchronous_commit on',
  },
  {
    name: 'flow',
    counts: 'completed workflows, and completed jobs of queues, a second',
    durability:
      'as puts. DBOS: PostgreSQL, fsync and synchronous_commit on. BullMQ: Redis, appendfsync always',
  },
  {
    name: 'journal',
    counts: 'acknowledged entries a second',
    durability: 'as puts. PostgreSQL: one INSERT for an entry, fsync and synchronous_commit on',
  },
  {
    name: 'projections',
    counts: 'reads and commits a second, of rows in LMDB',
    durability: 'follows the log, which has everything',
  },
  {
    name: 'replication',
    counts: 'entries a second, from the log to a row of PostgreSQL',
    durability: 'PostgreSQL: fsync and synchronous_commit on, beside COPY',
  },
  {
    name: 'cluster',
    counts: 'acknowledged writes a second, with the log in PostgreSQL; fail-over',
    durability: 'PostgreSQL: fsync and synchronous_commit on, alone and with a synchronous standby',
  },
  {
    name: 'members',
    counts: 'calls between processes on one folder',
    durability: 'as puts where something is written',
  },
  { name: 'fairness', counts: 'delay of timers and HTTP under load', durability: 'none' },
  { name: 'alarms', counts: 'lateness of alarms of durable actors', durability: 'as puts' },
  {
    name: 'shards',
    args: ['--repeats', '3'],
    counts: 'acknowledged puts a second of one process with many shards; start, memory, close',
    durability: 'as puts',
  },
  {
    name: 'years',
    args: ['--rows', '200000'],
    counts: 'milliseconds of a start, with many rows',
    durability: 'as puts',
  },
  { name: 'import', counts: 'CPU time of the import of each entry', durability: 'none' },
  {
    name: 'soak',
    args: ['--minutes', '3'],
    counts: 'disk, memory and lag over minutes of overwrites',
    durability: 'as puts',
  },
]

/** One suite in a process of its own. Resolves to its report, or to what it lacked. */
const played = async ({ name, args = [] }, quick) => {
  const json = join(folder, `${name}.json`)
  const log = join(folder, `${name}.txt`)
  rmSync(json, { force: true })
  const given = [name, ...(quick ? ['--quick'] : args), '--json', json]
  const child = spawn(process.execPath, [main, ...given], { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines = createWriteStream(log)
  for (const stream of [child.stdout, child.stderr]) {
    stream.pipe(process.stdout, { end: false })
    stream.pipe(lines, { end: false })
  }
  const status = await new Promise((done) => child.once('close', done))
  await new Promise((done) => lines.end(done))
  const printed = readFileSync(log, 'utf8')
  if (status !== 0) return { failed: `ended with status ${status}`, printed }
  return { ...JSON.parse(readFileSync(json, 'utf8')), printed }
}

export const run = async ({ quick, only }) => {
  mkdirSync(folder, { recursive: true })
  const wanted = suites.filter(({ name }) => isWanted(only, name))
  const began = Date.now()
  const reports = []
  for (const [at, suite] of wanted.entries()) {
    const minutes = Math.round((Date.now() - began) / 60_000)
    console.log(`\n— ${suite.name}: ${at + 1} of ${wanted.length}, after ${minutes} min —`)
    const since = Date.now()
    const report = await played(suite, quick)
    reports.push({ ...suite, seconds: Math.round((Date.now() - since) / 1_000), ...report })
  }
  const { dependencies } = JSON.parse(readFileSync(peers, 'utf8'))
  const all = {
    quick,
    seconds: Math.round((Date.now() - began) / 1_000),
    peers: dependencies,
    reports,
  }
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(all, undefined, 2)}\n`)
  writeFileSync(join(folder, 'index.html'), resultsPage(all))
  const failed = reports.filter((report) => report.failed !== undefined)
  console.log(`\n${join(folder, 'index.html')}, after ${Math.round(all.seconds / 60)} min`)
  if (failed.length > 0)
    throw new Error(`without results: ${failed.map(({ name }) => name).join(', ')}`)
  return reports
}
