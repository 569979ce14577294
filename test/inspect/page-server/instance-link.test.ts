/** How long the page waits for its instance. */
import { EventEmitter, once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { InstanceLink } from '../../../src/inspect/page-server/instance-link.ts'
import { farInstance } from '../../support/worlds/far-instance.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const snapshot = { act: 'snapshot', shard: 0 } as const
const planned = { effect: '', start: '' }
const acts = { act: { ...snapshot, reason: 'a trial' }, planned } as const

/** A link, and the next request that reaches its instance, as a function that answers it. */
const linked = async () => {
  const requests = new EventEmitter()
  const far = await farInstance((answer) => requests.emit('asked', answer))
  const clock = virtualClock()
  const link = new InstanceLink({ dir: far.dir }, clock, { write: true, user: 'ann' })
  onTestFinished(() => link.close())
  await link.open()
  const asked = async (): Promise<(answer: object) => void> => (await once(requests, 'asked'))[0]
  return { far, clock, link, asked }
}

test('an action is answered with what it did, however long that takes', async () => {
  const { clock, link, asked } = await linked()
  const isAsked = asked()
  const acting = link.ask(acts).catch((error: unknown) => error)
  const answer = await isAsked

  await clock.advance(60_000)
  answer({ text: 'Done: makes a snapshot of shard 0' })

  expect(await acting).toEqual({ text: 'Done: makes a snapshot of shard 0' })
})

test('an action whose connection ends is refused', async () => {
  const { far, link, asked } = await linked()
  const isAsked = asked()
  const acting = codeOf(link.ask(acts))
  await isAsked

  far.socket?.destroy()

  expect(await acting).toBe('CLOSED')
})

test.each([{ look: 'header', query: {} }, { plan: snapshot }])(
  '%j is refused when 10 s have passed without an answer',
  async (request) => {
    const { clock, link, asked } = await linked()
    const isAsked = asked()
    const answered = codeOf(link.ask(request))
    await isAsked

    await clock.advance(10_000)

    expect(await answered).toBe('TIMEOUT')
  },
)
