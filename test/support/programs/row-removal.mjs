// An entity that keeps COUNT rows is deleted; what a kill has left is removed by the next run. Reports on pipe 3: `deleted`,
// `removed ROWS` for each piece, `delay MS` (the longest hold of the event loop while rows were removed), and `left ROWS` at the end.
import { writeSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
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
const delays = monitorEventLoopDelay({ resolution: 1 })
delays.enable()
if (handle.state('old') !== undefined) {
  await handle.delete('old', { timeoutMs: 600_000 })
  // The next life is not touched by what is removed.
  await call(old, 'fill', 10)
  await handle.stop('old')
}
report('deleted')
ended()
await isQuiet
report(`delay ${(delays.max / 1e6).toFixed(1)} ${(delays.percentile(99) / 1e6).toFixed(1)}`)
report(`left ${handle.rows('old').range({ limit: 1_000 }).entries.length} ${handle.state('old')}`)
await app.close()
