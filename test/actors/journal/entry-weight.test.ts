/** What a journal writes beside its entries, and what an entry weighs. */
import { expect, test } from 'vitest'
import { entriesIn } from '../../../src/actors/journal/stored-entry.ts'
import { entityRowKey, positionEntity, readEntityRow } from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

const entry = (id: string) => ({ id, type: 'order' })
const lsnOf = (app: App): number => app.health().shards[0]?.appliedLsn ?? 0

test('an entry weighs the bytes of all its payloads', () => {
  const bytes = (length: number) => new Uint8Array(length) as never
  const typed = (length: number) => ({ type: 't', payload: bytes(length) })
  const weight = entriesIn(undefined as never).bytesOf({
    ...{ shard: 0, lsn: 1, index: 0, time: 0, ...entry('a') },
    ...{ command: bytes(1), response: bytes(10) },
    ...{ events: [typed(100), typed(200)], effects: [typed(1_000), typed(2_000)] },
  })
  expect(weight).toBe(3_311)
})

test('each saved position of a subscription follows the one before it', async () => {
  const { world, app } = await started()
  app.journal.subscribe({ name: 'audit', handler: () => undefined })
  const seqs: (number | undefined)[] = []
  for (const id of ['a', 'b', 'c']) {
    await world.during(app.journal.append(entry(id)))
    await world.clock.advance(100)
    const row = app.shards[0]?.view().row(entityRowKey(positionEntity('audit')))
    seqs.push(row && readEntityRow(row).mark.seq)
  }
  expect(seqs).toEqual([1, 2, 3])
})

test('the log says once that a state was saved', async () => {
  const { world, app } = await started()
  const saved: number[] = []
  for (const id of ['a', 'b', 'c']) {
    await world.during(app.journal.append(entry(id)))
    const before = lsnOf(app)
    await world.during(app.journal.saveState(before, id))
    saved.push(lsnOf(app) - before)
  }
  expect(saved).toEqual([1, 0, 0])
})

test('an append takes the options of a write', async () => {
  const { world, app } = await started()
  const refusal = (options: object) => codeOf(world.during(app.journal.append(entry('a'), options)))
  expect(await refusal({ deadlineMs: -1 })).toBe('INVALID_ARGUMENT')
  expect(await refusal({ ack: 'replicated' })).toBe('INVALID_ARGUMENT')
  expect(await refusal({ deadline: 1 })).toBe('INVALID_ARGUMENT')
  const { lsn } = await world.during(app.journal.append(entry('a'), { deadlineMs: 1_000 }))
  expect(lsn).toBe(lsnOf(app))
})

test('a replay gives the entries too that come while it runs', async () => {
  const { world, app } = await started()
  await world.during(app.journal.append(entry('a')))
  const got: string[] = []
  const replayed = await world.during(
    app.journal.replay({
      handler: async ({ id }) => {
        got.push(id)
        if (got.length < 4) await app.journal.append(entry(`${id}${id}`))
      },
    }),
  )
  expect(got).toEqual(['a', 'aa', 'aaaa', 'aaaaaaaa'])
  expect(replayed).toEqual({ entries: 4, lsn: lsnOf(app) })
})
