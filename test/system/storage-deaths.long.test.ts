/**
 * Every storage actor killed once under load, in the built package with real threads and files: the
 * actors above live on.
 */
import * as keelson from 'keelson'
import { StateMachine } from 'keelson/state-machine'
import { expect, test } from 'vitest'
import { deathRounds } from '../harness/death-rounds.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { countOf } from '../support/tier.ts'
import { type Kit, storingActors } from '../support/worlds/storing-actors.ts'

/** A shard's supervisor allows five restarts in 10 s, and begins anew when it is killed itself. */
const storage = [
  ...['blob_store(0)', 'wal_writer(0)', 'applier(0)', 'batcher(0)', 'followers(0)', 'shard(0)'],
  ...['wal_writer(0)', 'journal(0)', 'lmdb_writer(0)', 'expirer(0)', 'alarms(0)', 'snapshotter(0)'],
]

test('the deaths of all storage actors end no actor above, and lose nothing', async () => {
  const actors = storingActors({ ...keelson, StateMachine } as unknown as Kit)
  const dir = tempFolder()
  const app = await keelson.start({ dir, app: actors.tree() as never })
  await app.store.put('greeting', 'hello')
  await actors.begin(app as never)
  const restarted: unknown[] = []
  app.system.events.on('process.restarted', ({ id }) => {
    if (typeof id === 'string' && !storage.includes(id)) restarted.push(id)
  })

  let at = 0
  for (const victim of storage) {
    const calls = Array.from({ length: 200 }, () => actors.use(app as never, at++))
    await calls[0]
    app.system.kill(keelson.name(victim))
    await Promise.all(calls)
  }

  expect(actors.missing(app as never)).toEqual([])
  expect(restarted).toEqual([])
  expect(actors.wrong(app as never)).toEqual([])
  await app.close()
  const again = await keelson.start({ dir, app: actors.tree() as never })
  expect(actors.wrong(again as never)).toEqual([])
  await again.close()
})

test('kills of each actor on the way of a write leave no outcome open, and every answer is true', async () => {
  const rounds = countOf('KEELSON_KILLS', 1, 3)
  const { kills } = await deathRounds({ rounds, seed: 1, progress: () => undefined })
  expect(kills).toBe(4 * rounds)
})
