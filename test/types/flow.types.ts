/** Types of workflows: inputs, outputs and signals are inferred, and wrong ones do not compile. */
import {
  type BatchJob,
  type Ctx,
  flow,
  flows,
  type JobOptions,
  type LimitsChange,
  type Queue,
  queue,
  schedule,
  type Workflow,
  workflow,
} from '../../src/flow/index.ts'
import {
  type App,
  type AppContext,
  type DurableServer,
  reply,
  supervisor,
} from '../../src/index.ts'
import type { Simulation } from '../../src/testing/index.ts'

type Order = { readonly cents: number }

const order = workflow(
  'order',
  async (ctx: Ctx<{ approval: { by: string }; stop: undefined }>, input: Order) => {
    const charge: number = await ctx.step('charge', ({ key, signal }) =>
      signal.aborted ? 0 : key.length + input.cents,
    )
    await ctx.step('book', async () => ({ seat: 1 }), { undo: ({ value }) => value?.seat })
    const approval: { by: string } = await ctx.waitFor('approval')
    const late: { by: string } | undefined = await ctx.waitFor('approval', { timeout: '3d' })
    const ends = await ctx.all(
      'both',
      [1, 2].map((n) => async (own) => own.step('n', () => n)),
    )
    const [first] = ends
    const n: number | undefined = first?.ok ? first.value : undefined
    // @ts-expect-error: no such signal
    await ctx.waitFor('refusal')
    // @ts-expect-error: a wait with a time-out may have no value
    const sure: { by: string } = await ctx.waitFor('approval', { timeout: 1 })
    // @ts-expect-error: the value of the step is a number
    const text: string = await ctx.step('text', () => 1)
    // @ts-expect-error: no duration
    await ctx.sleep('pause', '3 weeks')
    // @ts-expect-error: an undo gets the value of its step
    await ctx.step('typed', () => 1, { undo: ({ value }) => value?.length })
    // @ts-expect-error: the input of the child is a number
    await ctx.child('child', square, 'two')
    const squared: number = await ctx.child('square', square, 2)
    // @ts-expect-error: the output of the child is a number
    const spelt: string = await ctx.child('spelt', square, 2)
    // @ts-expect-error: a child is a workflow, not its body
    await ctx.child('body', async () => 1, 2)
    // @ts-expect-error: no such option of a child
    await ctx.child('lost', square, 2, { onCancel: 'forget' })
    // @ts-expect-error: a try has no such member
    await ctx.step('tries', ({ tries }) => tries)
    // @ts-expect-error: no such option of a step
    await ctx.step('odd', () => 1, { retries: 3 })
    // @ts-expect-error: no such policy
    await ctx.step('never', () => 1, { retry: { attempts: 3 } })
    // @ts-expect-error: safe or once
    await ctx.step('twice', () => 1, { repeat: 'twice' })
    // @ts-expect-error: a key is a text
    await ctx.step(1, () => 1)
    // @ts-expect-error: the value of a branch is a number
    const words: string | false | undefined = first?.ok && first.value
    // @ts-expect-error: a branch is a function
    await ctx.all('none', [ctx.sleep('now', 1)])
    // @ts-expect-error: no such number of branches
    await ctx.all('most', [], { wait: 'most' })
    const app: AppContext = await ctx.step('app', (attempt) => attempt.app)
    return [charge, approval.by, late, n, sure, text, squared, spelt, words, app].join()
  },
)

const asked = workflow(
  'asked',
  async (ctx: Ctx<{ go: number }>, n: number) => {
    ctx.report({ left: n })
    return ctx.waitFor('go')
  },
  {
    queries: {
      left: (reported: { left: number } | undefined) => reported?.left,
      beyond: async (reported: { left: number } | undefined, n: number) => `${reported?.left} ${n}`,
    },
  },
)

type Cart = { add: (item: string) => Promise<number>; clear: () => void }

const cart = workflow(
  'cart',
  async (ctx: Ctx<{ go: number }, Cart>, _input: undefined) => {
    ctx.onUpdate('add', async (item, own) => own.step('count', () => item.length))
    ctx.onUpdate('clear', () => undefined)
    // @ts-expect-error: no such update
    ctx.onUpdate('remove', () => 1)
    // @ts-expect-error: the answer is a number
    ctx.onUpdate('add', (item) => item)
    // @ts-expect-error: the value is a text
    ctx.onUpdate('add', (item: number) => item)
    await ctx.all('both', [async (own) => own.onUpdate('add', () => 1)])
  },
  { updates: { add: (item) => item.length > 0 } },
)

