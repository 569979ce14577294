/**
 * Every order of events that a few turns of one actor can meet: handlers that end, throw and read
 * rows that are not there, writes that are lost, refused, unsure, and a process that ends.
 */
import { expect, test } from 'vitest'
import { type TurnLimits, TurnWorld } from '../../support/models/turn-world.ts'

/** Walks over all reachable states. Returns how many there are, and what is wrong with the first bad one. */
const walk = (limits: TurnLimits) => {
  const seen = new Set<string>()
  const waiting: (readonly string[])[] = [[]]
  let ends = 0
  for (let path = waiting.pop(); path; path = waiting.pop()) {
    const world = new TurnWorld(limits)
    for (const event of path) world.on(event)
    const { key } = world
    if (seen.has(key)) continue
    seen.add(key)
    const { events } = world
    const isOver = events.every((event) => event === 'die')
    const wrong = isOver ? [...world.wrong, ...world.leftOver] : world.wrong
    if (wrong.length > 0) return { states: seen.size, ends, wrong, path }
    if (isOver) ends++
    for (const event of events) waiting.push([...path, event])
  }
  return { states: seen.size, ends, wrong: [], path: [] }
}

const three = { pipeline: 3, faults: 3, mayDie: true, mayStop: false, mayGoDown: false } as const
const stopping = { ...three, mayDie: false, mayStop: true } as const
const going = { ...three, pipeline: 2, faults: 2, mayGoDown: true } as const

test.each<[string, TurnLimits]>([
  ['three calls', { ...three, messages: ['call', 'call', 'call'], faults: 2 }],
  ['calls after a message', { ...three, messages: ['message', 'call', 'call'] }],
  ['messages around a call', { ...three, messages: ['message', 'call', 'message'] }],
  ['a step between calls', { ...three, messages: ['call', 'step', 'call'] }],
  ['all kinds', { ...three, messages: ['message', 'call', 'step', 'call'], pipeline: 2 }],
  ['calls that may stop it', { ...stopping, messages: ['message', 'call', 'call'] }],
  ['calls to a shard that may go down', { ...going, messages: ['call', 'call', 'call'] }],
  ['messages to such a shard', { ...going, messages: ['message', 'call', 'step'] }],
  ['messages that may stop it', { ...stopping, messages: ['call', 'message', 'call'] }],
])('of %s none goes unanswered, and nothing leaves before it is durable', (_, limits) => {
  const { wrong, path, states, ends } = walk(limits)
  expect([wrong, path]).toEqual([[], []])
  expect(Math.min(states, ends)).toBeGreaterThan(100)
})
