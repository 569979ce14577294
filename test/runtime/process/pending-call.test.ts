/** The calls that a process has to answer. */
import { beforeEach, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { CallList, PendingCall } from '../../../src/runtime/process/pending-call.ts'
import { kinds } from '../../../src/runtime/words/envelope.ts'
import { End } from '../../../src/runtime/words/exit-reason.ts'

/** The reasons that are logged. */
const logged: unknown[] = []
beforeEach(() => void logged.splice(0))

const logger = { error: (_: string, { reason }: { reason?: unknown } = {}) => logged.push(reason) }
const target = { title: 'target', kernel: { logger } } as never

const pending = (name: string): PendingCall =>
  new PendingCall(kinds.call, name, undefined, undefined, target, undefined as never)

const namesIn = (list: CallList): string[] => {
  const names: string[] = []
  // A list that does not end is as wrong as one with a call too many.
  for (let call = list.first; call && names.length < 9; call = call.after) names.push(call.name)
  return names
}

test('a settled call is owed to nobody', () => {
  const list = new CallList()
  const call = pending('a')
  call.reply(1)

  list.add(call)

  expect(namesIn(list)).toEqual([])
})

test('a call that gets another holder is owed by the first one no longer', () => {
  const [first, second] = [new CallList(), new CallList()]
  const calls = ['a', 'b', 'c'].map(pending)
  for (const call of calls) first.add(call)

  second.add(calls[1] as PendingCall)
  second.add(calls[1] as PendingCall)

  expect([namesIn(first), namesIn(second)]).toEqual([['c', 'a'], ['b']])
})

test('a list is empty when its calls are taken, whether they settle or not', () => {
  const list = new CallList()
  for (const name of ['a', 'b', 'c']) list.add(pending(name))

  const taken = list.takeAll()

  expect(taken.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  expect(namesIn(list)).toEqual([])
  expect(list.takeAll()).toEqual([])
})

test('a call that has settled is settled by nothing else', async () => {
  const removed: unknown[] = []
  const timers = { remove: (call: unknown) => removed.push(call) } as never
  const results: unknown[] = []
  const call = new PendingCall(kinds.call, 'a', undefined, undefined, target, timers)
  call.onResult = (failure) => results.push(failure)
  call.reply(1)
  call.fire()
  call.makerEnded(new End('late'))
  call.holderEnded(new End('late'), undefined)

  expect([call.reply(2), call.fail(new Error('late')), await call.promise]).toEqual([
    false,
    false,
    1,
  ])
  expect([results, removed]).toEqual([[undefined], []])
})

test('a failure is announced with its error', async () => {
  const results: unknown[] = []
  const call = pending('a')
  call.onResult = (failure) => results.push(failure)
  const error = new Error('no')
  call.fail(error)

  await expect(call.promise).rejects.toBe(error)
  expect(results).toEqual([{ error }])
})

test('a call whose answer is on its way is owed by nobody, however often it is released', () => {
  const list = new CallList()
  const calls = ['a', 'b', 'c'].map(pending)
  for (const call of calls) list.add(call)
  for (const _ of [1, 2]) calls[1]?.release(() => new KeelsonError('UNKNOWN_OUTCOME', 'late'))
  expect(namesIn(list)).toEqual(['c', 'a'])
})

test('all that wait for the outcome of a call get it, once', () => {
  const call = pending('a')
  const told: string[] = []
  for (const name of ['first', 'second']) call.onceSettled(() => told.push(name))
  expect(told).toEqual([])
  call.reply(1)
  call.reply(2)
  expect(told).toEqual(['first', 'second'])
})

/** A call of each way to settle, and how it settles. */
const ends: Readonly<Record<string, (call: PendingCall) => unknown>> = {
  'an answer': (call) => call.reply(1),
  'a failure': (call) => call.fail(new Error('no')),
  'the end of its time': (call) => call.fire(),
  'the end of its caller': (call) => call.makerEnded(new End('over')),
  'the end of its holder': (call) => call.holderEnded(new End('over'), undefined),
}

test.each(Object.keys(ends))('%s settles a call, whatever its listeners throw', async (how) => {
  const call = pending('a')
  const overflow = (): number => overflow() + 1
  const told: string[] = []
  call.onceSettled(() => {
    throw new Error('a bug')
  })
  call.onceSettled(() => void overflow())
  call.onceSettled(() => told.push('last'))
  call.onResult = () => {
    throw new Error('another one')
  }
  ends[how]?.(call)
  const outcome = await call.promise.then(
    () => 'answered',
    () => 'failed',
  )

  expect([call.isSettled, outcome]).toEqual([true, how === 'an answer' ? 'answered' : 'failed'])
  expect(told).toEqual(['last'])
  expect(logged.map((reason) => (reason as Error).constructor.name)).toEqual([
    ...['Error', 'RangeError', 'Error'],
  ])
})

test('a call that goes a new way a hundred thousand times has the listener of the last one', async () => {
  const call = pending('a')
  const told: number[] = []
  let unlisten = (): void => undefined
  for (let way = 1; way <= 100_000; way++) {
    unlisten()
    unlisten = call.onceSettled(() => told.push(way))
  }
  call.reply('an answer')

  expect([await call.promise, told]).toEqual(['an answer', [100_000]])
})
