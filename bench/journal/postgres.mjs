/**
 * The player of PostgreSQL: a table with the columns of a journal. `insert`: one INSERT and one transaction for each entry, over
 * as many connections as entries are in flight, up to 64. `pipelined`: the same statements without waiting for each
 * other, over 8 connections. `grouped`: all entries that wait as one INSERT, as an application can group them by hand.
 */
import pg from 'pg'
import { byWriters, play } from '../entities/turn.mjs'
import { grouped } from '../writes/grouped.mjs'
import { entryOf } from './entry.mjs'

const [, , socket] = process.argv
const where = { host: socket, database: 'postgres', user: 'bench' }
const pool = new pg.Pool({ ...where, max: 64 })
await pool.query(`CREATE TABLE journal (id text PRIMARY KEY, type text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
  command jsonb NOT NULL, response jsonb NOT NULL, events jsonb NOT NULL, effects jsonb NOT NULL)`)
const pipes = Array.from({ length: 8 }, () => new pg.Client({ ...where, pipeline: true }))
await Promise.all(pipes.map((pipe) => pipe.connect()))

const columns = 'INSERT INTO journal (id, type, command, response, events, effects)'
const valuesOf = ({ id, type, command, response, events, effects }) => [
  id,
  type,
  ...[command, response, events, effects].map((part) => JSON.stringify(part)),
]
const statement = (entry) => ({
  name: 'insert',
  text: `${columns} VALUES ($1, $2, $3, $4, $5, $6)`,
  values: valuesOf(entry),
})
const transposed = (rows) => [0, 1, 2, 3, 4, 5].map((column) => rows.map((row) => row[column]))
const many = grouped((rows) =>
  pool.query({
    name: 'many',
    text: `${columns} SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::jsonb[], $6::jsonb[])`,
    values: transposed(rows),
  }),
)

let next = 0
const works = {
  insert: () => pool.query(statement(entryOf(next++))),
  pipelined: () => pipes[next % pipes.length].query(statement(entryOf(next++))),
  grouped: () => many(valuesOf(entryOf(next++))),
}

play({
  turn: ({ work, inFlight, seconds }) => byWriters(inFlight, seconds, works[work]),
  verify: async () => {
    const { rows } = await pool.query('SELECT count(*)::int AS count FROM journal')
    if (rows[0].count !== next) throw new Error(`${rows[0].count} rows, not ${next}`)
  },
  close: async () => {
    await Promise.all(pipes.map((pipe) => pipe.end()))
    await pool.end()
  },
})
