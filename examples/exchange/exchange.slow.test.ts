/** The exchange on a disk that loses its power, over a log that ends, and in a process that is killed. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { call, type Name, name, supervisor, WalWriter, worker } from 'keelson'
import { startSimulated } from 'keelson/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { seedsOf, thorough } from '../../test/support/tier.ts'
import { audit } from './audit.ts'
import { live } from './day.ts'
import { exchange, type Messages } from './exchange.ts'
import { type Answer, type Command, Market } from './matching.ts'
import { commandsOf, writeOrders } from './order-file.ts'

/** The market after these commands, and its answers, without a journal. */
const played = (commands: Iterable<Command>) => {
  const market = new Market()
  const outcomes = Array.from(commands, (command) => market.take(command))
  return {
    snapshot: market.snapshot(),
    answers: outcomes.map(({ answer }) => answer),
    trades: outcomes.flatMap(({ trades }) => trades),
  }
}

/** An exchange on a simulated disk, and a client that sends it a day, many commands in flight. */
const open = async (seed: number) => {
  const app = supervisor('app', {}, [worker('exchange', exchange, { arg: { saveEvery: 50 } })])
  const simulation = await startSimulated({ seed, app, syncMs: 3 })
  onTestFinished(() => simulation.close())
  const commands = [...commandsOf(seed, 400)]
  const answers: Answer[] = []
  const ref = () => simulation.app.system.to(name('exchange') as Name<Messages>)
  const look = () => simulation.during(call(ref(), 'snapshot'))
  /** Sends 16 commands each ms behind those that the exchange has. */
  const send = async (ms = Number.POSITIVE_INFINITY) => {
    let { taken } = await look()
    for (let at = 0; at < ms && taken < commands.length; at++) {
      for (const command of commands.slice(taken, taken + 16)) {
        const number = ++taken
        call(ref(), 'take', { number, command }).then(
          (answer) => {
            answers[number - 1] = answer
          },
          () => {},
        )
      }
      await simulation.advance(1)
    }
  }
  return { simulation, commands, answers, look, send }
}

describe('an exchange', () => {
  test.each(seedsOf(2, 200))(
    'has each command that it answered before a power cut (seed %i)',
    async (seed) => {
      const { simulation, commands, answers, look, send } = await open(seed)
      await send(6 + (seed % 11))
      const answered = answers.length
      await simulation.powerCut()

      await simulation.start()
      const { taken, ...books } = await look()
      expect(answered).toBeGreaterThan(0)
      expect(taken).toBeGreaterThanOrEqual(answered)
      expect({ taken, ...books }).toEqual(played(commands.slice(0, taken)).snapshot)

      await send()
      await simulation.advance(100)
      const whole = played(commands)
      expect(await look()).toEqual(whole.snapshot)
      expect(answers.map((_, at) => whole.answers[at])).toEqual(answers)
    },
  )

  test('goes on when the writer of its log is killed: each command gets its true answer', async () => {
    const { simulation, commands, answers, look, send } = await open(1)
    await send(8)
    simulation.app.system.kill(WalWriter.name(0))
    await simulation.advance(1_000)
    expect(simulation.log.messages('warn').join()).not.toContain('exchange was restarted')

    simulation.app.system.kill(name('exchange') as Name)
    await simulation.advance(1_000)
    expect(simulation.log.messages('warn').join()).toContain('exchange was restarted')

    await send()
    await simulation.advance(100)
    const whole = played(commands)
    expect(await look()).toEqual(whole.snapshot)
    expect(answers.map((_, at) => whole.answers[at])).toEqual(answers)
  })
})

/** The orders of a day with a kill. */
const orderCount = thorough(300, 2_000)

test(`a day of ${orderCount} orders ends as it must, with a kill on the way`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-exchange-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const [dir = '', orders = '', tape = ''] = ['data', 'orders', 'tape'].map((each) =>
    join(folder, each),
  )
  await writeOrders(orders, 3, orderCount)
  const evening = await live({ dir, orders, tape, kills: [orderCount / 2], progress: () => {} })
  const whole = played(commandsOf(3, orderCount))
  expect(evening.snapshot).toEqual(whole.snapshot)
  for (const [number, answer] of evening.answers)
    expect(answer).toBe(JSON.stringify(whole.answers[number - 1]))
  expect(readFileSync(tape, 'utf8')).toBe(
    whole.trades.map((trade) => `${JSON.stringify(trade)}\n`).join(''),
  )
  expect(await audit(dir, evening)).toMatchObject({
    digest: { entries: orderCount + 100 },
    faults: [],
  })
})
