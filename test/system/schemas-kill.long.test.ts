/** Values that schemas parse, in real processes under SIGKILL, and a ledger of what was asked outside of them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { noFlock } from '../support/harm/folder-locks.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { countOf } from '../support/tier.ts'
import { StruckMembers } from '../support/worlds/struck-members.ts'

const rounds = countOf('KEELSON_KILL_ROUNDS', 4, 60)
const seed = Number(process.env.KEELSON_SEED ?? process.pid)
const ordersOfRound = 8

/** An order, its texts, and what callers were told. */
type Order = {
  readonly id: string
  readonly update: string
  readonly signal: string
  readonly job: string
  jobId?: unknown
}

/** What was asked, acknowledged and parsed. A value is `OF TEXT`, such as `input 7`. */
class Ledger {
  readonly asked = new Map<string, number>()
  readonly acknowledged = new Set<string>()
  readonly #parses: string
  #next = 0
  #before = new Map<string, number>()
  #settled: readonly string[] = []

  constructor(dir: string) {
    this.#parses = `${dir}.parses`
  }

  text(): string {
    return String(++this.#next)
  }

  asks(value: string): void {
    this.asked.set(value, (this.asked.get(value) ?? 0) + 1)
  }

  get parsed(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const line of readFileSync(this.#parses, 'utf8').trimEnd().split('\n'))
      counts.set(line, (counts.get(line) ?? 0) + 1)
    return counts
  }

  /** What was acknowledged up to the last call has not been parsed since. */
  judgeRound(): void {
    const now = this.parsed
    const again = this.#settled.filter((value) => now.get(value) !== this.#before.get(value))
    expect(again, 'parsed again after it was acknowledged').toEqual([])
    this.#settled = [...this.acknowledged]
    this.#before = now
  }

  judgeEnd(): void {
    this.judgeRound()
    for (const value of this.acknowledged) {
      const parses = this.parsed.get(value) ?? 0
      expect(parses, `${value}, acknowledged`).toBeGreaterThan(0)
      // At the caller, each time that it asks.
      if (this.asked.has(value))
        expect(parses, value).toBeLessThanOrEqual(this.asked.get(value) as number)
    }
  }
}

const storedOf = (text: string) => ({ made: Number(text) })

const rounded = async (members: readonly string[]): Promise<void> => {
  const dir = join(tempFolder(), 'd')
  const world = new StruckMembers(dir, members, 'parsed-values.mjs', seed)
  const ledger = new Ledger(dir)
  /** Asks for something with a value, which is acknowledged with the answer. */
  const entered = async (of: string, what: string, ...words: string[]): Promise<unknown> => {
    const value = `${of} ${words.at(-1)}`
    const answer = await world.ask(what, words, () => ledger.asks(value))
    ledger.acknowledged.add(value)
    return answer
  }

  const begun = async (order: Order): Promise<void> => {
    await entered('input', 'start', order.id)
    order.jobId = await entered('job', 'add', order.job)
    expect(await entered('update', 'update', order.id, order.update)).toEqual([
      Number(order.update),
    ])
    ledger.acknowledged.add(`answer ${order.update}`)
    // The owner parses it, once for each time that it may have lost it with its life.
    expect(await world.ask('pay', [`a${order.id}`, order.id])).toBe(Number(order.id))
    ledger.acknowledged.add(`call ${order.id}`)
    await entered('value', 'put', order.id)
  }
  const ended = async ({ id, update, signal, jobId, job }: Order): Promise<void> => {
    await entered('signal', 'signal', id, signal)
    expect(await world.ask('result', [id])).toEqual([id, signal, update].map(Number))
    ledger.acknowledged.add(`output ${id}`)
    expect(await world.ask('jobResult', [jobId])).toEqual({ got: storedOf(job) })
  }

  const all: Order[] = []
  let open: Order[] = []
  for (let round = 0; round <= rounds; round++) {
    const texts = () => ({ id: ledger.text(), update: ledger.text() })
    const more = () => ({ signal: ledger.text(), job: ledger.text() })
    const next = round < rounds ? ordersOfRound : 0
    const orders: Order[] = Array.from({ length: next }, () => ({ ...texts(), ...more() }))
    const before = open
    await world.struckDuring(ordersOfRound * 6, () =>
      Promise.all([...orders.map(begun), ...before.map(ended)]),
    )
    ledger.judgeRound()
    all.push(...orders)
    open = orders
  }

  for (const { id, update, signal } of all) {
    const output = [id, signal, update].map(Number)
    expect(await world.ask('run', [id])).toEqual({ input: storedOf(id), output })
    expect(await world.ask('account', [`a${id}`])).toEqual([Number(id)])
    expect(await world.ask('value', [id])).toEqual(storedOf(id))
  }
  ledger.judgeEnd()
  // A cast of a turn arrives once at most, and is stored as it was parsed.
  const told = await Promise.all([0, 1, 2].map((at) => world.ask('account', [`all-${at}`])))
  const heard = (told as (number[] | undefined)[]).flatMap((found) => found ?? [])
  const ids = all.map(({ id }) => Number(id))
  expect(heard.filter((id, at) => !ids.includes(id) || heard.indexOf(id) !== at)).toEqual([])
  expect(heard.length).toBeGreaterThan(ids.length / 2)
  if (process.env.KEELSON_TALLY)
    console.log(world.strikes, [...ledger.parsed].filter(([, count]) => count > 1).length)
  await world.close()
}

test(
  `what a schema makes is stored and handled over ${rounds} kills, and nothing acknowledged is parsed again`,
  {
    timeout: (rounds + 1) * 60_000,
  },
  () => rounded([]),
)

test.skipIf(lacks(noFlock))(
  `so it is at three members, of which one is killed, ${rounds} times`,
  { timeout: (rounds + 1) * 60_000 },
  () => rounded(['a', 'b', 'c']),
)
