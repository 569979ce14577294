// A service in DIR of which the log of shard 1 is damaged. Of its input it takes `disk`: the log is as
// it was, and `clock`: the clock of the machine is set by an hour.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { start, supervisor } from 'keelson'

const [dir] = process.argv.slice(2)
const logger = { info: () => undefined, warn: () => undefined, error: () => undefined }
const before = await start({ dir, logger, shards: 2 })
for (let at = 0; at < 20; at++) await before.store.put(`key/${at}`, 'x'.repeat(100))
await before.close()

const folder = join(dir, 'shard-1/wal')
const log = join(
  folder,
  readdirSync(folder).find((name) => name.endsWith('.wal')),
)
const bytes = readFileSync(log)
writeFileSync(log, Buffer.alloc(bytes.length, 7))
await start({ dir, logger, allowDown: true, attach: true, app: supervisor('app', {}, []) })

const { now } = Date
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'disk') writeFileSync(log, bytes)
  if (line === 'clock') Date.now = () => now() + 3_600_000
  console.log(`done: ${line}`)
})
console.log('ready')
