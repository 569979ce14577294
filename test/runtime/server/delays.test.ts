import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type BareContext,
  call,
  cast,
  type GenServer,
  noReply,
  ok,
  reply,
  type Then,
} from '../../../src/runtime/index.ts'
import { TimerHeap } from '../../../src/runtime/queues/timer-heap.ts'
import { testSystem, virtualClock } from '../../../src/testing/index.ts'
import * as Echo from './echo.ts'

/** What JavaScript lets through where TypeScript asks for a number. */
const noDelays = ['5s', {}, Number.NaN, Number.NEGATIVE_INFINITY, true, 5n] as unknown as number[]

const codeOf = (error: unknown): unknown => (isKeelsonError(error) ? error.code : error)

const codeOfThrow = (action: () => unknown): unknown => {
  try {
    return action()
  } catch (error) {
    return codeOf(error)
  }
}

describe.each(noDelays)('%s as a time', (wrong) => {
  test('of a call is refused, and nothing is sent', async () => {
    const { system, clock } = testSystem()
    const echo = await system.start(Echo.server)

    const refused = call(echo, 'echo', 1, { timeoutMs: wrong }).catch(codeOf)
    expect(system.info(echo)?.mailbox).toBe(0)
    expect(await refused).toBe('INVALID_ARGUMENT')

    const late = call(echo, 'keep', 'a', { timeoutMs: 50 }).catch(codeOf)
    await clock.advance(50)
    expect(await late).toBe('TIMEOUT')
  })

  test('of a timer, of receive and of a start is refused, and timers go on', async () => {
    const { system, clock } = testSystem()
    const codes: unknown[] = []
    let isAwake: unknown
    system.spawn(async (context: BareContext<{ infos: { wake: () => void } }>) => {
      codes.push(codeOfThrow(() => context.sendAfter(wrong, 'wake')))
      codes.push(codeOfThrow(() => context.startTimer(wrong, 'wake' as never)))
      codes.push(await context.receive(wrong).catch(codeOf))
      codes.push(await system.start(Echo.server, undefined, { timeoutMs: wrong }).catch(codeOf))
      context.sendAfter(50, 'wake')
      isAwake = await context.receive()
    })
    await clock.advance(50)

    expect(codes).toEqual(Array(4).fill('INVALID_ARGUMENT'))
    expect(isAwake).toMatchObject({ name: 'wake' })
  })

  test('of a handler\u2019s timeout is a bad return, and the call is not answered', async () => {
    const { system } = testSystem()
    const echo = await system.start(answering({ timeoutMs: wrong }))

    await expect(call(echo, 'ask')).rejects.toMatchObject({
      code: 'EXITED',
      details: { reason: ['bad_return_value', expect.objectContaining({ kind: 'reply' })] },
    })
  })

  test('never enters the heap', () => {
    const heap = new TimerHeap(virtualClock(), () => {})
    const entry = { dueAt: 0, order: 0, slot: -1, fire: () => {} }

    expect(codeOfThrow(() => heap.add(entry, wrong))).toBe('INVALID_ARGUMENT')
    expect([heap.size, entry.slot]).toEqual([0, -1])
  })
})

describe('what a handler wants done next', () => {
  test.each([null, 5_000, 'hibernate', { continue: 5 }, { timeoutMs: null }])(
    'when it is %j, is a bad return',
    async (wrong) => {
      const { system, clock } = testSystem()
      const then = wrong as Then
      const begun = await system.startResult(answering(undefined, then))
      expect(begun).toMatchObject({ ok: false, reason: ['bad_return_value', expect.anything()] })

      const ref = await system.start(answering(then))
      const reasons: unknown[] = []
      system.monitor(ref, (reason) => reasons.push(reason))
      cast(ref, 'tell')
      await clock.settle()
      expect(reasons).toMatchObject([['bad_return_value', expect.anything()]])
    },
  )
})

type Messages = { calls: { ask: () => number }; casts: { tell: () => void } }

/** A server whose handlers ask for `then`, and its `init` for `first`. */
const answering = (then: Then | undefined, first?: Then): GenServer<Messages, undefined> => ({
  init: () => ok(undefined, first),
  calls: { ask: (state) => reply(1, state, then) },
  casts: { tell: (state) => noReply(state, then) },
})
