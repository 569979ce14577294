/**
 * Random orders for `HandleLife`: turns of durable actors and batches of the store that ask for runs,
 * signals and jobs. What they must come to says `TurnLedger`.
 */
import {
  type Ctx,
  type FlowOfTurn,
  flow,
  type Queue,
  queue,
  type Workflow,
  workflow,
} from '../../../src/flow/index.ts'
import { call, type DurableServer, entity, name as nameOf, ok, reply } from '../../../src/index.ts'
import { type Order, TurnLedger } from '../models/turn-ledger.ts'
import type { ProgramLife } from './program-life.ts'

type Messages = { calls: { order: (order: Order) => number } }
type Mail = { readonly order: string; readonly at: number }

/** The shop whose orders are batches of the store. */
const byBatch = 'batch'

const shops = ['east', 'west', byBatch]

/** The key that a batch appends to. */
const keyOf = (id: string): string => `{${id}}:sold`

/** The shops of a life, and their callers. */
export class OrderCalls {
  readonly ledger = new TurnLedger()
  readonly #life: ProgramLife
  #listens!: Workflow<number, string, { word: string }>
  #mails!: Queue<Mail>
  #program = 0
  #next = 0
  readonly #given: Order[] = []

  constructor(life: ProgramLife) {
    this.#life = life
  }

  /** The parts of another program. */
  parts() {
    const program = ++this.#program
    const listens = workflow(
      'listens',
      async (ctx: Ctx<{ word: string }>, count: number) => {
        const words: string[] = []
        for (let at = 0; at < count; at++) words.push(await ctx.waitFor('word'))
        const heard = words.join(' ')
        await ctx.step('hear', ({ key }) => {
          if (program === this.#program) this.ledger.hears(ctx.id, heard, key)
        })
        return heard
      },
      { keep: { completed: '9999d' } },
    )
    const mails = queue(
      'mails',
      ({ order, at }: Mail, { key }) => {
        if (program === this.#program) this.ledger.runs(order, at, key)
      },
      { concurrency: 1 },
    )
    this.#listens = listens
    this.#mails = mails
    const server: DurableServer<Messages, readonly string[]> = {
      init: () => ok([]),
      calls: {
        order: (known, order, context) => {
          const { id } = order
          this.#asks(flow(context), order)
          if (order.refuses) throw new Error('no cups')
          return reply(known.length + 1, [...known, id])
        },
      },
    }
    return { workflow: listens, queue: mails, shop: entity('shop', server) }
  }

  /** Asks for the run, the words and the jobs of an order. */
  #asks(unit: FlowOfTurn, { id, words, jobs }: Order): void {
    unit.start(this.#listens, words.length, { id })
    for (let at = 0; at < jobs; at++) {
      unit.add(this.#mails, { order: id, at })
      const word = words[at]
      if (word !== undefined) unit.signal(this.#listens, id, 'word', word)
    }
  }

  /** An order as a batch. One that is refused has a command on a value of another type. */
  async #commits(order: Order): Promise<unknown> {
    const { app } = this.#life
    const key = keyOf(order.id)
    const batch = app.store.batch().append(key, 'once')
    if (order.refuses) batch.put(`${key}:number`, 7).append(`${key}:number`, 'x')
    const unit = flow(app).with(batch, { id: order.id })
    this.#asks(unit, order)
    const { repeated } = await unit.commit()
    if (repeated) this.#life.count('batches again')
    return repeated
  }

  /** The batches whose key is there. It was written once. */
  #batches(): readonly string[] {
    const { entries } = this.#life.app.store.range({ prefix: '{order', limit: 1_000 })
    for (const [key, value] of entries)
      if (value !== 'once') this.ledger.wrong.push(`W1: ${key} is ${value}`)
    this.#life.tally['durable batches'] = entries.length
    return entries.map(([key]) => key.slice(1, key.indexOf('}')))
  }

  #ordersOf(shop: string): readonly string[] {
    if (shop === byBatch) return this.#batches()
    return (this.#life.app.entity('shop').state(shop) as readonly string[] | undefined) ?? []
  }

  /** Gives a new order, or one once more: one without an answer, or any. */
  async acts(): Promise<void> {
    const { random } = this.#life
    const open = random() < 0.8 ? this.ledger.open : this.#given
    const jobs = this.#life.pick([1, 2, 3])
    const words = ['hot', 'green', 'tea'].slice(0, this.#life.pick([0, jobs]))
    const order =
      open.length > 0 && random() < 0.7
        ? this.#life.pick(open)
        : {
            ...{ id: `order${this.#next++}`, shop: this.#life.pick(shops) },
            ...{ refuses: random() < 0.2, words, jobs },
          }
    if (!order.refuses && !this.#given.includes(order)) this.#given.push(order)
    await this.#orders(order)
  }

  async #orders(order: Order): Promise<void> {
    const { id, shop, refuses } = order
    this.ledger.orders(order)
    const ask = (): Promise<unknown> =>
      shop === byBatch
        ? this.#commits(order)
        : call(this.#life.app.entity<Messages>('shop').ref(shop), 'order', order, { id })
    if (refuses) {
      this.#life.count('refused orders')
      await this.#life.machine.during(ask(), 120_000).then(
        () => this.ledger.ordered(id),
        () => undefined,
      )
    } else {
      const what = shop === byBatch ? 'batches' : 'orders'
      if ('answer' in (await this.#life.answers(what, ask))) this.ledger.ordered(id)
    }
  }

  /** The process of a shop dies, or those of all batches. */
  kills(): void {
    const { system } = this.#life.app
    const shop = this.#life.pick(shops)
    if (shop !== byBatch) system.kill(nameOf(`shop/${shop}`) as never)
    else
      for (const { label, ref } of system.processes())
        if (label?.startsWith('$batches/')) system.kill(ref)
  }

  /** Every order is answered. Whether everything that they asked for has come about. */
  async isOver(): Promise<boolean> {
    for (const order of this.ledger.open) await this.#orders(order)
    const { ready, delayed, running } = await this.#life.machine.during(
      flow(this.#life.app).counts(this.#mails),
    )
    // A turn that was durable before a crash makes its calls a while after the start, and a run that
    // has heard its words has still to write that.
    const durable = this.#durable
    const areDone = [...durable].every((id) => this.#statusOf(id) === 'completed')
    return areDone && this.ledger.isComplete(durable) && ready + delayed + running === 0
  }

  #statusOf(id: string): string | undefined {
    return flow(this.#life.app).get(this.#listens, id)?.status
  }

  get #durable(): ReadonlySet<string> {
    return new Set(shops.flatMap((shop) => this.#ordersOf(shop)))
  }

  /** Judges the end of all lives. */
  judgeEnd(): void {
    const durable = this.#durable
    this.ledger.judgeEnd(durable, (id) => this.#statusOf(id))
    this.#life.tally['durable orders'] = durable.size
  }
}
