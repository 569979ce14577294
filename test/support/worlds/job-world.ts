/** An instance with one queue of texts, whose handlers are ended by the test. */
import {
  flow,
  flows,
  type JobLook,
  type JobTry,
  type Queue,
  type QueueOptions,
  queue,
} from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import type { SimulatedOptions, Simulation } from '../../../src/testing/index.ts'
import { simulated } from './simulated-instance.ts'

/** Starts it. The handlers of its queue are ended by `done` and `fails`, with the name of their job. */
export const jobWorld = async (
  options: QueueOptions = {},
  instance: SimulatedOptions = {},
  others: readonly Queue[] = [],
) => {
  const tries = new Map<string, JobTry>()
  const ends = new Map<
    string,
    { resolve: (value: unknown) => void; reject: (why: Error) => void }
  >()
  const names: string[] = []
  const mails = queue(
    'mails',
    (job: string, attempt: JobTry) => {
      names.push(job)
      tries.set(job, attempt)
      return new Promise<unknown>((resolve, reject) => ends.set(job, { resolve, reject }))
    },
    options,
  )
  const app = supervisor('app', {}, [flows({ queues: [mails, ...others] })])
  const s = await simulated({ app, ...instance })
  const job = (number: number) => flow(s.app).job(mails, String(number))
  return {
    ...{ s, mails, names, tries, job },
    add: (name: string, given = {}) => s.during(flow(s.app).add(mails, name, given)),
    get: (number: number): Promise<JobLook<string> | undefined> => s.during(job(number).get()),
    state: async (number: number) => (await s.during(job(number).get()))?.state,
    counts: () => s.during(flow(s.app).counts(mails)),
    done: (name: string, value?: unknown) => ends.get(name)?.resolve(value),
    fails: (name: string) => ends.get(name)?.reject(new Error(`no ${name}`)),
  }
}

/** A power cut, and a start after it. */
export const restart = async (s: Simulation): Promise<void> => {
  await s.powerCut()
  await s.start()
  await s.advance(100)
}
