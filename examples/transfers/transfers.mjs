/**
 * Transfers between accounts of a SQL database, each a run of a workflow. Whatever crashes, each is booked
 * once: the step writes the key of its try in the transaction of its change.
 * `node examples/transfers/transfers.mjs FOLDER` makes one, and prints the accounts. With `kill` behind it
 * the process dies after the commit and before its outcome is durable.
 */
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { start, supervisor } from 'keelson'
import { flow, flows, workflow } from 'keelson/flow'

const schema = `
  CREATE TABLE IF NOT EXISTS accounts (name text PRIMARY KEY, cents integer NOT NULL);
  CREATE TABLE IF NOT EXISTS applied (key text PRIMARY KEY, result jsonb);
  INSERT INTO accounts VALUES ('Ada', 100), ('Eve', 100) ON CONFLICT DO NOTHING;`

/**
 * Makes a change and notes its key, in one transaction. A key that was applied changes nothing, and has its
 * first result. Two transactions with one key wait for each other.
 */
const applyOnce = (database, key, change) =>
  database.transaction(async (tx) => {
    const insert = 'INSERT INTO applied (key) VALUES ($1) ON CONFLICT DO NOTHING RETURNING key'
    const { rows: added } = await tx.query(insert, [key])
    if (added.length === 0) {
      const { rows } = await tx.query('SELECT result FROM applied WHERE key = $1', [key])
      return rows[0].result
    }
    const result = await change(tx)
    await tx.query('UPDATE applied SET result = $2 WHERE key = $1', [key, JSON.stringify(result)])
    return result
  })

const [dir, mustDie] = process.argv.slice(2)
const database = await PGlite.create(join(dir, 'database'))
await database.exec(schema)

const move = (tx, name, cents) =>
  tx.query('UPDATE accounts SET cents = cents + $2 WHERE name = $1 RETURNING cents', [name, cents])

const transfer = workflow('transfer', (ctx, { from, to, cents }) =>
  ctx.step('book', async ({ key }) => {
    const left = await applyOnce(database, key, async (tx) => {
      await move(tx, to, cents)
      return (await move(tx, from, -cents)).rows[0].cents
    })
    if (mustDie) process.kill(process.pid, 'SIGKILL')
    return left
  }),
)

const app = await start({
  dir: join(dir, 'data'),
  app: supervisor('app', {}, [flows({ workflows: [transfer] })]),
})
const run = await flow(app).start(transfer, { from: 'Ada', to: 'Eve', cents: 10 }, { id: 't1' })
const left = await run.result()
const { rows } = await database.query('SELECT name, cents FROM accounts ORDER BY name')
console.log(JSON.stringify({ left, accounts: rows.map(({ name, cents }) => [name, cents]) }))
await app.close()
await database.close()
