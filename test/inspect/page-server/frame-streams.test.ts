/** The streams to viewers, on a virtual clock: how many, how large, and what a slow viewer costs. */
import type { ServerResponse } from 'node:http'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import {
  FrameStreams,
  frameMax,
  viewersMax,
} from '../../../src/inspect/page-server/frame-streams.ts'
import type { Frame } from '../../../src/observe/index.ts'

const header = { instance: 'a' } as Extract<Frame, { header: unknown }>['header']

const plain = { header, data: null }

/** A viewer; `read` takes what waits. */
const viewer = () => {
  const texts: string[] = []
  let waiting: (() => void) | undefined
  const response = new Writable({
    decodeStrings: false,
    highWaterMark: 1,
    write: (text: string, _, done) => {
      texts.push(text)
      waiting = done
    },
  })
  const read = () => {
    const done = waiting
    waiting = undefined
    done?.()
  }
  return { response: response as unknown as ServerResponse, texts, read }
}

const streamsOf = (frame: (view: string) => Frame | Promise<Frame> = () => plain) => {
  const clock = virtualClock()
  const asked: string[] = []
  const streams = new FrameStreams(clock, async (view) => {
    asked.push(view)
    return frame(view)
  })
  return { clock, streams, asked }
}

test('a viewer gets a frame at once and one each second, and viewers of one view share them', async () => {
  const { clock, streams, asked } = streamsOf()
  const [first, second] = [viewer(), viewer()]
  streams.add(first.response, 'tree', {})
  streams.add(second.response, 'tree', {})
  await clock.settle()
  expect(asked).toEqual(['tree', 'tree'])
  for (const each of [first, second]) each.read()
  await clock.advance(1_000)

  expect(asked).toEqual(['tree', 'tree', 'tree'])
  expect([first.texts.length, second.texts.length]).toEqual([2, 2])
})

test('a viewer that has left before it was admitted takes no place', async () => {
  const { clock, streams, asked } = streamsOf()
  for (let count = 0; count < viewersMax; count++) {
    const { response } = viewer()
    response.destroy()
    await clock.settle()
    streams.add(response, 'tree', {})
  }
  expect(streams.hasRoom).toBe(true)
  await clock.advance(3_000)
  expect(asked).toEqual([])
})

test('a viewer that does not read skips frames, and is cut off after 30 s', async () => {
  const { clock, streams, asked } = streamsOf()
  const { response, texts, read } = viewer()
  streams.add(response, 'tree', {})
  await clock.advance(10_000)
  expect(texts).toHaveLength(1)
  expect(asked).toHaveLength(1)

  read()
  await clock.advance(1_000)
  expect(texts).toHaveLength(2)
  await clock.advance(32_000)
  expect(response.destroyed).toBe(true)
})

test('a view that has no answer yet holds up no other one', async () => {
  const slow = new Promise<Frame>(() => undefined)
  const { clock, streams } = streamsOf((view) => (view === 'entities' ? slow : plain))
  const [waiting, other] = [viewer(), viewer()]
  streams.add(waiting.response, 'entities', { member: 'b' })
  streams.add(other.response, 'tree', {})
  for (let second = 0; second < 5; second++) {
    await clock.advance(1_000)
    other.read()
  }

  expect([waiting.texts.length, other.texts.length]).toEqual([0, 5])
  streams.close()
})

test('nothing is asked when the last viewer has left', async () => {
  const { clock, streams, asked } = streamsOf()
  const { response } = viewer()
  streams.add(response, 'tree', {})
  await clock.settle()
  response.destroy()
  await clock.advance(60_000)

  expect(asked).toHaveLength(1)
  expect(clock.untilNext()).toBeUndefined()
})

test('there is room for eight viewers', async () => {
  const { clock, streams } = streamsOf()
  const viewers = Array.from({ length: viewersMax }, viewer)
  for (const { response } of viewers) streams.add(response, 'tree', {})
  expect(streams.hasRoom).toBe(false)

  viewers[0]?.response.destroy()
  await clock.settle()
  expect(streams.hasRoom).toBe(true)
  streams.close()
})

test('a frame of more than 64 KiB is an error in its place', async () => {
  const rows = [{ key: 'x'.repeat(frameMax), type: 'string of 1' }]
  const { clock, streams } = streamsOf(() => ({ header, data: { rows } }))
  const { response, texts } = viewer()
  streams.add(response, 'store', {})
  await clock.settle()

  expect(texts[0]?.length).toBeLessThan(1_000)
  expect(texts[0]).toContain('TOO_LARGE')
  streams.close()
})