export const updates = async (app: App): Promise<void> => {
  const run = await flow(app).start(cart, undefined, { id: '1' })
  const count: number = await run.update('add', 'tea', { id: 'click', timeoutMs: 5 })
  await run.update('clear', undefined)
  await run.signal('go', 1)
  // @ts-expect-error: no such update
  await run.update('remove', 'tea')
  // @ts-expect-error: the value is a text
  await run.update('add', 3)
  // @ts-expect-error: the answer is a number
  const wrong: string = await run.update('add', 'tea')
  // @ts-expect-error: this workflow takes no updates
  await flow(app).handle(square, '1').update('add', 'tea')
  // @ts-expect-error: no such option of an update
  await run.update('add', 'tea', { key: 'click' })
  // @ts-expect-error: a check of no update
  workflow('odd', async (_ctx: Ctx<object, Cart>) => 1, { updates: { remove: () => 1 } })
  // @ts-expect-error: a check gets a text
  workflow('odd', async (_ctx: Ctx<object, Cart>) => 1, { updates: { add: (n: number) => n } })
  void [count, wrong]
}

export const queries = async (app: App): Promise<void> => {
  const run = await flow(app).start(asked, 1, { id: '1' })
  const left: number | undefined = await run.query('left')
  const beyond: string = await run.query('beyond', 3)
  await flow(app).handle(asked, '1').query('left')
  await run.signal('go', 3)
  // @ts-expect-error: no such query
  await run.query('right')
  // @ts-expect-error: this query has no argument
  await run.query('left', 3)
  // @ts-expect-error: this query has an argument
  await run.query('beyond')
  // @ts-expect-error: the argument is a number
  await run.query('beyond', 'three')
  // @ts-expect-error: the answer is a text
  const wrong: number = await run.query('beyond', 3)
  // @ts-expect-error: this workflow has no queries
  await flow(app).handle(square, '1').query('left')
  // @ts-expect-error: a query is a function
  workflow('odd', async () => 1, { queries: { left: 3 } })
  void [left, beyond, wrong]
}

const square = workflow('square', async (_ctx: Ctx, n: number) => n ** 2)

const bare: Workflow<Order, string, { approval: { by: string }; stop: undefined }> = order

const mails = queue(
  'mails',
  async (job: { to: string }, { key, attempt, signal, app, ...says }) => {
    const facts: [string, number, AbortSignal, AppContext] = [key, attempt, signal, app]
    says.progress({ percent: 50 })
    says.log('half of it')
    // @ts-expect-error: a line is a text
    says.log(50)
    return [job.to, facts] as [string, unknown]
  },
)
/** Rows that are written together. */
const rows = queue(
  'rows',
  async (jobs: readonly BatchJob<{ to: string }>[], { app, signal }) => {
    const facts: [AppContext, AbortSignal] = [app, signal]
    const [first] = jobs
    const of: [string, string, string, number, AbortSignal] | undefined = first && [
      ...([first.input.to, first.id, first.key, first.attempt, first.signal] as const),
    ]
    first?.progress(0.5)
    first?.log('half of it')
    void [facts, of]
    return Promise.allSettled(jobs.map(async ({ input }) => input.to.length))
  },
  { batch: { max: 50, waitMs: '100ms' } },
)
const lengths: Queue<{ to: string }, number> = rows
const answered: Queue<{ to: string }, string> = queue(
  'answered',
  async (jobs: readonly BatchJob<{ to: string }>[]) =>
    jobs.map(({ input: { to } }) =>
      to ? { status: 'fulfilled', value: to } : { status: 'rejected', reason: new Error('nobody') },
    ),
  { batch: { max: 5 } },
)
const silent = queue(
  'silent',
  async (jobs: readonly BatchJob<string>[]) => {
    for (const { input } of jobs) input.trim()
  },
  { batch: { max: 5 }, concurrency: 20, timeout: '1m', retry: { max: 2 } },
)
const batched: Queue<string> = silent

const orders: Queue<Order, string> = queue('orders', order, { keep: { results: '1d' } })
const plain: Queue<Order> = orders
const daily = workflow('daily', async (_ctx: Ctx, { at }: { at: number }) => new Date(at))
const nightly = schedule('nightly', '0 3 * * *', daily, { zone: 'Europe/Berlin' })

