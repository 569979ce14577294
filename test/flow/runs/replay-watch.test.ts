/** The watch of a replay: it gives up when the body asks for nothing more for so long, and never while something goes on. */
import { expect, test } from 'vitest'
import { watchReplay } from '../../../src/flow/runs/replaying.ts'
import type { EndingActivation } from '../../../src/flow/runs/run-end.ts'

const settled = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve))

/** An activation whose replay misses `b`, on a clock that goes as the test says. */
const watched = (
  asked: readonly string[] = ['a'],
  missing: readonly string[] = ['b'],
  isSecond = true,
) => {
  let now = 0
  let due: { readonly at: number; readonly act: () => void } | undefined
  const clock = {
    monotonic: () => now,
    after: (ms: number, act: () => void) => {
      due = { at: now + ms, act }
    },
  }
  const replay = {
    ...{ isComplete: false, hasArrived: false, progress: 1 },
    missing: () => missing,
    inFlight: asked.map((key) => ({ key })),
    asked: new Map<string, object>(),
  }
  let records = (): void => undefined
  const diverged: { code: string; message: string; details: unknown }[] = []
  const activation = {
    ...{ replay, isStopped: false, isBodyOver: false, working: 0 },
    terms: { isSecond },
    background: { system: { clock } },
    diverges: (error: never) => diverged.push(error),
    nextRecord: () =>
      new Promise<void>((resolve) => {
        records = resolve
      }),
  }
  let isOver = false
  void watchReplay(activation as unknown as EndingActivation).then(() => {
    isOver = true
  })
  /** So many looks, each `lateMs` late. */
  const looks = async (count: number, lateMs = 0): Promise<void> => {
    for (let at = 0; at < count && due; at++) {
      now = due.at + lateMs
      const { act } = due
      due = undefined
      act()
      await settled()
    }
  }
  /** The outcome of the operation that is tried again. */
  const recorded = (): Promise<unknown> => {
    replay.hasArrived = false
    replay.progress++
    records()
    return settled()
  }
  return { activation, replay, diverged, looks, recorded, isOver: () => isOver, now: () => now }
}

test('a body that asks for nothing of its record for 2 s has diverged', async () => {
  const { looks, diverged, isOver, now } = watched()
  // The first look only sees where the body is.
  await looks(20)
  expect([diverged, isOver()]).toEqual([[], false])
  await looks(1)
  expect([now(), isOver()]).toEqual([2_100, true])
  expect(diverged).toMatchObject([
    {
      ...{ code: 'DIVERGED', message: 'the body waits for a, and never asks for b' },
      details: { asked: ['a'], missing: ['b'] },
    },
  ])
})

test('a first replay that stands still at one look is made again at once', async () => {
  const { looks, diverged, isOver, now } = watched(['a'], ['b'], false)
  await looks(1)
  expect([diverged, isOver()]).toEqual([[], false])
  await looks(1)
  expect([now(), isOver(), diverged.length]).toEqual([200, true, 1])
})

test('its error names the first ten keys of each, and says where there is none', async () => {
  const keys = Array.from({ length: 12 }, (_, at) => `k${at}`)
  const { looks, diverged } = watched([], keys)
  await looks(21)
  expect(diverged[0]?.message).toBe(
    `the body waits for nothing, and never asks for ${keys.slice(0, 10).join(', ')}`,
  )
  expect(diverged[0]?.details).toEqual({ asked: [], missing: keys })
})

test.each([
  ['progress of the replay', (w: ReturnType<typeof watched>) => void w.replay.progress++],
  [
    'an operation that works',
    (w: ReturnType<typeof watched>) => {
      w.activation.working = 1
    },
  ],
])('the 2 s begin anew with %s', async (_, disturb) => {
  const w = watched()
  await w.looks(20)
  disturb(w)
  await w.looks(1)
  w.activation.working = 0
  await w.looks(19)
  expect(w.diverged).toEqual([])
  await w.looks(1)
  expect(w.diverged).toHaveLength(1)
})

test('an operation that is tried again may take long: the 2 s begin when it has its outcome', async () => {
  const w = watched()
  await w.looks(3)
  w.replay.hasArrived = true
  await w.looks(20)
  // Nothing looks meanwhile.
  expect([w.diverged, w.now()]).toEqual([[], 400])
  await w.recorded()
  await w.looks(20)
  expect(w.diverged).toEqual([])
  await w.looks(1)
  expect(w.diverged).toHaveLength(1)
})

test('when a replay is complete, the children that its body has let go are cancelled', async () => {
  const w = watched()
  const cancelled: string[] = []
  Object.assign(w.activation, { cancels: ({ key }: { key: string }) => cancelled.push(key) })
  const child = (key: string, isOver: boolean, recorded?: object) => {
    const parts = { child: { isAbandoned: false } }
    w.replay.asked.set(key, { key, isOver, recorded, parts })
  }
  child('waited for', false, {})
  child('let go', true, {})
  child('let go before it was recorded', true)
  child('ended', true, { outcome: { kind: 'ok' } })
  w.replay.asked.set('step', { isOver: true, recorded: {}, parts: {} })
  await w.looks(3)
  expect(cancelled).toEqual([])
  w.replay.isComplete = true
  await w.looks(3)
  expect([cancelled, w.isOver()]).toEqual([['let go'], true])
})

test('a look that comes late says nothing: the loop was busy', async () => {
  const w = watched()
  await w.looks(16)
  await w.looks(20, 101)
  expect(w.diverged).toEqual([])
  await w.looks(4, 100)
  expect(w.diverged).toEqual([])
  await w.looks(1, 100)
  expect(w.diverged).toHaveLength(1)
})

test.each(['isStopped', 'isBodyOver', 'isComplete'] as const)(
  'a watch ends with its activation or its replay: %s',
  async (end) => {
    for (const looks of [3, 10]) {
      const w = watched()
      await w.looks(looks)
      if (end === 'isComplete') w.replay.isComplete = true
      else w.activation[end] = true
      await w.looks(20)
      expect([w.diverged, w.isOver(), w.now()]).toEqual([[], true, 100 * (looks + 1)])
    }
  },
)
