/** `handlerTimeoutMs` of servers in threads, on the built package: real threads, virtual time here. */
import { call, cast, type Ref, type ThreadServerOptions, threadServer } from 'keelson'
import { outcome, testSystem } from 'keelson/testing'
import { expect, onTestFinished, test } from 'vitest'

type Counter = {
  calls: { heard: () => unknown[]; spin: (flag: Int32Array) => string; never: () => void }
  casts: { hold: (flag: Int32Array) => void; spin: (flag: Int32Array) => void }
}

const module = new URL('../../support/programs/thread-counter.mjs', import.meta.url)

const counter = async (handlerTimeoutMs: number, options: ThreadServerOptions = {}) => {
  const stage = testSystem()
  onTestFinished(() => stage.close())
  const server = threadServer<Counter>(module, options)
  const ref: Ref<Counter> = await stage.system.start(server, undefined, { handlerTimeoutMs })
  const ended = new Promise((resolve) => void stage.system.monitor(ref, resolve))
  return { ...stage, ref, end: ended }
}

/** A flag that lets a handler go on, the handler's sign that it runs, and that its thread answered a ping. */
const flag = (): Int32Array => new Int32Array(new SharedArrayBuffer(12))

const begun = async (free: Int32Array): Promise<void> => {
  await atomics.waitAsync(free, 1, 0).value
}

/**
 * The thread may begin the handler before it has the ping, which follows the message. After its answer the
 * process knows that it runs, once the loop here has polled again.
 */
const answered = async (free: Int32Array): Promise<void> => {
  await atomics.waitAsync(free, 2, 0).value
  await new Promise(setImmediate)
  await new Promise(setImmediate)
}

/** Node has it; the types of this target do not. */
const atomics = Atomics as unknown as {
  waitAsync(flag: Int32Array, index: number, value: number): { value: Promise<string> | string }
}

const timeout = (details: object) => ({ code: 'TIMEOUT', details })

test('a handler in a thread that never returns ends the thread', async () => {
  const { ref, advance, end } = await counter(100)
  const free = flag()
  const spins = call(ref, 'spin', free).catch((error) => error.code)
  await begun(free)
  await advance(200)
  expect(await end).toMatchObject(timeout({ reason: 'handler_timeout', timeoutMs: 100 }))
  expect(await spins).toBe('EXITED')
})

test('a handler in a thread whose promise never settles ends it, and is named', {
  tags: ['slow'],
}, async () => {
  const { ref, end } = await counter(20)
  cast(ref, 'hold', flag())
  expect(await end).toMatchObject(timeout({ reason: 'handler_timeout', message: 'cast hold' }))
})

test('the wait for room in a thread is no handler', async () => {
  const { ref, advance, system } = await counter(60_000, { inFlightMax: 1 })
  const free = flag()
  cast(ref, 'hold', free)
  await begun(free)
  await answered(free)
  const heard = outcome(call(ref, 'heard', undefined, { timeoutMs: Number.POSITIVE_INFINITY }))
  // The process here waits as long as the limit. In the thread no time has passed.
  await advance(60_000)
  expect(system.info(ref)?.status).toBeDefined()
  Atomics.store(free, 0, 1)
  Atomics.notify(free, 0)
  expect(await heard).toEqual({ ok: true, value: [] })
})

test('handlers that keep a thread one after another are no hang', { tags: ['slow'] }, async () => {
  const { ref, advance } = await counter(100)
  const flags = [flag(), flag(), flag()]
  for (const free of flags) cast(ref, 'spin', free)
  for (const free of flags) {
    await begun(free)
    await advance(60)
    Atomics.store(free, 0, 1)
  }
  expect(await call(ref, 'heard')).toEqual([])
})