export const others = (): void => {
  // @ts-expect-error: no such option of a workflow
  workflow('odd', async () => 1, { retries: 3 })
  // @ts-expect-error: a version has a number
  workflow('odd', async () => 1, { version: '2' })
  // @ts-expect-error: a body is asynchronous
  workflow('odd', () => 1)
  // @ts-expect-error: no such option of a queue
  queue('odd', async () => 1, { parallel: 3 })
  const texts = async (jobs: readonly BatchJob<string>[]) => void jobs
  // @ts-expect-error: a handler of batches needs them
  queue('odd', (job: string) => job, { batch: { max: 5 } })
  // @ts-expect-error: a batch has a bound
  queue('odd', texts, { batch: { waitMs: 5 } })
  // @ts-expect-error: a batch has two options
  queue('odd', texts, { batch: { max: 5, minSize: 2 } })
  // @ts-expect-error: a list of values says of no job that it is done
  queue('odd', async (jobs: readonly BatchJob[]) => jobs.map(({ id }) => id), { batch: { max: 5 } })
  const odds = async () => [{ status: 'failed' as const, reason: 1 }]
  // @ts-expect-error: a job is fulfilled or rejected
  queue('odd', odds, { batch: { max: 5 } })
  // @ts-expect-error: runs of workflows have no batches
  queue('odd', order, { batch: { max: 5 } })
  // @ts-expect-error: a queue without a handler has none either
  queue('odd', { batch: { max: 5 } })
  const given = { batch: { max: 5 }, concurrency: 5 }
  // @ts-expect-error: nor does it compile with options that are a value
  queue('odd', (job: string) => job, given)
  queue('even', texts, given)
  // @ts-expect-error: a rate has its time
  queue('odd', async () => 1, { rate: { max: 3 } })
  const last: JobOptions = { throttle: { key: 'a', ms: '1s', keep: 'last' } }
  // @ts-expect-error: a window keeps the first or the last add
  const odd: JobOptions = { debounce: { key: 'a', ms: 5, keep: 'all' } }
  // @ts-expect-error: a throttle has no bound
  const bound: JobOptions = { throttle: { key: 'a', ms: 5, maxMs: 9 } }
  // @ts-expect-error: a debounce has its time
  const timeless: JobOptions = { debounce: { key: 'a' } }
  void [last, odd, bound, timeless]
  // @ts-expect-error: of the limits of a queue three change at run time
  const depth: LimitsChange = { depthMax: 5 }
  const limits: LimitsChange = { concurrency: 5, rate: null }
  void [depth, limits]
  // @ts-expect-error: a queue without a handler has no results
  queue('odd', { keep: { results: '1d' } })
  // @ts-expect-error: its jobs are the inputs of its workflow
  const numbers: Queue<number> = queue('odd', order)
  // @ts-expect-error: a schedule gives its workflow a time, and no order
  schedule('odd', '* * * * *', order)
  // @ts-expect-error: one, all or none
  schedule('odd', '* * * * *', daily, { missed: 'some' })
  // @ts-expect-error: this one takes other inputs
  const other: Workflow<number, string> = bare
  // @ts-expect-error: a queue is no workflow
  flows({ workflows: [mails] })
  // @ts-expect-error: flows has no jobs
  flows({ jobs: [mails] })
  void [numbers, other, lengths, answered, batched]
}

export const simulate = async (simulation: Simulation): Promise<void> => {
  const act = (run: { cancel: () => unknown }): unknown => run.cancel()
  const ran = await simulation.run(order, { cents: 1 }, { crashAfter: 'charge', act })
  const output: string | undefined = ran.output
  await simulation.run(order, { cents: 1 }, { act: (run) => run.signal('approval', { by: 'Eve' }) })
  // @ts-expect-error: the input has cents
  await simulation.run(order, { euros: 1 })
  // @ts-expect-error: no such signal
  await simulation.run(order, { cents: 1 }, { act: (run) => run.signal('refusal', output) })
  // @ts-expect-error: no such option
  await simulation.run(order, { cents: 1 }, { crashBefore: 'charge' })
  // @ts-expect-error: a run may have no output
  const sure: string = ran.output
  // @ts-expect-error: a queue has no runs
  await simulation.run(mails, { to: 'Eve' })
  void sure
}

export const tree = supervisor('app', {}, [
  flows({
    workflows: [order, square, daily],
    queues: [mails, orders, plain, rows, silent],
    schedules: [nightly],
  }),
])

