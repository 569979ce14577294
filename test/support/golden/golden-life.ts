/**
 * What the golden folders hold: `write` does something of each kind, and `verify` compares all of it, with whatever build has
 * the folder open. Nothing in it depends on the time at which it is verified: what ends by time ends in the year 2100.
 */
import assert from 'node:assert/strict'
import {
  type App,
  call,
  countsByNamespace,
  type DurableServer,
  entity,
  name,
  noReply,
  ok,
  reply,
  type StartOptions,
  supervisor,
  worker,
} from 'keelson'
import { type Ctx, flow, flows, queue, schedule, workflow } from 'keelson/flow'

const farAway = Date.UTC(2100, 0, 1)
const longMs = 50 * 365 * 86_400_000
const long = '36500d'
const large = Buffer.alloc(20_000, 7)

/** The store's values: each sort of content, and one that each command has made. */
const values: Readonly<Record<string, unknown>> = {
  'value:null': null,
  'value:number': -1.5,
  'value:bigint': 2n ** 40n,
  'value:text': 'ключ',
  'value:bytes': Buffer.from([0, 1, 255]),
  'value:list': [1, 'two', [true]],
  'value:object': { at: new Date(5), map: new Map([['a', new Set([1])]]), deep: { is: null } },
}

type Messages = {
  calls: { add: (by: number) => number; keep: (text: string) => void; wait: () => void }
  continues: { later: () => void }
  alarms: { some: (by: string) => void }
}
type State = { readonly sum: number; readonly steps: number }

/** `isOver`: whether the step that waits may end. */
const counting = (isOver: boolean): DurableServer<Messages, State> => ({
  init: () => ok({ sum: 0, steps: 0 }),
  calls: {
    add: (state, by, context) => {
      context.setAlarm('some', { at: farAway }, 'by it')
      context.writes.put(`{counter/${context.id}}:sum`, state.sum + by)
      context.journal({ id: `${context.id} ${state.sum}`, type: 'added', command: by })
      return reply(state.sum + by, { ...state, sum: state.sum + by })
    },
    keep: (state, text, { rows }) => {
      rows.put(`text/${text}`, { text })
      rows.put('large', large)
      return reply(undefined, state)
    },
    wait: (state) => reply(undefined, state, { continue: ['later'] }),
  },
  continues: {
    later: async (state) => {
      if (!isOver) await new Promise(() => undefined)
      return noReply({ ...state, steps: state.steps + 1 })
    },
  },
  alarms: { some: (state) => noReply(state) },
  index: ({ sum }) => ({ sum, isSmall: sum < 10, word: 'w', nothing: null }),
})

type Remembered = { calls: { add: (by: number) => number } }
const remembered = name<Remembered>('remembering')
const remembering: DurableServer<Remembered, number> = {
  init: () => ok(0),
  calls: { add: (sum, by) => reply(sum + by, sum + by) },
}

const keep = { completed: long, failed: long, cancelled: long } as const

const visit = workflow(
  'visit',
  async (ctx: Ctx<{ word: string }>, where: string) => {
    const place = await ctx.step('go', () => ({ place: where, list: [1, 2] }))
    await ctx.sleep('rest', 1)
    return `${place.place} ${await ctx.waitFor('word')}`
  },
  { keep },
)
const plan = workflow(
  'plan',
  async (ctx: Ctx<object, { more: (value: string) => string }>, where: string) => {
    ctx.onUpdate('more', (value) => Promise.resolve(`${value} more`))
    ctx.report({ at: where })
    await ctx.step('large', () => large)
    const end = await ctx.child('visit', visit, where)
    return `planned: ${end}`
  },
  { keep },
)
const refused = workflow(
  'refused',
  async (ctx) => {
    await ctx.step('done', () => 1, { undo: () => undefined })
    await ctx.step('fails', () => Promise.reject(new Error('by design')), { retry: { max: 1 } })
  },
  { keep },
)
const yearly = schedule('yearly', '@yearly', refused, { missed: 'none' })
const jobs = queue(
  'jobs',
  (text: string) => {
    if (text === 'bad') throw new Error('by design')
    return `${text} done`
  },
  { retry: { max: 1 }, rate: { max: 5, per: '1s' }, keep: { dead: long, results: long } },
)

/** The options of an instance that writes a golden folder, or reads one. */
export const goldenOptions = (isOver: boolean, shards = 2): Omit<StartOptions, 'dir'> => ({
  shards,
  app: supervisor('app', {}, [
    entity('counter', counting(isOver)),
    worker('remembering', remembering, { name: remembered, durable: true }),
    flows({ workflows: [visit, plan, refused], queues: [jobs], schedules: [yearly] }),
  ]),
  projections: [countsByNamespace()],
  blobs: { threshold: 8_192, segmentBytes: 64 * 1024 },
  logger: { error: () => undefined, warn: () => undefined, info: () => undefined },
})

