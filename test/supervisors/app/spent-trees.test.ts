/** An instance whose user's tree spends its restarts again and again ends, if its options say so. */
import { describe, expect, test } from 'vitest'
import { type GenServer, ok, stop, supervisor, worker } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: object; casts: object; infos: { beat: () => void } }

/** A worker that crashes so many ms after each of its starts. */
const crashing = (afterMs: number): GenServer<Messages, null, null> => ({
  init: (_, context) => {
    context.sendAfter(afterMs, 'beat')
    return ok(null)
  },
  calls: {},
  casts: {},
  infos: { beat: (state) => stop(new Error('no route'), state) },
})

const treeOf = (afterMs: number) =>
  supervisor('app', {}, [worker('mailer', crashing(afterMs), { arg: null })])

/** The reason for which an instance has ended; `undefined` while it runs. */
const endOf = (app: App) => {
  let end: unknown
  void app.closed.then((reason) => {
    end = reason
  })
  return () => end
}

describe('a tree whose worker crashes again and again', () => {
  test('ends its instance when it has spent its restarts three times, 30 s apart', async () => {
    const { app, clock } = await simulated({ app: treeOf(100), giveUpAfter: 3 })
    const end = endOf(app)
    await clock.advance(58_000)
    expect(end()).toBeUndefined()
    expect(app.health().gaveUp).not.toEqual([])
    await clock.advance(62_000)
    expect(end()).toEqual([
      'shutdown',
      expect.objectContaining({
        code: 'EXITED',
        message: expect.stringMatching(/spent its restarts 3 times .*: mailer: .*no route/s),
      }),
    ])
  })

  test('is started again without an end by default, and health() says how often it gave up', {
    tags: ['slow'],
  }, async () => {
    const { app, clock } = await simulated({ app: treeOf(100) })
    const end = endOf(app)
    await clock.advance(300_000)
    expect(end()).toBeUndefined()
    const [last] = app.health().gaveUp.filter(({ child }) => child === 'mailer')
    expect(last).toMatchObject({ reason: expect.stringContaining('no route') })
    expect(last?.times).toBeGreaterThan(3)
  })
})

test('times that are longer ago than ten minutes, and crashes that a supervisor bears, do not count', async () => {
  const { app, clock } = await simulated({ app: treeOf(60_000), giveUpAfter: 1 })
  const end = endOf(app)
  await clock.advance(1_200_000)
  expect(end()).toBeUndefined()
  expect(app.health().gaveUp).toEqual([])
})
