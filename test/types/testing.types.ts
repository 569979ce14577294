/** Compiled, never run: what the testing kit knows of an actor's messages, and what it refuses. */
import { call, cast, type From, type Received, type Ref, send } from '../../src/runtime/index.ts'
import { inManyOrders, outcome, type Probe, testSystem } from '../../src/testing/index.ts'

type Listener = {
  calls: { ask: (question: string) => number }
  casts: { done: (count: number) => void; failed: (error: Error) => void }
  infos: { tick: () => void }
}

const { system, probe, ended } = testSystem({ seed: 1 })

export const uses = async (): Promise<void> => {
  const listener: Probe<Listener> = probe<Listener>({ label: 'listener' })
  const ref: Ref<Listener> = listener.ref
  cast(ref, 'done', 1)
  send(ref, 'tick')
  const message = await listener.next({ withinMs: 10 })
  if (message.kind === 'call') {
    const from: From<number> = message.from
    const question: string = message.payload
    from.reply(question.length)
  } else if (message.kind === 'cast' && message.name === 'failed') {
    const error: Error = message.payload
    void error
  } else if (message.kind === 'exit' || message.kind === 'down') void message.reason
  const any: Received = await probe().next()
  const pid: number | undefined = await listener.act((context) => context.self.pid)
  const asked = await outcome(call(ref, 'ask', 'how many?'))
  const count: number = asked.ok ? asked.value : 0
  await inManyOrders(10, async (world, seed: number) => world.advance(seed))
  await ended(ref, { withinMs: 5 })
  void [any, pid, count]
}

export const misuses = async (): Promise<void> => {
  const listener = probe<Listener>()
  // @ts-expect-error: no such message
  cast(listener.ref, 'over')
  const message = await listener.next()
  // @ts-expect-error: nothing has such a kind
  if (message.kind === 'reply') return
  // @ts-expect-error: no cast has that name
  if (message.kind === 'cast' && message.name === 'tick') return
  // @ts-expect-error: a call is answered with a number
  if (message.kind === 'call') message.from.reply('seven')
  // @ts-expect-error: of a cast nobody waits for an answer
  if (message.kind === 'cast') message.from.reply(7)
  // @ts-expect-error: the clock of a test system is its own
  testSystem({ clock: system.clock })
  // @ts-expect-error: an outcome must be looked at before its value
  const count: number = (await outcome(call(listener.ref, 'ask', 'how many?'))).value
  void count
}
