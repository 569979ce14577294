/** The arguments of steps and of handlers of queues may be taken apart: the rest has every member. */
import { expect, test } from 'vitest'
import {
  type BatchJob,
  flow,
  flows,
  type JobTry,
  queue,
  workflow,
} from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

/** The names of what is left of `given` without its key, and what kind of value each is. */
const rest = (given: object): Record<string, string> => {
  const { key, ...others } = given as Partial<JobTry>
  return Object.fromEntries(
    Object.entries(others)
      .map(([name, value]) => [name, value instanceof AbortSignal ? 'signal' : typeof value])
      .sort(),
  )
}

const tried = { attempt: 'number', signal: 'signal' }
const ofJob = { ...tried, log: 'function', progress: 'function' }

test('a step, a job, a job of a batch and its batch are taken apart without a loss', async () => {
  const found: Record<string, unknown> = {}
  const steps = workflow('steps', (ctx) =>
    ctx.step('one', (own) => {
      found.step = rest(own)
    }),
  )
  const alone = queue('alone', async (_: string, own) => {
    found.job = rest(own)
    const { key, ...others } = own
    others.progress(key)
    others.log('a line')
    await new Promise((resolve) => others.signal.addEventListener('abort', resolve))
    found.reason = (others.signal.reason as { code: string }).code
  })
  const together = queue(
    'together',
    async (jobs: readonly BatchJob<string>[], batch) => {
      found['job of a batch'] = jobs.map(rest)
      found.batch = rest(batch)
    },
    { batch: { max: 2 } },
  )
  const parts = flows({ workflows: [steps], queues: [alone, together] })
  const s = await simulated({ app: supervisor('app', {}, [parts]) })
  await s.during(flow(s.app).start(steps, undefined, { id: '1' }))
  await s.during(flow(s.app).add(alone, 'a'))
  await s.during(flow(s.app).add(together, 'b'))
  await s.advance(100)
  const job = flow(s.app).job(alone, '1')
  const { progress, log } = (await s.during(job.get())) ?? {}
  expect(log).toEqual(['a line'])
  expect(progress).toMatch(/^queue\/alone\//)
  await s.during(job.remove())
  await s.settle()
  expect(found).toEqual({
    step: { ...tried, app: 'object', stream: 'function' },
    job: { ...ofJob, app: 'object' },
    reason: 'CANCELLED',
    'job of a batch': [{ ...ofJob, id: 'string', input: 'string' }],
    batch: { app: 'object', signal: 'signal' },
  })
})
