/** Types by schemas: what callers give and what is handled are inferred, and wrong ones do not compile. */
import { setup } from 'xstate'
import { z } from 'zod'
import { type Ctx, flow, type Queue, queue, type Workflow, workflow } from '../../src/flow/index.ts'
import {
  type App,
  call,
  cast,
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  type Parsed,
  type Ref,
  reply,
  send,
} from '../../src/index.ts'
import { type MachineRef, StateMachine } from '../../src/runtime/state-machine/state-machine.ts'

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

const rows = queue(
  'rows',
  async (jobs) => {
    const cents: number[] = jobs.map(({ input }) => input.cents)
    // @ts-expect-error: the handler gets what the schema makes
    const texts: string[] = jobs.map(({ input }) => input.cents)
    void texts
    return Promise.allSettled(cents.map(async (each) => String(each)))
  },
  { input: order, batch: { max: 5 } },
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
  await flow(app).add(rows, { cents: '3' })
  // @ts-expect-error: a caller gives a text
  await flow(app).add(rows, { cents: 3 })
  const row: string = await flow(app).job(rows, '1').result()
  void row
  await flow(app).holds(mails, ['a'])
  await flow(app).add(sales, { cents: '3' })
  // @ts-expect-error: the handler takes another job
  queue('odd', (job: { cents: string }) => job, { input: order })
  // @ts-expect-error: its jobs are parsed by its workflow
  queue('odd', sale, { input: order })
  void [stored, dead, result]
}

// The messages of servers.

type Till = {
  calls: { pay: Parsed<typeof order, number>; look: () => number }
  casts: { note: Parsed<typeof numbered>; plain: (text: string) => void }
  infos: { tick: Parsed<typeof numbered> }
}

const handlers = {
  init: () => 0,
  calls: { pay: (sum: number) => reply(sum, sum), look: (sum: number) => reply(sum, sum) },
  casts: { note: (sum: number) => noReply(sum), plain: (sum: number) => noReply(sum) },
  infos: { tick: (sum: number) => noReply(sum) },
}
const parsing = { calls: { pay: order }, casts: { note: numbered }, infos: { tick: numbered } }

export const till: GenServer<Till, number> = {
  messages: { ...parsing, casts: { note: numbered, plain: z.string() } },
  init: (_, context) => {
    context.castAfter(1, 'note', { n: '1' })
    context.sendAfter(1, 'tick', { n: '1' })
    // @ts-expect-error: a timer gives what the schema takes
    context.castAfter(1, 'note', { n: 1 })
    return 0
  },
  calls: {
    pay: (sum, { cents, tries }) => {
      const counted: number = cents + tries
      // @ts-expect-error: the handler gets what the schema makes
      const text: string = cents
      return reply(counted + text.length, sum)
    },
    look: (sum) => reply(sum, sum),
  },
  casts: {
    note: (sum, { n }) => noReply(sum + n),
    plain: (sum, text) => noReply(sum + text.length),
  },
  infos: { tick: (sum, { n }) => noReply(sum + n) },
}

export const messages = async (ref: Ref<Till>): Promise<void> => {
  const sum: number = await call(ref, 'pay', { cents: '3' })
  cast(ref, 'note', { n: '3' })
  send(ref, 'tick', { n: '3' })
  // @ts-expect-error: a caller gives a text
  await call(ref, 'pay', { cents: 3 })
  // @ts-expect-error: a caller gives a payload
  await call(ref, 'pay')
  // @ts-expect-error: a sender gives a text
  cast(ref, 'note', { n: 3 })
  // @ts-expect-error: a sender gives a text
  send(ref, 'tick', { n: 3 })
  void sum
}

// @ts-expect-error: the schemas of its messages are missing
export const none: GenServer<Till, number> = handlers
export const some: GenServer<Till, number> = {
  ...handlers,
  // @ts-expect-error: that of `note` is missing
  messages: { ...parsing, casts: {} },
}
export const another: GenServer<Till, number> = {
  ...handlers,
  // @ts-expect-error: another schema than that of the type
  messages: { ...parsing, calls: { pay: numbered } },
}
export const unknown: GenServer<Till, number> = {
  ...handlers,
  // @ts-expect-error: no message of this name
  messages: { ...parsing, casts: { note: numbered, odd: numbered } },
}
export const changing: GenServer<Till, number> = {
  ...handlers,
  // @ts-expect-error: a schema that makes another type of a message that does not say so
  messages: { ...parsing, casts: { note: numbered, plain: z.coerce.number<string>() } },
}

type Cell = {
  calls: { pay: Parsed<typeof order, number> }
  continues: { later: (by: number) => void }
  alarms: { late: (by: number) => void }
}

export const cell: DurableServer<Cell, number> = {
  messages: { calls: { pay: order } },
  init: () => 0,
  calls: {
    pay: (sum, { cents }, context) => {
      context.setAlarm('late', { inMs: 1 }, cents)
      return reply(sum + cents, sum + cents, { continue: ['later', cents] })
    },
  },
  continues: { later: (sum, by) => noReply(sum + by) },
  alarms: { late: (sum, by) => noReply(sum + by) },
}
const cells = entity('cell', cell)

export const cellCalls = async (app: App): Promise<void> => {
  const ref = app.entity(cells).ref('1')
  const sum: number = await call(ref, 'pay', { cents: '3' })
  // @ts-expect-error: a caller gives a text
  await call(ref, 'pay', { cents: 3 })
  void sum
}

// The events of machines.

type Event = { type: 'pay'; cents: number } | { type: 'look' }
const machine = setup({ types: {} as { events: Event } }).createMachine({})
const events = z.discriminatedUnion('type', [
  z.object({ type: z.literal('pay'), cents: z.coerce.number<string>() }),
  z.object({ type: z.literal('look') }),
])
const answers = { pay: (_: unknown, { cents }: { cents: number }) => cents }
const plainTill = StateMachine.server(machine, { events, answers })
const durableTill = StateMachine.durable(machine, { events, answers })
const unparsed = StateMachine.server(machine, { answers })

export const machineCalls = async (
  plain: MachineRef<typeof plainTill>,
  durable: MachineRef<typeof durableTill>,
  other: MachineRef<typeof unparsed>,
): Promise<void> => {
  const cents: number = await StateMachine.call(plain, { type: 'pay', cents: '3' })
  StateMachine.send(durable, { type: 'pay', cents: '3' })
  StateMachine.send(other, { type: 'pay', cents: 3 })
  // @ts-expect-error: a sender gives a text
  StateMachine.send(plain, { type: 'pay', cents: 3 })
  // @ts-expect-error: a caller gives a text
  await StateMachine.call(durable, { type: 'pay', cents: 3 })
  // @ts-expect-error: without a schema the machine gets what is sent
  StateMachine.send(other, { type: 'pay', cents: '3' })
  // @ts-expect-error: its schema makes no events of this machine
  StateMachine.server(machine, { events: z.object({ type: z.literal('odd') }) })
  void cents
}
