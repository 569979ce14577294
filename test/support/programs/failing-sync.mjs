// Runs a store of two shards of whose syncs a thread's one fails (see log-faults.long.test.ts): in turns `alone` of a log that
// commits alone, or `beside` of two logs that commit together. Reports on pipe 3, as JSON: what was acknowledged in the shard that
// fails, how the others were answered, that the sibling goes on, and what is there after a reopen in this process.
import { writeSync } from 'node:fs'
import { start } from 'keelson'

const [dir, way] = process.argv.slice(2)
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

const tags = way === 'beside' ? ['{a}', there] : ['{a}']
const acknowledged = []
let codes = ['ok']
for (let at = 0; at < 2000 && codes.every((code) => code === 'ok'); at++) {
  codes = await Promise.all(tags.map((tag) => codeOf(app.store.put(`${tag}:${at}`, at))))
  if (codes.every((code) => code === 'ok')) acknowledged.push(at)
}
const failed = codes.findIndex((code) => code !== 'ok')
const tag = tags[failed]
const sibling = tag === '{a}' ? there : '{a}'
const shard = tag === '{a}' ? here : 1 - here
report({ acknowledged, code: codes[failed], tag })
report({
  later: await codeOf(app.store.put(`${tag}:x`, 1)),
  sibling: await codeOf(app.store.put(sibling, 'on')),
})
const health = app.health().shards[shard]
report({ phase: health.phase })
await app.control.reopen(shard)
report({ missing: acknowledged.filter((at) => app.store.get(`${tag}:${at}`) !== at) })
report({ again: await codeOf(app.store.put(`${tag}:again`, 1)) })
process.exit()