/** The options of the log, where that is in the folder. */
export const goldenLog = { maxFileSize: 128 * 1024, commitments: true } as const

const counterOf = (app: App, id: string) => app.entity<Messages>('counter').ref(id)

const writeStore = async ({ store }: App): Promise<void> => {
  for (const [key, value] of Object.entries(values)) await store.put(key, value as string)
  await store.put('text', 'abc')
  await store.append('text', 'def')
  await store.setRange('text', 1, 'X')
  await store.put('large', large)
  await store.append('large', large)
  await store.putField('fields', 'one', 1)
  await store.putFields('fields', [
    ['two', 2],
    ['three', 3],
  ])
  await store.deleteField('fields', 'three')
  await store.putMany([
    ['many:a', 1],
    ['many:b', 2],
    ['many:c', 3],
  ])
  await store.deleteMany(['many:c'])
  await store.put('ends', 'in 50 years', { ttlMs: longMs })
  await store.put('stays', 'for ever', { ttlMs: longMs })
  await store.persist('stays')
  await store.put('gone', 1)
  await store.delete('gone')
  await store.compareAndSet('value:number', -1.5, 2.5)
  await store.getSet('swapped', 'new')
  await store.set('fresh', 1, { nx: true })
  await store.batch().put('{b}:one', 1).put('{b}:two', 2).delete('{b}:three').commit()
  await store.put('cleared:a', 1)
  await store.clear({ namespace: 'cleared' })
  await store.expire('many:b', longMs)
  await store.lock(['{l}:held', '{l}:free'], { owner: 'ann', leaseMs: 1_000 })
  await store.extend(['{l}:held'], { owner: 'ann', leaseMs: 3_600_000 })
  await store.put('{l}:held', 'by ann', { owner: 'ann' })
  await store.unlock(['{l}:free'], { owner: 'ann' })
}

const verifyStore = async ({ store, projection }: App): Promise<void> => {
  for (const [key, value] of Object.entries(values))
    assert.deepEqual(store.get(key), key === 'value:number' ? 2.5 : value)
  assert.equal(store.get('text'), 'aXcdef')
  assert.deepEqual(await store.load('large'), Buffer.concat([large, large]))
  assert.deepEqual(
    [...store.fields('fields')],
    [
      ['one', 1],
      ['two', 2],
    ],
  )
  assert.deepEqual(store.getMany(['many:a', 'many:b', 'many:c']), [1, 2, undefined])
  assert.equal(store.get('{l}:held'), 'by ann')
  assert.equal(store.get('ends'), 'in 50 years')
  assert.ok(Number(store.ttl('ends')) < longMs)
  assert.equal(store.ttl('stays'), Number.POSITIVE_INFINITY)
  for (const key of ['gone', 'cleared:a']) assert.equal(store.has(key), false)
  assert.deepEqual([store.get('swapped'), store.get('fresh')], ['new', 1])
  assert.deepEqual([store.get('{b}:one'), store.get('{b}:two')], [1, 2])
  assert.ok(projection('counts'))
}

const writeActors = async (app: App): Promise<void> => {
  const counter = counterOf(app, 'a')
  assert.equal(await call(counter, 'add', 5, { id: 'request 1' }), 5)
  await call(counter, 'add', 2)
  await call(counter, 'keep', 'kept')
  await call(counterOf(app, 'b'), 'wait')
  await call(counterOf(app, 'gone'), 'keep', 'not for long')
  await app.entity('counter').delete('gone')
  await call(app.system.to(remembered), 'add', 3)
}

const verifyActors = async (app: App): Promise<void> => {
  const counters = app.entity<Messages>('counter')
  assert.deepEqual(counters.state('a'), { sum: 7, steps: 0 })
  assert.deepEqual(counters.rows('a').get('text/kept'), { text: 'kept' })
  assert.deepEqual(await counters.rows('a').load('large'), large)
  const { entries } = counters.list({ where: { sum: 7 } })
  assert.deepEqual(
    entries.map(({ id }) => id),
    ['a'],
  )
  assert.deepEqual(await counters.alarms(), [{ id: 'a', name: 'some', at: farAway }])
  assert.equal(counters.state('gone'), undefined)
  assert.equal(app.store.get('{counter/a}:sum'), 7)
  assert.equal(await call(counterOf(app, 'a'), 'add', 0), 7)
  assert.equal(await call(app.system.to(remembered), 'add', 0), 3)
}