export const use = async (app: App): Promise<void> => {
  const run = await flow(app).start(order, { cents: 1 }, { id: '1', delay: '2h' })
  const output: string = await run.result()
  await run.signal('approval', { by: 'Eve' }, { id: output })
  await flow(app).retry(order, '1')
  await flow(app).retry(order, '1', { from: 'charge' })
  const forked = await flow(app).fork(order, '1', { from: 'charge', id: '2' })
  const same: string = await forked.result()
  // @ts-expect-error: the output of the fork is a text
  const unlike: number = await forked.result()
  // @ts-expect-error: a fork has an id
  await flow(app).fork(order, '1', { from: 'charge' })
  // @ts-expect-error: a fork begins at an operation
  await flow(app).fork(order, '1', { id: '2' })
  // @ts-expect-error: a queue has no forks
  await flow(app).fork(mails, '1', { from: 'charge', id: '2' })
  // @ts-expect-error: a key is a text
  await flow(app).retry(order, '1', { from: 1 })
  // @ts-expect-error: a job is not undone
  await flow(app).undo(mails, '1')
  // @ts-expect-error: the input has no cents
  await flow(app).start(order, { euros: 1 }, { id: '1' })
  // @ts-expect-error: a run has an id
  await flow(app).start(order, { cents: 1 }, {})
  // @ts-expect-error: the output is a text
  const wrong: number = await run.result()
  // @ts-expect-error: no such signal
  await run.signal('refusal', { by: 'Eve' })
  // @ts-expect-error: the value of the signal has a `by`
  await run.signal('approval', { from: wrong })
  // @ts-expect-error: this workflow takes no signals
  await flow(app).handle(square, '1').signal('approval', 1)
  await flow(app).settle(order, '1', 'charge', { value: { any: 1 } })
  await flow(app).settle(order, '1', 'charge', { error: new Error('lost') })
  // @ts-expect-error: a decision is a value or an error
  await flow(app).settle(order, '1', 'charge', 'lost')
  // @ts-expect-error: a step has a key
  await flow(app).settle(order, '1', { value: 1 })
  // @ts-expect-error: no such option of a start
  await flow(app).start(order, { cents: 1 }, { id: '1', after: '2h' })
  // @ts-expect-error: no duration
  await flow(app).start(order, { cents: 1 }, { id: '1', delay: 'soon' })
  await flow(app).add(mails, { to: 'Eve' }, { unique: 'Eve' })
  const job = flow(app).job(mails, '1')
  const [receiver]: [string, unknown] = await job.result()
  const looked = await job.get()
  const given: string | undefined = looked?.input?.to
  const kept: [string, unknown] | undefined = looked?.result
  const cents: string = await flow(app).job(orders, '1').result()
  // @ts-expect-error: the handler returns a list
  const odd: number = await job.result()
  // @ts-expect-error: no such part of a job
  await job.update({ key: 'other' })
  // @ts-expect-error: running jobs are removed one by one
  await flow(app).drain(mails, { where: { state: 'running' } })
  // @ts-expect-error: a workflow has runs
  flow(app).job(order, '1')
  void [receiver, given, kept, cents, odd]
  const [dead] = flow(app).dead(mails).entries
  const to: string | undefined = dead?.job.to
  // @ts-expect-error: a job has its receiver
  await flow(app).add(mails, { from: to })
  // @ts-expect-error: no such option of a job
  await flow(app).add(mails, { to: 'Eve' }, { lifo: true })
  // @ts-expect-error: one of these jobs is none
  await flow(app).addMany(mails, [{ to: 'Eve' }, 'Ada'])
  // @ts-expect-error: jobs are added to a queue
  await flow(app).add(order, { cents: 1 })
  // @ts-expect-error: a workflow cannot be paused
  await flow(app).pause(order)
  const { schedules } = flow(app)
  const { repeated }: { repeated: boolean } = await schedules.create('a', '@daily', daily)
  await schedules.create('b', '@daily', order, { input: { cents: 1 }, overlap: 'queue' })
  // @ts-expect-error: without an input of its own a run gets its time, and no order
  await schedules.create('c', '@daily', order)
  // @ts-expect-error: the input has no cents
  await schedules.create('c', '@daily', order, { input: { euros: 1 } })
  // @ts-expect-error: skip, queue or allow
  await schedules.create('c', '@daily', daily, { overlap: 'wait' })
  // @ts-expect-error: a schedule starts workflows
  await schedules.create('c', '@daily', mails)
  // @ts-expect-error: no such option of a schedule
  await schedules.change('a', { pattern: '@hourly' })
  // @ts-expect-error: a schedule has a name
  await schedules.pause(nightly)
  const { id: triggered, waits }: { id: string; waits: boolean } = await schedules.trigger('a')
  const next: number | undefined = schedules.get('a')?.next
  void [repeated, triggered, waits, next]
  const ready: number = (await flow(app).counts(mails)).ready
  const failed: number = (await flow(app).counts(order)).failed
  // @ts-expect-error: runs are not ready
  const no: number = (await flow(app).counts(order)).ready
  void [ready, failed, no, same, unlike]
  // @ts-expect-error: no such status
  flow(app).list({ type: order, status: 'done' })
  // @ts-expect-error: flows takes workflows
  flows({ workflows: [async () => 1] })
}

