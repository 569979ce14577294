/** Waits for an abort signal: any number share one listener, and a listener that throws ends no program. */
import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { AbortWaits, guardListeners } from '../../../src/runtime/process/abort-waits.ts'

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

test('waits share one listener, which goes with the last of them', () => {
  const waits = new AbortWaits()
  const { signal } = new AbortController()
  const cancels = [1, 2, 3].map(() => waits.add(signal, () => undefined))
  expect(listenersOf(signal)).toBe(1)
  for (const cancel of cancels.slice(1)) cancel()
  expect(listenersOf(signal)).toBe(1)
  cancels[0]?.()
  expect(listenersOf(signal)).toBe(0)
  waits.add(signal, () => undefined)
  // A wait that was cancelled before takes nothing from a later one.
  cancels[0]?.()
  expect(listenersOf(signal)).toBe(1)
})

test('each wait is told of the abort once, and one that was cancelled is not', () => {
  const waits = new AbortWaits()
  const controller = new AbortController()
  const told: string[] = []
  for (const name of ['a', 'b']) waits.add(controller.signal, () => told.push(name))
  waits.add(controller.signal, () => told.push('c'))()
  controller.abort()
  controller.abort()
  expect(told).toEqual(['a', 'b'])
  expect(listenersOf(controller.signal)).toBe(0)
})

test('what a listener throws or rejects with goes to the guard', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const failures: unknown[] = []
  guardListeners(signal, (reason) => failures.push(reason))
  const heard: unknown[] = []
  signal.addEventListener('abort', () => {
    throw 'thrown'
  })
  signal.addEventListener('abort', async () => Promise.reject('rejected'))
  const object = {
    name: 'object',
    handleEvent(event: Event) {
      heard.push([this.name, event.type])
    },
  }
  signal.addEventListener('abort', object)
  signal.addEventListener('abort', function (this: AbortSignal) {
    heard.push(this === signal)
  })
  const gone = () => heard.push('gone')
  signal.addEventListener('abort', gone)
  signal.removeEventListener('abort', gone)
  signal.removeEventListener('abort', null as never)
  controller.abort()
  await new Promise((resolve) => setImmediate(resolve))
  expect(failures).toEqual(['thrown', 'rejected'])
  expect(heard).toEqual([['object', 'abort'], true])
})

test('an object is asked for its handler at the abort; without one that is its failure', () => {
  const controller = new AbortController()
  const failures: unknown[] = []
  guardListeners(controller.signal, (reason) => failures.push(reason))
  const heard: string[] = []
  const late: { handleEvent?: () => void } = {}
  for (const listener of [late, {}]) controller.signal.addEventListener('abort', listener as never)
  late.handleEvent = () => void heard.push('late')
  controller.abort()
  expect([heard, failures]).toEqual([['late'], [expect.any(TypeError)]])
})

test('a value that can be no listener is refused by Node', () => {
  const { signal } = new AbortController()
  guardListeners(signal, () => undefined)
  expect(() => signal.addEventListener('abort', 5 as never)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
  )
})

test('a guarded listener is one, however often it is added', () => {
  const controller = new AbortController()
  const { signal } = controller
  guardListeners(signal, () => undefined)
  let calls = 0
  const listener = () => void calls++
  for (let time = 0; time < 3; time++) signal.addEventListener('abort', listener)
  controller.abort()
  expect(calls).toBe(1)
})
