/** Pays without end, and checks the books at each start. Kill it whenever you like. */
import { type App, call, start } from 'keelson'
import { flow } from 'keelson/flow'
import { accounts, payments, tree } from './ledger.ts'

const names = ['ada', 'bob', 'cy', 'dee', 'eve']
const opening = 100_00
const pick = () => names[Math.floor(Math.random() * names.length)] as string

/** Every payment that a crash has cut off goes on by itself. When all have ended the sum is the first one again. */
const audit = async (app: App): Promise<void> => {
  const unended = ['waiting', 'running', 'cancelling', 'undoing'] as const
  const entries = unended.flatMap((status) => flow(app).list({ type: payments, status }).entries)
  for (const { id } of entries)
    await flow(app)
      .handle(payments, id)
      .result({ timeoutMs: Number.POSITIVE_INFINITY })
      .catch(() => {})
  const cents = app
    .entity(accounts)
    .list()
    .entries.map(({ state }) => state?.cents ?? 0)
  const sum = cents.reduce((left, right) => left + right, 0)
  console.log(
    `${entries.length} payments were cut off; the sum of ${names.length} accounts is ${sum}`,
  )
  if (sum !== names.length * opening) throw new Error('money was lost or made')
}

const app = await start({ dir: 'keelson-data/ledger', attach: true, app: tree })
for (const name of names) await call(app.entity(accounts).ref(name), 'open', opening)
await audit(app)
console.log(`paying; end it with: kill -9 ${process.pid}`)

const payForEver = async (): Promise<never> => {
  for (;;) {
    // 'nobody' is not open: that payment is reversed.
    const to = Math.random() < 0.1 ? 'nobody' : pick()
    const payment = { from: pick(), to, cents: 1 + Math.floor(Math.random() * 50_00) }
    if (payment.from === to) continue
    const run = await flow(app).start(payments, payment, { id: crypto.randomUUID() })
    await run.result().catch(() => {})
  }
}
setInterval(async () => {
  const counts = await flow(app).counts(payments)
  console.log(JSON.stringify(counts))
}, 1_000)
await Promise.all(Array.from({ length: 8 }, payForEver))
