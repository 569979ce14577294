/** `timer.unref()`: as of Node's own timers, it changes nothing but whether Node waits for it. */
import { expect, test } from 'vitest'
import { type Clock, virtualClock } from '../../../src/clock.ts'
import { createSystem, type GenServer, noReply, type Timer } from '../../../src/runtime/index.ts'

type Messages = { infos: { rang: (which: string) => void } }

const world = async (begin: (context: { readonly sendAfter: Sends }) => void) => {
  const clock = virtualClock()
  const held: boolean[] = []
  const watched: Clock = {
    ...clock,
    after: (ms, action, options) => {
      held.push(options?.holdsProcess ?? true)
      return clock.after(ms, action, options)
    },
  }
  const heard: string[] = []
  const server: GenServer<Messages, null> = {
    init: (_, context) => {
      begin(context)
      return null
    },
    infos: {
      rang: (state, which) => {
        heard.push(which)
        return noReply(state)
      },
    },
  }
  await createSystem({ clock: watched }).start(server)
  return { clock, held, heard }
}

type Sends = (ms: number, name: 'rang', which: string) => Timer

test('a timer after unref fires in its time, and no timer of the clock holds the process for it', async () => {
  const { clock, held, heard } = await world((context) => {
    context.sendAfter(10, 'rang', 'held')
    context.sendAfter(20, 'rang', 'unheld').unref().unref()
  })
  expect(held).toEqual([true, false])

  await clock.advance(10)
  expect(heard).toEqual(['held'])
  await clock.advance(10)

  expect(heard).toEqual(['held', 'unheld'])
  expect(clock.untilNext()).toBeUndefined()
})

test('a timer after unref is read and ends with its process as before', async () => {
  let timer: Timer | undefined
  const { clock, heard } = await world((context) => {
    timer = context.sendAfter(20, 'rang', 'late').unref()
  })
  await clock.advance(5)

  expect(timer?.read()).toBe(15)
  expect(heard).toEqual([])
})
