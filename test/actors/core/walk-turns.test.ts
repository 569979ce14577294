/** The shards of an instance share the turns of their walks, and so the time of their thread. */
import { expect, test, vi } from 'vitest'
import { WalkTurns } from '../../../src/actors/index.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

/** Turns by a clock that moves only by hand. */
const turnsByHand = () => {
  let now = 1_000
  const turns = new WalkTurns({ monotonic: () => now })
  const pass = (ms: number): void => {
    now += ms
  }
  return { turns, pass, walked: (ms: number) => turns.walk(() => pass(ms)) }
}

test('one turn follows another with a pause, whoever takes them', () => {
  const { turns } = turnsByHand()
  expect([turns.take(), turns.take(), turns.take()]).toEqual([0, 25, 50])
})

test('after a rest a turn comes at once', () => {
  const { turns, pass } = turnsByHand()
  turns.take()
  pass(24)
  expect(turns.take()).toBe(1)
  pass(26)
  expect(turns.take()).toBe(0)
})

test('a walk takes a twentieth of the thread at most, and what it has found comes back', () => {
  const { turns, walked, pass } = turnsByHand()
  turns.take()
  walked(10)
  turns.take()
  expect(turns.take()).toBe(15 + 200)
  walked(3_000)
  turns.take()
  expect(turns.take()).toBe(1_000)
  walked(1)
  pass(3_000)
  turns.take()
  expect(turns.take()).toBe(25)
  expect(turns.walk(() => 'found')).toBe('found')
})

test('the expirers of many shards walk one after another', async () => {
  const walks: number[] = []
  let now = (): number => 0
  const spy = vi.spyOn(WalkTurns.prototype, 'walk').mockImplementation((step) => {
    walks.push(now())
    return step()
  })
  try {
    const { clock } = await started({ shards: 16 })
    now = () => clock.monotonic()
    await clock.advance(5_000)
    expect(walks).toHaveLength(16)
    const pauses = walks.slice(1).map((at, index) => at - (walks[index] ?? 0))
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(25)
  } finally {
    spy.mockRestore()
  }
})
