/**
 * The rate of replication beside `COPY`: entries of the journal that are in the log already, until a new replica has them all;
 * and `psql \copy` of the same rows into empty tables that are equal, with the same primary keys and unique index. `copy` writes
 * the readable rows, as people would; `copy all` the frames too, as replication does. They take turns against one server, and
 * after each turn its rows are counted.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { amount, table } from './harness/table.mjs'
import { race } from './harness/turns.mjs'
import { median } from './wal/turns.mjs'
import { Player } from './writes/players.mjs'
import { startPostgres } from './writes/postgres-server.mjs'

export const about = 'entries in the log, until PostgreSQL has them: replication beside COPY'

/** The first is what the others are compared with. */
const contenders = [
  { label: 'psql \\copy, readable rows', player: 'psql', order: { tables: ['journal'] } },
  { label: 'psql \\copy, all rows', player: 'psql', order: { tables: ['frames', 'journal'] } },
  { label: 'replication', player: 'keelson', order: {} },
]

/** A server with a new replica of `count` entries, whose rows are in files too. */
class Server {
  #folder
  #where
  #count

  constructor(folder, { bin, socket }, count) {
    this.#folder = folder
    this.#where = [join(bin, 'psql'), '-h', socket, '-U', 'bench', '-d', 'postgres']
    this.#count = count
  }

  /** Runs commands of psql, and answers what they print. */
  run(...commands) {
    const [psql, ...where] = this.#where
    const words = commands.flatMap((command) => ['-c', command])
    const how = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1']
    const { status, stdout, stderr } = spawnSync(psql, [...where, ...how, ...words], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`psql: ${stderr}`)
    return stdout.trim()
  }

  /** The next replica is a new one. What the last turn left to the disk is written. */
  forget() {
    this.run(
      'drop schema if exists keelson cascade',
      'truncate copy.journal, copy.frames',
      'checkpoint',
    )
  }

  /** Refuses a turn that has not made every row, once. */
  check(name) {
    const [rows, ids] = this.run(`select count(*), count(distinct id) from ${name}`).split('|')
    if (Number(rows) !== this.#count || Number(ids) !== this.#count)
      throw new Error(`${name} has ${rows} rows, and not ${this.#count}`)
  }

  /** Keeps the rows of the replica as files, and makes empty tables that are equal. */
  keep() {
    this.check('keelson.journal')
    this.run('create schema copy')
    for (const name of ['frames', 'journal'])
      this.run(
        `create table copy.${name} (like keelson.${name} including all)`,
        `\\copy keelson.${name} to '${join(this.#folder, name)}'`,
      )
  }

  /** Answers the seconds. */
  copy({ tables }) {
    const commands = tables.map((name) => `\\copy copy.${name} from '${join(this.#folder, name)}'`)
    const began = performance.now()
    this.run(...commands)
    const seconds = (performance.now() - began) / 1_000
    this.check('copy.journal')
    return seconds
  }
}

const outcomeOf = (figures, count) =>
  contenders.map(({ label }, index) => ({
    label,
    rate: count / median(figures[index]),
    ratio: median(figures[index].map((seconds, at) => figures[0][at] / seconds)),
    ratios: figures[index].map((seconds, at) => figures[0][at] / seconds),
  }))

const outcomeTable = (outcome) =>
  table([
    ['', 'rows/s', 'of readable COPY', 'in each turn'],
    ...outcome.map(({ label, rate, ratio, ratios }) => [
      label,
      amount(rate),
      ratio.toFixed(2),
      ratios.map((each) => each.toFixed(2)).join(' '),
    ]),
  ])

/** Fills a log, prints the table, and answers the figures. */
export const run = async ({ quick, repeats, rows }) => {
  const count = rows ?? (quick ? 20_000 : 100_000)
  const turns = repeats ?? (quick ? 3 : 5)
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-replication-'))
  chmodSync(folder, 0o755)
  const started = await startPostgres(join(folder, 'postgres'))
  if (started.absent) {
    console.log(`– PostgreSQL: ${started.absent}`)
    return []
  }
  const program = fileURLToPath(new URL('./replication/keelson.mjs', import.meta.url))
  const player = await Player.fork(program, [join(folder, 'data'), started.socket])
  try {
    const server = new Server(folder, started, count)
    await player.ask({ kind: 'fill', count })
    await player.ask({ kind: 'replicate' })
    server.keep()
    const keelson = async () => {
      const seconds = await player.ask({ kind: 'replicate' })
      server.check('keelson.journal')
      return seconds
    }
    const ask = (work) => async (order) => {
      server.forget()
      return work(order)
    }
    const players = {
      psql: { ask: ask((order) => server.copy(order)) },
      keelson: { ask: ask(keelson) },
    }
    const outcome = outcomeOf(await race(contenders, players, { turns }), count)
    console.log(`${amount(count)} entries\n${outcomeTable(outcome)}\n`)
    return [{ case: 'replication', count, outcome }]
  } finally {
    await player.stop()
    await started.stop()
    rmSync(folder, { recursive: true })
  }
}
