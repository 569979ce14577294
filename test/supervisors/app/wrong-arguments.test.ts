/** Every handle of an instance refuses wrong arguments with an error of Keelson's, at the caller. */
import { expect, test } from 'vitest'
import { flow } from '../../../src/flow/index.ts'
import { entity, projection, supervisor } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { holed, readNever } from '../../support/read-once.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

const options = {
  app: supervisor('app', {}, [entity('thing', { init: () => 0 })]),
  projections: [projection('all', { version: 1, project: () => [] })],
}

const at = { shard: 0, lsn: 1 }
const from = { reply: () => true, fail: () => true } as never
const anything = null as never

const wrong: Readonly<Record<string, (app: App) => unknown>> = {
  'the health of all, without options': (app) => app.healthOfAll(anything),
  'the health of all, within no time': (app) => app.healthOfAll({ timeoutMs: 0 }),
  'a request of a flush': (app) => app.lmdbWriter(0).request(1, anything),
  'a request of a flush within no time': (app) =>
    app.lmdbWriter(0).request(1, { timeoutMs: Number.NaN }),
  'the durability of no LSN': (app) => app.lmdbWriter(0).isDurable(anything),
  'a producer': (app) => app.lmdbWriter(0).begin('by-city', anything),
  'derived entries': (app) => app.lmdbWriter(0).entries('by-city', anything),
  'a projection that reached nothing': (app) => app.projection('all').reached(anything),
  'a projection that reached a hole': (app) => app.projection('all').reached(holed(at, at)),
  'a projection of another shard': (app) => app.projection('all').reached({ ...at, shard: 9 }),
  'a projection within wrong options': (app) => app.projection('all').reached(at, anything),
  'the end of an entity': (app) => app.entity('thing').delete('1', anything),
  'an asynchronous write': (app) => app.batcher.writePutBatchAsync(0, [], from, anything),
  'a count by no field': (app) => app.entity('thing').counts(anything),
  'a list where nothing can be read': (app) =>
    app.entity('thing').list({ where: readNever(['n']) as never }),
  'a row of a projection without a key': (app) => app.projection('all').get(anything),
  'a row of a projection by a symbol': (app) => app.projection('all').load(Symbol('k') as never),
  'commands of no batch': (app) => app.store.batch().addTaken(anything),
  'a run of a workflow without a name': (app) =>
    flow(app).get({ sort: 'workflow', name: Symbol('name') } as never, '1'),
  'a look of no name': (app) => flow(app).read(Object.create(null)),
  'a watch from a hole': (app) => app.store.watch({ from: holed(at, at) }),
  'a watch of entities from a hole': (app) => app.entity('thing').watch({ from: holed(at, at) }),
  'a read at least at a hole': (app) =>
    app.store.get('k', { freshness: { atLeast: holed(at, at) } }),
  'a stale read at least at a hole': (app) => app.store.loadStale('k', { atLeast: holed(at, at) }),
}

test.each(Object.keys(wrong))('%s is refused', async (name) => {
  const { app, store, during } = await started(options)
  await during(store.put('k', 1))

  const refused = Promise.resolve(app).then(wrong[name])

  await expect(during(refused)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
