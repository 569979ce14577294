// Starts and ends a great many instances of the built package, and reports on pipe 3, as one line of JSON for each kind, how
// many bytes of the heap one of them left. Arguments: a folder, and how many of each kind.
import { rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { call, entity, ok, reply, start, supervisor } from 'keelson'
import { startSimulated } from 'keelson/testing'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

const [dir, given] = process.argv.slice(2)
const count = Number(given)
const silent = () => undefined
const logger = { error: silent, warn: silent, info: silent }

const counter = entity('counter', {
  init: () => ok(0),
  calls: { add: (sum, by) => reply(sum + by, sum + by) },
})
const app = () => supervisor('app', {}, [counter])
const use = async (instance) => {
  await instance.store.put('key', 'value')
  await call(instance.entity('counter').ref('one'), 'add', 1)
}

const onDisk = async (path) => {
  const instance = await start({ dir: path, app: app(), logger })
  await use(instance)
  await instance.close()
}

const cut = await startSimulated({ app: app(), logger })

const kinds = {
  'on one folder': () => onDisk(join(dir, 'one')),
  'on a folder of its own': async () => {
    await onDisk(join(dir, 'own'))
    rmSync(join(dir, 'own'), { recursive: true })
  },
  'in a simulation of its own': async () => {
    const simulation = await startSimulated({ app: app(), logger })
    await simulation.during(use(simulation.app))
    await simulation.close()
  },
  'before a power cut of one simulation': async () => {
    await cut.during(use(cut.app))
    cut.app.system.kill('wal_writer(0)')
    await cut.powerCut()
    await cut.start()
  },
}

const heap = async () => {
  for (let round = 0; round < 4; round++) {
    // Threads and files end in turns of their own.
    for (let turn = 0; turn < 50; turn++) await setImmediate()
    gc()
  }
  return process.memoryUsage().heapUsed
}

const make = async (kind, times) => {
  for (let at = 0; at < times; at++) await kinds[kind]()
}

for (const kind of Object.keys(kinds)) {
  // The first ones let feedback and tables grow to the size that they keep.
  await make(kind, count)
  const before = await heap()
  await make(kind, count)
  const bytesEach = ((await heap()) - before) / count
  writeSync(3, `${JSON.stringify({ kind, count, bytesEach })}\n`)
}
await cut.close()
process.exit(0)
