/** Types by schemas: what callers give and what is handled are inferred, and wrong ones do not compile. */
import { z } from 'zod'
import { type Ctx, flow, type Queue, queue, type Workflow, workflow } from '../../src/flow/index.ts'
import type { App } from '../../src/index.ts'

const order = z.object({ cents: z.coerce.number<string>(), tries: z.number().default(1) })

const numbered = z.object({ n: z.coerce.number<string>() })

const sale = workflow(
  'sale',
  async (_ctx, input) => {
    const cents: number = input.cents
    // @ts-expect-error: the body gets what the schema makes
    const text: string = input.cents
    return { cents, text }
  },
  {
    input: order,
    output: z.object({ cents: z.number(), text: z.string().transform(Number) }),
  },
)
export const asCallersSeeIt: Workflow<
  { cents: string; tries?: number | undefined },
  { cents: number; text: number }
> = sale
// @ts-expect-error: a caller gives a text
export const otherwise: Workflow<{ cents: number }, { cents: number; text: number }> = sale

const approval = workflow(
  'approval',
  async (ctx, input) => {
    const { n } = await ctx.waitFor('go')
    const sum: number = n + input.to.length
    // @ts-expect-error: it has no such signal
    await ctx.waitFor('stop')
    ctx.onUpdate('rename', (name) => name.length)
    // @ts-expect-error: the answer is a number
    ctx.onUpdate('rename', (name) => name)
    // @ts-expect-error: it has no such update
    ctx.onUpdate('drop', () => 1)
    ctx.onUpdate('note', (text) => {
      const length: number = text.length
      return length
    })
    ctx.report({ sum })
    return sum
  },
  {
    input: z.object({ to: z.string() }),
    signals: { go: numbered },
    updates: {
      rename: { input: z.string(), output: z.number().transform(String) },
      note: z.string(),
    },
    queries: {
      sum: (reported: { sum: number } | undefined) => reported?.sum,
      over: {
        input: z.coerce.number<string>(),
        answer: (reported: { sum: number } | undefined, n: number) => (reported?.sum ?? 0) > n,
      },
    },
  },
)

export const calls = async (app: App): Promise<void> => {
  await flow(app).start(sale, { cents: '3' }, { id: '1' })
  // @ts-expect-error: a caller gives a text
  await flow(app).start(sale, { cents: 3 }, { id: '1' })
  const run = await flow(app).start(approval, { to: 'Eve' }, { id: '1' })
  await run.signal('go', { n: '1' })
  // @ts-expect-error: a caller gives a text
  await run.signal('go', { n: 1 })
  // @ts-expect-error: it has no such signal
  await run.signal('stop', 1)
  const renamed: string = await run.update('rename', 'tea')
  const noted: unknown = await run.update('note', 'tea')
  // @ts-expect-error: the value is a text
  await run.update('rename', 1)
  // @ts-expect-error: the answer is what the schema makes of that of the handler
  const wrong: number = await run.update('rename', 'tea')
  const over: boolean = await run.query('over', '3')
  const sum: number | undefined = await run.query('sum')
  // @ts-expect-error: the argument is a text
  await run.query('over', 3)
  void [renamed, noted, wrong, over, sum]
}

type Cart = { add: (item: string) => Promise<number>; clear: () => void }

/** A body may say the types itself: its schemas have to make them. */
const cart = workflow(
  'cart',
  async (ctx: Ctx<{ go: { n: number }; stop: undefined }, Cart>, input: { to: string }) => {
    ctx.onUpdate('add', (item) => item.length)
    return input.to
  },
  {
    input: z.object({ to: z.string() }),
    signals: { go: numbered },
    updates: { add: z.number().transform(String), clear: () => undefined },
  },
)

export const cartCalls = async (app: App): Promise<void> => {
  const run = flow(app).handle(cart, '1')
  const count: number = await run.update('add', 3)
  await run.update('clear', undefined)
  await run.signal('stop', undefined)
  await run.signal('go', { n: '1' })
  // @ts-expect-error: a caller gives what the schema takes
  await run.update('add', 'tea')
  void count
}

export const values = async (app: App): Promise<void> => {
  const orders = app.store.typed('orders/', order)
  await orders.put('1', { cents: '3' })
  const cents: number | undefined = orders.get('1')?.cents
  // @ts-expect-error: a caller gives a text
  await orders.put('1', { cents: 3 })
  // @ts-expect-error: a stored value has a number
  const text: string | undefined = orders.get('1')?.cents
  void [cents, text]
}

type Go = Ctx<{ go: { n: string } }>

export const wrongs = (): void => {
  // @ts-expect-error: the body takes another value of the signal
  workflow('a', async (_: Go) => 1, { signals: { go: numbered } })
  // @ts-expect-error: the body takes no such signal
  workflow('b', async (_: Go) => 1, { signals: { stop: z.string() } })
  // @ts-expect-error: the body takes another input
  workflow('c', async (_: Ctx, n: { to: number }) => n, { input: z.object({ to: z.string() }) })
  // @ts-expect-error: the body returns another output
  workflow('d', async () => 1, { output: z.string() })
  // @ts-expect-error: the handler takes another value
  workflow('e', async (_: Ctx<object, Cart>) => 1, { updates: { add: z.number() } })
  // @ts-expect-error: no schema
  workflow('f', async () => 1, { input: { parse: () => 1 } })
}

const mails = queue(
  'mails',
  (job, { key }) => {
    const cents: number = job.cents
    // @ts-expect-error: the handler gets what the schema makes
    const text: string = job.cents
    return [cents, text, key].join()
  },
  { input: order, concurrency: 3 },
)

const sales: Queue<{ cents: string; tries?: number | undefined }> = queue('sales', sale)

export const jobs = async (app: App): Promise<void> => {
  await flow(app).add(mails, { cents: '3' })
  await flow(app).addMany(mails, [{ cents: '3', tries: 1 }], ({ cents }) => ({ key: cents }))
  // @ts-expect-error: a caller gives a text
  await flow(app).add(mails, { cents: 3 })
  const stored: number | undefined = flow(app).jobs(mails, { state: 'waiting' }).entries[0]?.input
    ?.cents
  const dead: number | undefined = flow(app).dead(mails).entries[0]?.job.cents
  const result: string = await flow(app).job(mails, '1').result()
  await flow(app).pause(mails)
  await flow(app).holds(mails, ['a'])
  await flow(app).add(sales, { cents: '3' })
  // @ts-expect-error: the handler takes another job
  queue('odd', (job: { cents: string }) => job, { input: order })
  // @ts-expect-error: its jobs are parsed by its workflow
  queue('odd', sale, { input: order })
  void [stored, dead, result]
}
