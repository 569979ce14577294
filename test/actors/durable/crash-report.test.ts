/** The crash report of a durable actor shows the user's state, as its formatStatus shows it. */

import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import {
  type CrashFacts,
  call,
  createSystem,
  type DurableServer,
  entity,
  jsonLogger,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { streamText } from '../../support/stream-text.ts'
import { machine, simulated } from '../../support/worlds/simulated-instance.ts'

type Card = { readonly owner: string; readonly number: string }
type Messages = { calls: { charge: (cents: number) => void; sign: (owner: string) => void } }

const card: DurableServer<Messages, Card> = {
  init: () => ok({ owner: 'ada', number: '4111' }),
  calls: {
    charge: () => {
      throw new Error('refused')
    },
    sign: (state, owner) => reply(undefined, { ...state, owner }),
  },
}

const crashOf = async (server: DurableServer<Messages, Card>): Promise<CrashFacts | undefined> => {
  const cards = entity('card', server)
  const s = await simulated({ app: supervisor('app', {}, [cards]) })
  const { app } = s
  const crashes: CrashFacts[] = []
  app.system.events.on('process.crashed', (crash) => crashes.push(crash))
  const ref = app.entity(cards).ref('1')
  await s.during(call(ref, 'sign', 'grace'))
  await s.during(call(ref, 'charge', 5).catch(() => undefined))
  return crashes[0]
}

test('without formatStatus it shows the state and the last message', async () => {
  expect(await crashOf(card)).toMatchObject({
    state: { owner: 'grace', number: '4111' },
    lastMessage: { what: 'call charge', payload: 5 },
    reason: new Error('refused'),
  })
})

test('with formatStatus it shows what that returns', async () => {
  const crash = await crashOf({ ...card, formatStatus: ({ state }) => ({ state: state?.owner }) })
  expect(crash).toMatchObject({ state: 'grace', lastMessage: undefined })
})

test('the line of a step that failed has its error as formatStatus shows it', async () => {
  type Steps = { calls: { charge: () => void }; continues: { bank: () => void } }
  const server: DurableServer<Steps, number> = {
    init: () => 1,
    calls: { charge: (state) => reply(undefined, state, { continue: ['bank'] }) },
    continues: {
      bank: () => {
        throw Object.assign(new Error('refused'), { number: '4111' })
      },
    },
    formatStatus: ({ lastMessage }) => ({
      state: 'hidden',
      reason: `hidden in ${lastMessage?.what}`,
    }),
  }
  const world = machine()
  const stream = new PassThrough()
  const cards = entity('card', server)
  const app = await world.start({
    app: supervisor('app', {}, [cards]),
    system: createSystem({ clock: world.clock, logger: jsonLogger({ stream }) }),
  })
  await world.during(call(app.entity(cards).ref('1'), 'charge'))
  await world.clock.advance(10)
  await world.during(app.close())

  const log = streamText(stream)
  expect(log).toMatch(/continue bank failed at try 1, .*: hidden in continue bank/)
  expect(log).not.toContain('4111')
})
