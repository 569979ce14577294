/** Walks over a journal whose log was given back: none leaves an entry out in silence. */
import { expect, test } from 'vitest'
import type { App } from '../../../src/supervisors/index.ts'
import { codeOf, type Machine, started } from '../../support/worlds/simulated-instance.ts'

const dir = '/data/shard-0/snapshot'
const small = { wal: { maxFileSize: 128 * 1024 } }

/** Grows the log by whole segments, and gives back what nothing needs. */
const giveBack = async (app: App, { during }: Machine): Promise<void> => {
  for (let at = 0; at < 6; at++) await during(app.store.put('k', 'v'.repeat(60_000)))
  await during(app.control.snapshot(0), 60_000)
}

/** Appends an entry, and perhaps saves a state that has it. */
const append = async (
  app: App,
  { during }: Machine,
  id: string,
  state?: 'saved',
): Promise<number> => {
  const { lsn } = await during(app.journal.append({ id, type: 'order' }))
  if (state) await during(app.journal.saveState(lsn, id))
  return lsn
}

/** A journal with the entries a to d, whose log begins behind b: the states of c and d are lost. */
const withLostStates = async () => {
  const { world, app } = await started(small)
  for (const id of ['a', 'b']) await append(app, world, id)
  await giveBack(app, world)
  await append(app, world, 'c', 'saved')
  const last = await append(app, world, 'd', 'saved')
  await giveBack(app, world)
  await world.during(app.close())
  for (const name of world.disk.list(dir))
    if (name.endsWith('.state')) world.disk.remove(`${dir}/${name}`)
  return { world, app: await world.start({ ...small, journal: { replay: 'required' } }), last }
}

test('the documented recovery is BAD_CURSOR if the states are lost, and appends stay refused', async () => {
  const { world, app } = await withLostStates()
  const handled: string[] = []
  const handler = ({ id }: { readonly id: string }) => void handled.push(id)
  const state = await world.during(app.journal.loadState())

  const replaying = app.journal.replay({ from: (state?.lsn ?? -1) + 1, handler })

  await expect(world.during(replaying)).rejects.toMatchObject({
    code: 'BAD_CURSOR',
    details: { shard: 0, from: 1, firstLsn: expect.any(Number) },
  })
  expect(await world.during(codeOf(app.journal.replay({ handler })))).toBe('BAD_CURSOR')
  expect(handled).toEqual([])
  expect(await codeOf(app.journal.append({ id: 'e', type: 'order' }))).toBe('BUSY')

  await world.during(app.journal.replay({ from: 'oldest', handler }))
  expect(handled).toEqual(['c', 'd'])
  await append(app, world, 'e')
})

test('a stream and a subscription are BAD_CURSOR from the first entry on, and take the oldest', async () => {
  const { world, app } = await withLostStates()
  const stop = new Map<string, string[]>()
  for (const [name, from] of [['none'], ['zero', 0], ['one', 1], ['old', 'oldest']] as const) {
    const handled: string[] = []
    stop.set(name, handled)
    const options = { name, handler: ({ id }: { id: string }) => void handled.push(id) }
    app.journal.subscribe(from === undefined ? options : { ...options, from })
    const stream = app.journal.entries(from === undefined ? {} : { from })
    const first = world.during(stream.next().catch(({ code }) => ({ value: { id: code } })))
    expect((await first).value?.id).toBe(from === 'oldest' ? 'c' : 'BAD_CURSOR')
    await stream.return()
  }
  await world.clock.advance(10)

  expect(Object.fromEntries(stop)).toEqual({ none: [], zero: [], one: [], old: ['c', 'd'] })
  const { subscriptions } = app.health().shards[0]?.journal ?? {}
  expect(subscriptions?.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'none stopped',
    'zero stopped',
    'one stopped',
    'old running',
  ])
})

test('a walk whose end lies before the given back entries, or begins behind them, leaves none out', async () => {
  const { world, app, last } = await withLostStates()
  const idsOf = async (range: { readonly from?: number; readonly to?: number }) => {
    const ids: string[] = []
    for await (const { id } of app.journal.entries(range)) ids.push(id)
    return ids
  }

  expect(await world.during(idsOf({ from: last }))).toEqual(['d'])
  expect(await world.during(codeOf(idsOf({ to: 1_000 })))).toBe('BAD_CURSOR')
})

test('a log that was given back before the first entry leaves none out, however many ids there are', {
  tags: ['slow'],
}, async () => {
  const { world, app } = await started(small)
  await giveBack(app, world)
  const ids = Array.from({ length: 5_000 }, (_, at) => `e${at}`)
  await world.during(Promise.all(ids.map((id) => app.journal.append({ id, type: 'order' }))))
  await giveBack(app, world)

  const handled: string[] = []
  await world.during(app.journal.replay({ from: 0, handler: ({ id }) => void handled.push(id) }))
  expect(handled).toEqual(ids)
})
