/** Waits for the ends of runs and jobs: their callers give them up, and a close does. */
import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import { queueId, queueKind, runKind } from '../../../src/flow/runs/parts.ts'
import { supervisor } from '../../../src/index.ts'
import { addressOf, type Process, type Ref } from '../../../src/runtime/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Updates = { put(value: number): number }
const timeoutMs = Number.POSITIVE_INFINITY

const mails = queue('mails', async (mail: string) => mail.length, { keep: { results: '1d' } })
/** Its run rests, and so does its update. */
const rests = workflow('rests', async (ctx: Ctx<object, Updates>) => {
  ctx.onUpdate('put', (value, own) => own.sleep('long', '1d').then(() => value))
  await ctx.sleep('long', '2d')
})

/** The waits of an instance with a job that is delayed and a run that rests. */
const world = async () => {
  /** The work of the step `wait`, and the codes of its tries. */
  const waits = { with: async (_: Parameters<typeof waitsOf>[0]): Promise<unknown> => 'nothing' }
  const tries: unknown[] = []
  const waiter = workflow('waiter', (ctx) =>
    ctx.step('wait', async ({ app, attempt }) => {
      const wait = waits.with(app)
      tries.push([attempt, await codeOf(wait)])
      return wait
    }),
  )
  const parts = flows({ workflows: [rests, waiter], queues: [mails] })
  const s = await simulated({ app: supervisor('app', {}, [parts]) })
  await s.during(flow(s.app).start(rests, undefined, { id: '1' }))
  await s.during(flow(s.app).add(mails, 'later', { delay: '1d' }))
  return { s, waits, tries, waiter }
}
type Own = Parameters<typeof flow>[0]

/** Each wait of the API for an end that may be far away. */
const waitsOf = (app: Own) => ({
  'the result of a job': (signal?: AbortSignal) =>
    flow(app)
      .job(mails, '1')
      .result({ timeoutMs, ...(signal && { signal }) }),
  'the result of a run': (signal?: AbortSignal) =>
    flow(app)
      .handle(rests, '1')
      .result({ timeoutMs, ...(signal && { signal }) }),
  'the answer to an update': (signal?: AbortSignal) =>
    flow(app)
      .handle(rests, '1')
      .update('put', 1, { timeoutMs, ...(signal && { signal }) }),
})
const kinds = Object.keys(waitsOf(undefined as never)) as (keyof ReturnType<typeof waitsOf>)[]

/** The calls of these names that the queue and the run have yet to answer. */
const owed = (app: Awaited<ReturnType<typeof world>>['s']['app']): string[] => {
  const found: string[] = []
  const entities = { [queueKind('mails')]: queueId, [runKind('rests')]: '1' }
  for (const [kind, id] of Object.entries(entities)) {
    const first = addressOf<Process>(app.entity(kind).ref(id) as Ref).resolve()?.owed.first
    for (let call = first; call; call = call.after) if (call.name !== 'stay') found.push(call.name)
  }
  return found
}

test.each(kinds)(
  'the wait for %s is given up by a signal, and nothing of it is left',
  async (kind) => {
    const { s } = await world()
    const given = new AbortController()
    const { signal } = given
    const wait = waitsOf(s.app)
      [kind](signal)
      .catch((error: unknown) => error)
    await s.settle()
    expect([owed(s.app).length, getEventListeners(signal, 'abort').length]).toEqual([1, 1])
    const reason = new Error('the caller has gone')
    given.abort(reason)
    expect(await wait).toBe(reason)
    expect([owed(s.app), getEventListeners(signal, 'abort').length]).toEqual([[], 0])
    const late = waitsOf(s.app)[kind](signal)
    await expect(late).rejects.toBe(reason)
    expect(owed(s.app)).toEqual([])
    const odd = waitsOf(s.app)[kind]('soon' as never)
    await expect(odd).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { path: 'signal' },
    })
  },
)

test('a wait that has its answer leaves no listener at its signal', async () => {
  const { s } = await world()
  const { signal } = new AbortController()
  await s.during(flow(s.app).add(mails, 'now'))
  await s.during(flow(s.app).job(mails, '2').result({ signal }))
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

test.each(kinds)(
  'a step that waits for %s without a signal holds up no close, and has used up no try',
  async (kind) => {
    const { s, waits, tries, waiter } = await world()
    waits.with = (app) => waitsOf(app)[kind]()
    await s.during(flow(s.app).start(waiter, undefined, { id: 'w' }))
    await s.settle()
    const since = s.clock.monotonic()
    expect(await s.during(s.app.close())).toEqual({ cutOff: [] })
    expect(s.clock.monotonic() - since).toBeLessThan(2_000)
    expect(tries).toEqual([[1, 'CLOSED']])
    waits.with = async () => 'now'
    await s.start()
    const result = flow(s.app).handle(waiter, 'w').result()
    expect(await s.during(result)).toBe('now')
    expect(tries.at(-1)).toEqual([1, 'ok'])
  },
)

test('a step that begins such a wait in a close is answered at once, too', async () => {
  const { s, waits, tries, waiter } = await world()
  let go = (): void => undefined
  const before = new Promise<void>((resolve) => {
    go = resolve
  })
  waits.with = (app) => before.then(() => waitsOf(app)['the result of a run']())
  await s.during(flow(s.app).start(waiter, undefined, { id: 'w' }))
  await s.settle()
  const closed = s.app.close()
  await s.advance(100)
  go()
  expect(await s.during(closed)).toEqual({ cutOff: [] })
  expect(tries).toEqual([[1, 'CLOSED']])
})

test('a close lets a step have the result of a job that runs', async () => {
  let end = (_: string): void => undefined
  const handler = () =>
    new Promise<string>((resolve) => {
      end = resolve
    })
  const jobs = queue('jobs', handler)
  const waiter = workflow('waiter', (ctx) =>
    ctx.step('wait', ({ app }) => flow(app).job(jobs, '1').result({ timeoutMs })),
  )
  const s = await simulated({
    app: supervisor('app', {}, [flows({ workflows: [waiter], queues: [jobs] })]),
  })
  await s.during(flow(s.app).add(jobs, 'a'))
  const run = await s.during(flow(s.app).start(waiter, undefined, { id: 'w' }))
  await s.settle()
  const result = run.result().catch(() => undefined)
  const closed = s.app.close()
  await s.advance(1_000)
  end('done')
  expect(await s.during(closed)).toEqual({ cutOff: [] })
  await result
  await s.start()
  expect(await s.during(flow(s.app).handle(waiter, 'w').result())).toBe('done')
})

test('a job that waits for the end of a run holds up no close either', async () => {
  const asks = queue('asks', async (_: string, { app }) => waitsOf(app)['the result of a run']())
  const s = await simulated({
    app: supervisor('app', {}, [flows({ workflows: [rests], queues: [asks, mails] })]),
  })
  await s.during(flow(s.app).start(rests, undefined, { id: '1' }))
  await s.during(flow(s.app).add(asks, 'a'))
  await s.settle()
  const since = s.clock.monotonic()
  expect(await s.during(s.app.close())).toEqual({ cutOff: [] })
  expect(s.clock.monotonic() - since).toBeLessThan(2_000)
})
