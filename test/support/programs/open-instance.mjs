// Opens an instance in which nothing happens but timers that are due in ten minutes: of a sweep, an expiry, a lease and an
// actor that had it unheld. Then calls the methods that its arguments name, and does nothing more. Reports on pipe 3 that it
// is open, and that it stays, if it does: that timer holds nothing, so it fires only in a process that something else keeps.
import { writeSync } from 'node:fs'
import { noReply, start, supervisor, worker } from 'keelson'

const [dir, ...calls] = process.argv.slice(2)
const report = (line) => writeSync(3, `${line}\n`)
const tenMinutes = 600_000

const idle = {
  init: (_, context) => void context.sendAfter(tenMinutes, 'late').unref(),
  infos: { late: (state) => noReply(state) },
}
const app = await start({ dir, app: supervisor('app', {}, [worker('idle', idle)]) })
await app.store.put('ends', 1, { ttlMs: tenMinutes })
await app.store.put('large', Buffer.alloc(300_000))
await app.control.flushAll()
await app.control.suspend(0, { leaseMs: tenMinutes })
report('open')
for (const call of calls) app[call]()

setTimeout(() => {
  report('stays')
  app.close()
}, 500).unref()
