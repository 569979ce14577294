// An entity that keeps COUNT rows is deleted; what a kill has left is removed by the next run. Reports on pipe 3: `deleted`,
// `removed ROWS` for each piece, `holds MS…` (the longest turns of the event loop while rows were removed, in CPU time), and `left ROWS` at the end.
import { existsSync, readFileSync, writeSync } from 'node:fs'
import { call, entity, reply, start, supervisor } from 'keelson'

const [dir, countText] = process.argv.slice(2)
const count = Number(countText)
const report = (line) => writeSync(3, `${line}\n`)

const keeper = {
  init: () => 0,
  calls: {
    fill: (filled, to, { rows }) => {
      for (let at = filled; at < to; at++) rows.put(`row/${at}`, at)
      return reply(to, to)
    },
  },
}
const app = await start({ dir, app: supervisor('app', {}, [entity('keeper', keeper)]) })
const handle = app.entity('keeper')
let ended
const isQuiet = new Promise((resolve) => {
  let timer
  ended = () => {
    clearTimeout(timer)
    timer = setTimeout(resolve, 3_000)
  }
})
app.system.events.on('entity.rowsRemoved', ({ rows }) => {
  report(`removed ${rows}`)
  ended()
})
const old = handle.ref('old')
const mark = app.store.get('deleted')
if (mark === undefined) {
  for (let to = 10_000; to <= count; to += 10_000)
    await call(old, 'fill', to, { timeoutMs: 600_000 })
  await app.control.flush(0)
  await app.store.put('deleted', true)
}
/** The CPU time of this thread in ms: other processes do not count. */
const spent = () => Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6
const holds = []
let before = spent()
const look = () => {
  const now = spent()
  holds.push(now - before)
  before = spent()
  looking = setImmediate(look)
}
let looking = existsSync('/proc/thread-self/schedstat') ? setImmediate(look) : undefined
if (handle.state('old') !== undefined) {
  await handle.delete('old', { timeoutMs: 600_000 })
  // The next life is not touched by what is removed.
  await call(old, 'fill', 10)
  await handle.stop('old')
}
report('deleted')
ended()
await isQuiet
clearImmediate(looking)
const slowest = holds.filter((ms) => ms > 1).sort((a, b) => b - a)
report(`holds ${slowest.slice(0, 8).map((ms) => ms.toFixed(1))} of ${slowest.length} above 1 ms`)
report(`left ${handle.rows('old').range({ limit: 1_000 }).entries.length} ${handle.state('old')}`)
await app.close()
