/** Writes to a shard elsewhere that its owner refuses: which are sent again, and when. */
import { expect, test } from 'vitest'
import { type SentWrite, WriteOrder } from '../../../src/members/routing/write-order.ts'
import { testGate } from '../../support/worlds/test-gate.ts'

/** Writes to a gate; what was decided about those that were refused, in order. */
const writes = () => {
  const { clock, gate } = testGate()
  const order = new WriteOrder(clock, gate)
  const said: string[] = []
  const refuse = async (name: string, write: SentWrite, leftMs = 1_000): Promise<void> => {
    const isNext = await order.refused(write, leftMs)
    said.push(`${name} ${isNext ? 'again' : 'ends'}`)
    if (!isNext) order.end(write, false)
  }
  return { clock, gate, order, said, refuse }
}

test('refused writes are sent again in the order of the calls, not of the refusals', async () => {
  const { clock, order, said, refuse } = writes()
  const [first, second] = [order.begin(), order.begin()]
  void refuse('second', second)
  await clock.advance(500)
  expect(said).toEqual([])
  void refuse('first', first)
  await clock.advance(50)
  expect(said).toEqual(['first again', 'second again'])
})

test('a refused write is not sent behind a later one that the owner has taken', async () => {
  const { clock, order, said, refuse } = writes()
  const [first, second, third] = [order.begin(), order.begin(), order.begin()]
  void refuse('first', first)
  void refuse('third', third)
  await clock.advance(100)
  order.end(second, true)
  await clock.advance(100)
  expect(said).toEqual(['first ends', 'third again'])
})

test('a write that is refused after a later one was taken is not sent again', async () => {
  const { clock, order, said, refuse } = writes()
  const [first, second] = [order.begin(), order.begin()]
  order.end(second, true)
  void refuse('first', first)
  await clock.advance(100)
  expect(said).toEqual(['first ends'])
  expect(first.isOvertaken).toBe(true)
})

test('one that was never taken, as its time was up, is not overtaken', async () => {
  const { clock, order, said, refuse } = writes()
  const [first] = [order.begin(), order.begin()]
  void refuse('first', first, 80)
  await clock.advance(80)
  expect(said).toEqual(['first ends'])
  expect(first.isOvertaken).toBe(undefined)
})

test('an answer that takes long holds refused writes back for a second', async () => {
  const { clock, gate, order, said, refuse } = writes()
  const [first, , third] = [order.begin(), order.begin(), order.begin()]
  void refuse('first', first, 10_000)
  void refuse('third', third, 10_000)
  await clock.advance(999)
  expect(said).toEqual([])
  await clock.advance(51)
  expect(said).toEqual(['first ends', 'third again'])
  expect(gate.isHeld).toBe(false)
})

test('when the shard moves, later writes wait for the answers of the former owner', async () => {
  const { clock, gate, order, said, refuse } = writes()
  order.moved()
  expect(gate.isHeld).toBe(false)
  const [first, second] = [order.begin(), order.begin()]
  order.moved()
  order.end(first, true)
  expect(gate.isHeld).toBe(true)
  void refuse('second', second)
  await clock.advance(51)
  expect(said).toEqual(['second again'])
  expect(gate.isHeld).toBe(false)
  order.moved()
  order.end(second, true)
  expect(gate.isHeld).toBe(false)
})

test('a former owner that does not answer holds nothing back for ever', async () => {
  const { clock, gate, order } = writes()
  order.begin()
  order.moved()
  await clock.advance(4_999)
  expect(gate.isHeld).toBe(true)
  await clock.advance(1)
  expect(gate.isHeld).toBe(false)
})

test('a later one that was not taken either holds no write back', async () => {
  const { clock, order, said, refuse } = writes()
  const [first, second] = [order.begin(), order.begin()]
  void refuse('first', first)
  order.end(second, false)
  await clock.advance(50)
  expect(said).toEqual(['first again'])
})

test('a refused write ends when its time is up, and the others go on', async () => {
  const { clock, order, said, refuse } = writes()
  const [first, second, third] = [order.begin(), order.begin(), order.begin()]
  void refuse('first', first, 80)
  void refuse('second', second)
  await clock.advance(80)
  expect(said).toEqual(['first ends'])
  void refuse('third', third)
  await clock.advance(50)
  expect(said).toEqual(['first ends', 'second again', 'third again'])
})

test('later writes wait at the gate until the refused ones have been sent again', async () => {
  const { clock, gate, order, said, refuse } = writes()
  const first = order.begin()
  void refuse('first', first)
  const entry = { bytes: 1, commands: 1, whenFull: 'wait', deadlineMs: 1_000 } as const
  gate.enter(
    entry,
    () => void said.push('later'),
    () => void said.push('refused'),
  )
  await clock.advance(24)
  expect(said).toEqual([])
  await clock.advance(2)
  expect(said).toEqual(['first again', 'later'])
})

test('the gate opens when the last refused write has ended', async () => {
  const { clock, gate, order, said, refuse } = writes()
  void refuse('only', order.begin(), 10)
  expect(gate.isHeld).toBe(true)
  await clock.advance(60)
  expect(said).toEqual(['only ends'])
  expect(gate.isHeld).toBe(false)
})
