// Runs a store of two shards whose log threads' 25th fdatasync fails (see log-faults.test.ts). Reports on pipe 3, as JSON: what was
// acknowledged, how the others were answered, that the sibling goes on, and what is there after a reopen in this process.
import { writeSync } from 'node:fs'
import { start } from 'keelson'

const [dir] = process.argv.slice(2)
const report = (value) => writeSync(3, `${JSON.stringify(value)}\n`)
const codeOf = (promise) =>
  promise.then(
    () => 'ok',
    (error) => error.code,
  )

const app = await start({ dir, shards: 2, wal: { idleMarkerMs: 0 } })
const shardOf = async (key) => (await app.store.put(key, 'first')).position.shard
const here = await shardOf('{a}')
let there = ''
for (const tag of 'bcdefghij')
  if (there === '' && (await shardOf(`{${tag}}`)) !== here) there = `{${tag}}`

const acknowledged = []
let code = 'ok'
for (let at = 0; at < 100 && code === 'ok'; at++) {
  code = await codeOf(app.store.put(`{a}:${at}`, at))
  if (code === 'ok') acknowledged.push(at)
}
report({ acknowledged, code, here })
report({
  later: await codeOf(app.store.put('{a}:x', 1)),
  sibling: await codeOf(app.store.put(there, 'on')),
})
const health = app.health().shards[here]
report({ phase: health.phase })
await app.control.reopen(here)
report({ missing: acknowledged.filter((at) => app.store.get(`{a}:${at}`) !== at) })
report({ again: await codeOf(app.store.put('{a}:again', 1)) })
process.exit()
