/** A queue whose shard recovers while one of its turns reads rows: the turn was taken back, and another one begins. */
import { expect, test } from 'vitest'
import { flow, flows, type QueueEvents, queue } from '../../../src/flow/index.ts'
import { name, supervisor, telemetry } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

test('ends and requests of a turn that was taken back are in the next one, once', async () => {
  const handlers = new Map<string, () => void>()
  const ran: string[] = []
  const mails = queue(
    'mails',
    (job: string) => {
      ran.push(job)
      return new Promise<void>((resolve) => handlers.set(job, resolve))
    },
    { unique: '5m' },
  )
  const s = await simulated({ app: supervisor('app', {}, [flows({ queues: [mails] })]) })
  const refusals: unknown[] = []
  telemetry<QueueEvents>(s.system).on('queue.refused', ({ error }) => refusals.push(error))
  const add = (job: string) => flow(s.app).add(mails, job, { unique: job })
  await s.during(add('a'))
  await s.settle()

  // The turn has recorded the end of the job when it reads the row of its text.
  handlers.get('a')?.()
  const added = add('b')
  s.system.kill(s.system.whereis(name('applier(0)')) as never)
  await s.during(added)
  await s.advance(1_000)

  expect(refusals.map((error) => (error as { code?: string }).code)).toEqual(['NOT_SUBMITTED'])
  expect(await added).toMatchObject({ id: '2', repeated: false })
  handlers.get('b')?.()
  await s.advance(1_000)
  expect(ran).toEqual(['a', 'b'])
  expect(await s.during(flow(s.app).counts(mails))).toMatchObject({ ready: 0, running: 0, dead: 0 })
})