type Till = { calls: { pay: (cents: number) => number } }

export const till: DurableServer<Till, number> = {
  init: () => 0,
  calls: {
    pay: (sum, cents, context) => {
      flow(context).start(order, { cents }, { id: '1' })
      flow(context).signal(order, '1', 'approval', { by: 'Eve' })
      flow(context).add(mails, { to: 'Eve' }, { delay: '2h' })
      // @ts-expect-error: the input has no cents
      flow(context).start(order, { euros: 1 }, { id: '1' })
      // @ts-expect-error: a run has an id
      flow(context).start(order, { cents }, {})
      // @ts-expect-error: no such signal
      flow(context).signal(order, '1', 'refusal', { by: 'Eve' })
      // @ts-expect-error: the value of the signal has a `by`
      flow(context).signal(order, '1', 'approval', { from: 'Eve' })
      // @ts-expect-error: a job has its receiver
      flow(context).add(mails, { from: 'Eve' })
      // @ts-expect-error: a turn waits for no answer
      flow(context).handle(order, '1')
      return reply(sum + cents, sum + cents)
    },
  },
}

export const withBatch = async (app: App) => {
  const unit = flow(app).with(app.store.batch().put('a', 1).set('b', 2, { nx: true }), { id: '1' })
  unit.start(order, { cents: 1 }, { id: '1' })
  unit.signal(order, '1', 'approval', { by: 'Eve' })
  unit.add(mails, { to: 'Eve' })
  // @ts-expect-error: the input has no cents
  unit.start(order, { euros: 1 }, { id: '1' })
  // @ts-expect-error: no such signal
  unit.signal(order, '1', 'refusal', { by: 'Eve' })
  // @ts-expect-error: a job has its receiver
  unit.add(mails, { from: 'Eve' })
  // @ts-expect-error: a batch has an id
  flow(app).with(app.store.batch().put('a', 1))
  // @ts-expect-error: a batch of the store
  flow(app).with({ a: 1 }, { id: '1' })
  const { repeated, position } = await unit.commit()
  const shard: number = position.shard
  // @ts-expect-error: no command is answered
  const { answers } = await unit.commit()
  return [repeated, shard, answers]
}

type Line = { readonly text: string }

export const streaming = workflow('streaming', async (ctx: Ctx) => {
  const out = ctx.stream<Line>('out')
  out.append({ text: 'begin' })
  // @ts-expect-error: a line has a text
  out.append({ word: 'begin' })
  // @ts-expect-error: the end of the run closes it
  out.close()
  return ctx.step('speak', async ({ stream }) => {
    const own = await stream<Line>('out', { retry: (attempt) => ({ again: attempt }) })
    const sent: readonly Line[] = await own.sent()
    const offset: string = await own.append({ text: 'a' })
    // @ts-expect-error: a line has a text
    await own.append('a')
    // @ts-expect-error: 'same', 'continue' or a function
    await stream('out', { retry: 'again' })
    return [sent.length, offset]
  })
})

export const reading = async (app: App) => {
  const out = flow(app).handle(streaming, '1').stream<Line>('out')
  for await (const { value } of out.read({ from: 'start' })) return value.text
  const { messages } = await out.page()
  // @ts-expect-error: a run alone writes its streams
  await out.append({ text: 'a' })
  const { messages: events } = await app.entity('chat').stream<Line>('lobby', 'events').page()
  return [messages[0]?.value.text, events[0]?.value.text]
}

export const chatting: DurableServer<{ calls: { say: (text: string) => void } }, number> = {
  init: () => 0,
  calls: {
    say: (count, text, context) => {
      const events = context.stream<Line>('events')
      events.append({ text })
      events.close({ text: 'last' })
      // @ts-expect-error: a line has a text
      events.append(text)
      // @ts-expect-error: a turn reads none
      events.read()
      return reply(undefined, count)
    },
  },
}
