/** A crash at any I/O operation of a deletion: the rows of one life, of the next, or none, and no other. */
import { expect, test } from 'vitest'
import { type App, call } from '../../../src/index.ts'
import { rowClassOf } from '../../../src/storage/index.ts'
import { sampled } from '../../support/tier.ts'
import { type Act, keepers, keeperTree } from '../../support/worlds/row-keeper.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

const options = {
  app: keeperTree,
  blobs: { threshold: 2_000 },
  lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20 },
}

const put =
  (count: number, value: string): Act =>
  ({ rows }) => {
    for (let at = 0; at < count; at++) rows.put(`k${at}`, at === 0 ? value.repeat(3_000) : value)
  }

/** The number of rows of a life, and their common beginning. Rows of two lives throw. */
const seen = (app: App): string => {
  const { entries } = app.entity(keepers).rows('a').range({ limit: 5_000 })
  const values = new Set(entries.map(([, value]) => (value as string).slice(0, 1)))
  expect(values.size).toBeLessThan(2)
  return `${entries.length} ${[...values]}`
}

const stored = (app: App, name: string): number => {
  const { overlay, projection } = (app.shards[0] as App['shards'][0]).view().layers
  const keys = new Set<string>()
  for (const [key, row] of [...projection.range({}), ...overlay.range({})])
    if (row) keys.add(key)
    else keys.delete(key)
  return [...keys].filter((key) => rowClassOf(key) === name).length
}

const states = ['0 ', '1100 o', '0 ', '2 n']

/** Answers the number of I/O operations of a life that was not crashed. */
const live = async (crashAt: number | undefined): Promise<number> => {
  const world = machine()
  const { clock, disk, during } = world
  let app = await world.start(options)
  const first = disk.calls
  if (crashAt !== undefined) disk.inject({ at: crashAt, fault: { kind: 'halt' } })
  let reached = 0
  const ref = app.entity(keepers).ref('a')
  const story = async (): Promise<void> => {
    await call(ref, 'act', put(1_100, 'o'))
    reached = 1
    await app.entity(keepers).delete('a')
    reached = 2
    await call(ref, 'act', put(2, 'n'))
    reached = 3
  }
  await during(story(), 500).catch(() => undefined)
  await clock.advance(2_000)
  const calls = disk.calls - first
  disk.halt()
  await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
  await during(app.system.stop()).catch(() => undefined)
  disk.crash()
  disk.clearFaults()
  disk.killProcess()
  app = await world.start(options)
  const found = seen(app)
  // What was acknowledged stands. What was under way may have become durable.
  expect(states.slice(reached, reached + 2)).toContain(found)
  await clock.advance(5_000)
  expect(seen(app)).toBe(found)
  expect(stored(app, 'own')).toBe(Number.parseInt(found, 10))
  expect(stored(app, 'removal')).toBe(0)
  await during(app.close())
  return calls
}

test('whatever I/O operation of a deletion is the last one, the rows are those of one life', async () => {
  const calls = await live(undefined)
  expect(calls).toBeGreaterThan(30)
  const moments = Array.from({ length: calls }, (_, at) => at + 1)
  for (const at of sampled(moments, 6)) await live(at)
}, 600_000)
