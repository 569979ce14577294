/** Bare processes. Every `sleep` here is on a virtual clock. */
import { expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { type BareContext, call, send } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

const codeOf = (error: unknown): unknown => (isKeelsonError(error) ? error.code : error)

type Told = { infos: { tell: (what: string) => void } }

test.each([
  ['receive', (context: BareContext) => context.receive()],
  ['receive with a time', (context: BareContext) => context.receive(5_000)],
  ['sleep', (context: BareContext) => context.sleep(5_000)],
])('a bare process that is killed in %s unwinds', async (_, wait) => {
  const { system, clock } = testSystem()
  const seen: unknown[] = []
  const ref = system.spawn(async (context) => {
    // This one is never handled.
    void context.sleep(10_000)
    try {
      await wait(context)
    } catch (error) {
      seen.push(codeOf(error), await context.receive().catch(codeOf))
    } finally {
      seen.push('unwound')
    }
  })
  await clock.settle()

  system.kill(ref)
  await clock.settle()

  expect(seen).toEqual(['EXITED', 'EXITED', 'unwound'])
  expect(clock.untilNext()).toBeUndefined()
})

test('a bare process receives one message at a time, and a second receive is refused', async () => {
  const { system, clock } = testSystem()
  const seen: unknown[] = []
  const ref = system.spawn<Told>(async (context) => {
    const first = context.receive()
    seen.push(await context.receive().catch(codeOf))
    seen.push((await first)?.kind, await context.receive(0))
  })
  await clock.settle()
  send(ref, 'tell', 'a')
  await clock.settle()
  expect(seen).toEqual(['INVALID_ARGUMENT', 'info', undefined])
})

test('a bare process sleeps on the clock of its system, while its messages wait', async () => {
  const { system, clock } = testSystem()
  const seen: unknown[] = []
  const ref = system.spawn<Told>(async (context) => {
    const begun = context.now()
    await context.sleep(100)
    seen.push(context.now() - begun, (await context.receive(0))?.kind)
    seen.push(await context.sleep(Number.NaN).catch(codeOf))
  })
  await clock.settle()
  send(ref, 'tell', 'a')
  await clock.advance(99)
  expect(seen).toEqual([])
  await clock.advance(1)
  expect(seen).toEqual([100, 'info', 'INVALID_ARGUMENT'])
})

test('a bare process receives a message that came at the last instant of its time', async () => {
  const { system, clock } = testSystem()
  const seen: unknown[] = []
  system.spawn<Told>(async (context) => {
    context.sendAfter(100, 'tell', 'a')
    seen.push((await context.receive(100))?.kind, await context.receive(0))
  })
  await clock.settle()
  await clock.advance(100)
  expect(seen).toEqual(['info', undefined])
})

test('a bare process refuses a call with an id, and takes the others', async () => {
  const { system, clock } = testSystem()
  const seen: unknown[] = []
  type Asked = { calls: { ask: (what: string) => string } }
  const ref = system.spawn<Asked>(async (context) => {
    for (;;) {
      const message = await context.receive()
      if (message?.kind !== 'call') return
      seen.push(message.payload)
      message.from.reply('answered')
    }
  })
  await clock.settle()
  const refused = call(ref, 'ask', 'with', { id: 'one' }).catch(codeOf)
  const taken = call(ref, 'ask', 'without')
  await clock.settle()
  expect([await refused, await taken, seen]).toEqual(['INVALID_ARGUMENT', 'answered', ['without']])
})
