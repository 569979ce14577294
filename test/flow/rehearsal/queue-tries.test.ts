/** Jobs that have failed, under a program whose queue allows fewer tries. */
import { expect, test } from 'vitest'
import { flow, flows, queue } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const mailing = (max: number) => {
  const mails = queue(
    'mails',
    (text: string) => {
      if (text !== 'waits') throw new Error('the mail host is away')
    },
    { retry: { max, baseMs: 60_000, maxMs: 60_000 } },
  )
  return { mails, app: supervisor('app', {}, [flows({ queues: [mails] })]) }
}

test('jobs that failed as often as the queue allows now are named, and die at their next try', async () => {
  const { mails, app } = mailing(5)
  const s = await simulated({ app })
  await s.during(flow(s.app).addMany(mails, ['a', 'b']))
  await s.advance(62_000)
  await s.during(flow(s.app).add(mails, 'c'))
  await s.during(flow(s.app).add(mails, 'waits', { delay: '1d' }))
  await s.advance(1_000)
  const judged = async (max: number) => {
    const { findings } = await s.during(rehearse({ from: s.app, app: mailing(max).app }))
    return findings.map(({ level, what, kind, examples }) => [
      ...[level, what, kind],
      ...examples.map(({ reason }) => reason),
    ])
  }

  expect(await judged(5)).toEqual([])
  expect(await judged(3)).toEqual([])
  expect(await judged(2)).toEqual([
    [
      'acts',
      'has no try left',
      'queue mails',
      '2 jobs have failed 2 times, and `retry` allows 2: 1, 2',
    ],
  ])
  await s.kill()
  await s.start({ app: mailing(2).app })
  await s.advance(120_000)
  const dead = await s.during(flow(s.app).read('dead', mails))
  expect(dead.entries.map(({ id, tries }) => [id, tries]).sort()).toEqual([
    ['1', 2],
    ['2', 2],
    ['3', 2],
  ])
})