const writeJournal = async ({ journal, health }: App): Promise<void> => {
  const noted = new Promise<void>((resolve) => {
    journal.subscribe({ name: 'reader', handler: ({ id }) => void (id === 'entry 2' && resolve()) })
  })
  for (const number of [1, 2])
    await journal.append({
      ...{ id: `entry ${number}`, type: 'entry', command: { number }, response: 'taken' },
      events: [{ type: 'event', payload: number }],
      effects: [{ type: 'effect', payload: [number] }],
    })
  await noted
  await journal.saveState(health().shards[0]?.appliedLsn ?? 0, { saved: 1 })
  await journal.append({ id: 'entry 3', type: 'entry' })
  await journal.saveState(health().shards[0]?.appliedLsn ?? 0, { saved: 2 })
}

const verifyJournal = async (
  { journal }: App,
  hasStates: boolean,
  hasLog: boolean,
): Promise<void> => {
  const saved = await journal.loadState()
  assert.deepEqual(saved?.value, hasStates ? { saved: 2 } : undefined)
  const found: string[] = []
  for await (const { id, type, events, effects } of journal.entries({ from: 'oldest' }))
    found.push(`${id} ${type} ${events.length} ${effects.length}`)
  const written = ['entry 1 entry 1 1', 'entry 2 entry 1 1', 'entry 3 entry 0 0']
  for (const entry of written) assert.equal(found.includes(entry), hasLog, entry)
  const again = await journal.append({ id: 'entry 3', type: 'entry' })
  assert.equal(again.repeated, true)
  const other = journal.append({ id: 'entry 3', type: 'other' })
  await assert.rejects(other, { code: 'CONFLICT' })
}

const writeFlows = async (app: App): Promise<void> => {
  const runs = flow(app)
  await runs.start(visit, 'here', { id: 'ended' })
  await runs.handle(visit, 'ended').signal('word', 'said', { id: 's1' })
  assert.equal(await runs.handle(visit, 'ended').result(), 'here said')
  const waiting = runs.watch({ type: visit })
  await runs.start(plan, 'there', { id: 'waits' })
  assert.equal(await runs.handle(plan, 'waits').update('more', 'one', { id: 'u1' }), 'one more')
  for await (const { row } of waiting) if (row?.waitsFor?.kind === 'signal') break
  await runs.start(refused, undefined, { id: 'failed' })
  await assert.rejects(runs.handle(refused, 'failed').result(), { code: 'FAILED' })
  const { id } = await runs.add(jobs, 'good', { key: 'k', unique: 'u' })
  assert.equal(await runs.job(jobs, id).result(), 'good done')
  const bad = await runs.add(jobs, 'bad')
  await assert.rejects(runs.job(jobs, bad.id).result(), { code: 'FAILED' })
  await runs.pause(jobs)
  await runs.add(jobs, 'ready', { key: 'k', priority: 7 })
  await runs.add(jobs, 'delayed', { delay: '36500d' })
}

const verifyFlows = async (app: App): Promise<void> => {
  const runs = flow(app)
  assert.equal(await runs.handle(visit, 'ended').result(), 'here said')
  assert.equal(runs.get(refused, 'failed')?.status, 'failed')
  const [child] = runs.list({ type: visit, status: 'waiting' }).entries
  await runs.handle(visit, child?.id ?? '').signal('word', 'late', { id: 's2' })
  assert.equal(await runs.handle(plan, 'waits').result(), 'planned: there late')
  assert.equal(await runs.job(jobs, '1').result(), 'good done')
  const { entries } = await runs.dead(jobs)
  assert.deepEqual(
    entries.map(({ job, error }) => [job, error.message]),
    [['bad', 'by design']],
  )
  const { ready, delayed, dead, isPaused } = await runs.counts(jobs)
  assert.deepEqual([ready, delayed, dead, isPaused], [1, 1, 1, true])
  await runs.resume(jobs)
  assert.equal(await runs.job(jobs, '3').result(), 'ready done')
}

/** Writes all of it, with a snapshot in the middle, so that rows come from there and from the log behind it. */
export const writeGolden = async (app: App): Promise<void> => {
  await writeStore(app)
  await writeActors(app)
  await app.control.snapshotAll()
  await writeJournal(app)
  await writeFlows(app)
  await app.control.flushAll()
}

/**
 * Compares all of it, and lets what waits go on to its end. A replica has no saved states of the journal: these are files. A
 * folder that was split has no log from before.
 */
export const verifyGolden = async (
  app: App,
  { hasStates = true, hasLog = true } = {},
): Promise<void> => {
  await verifyStore(app)
  await verifyJournal(app, hasStates, hasLog)
  await verifyActors(app)
  await verifyFlows(app)
  // The step that waited has run when the next message is answered.
  await call(counterOf(app, 'b'), 'add', 0)
  assert.deepEqual(app.entity('counter').state('b'), { sum: 0, steps: 1 })
}
