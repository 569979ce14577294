/**
 * Starts simulated instances where each `import()` takes real time, as with a loader of TypeScript. Reports for each kind of
 * child the virtual ms of a first start, and of a start after a power cut, and whether a killed child is back at the same instant.
 */
import { writeSync } from 'node:fs'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'

const slow = `export const resolve = async (name, context, next) => {
  await new Promise((resolve) => setTimeout(resolve, 5))
  return next(name, context)
}`
register(`data:text/javascript,${encodeURIComponent(slow)}`)

const { entity, startChild, supervisor, worker } = await import('keelson')
const { startSimulated } = await import('keelson/testing')

const path = fileURLToPath(new URL('plain-server.mjs', import.meta.url))
const plain = { init: () => 0 }

const children = {
  'a plain worker': () => worker('child', plain),
  'a durable worker': () => worker('child', plain, { durable: true }),
  'a kind of entities': () => entity('child', plain),
  'a worker by its path': () => worker('child', path),
  'a kind by its path': () => entity('child', path),
}

const holderOf = ({ system }) =>
  system.processes().find(({ name, label }) => (name ?? label) === 'child')

/** Virtual ms of two starts, twice. */
const startsOf = async (child) => {
  const times = []
  for (let round = 0; round < 2; round++) {
    const simulation = await startSimulated({ app: supervisor('app', {}, [child()]) })
    times.push(simulation.clock.monotonic())
    await simulation.powerCut()
    const before = simulation.clock.monotonic()
    await simulation.start()
    times.push(simulation.clock.monotonic() - before)
    await simulation.close()
  }
  return times
}

/** A child that is added to a running tree, and killed: whether it is there again before time passes. */
const isBackAtOnce = async (child) => {
  const simulation = await startSimulated({ app: supervisor('app', {}, []) })
  const tree = simulation.system.whereis('app')
  const added = await simulation.during(startChild(tree, child()))
  if (!added.ok) throw new Error('the child did not start', { cause: added.reason })
  const before = holderOf(simulation)
  simulation.system.kill(before.ref)
  await simulation.advance(5)
  const after = holderOf(simulation)
  await simulation.close()
  return after !== undefined && after.pid !== before.pid
}

for (const [kind, child] of Object.entries(children)) {
  const report = { kind, starts: await startsOf(child), isBack: await isBackAtOnce(child) }
  writeSync(3, `${JSON.stringify(report)}\n`)
}
