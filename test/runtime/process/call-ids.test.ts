/** The id and the position of a call: what a durable process is asked, and what it may be asked. */
import { describe, expect, test } from 'vitest'
import { call, type GenServer, reply, stop } from '../../../src/runtime/index.ts'
import { direct } from '../../../src/runtime/process/outputs.ts'
import type { PendingCall } from '../../../src/runtime/process/pending-call.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'

/** A process whose answers have position 7, and the calls that it was asked. */
const durable = async () => {
  const { system } = testSystem()
  const echo = await system.start(Echo.server)
  const asked: PendingCall[] = []
  const process = addressOf<Process>(echo).process as Process
  process.outputs = {
    ...direct,
    isDurable: true,
    answering: (pending) => {
      asked.push(pending)
      pending.position = { shard: 0, lsn: 7 }
      return pending
    },
  }
  return { echo, asked }
}

describe('a durable process', () => {
  test.each(['a', 'ä'.repeat(128), 'a b\n'])(
    'is asked with an id of 1 to 256 bytes',
    async (id) => {
      const { echo, asked } = await durable()
      expect(await call(echo, 'echo', 1, { id })).toBe(1)
      expect(asked.map((each) => [each.id, each.asksPosition])).toEqual([[id, false]])
    },
  )

  test('answers with its position if the call asks for it, and plainly if not', async () => {
    const { echo } = await durable()
    const answers = [
      await call(echo, 'echo', 1, { position: true }),
      await call(echo, 'echo', 1, { position: false }),
      await call(echo, 'echo', 1),
    ]
    expect(answers).toEqual([{ value: 1, position: { shard: 0, lsn: 7 } }, 1, 1])
  })
})

test.each([
  ['an id', { id: 'a' }],
  ['its position', { position: true }],
])(
  'a process that is not durable refuses a call with %s, and any other is answered',
  async (_, options) => {
    const { system } = testSystem()
    const echo = await system.start(Echo.server)
    await expect(call(echo, 'echo', 1, options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await call(echo, 'echo', 1, { position: false })).toBe(1)
  },
)

test('a call that is refused so leaves the timeout of the server as it was', async () => {
  const { system, advance } = testSystem()
  const idle: GenServer<{ calls: { wait: () => void } }, null> = {
    init: () => null,
    calls: { wait: (state) => reply(undefined, state, { timeoutMs: 100 }) },
    timeout: (state) => stop('idle', state),
  }
  const ref = await system.start(idle)
  const ends: unknown[] = []
  system.monitor(ref, (reason) => ends.push(reason))
  await call(ref, 'wait')

  await expect(call(ref, 'wait', undefined, { id: 'a' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
  await advance(100)

  expect(ends).toEqual(['idle'])
})
