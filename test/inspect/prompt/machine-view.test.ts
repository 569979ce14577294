/** The words about state machines: where one is, and events to it. */
import { afterEach, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { entity, type GenServer, supervisor, worker } from '../../../src/index.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { type Simulation, startSimulated } from '../../../src/testing/index.ts'

const ticket = setup({ guards: { isPaid: () => true } }).createMachine({
  id: 'ticket',
  context: { by: 'nobody', token: 'hush' },
  initial: 'free',
  on: { RESET: '.free' },
  states: {
    free: {
      initial: 'new',
      states: { new: { on: { LOOK: 'seen' } }, seen: {} },
      on: { TAKE: { target: 'taken', actions: assign({ by: ({ event }) => event.by }) } },
    },
    taken: {
      on: { CLOSE: { guard: 'isPaid', target: 'closed' }, NOTE: {} },
      after: { 60000: 'free' },
    },
    closed: { type: 'final' },
  },
})

const plain: GenServer<object, number> = { init: () => 0 }

let s: Simulation
afterEach(() => s.close())

const session = async () => {
  const children = [
    worker('desk', StateMachine.server(ticket), { name: 'desk' as never, restart: 'temporary' }),
    worker('plain', plain, { name: 'plain' as never }),
    entity('ticket', StateMachine.durable(ticket)),
  ]
  s = await startSimulated({ app: supervisor('app', {}, children) })
  const words = promptWords(s.app, plainPaint) as Record<string, (...given: unknown[]) => unknown>
  return async (word: string, ...given: unknown[]): Promise<string> =>
    String(await s.during(Promise.resolve(words[word]?.(...given)))).replace(/<\d+>/, '<p>')
}

const rows = [
  '   state   event           to',
  '   (any)   RESET           free',
  '*  free    TAKE            taken',
  '*    new   LOOK            free.seen',
  '     seen',
  '   taken   CLOSE [isPaid]  closed',
  '           NOTE            stays',
  '           after 60000 ms  free',
  '   closed  (final)',
]

test('machine(p) shows the states with their transitions, and marks where it is', async () => {
  const ask = await session()

  expect((await ask('machine', 'desk')).split('\n')).toEqual([
    "machine ticket of desk <p>: { free: 'new' }",
    ...rows,
    "context  { by: 'nobody', token: '[hidden string of 4]' }",
  ])
})

test('event(p, event) sends it, and says where the machine was and is', {
  tags: ['O5'],
}, async () => {
  const ask = await session()

  for (const machine of ['desk', 'ticket/7']) {
    const from = machine === 'desk' ? "{ free: 'new' }" : 'not begun'
    expect(await ask('event', machine, 'NOTE')).toMatch(/: .*free: 'new' \}/)
    expect(await ask('event', machine, { type: 'TAKE', by: 'ann' })).toContain(' → taken')
    expect(await ask('event', machine, 'NOTE'), from).toBe(`${machine} <p>: taken, as before`)
    expect(await ask('machine', machine)).toMatch(/\n\* {2}taken .*context {2}\{ by: 'ann'/s)
    await ask('suspend', machine)
    expect(await ask('event', machine, 'RESET')).toBe(
      `${machine} <p> is suspended; the event waits`,
    )
    expect(await ask('mailbox', machine)).toMatch(/\ncast event {2}\{ type: 'RESET' \}$/)
    await ask('resume', machine)
  }
  await ask('event', 'desk', 'TAKE')
  expect(await ask('event', 'desk', 'CLOSE')).toBe('desk <p>: taken → ended')
})

test('a machine at rest is shown as its rows say, and not woken', { tags: ['O4'] }, async () => {
  const ask = await session()
  const ref = s.app.entity('ticket').ref('7')

  expect(await ask('machine', 'ticket/7')).toMatch(
    /^machine ticket of ticket\/7, at rest: not begun\n/,
  )
  await ask('event', 'ticket/7', { type: 'TAKE', by: 'ann' })
  await s.during(s.app.entity('ticket').stop('7'))
  expect(await ask('machine', 'ticket/7')).toMatch(
    /^machine ticket of ticket\/7, at rest: taken\n.*\n\* {2}taken .*by: 'ann'/s,
  )
  expect(ref.pid).toBe(undefined)
})

test('an event that no state handles, and a process that is no machine, are refused at once', async () => {
  const ask = await session()

  for (const wrong of ['TEAR', {}, 7, undefined])
    await expect(ask('event', 'desk', wrong)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(ask('event', 'desk', 'TEAR')).rejects.toMatchObject({
    details: { expected: 'RESET, TAKE, LOOK, CLOSE, NOTE' },
  })
  for (const word of ['event', 'machine'])
    await expect(ask(word, 'plain', 'TAKE')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(ask('send', 'desk', 'event', { type: 'TAKE' })).rejects.toMatchObject({
    details: { expected: 'none; event(p, event) sends it an event' },
  })
})
