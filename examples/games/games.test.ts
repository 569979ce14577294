/** The rooms on virtual time: one that crashes, all of them after a power cut, and the rules of play. */
import { call, cast } from 'keelson'
import { startSimulated } from 'keelson/testing'
import { expect, onTestFinished, test } from 'vitest'
import { played, roomOf, type State, tickMs, ticksOfCheckpoint, tree } from './games.ts'

const open = async () => {
  const simulation = await startSimulated({ app: tree })
  onTestFinished(() => simulation.close())
  const room = (title: string) => simulation.during(roomOf(simulation.app.system, title))
  const look = async (title: string) => simulation.during(call(await room(title), 'look'))
  /** Has a player in a room run from 0 to the first coin, at 37, and stop there. */
  const win = async (title: string) => {
    await simulation.during(call(await room(title), 'join', 'ada'))
    cast(await room(title), 'steer', { name: 'ada', speed: 37 })
    await simulation.advance(tickMs)
    cast(await room(title), 'steer', { name: 'ada', speed: 0 })
  }
  return { simulation, room, look, win }
}

test('a room that crashes goes on with its points, and other rooms do not notice', async () => {
  const { simulation, room, look, win } = await open()
  await win('red')
  const blue = await room('blue')
  simulation.app.system.kill(await room('red'))
  await simulation.advance(1)

  expect((await look('red')).runners).toMatchObject({ ada: { points: 1 } })
  expect((await look('red')).coin.number).toBe(2)
  expect((await room('blue')).pid).toBe(blue.pid)
})

test('every room is open again after a power cut, at its last checkpoint', async () => {
  const { simulation, look, win } = await open()
  await win('red')
  await win('blue')
  await simulation.advance(ticksOfCheckpoint * tickMs)
  const { ticks } = await look('blue')
  await simulation.powerCut()
  await simulation.start()

  const after = await look('blue')
  expect(ticks - after.ticks).toBeLessThan(ticksOfCheckpoint)
  expect(after.runners).toMatchObject({ ada: { points: 1 } })
  await simulation.advance(tickMs)
  expect((await look('red')).ticks).toBeGreaterThan(0)
})

test.each([
  ['moves within the line', { at: 98, speed: 5, points: 0 }, { at: 99, speed: 5, points: 0 }, 1],
  ['gets a point at the coin', { at: 36, speed: 1, points: 4 }, { at: 37, speed: 1, points: 5 }, 2],
])('a player %s', (_, before, after, coin) => {
  const state: State = {
    ...{ title: 'red', ticks: 0 },
    ...{ coin: { number: 1, at: 37 }, runners: { ada: before } },
  }
  const next = played(state)
  expect([next.runners.ada, next.coin.number]).toEqual([after, coin])
})
