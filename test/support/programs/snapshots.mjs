// Writes to one store and works on its snapshots or projections until it is killed. Its argument is the `Life` of
// test/harness/struck-store.ts as JSON. Reports on pipe 3, a line of JSON each: a write before it is called and after its
// answer, and the steps that kills are aimed at. The parent holds the ledger.
import { writeSync } from 'node:fs'
import { countsByNamespace, history, projection, start, telemetry } from 'keelson'

const { dir, options, version, writers, first, work } = JSON.parse(process.argv[2])
const report = (line) => writeSync(3, `${JSON.stringify(line)}\n`)

const projections = [
  countsByNamespace(),
  history({ prefix: 'w', max: 3 }),
  projection('again', { version, project: countsByNamespace().project }),
]

const textOf = (number, length) => `${number} `.padEnd(length, 'x')
const one = (from, to) => from + Math.floor(Math.random() * (to - from))
const any = (list) => list[one(0, list.length)]

// One change of a key of `writer`: [command, key, number, length, field].
const change = (writer, number) => {
  const key = `w${writer}${any('abc')}:${one(0, 12)}`
  const draw = Math.random()
  if (draw < 0.45) return ['put', key, number, one(10, 1_500)]
  if (draw < 0.6) return ['delete', key, number]
  if (draw < 0.75) return ['append', key, number, one(10, 40)]
  if (draw < 0.9)
    return ['putField', `f${writer}:${one(0, 4)}`, number, one(10, 200), `${one(0, 5)}`]
  return ['put', `b${writer}:${one(0, 6)}`, number, one(5_000, 12_000)]
}

const add = (to, [command, key, number, length, field]) => {
  if (command === 'put') return to.put(key, textOf(number, length))
  if (command === 'delete') return to.delete(key)
  if (command === 'append') return to.append(key, textOf(number, length))
  return to.putField(key, field, textOf(number, length))
}

// A write: one change alone, several puts at once, or a batch.
const write = async (store, changes) => {
  if (changes.length === 1) return add(store, changes[0])
  if (changes.every(([command]) => command === 'put'))
    return store.putMany(changes.map(([, key, number, length]) => [key, textOf(number, length)]))
  const batch = store.batch()
  for (const each of changes) add(batch, each)
  return batch.commit()
}

const writer = async (store, at) => {
  for (let number = first; ; number++) {
    const count = Math.random() < 0.7 ? 1 : one(2, 6)
    const changes = Array.from({ length: count }, () => change(at, number))
    report({ writes: at, changes })
    await write(store, changes)
    report({ wrote: at })
  }
}

const begun = performance.now()
const step = (name, facts = {}) => report({ step: name, ms: performance.now() - begun, ...facts })

const works = {
  none: async () => {},
  backups: async (app) => {
    for (;;) {
      step('backup.started')
      await app.backup(`${dir}.backup`)
      step('backup.made')
    }
  },
  snapshots: async (app) => {
    for (;;) await app.control.snapshot(0)
  },
  projections: async (app) => {
    report({ writes: 9, changes: [['put', 'z9:child', first, 0]] })
    const { position } = await app.store.put('z9:child', textOf(first, 0))
    report({ wrote: 9 })
    await app.projection('again').reached(position)
    step('reached')
  },
}

try {
  step('begun')
  const app = await start({ dir, ...options, projections })
  const events = telemetry(app.system)
  for (const name of ['snapshot.started', 'snapshot.made', 'log.released', 'snapshot.failed'])
    events.on(name, ({ segments, reason }) => step(name, { segments, reason }))
  step('open')
  await Promise.all([
    works[work](app),
    ...Array.from({ length: writers }, (_, at) => writer(app.store, at)),
  ])
} catch (error) {
  report({ failed: String(error?.stack ?? error) })
  process.exitCode = 1
}
