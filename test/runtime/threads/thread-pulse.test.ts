/** The watch over the handlers of a thread, against a thread that the test plays. */
import { EventEmitter } from 'node:events'
import { expect, onTestFinished, test, vi } from 'vitest'
import { call } from '../../../src/runtime/index.ts'
import type { PendingCall } from '../../../src/runtime/process/pending-call.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { noReply } from '../../../src/runtime/server/next-step.ts'
import type { HostPort } from '../../../src/runtime/threads/thread-door.ts'
import { ThreadLink } from '../../../src/runtime/threads/thread-link.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'

/** A link whose handlers may take 100 ms; `late` lets them, and what then looks is held back. */
const linked = async () => {
  const { system, clock, advance, settle, close } = testSystem()
  onTestFinished(close)
  let asked!: PendingCall
  const server = {
    init: () => 0,
    calls: {
      work: (state: number, _: unknown, { from }: { readonly from: unknown }) => {
        asked = from as PendingCall
        return noReply(state)
      },
    },
  }
  const ref = await system.start(server as never, undefined, { handlerTimeoutMs: 100 })
  const process = addressOf<Process>(ref).process as Process
  const port = Object.assign(new EventEmitter(), {
    ...{ postMessage: vi.fn(), ref: vi.fn(), unref: vi.fn(), terminate: async () => 0 },
  })
  const plan = { module: 'played', inFlightMax: 64, transfer: () => [] }
  const link = new ThreadLink(process, port as unknown as HostPort, plan)
  const thread = (keelson: object): void => void port.emit('message', { keelson })
  void link.start(undefined)
  thread({ kind: 'started', pid: 1, formats: false })
  const late = async (): Promise<() => void> => {
    const held: (() => void)[] = []
    const soon = vi.spyOn(clock, 'soon').mockImplementation((action) => void held.push(action))
    await advance(100)
    soon.mockRestore()
    return () => {
      for (const action of held) action()
    }
  }
  const send = (): void => void link.send({ kind: 'cast', ...message })
  /** A call that the process has taken; `outcome` is its error. */
  const caller = async (timeoutMs: number) => {
    const outcome = call(ref as never, 'work' as never, undefined as never, { timeoutMs }).catch(
      ({ code }) => code,
    )
    await settle()
    return { asked, outcome, pass: () => void link.send({ kind: 'call', ...message }, asked) }
  }
  return { system, ref, link, port, process, thread, send, caller, late, advance, settle }
}

const message = { name: 'work', payload: undefined }

test.each([
  ['has not answered its first ping', []],
  ['answers its first ping late', [{ kind: 'pong' }]],
])('a thread that ends its work late, begins anew and %s is no hang', async (_, next) => {
  const { process, thread, send, late, advance, settle } = await linked()
  send()
  const look = await late()

  thread({ kind: 'handled', count: 1 })
  send()
  for (const message of next) thread(message)
  look()
  await settle()
  expect([process.alive, process.kernel.timers.size]).toEqual([true, 1])

  thread({ kind: 'handled', count: 1 })
  await settle()
  expect(process.kernel.timers.size).toBe(0)

  send()
  thread({ kind: 'pong' })
  await advance(100)
  expect([process.alive, process.kernel.timers.size]).toEqual([true, 1])
})

test('a thread that neither answers nor begins a handler is a hang', async () => {
  const { process, send, late } = await linked()
  send()
  const look = await late()
  expect(process.alive).toBe(true)

  look()
  expect(process.reason).toMatchObject({ code: 'TIMEOUT', details: { timeoutMs: 100 } })
})

test('the end of a thread leaves no timer, whatever was under way', async () => {
  const { system, ref, link, thread, process, caller, settle } = await linked()
  const { pass, outcome } = await caller(1_000)
  pass()
  expect(process.kernel.timers.size).toBe(2)

  void link.terminate()
  thread({ kind: 'pong' })
  system.kill(ref)
  await settle()
  expect([await outcome, process.kernel.timers.size]).toEqual(['EXITED', 0])
})

test('a call that was given up before the thread got it does not keep Node alive', async () => {
  const { port, thread, process, caller, advance } = await linked()
  const { pass, outcome } = await caller(10)
  await advance(10)
  expect(await outcome).toBe('TIMEOUT')

  pass()
  thread({ kind: 'handled', count: 1 })
  const [lastRef = 0, lastUnref = 0] = [port.ref, port.unref].map(({ mock }) =>
    mock.invocationCallOrder.at(-1),
  )
  expect([lastUnref > lastRef, process.kernel.timers.size]).toEqual([true, 0])
})
