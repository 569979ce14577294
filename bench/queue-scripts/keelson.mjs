/** The words of the scripts of queues, said to Keelson. */
import { mkdirSync } from 'node:fs'
import { start, supervisor } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'

const final = (message) => Object.assign(new Error(message), { isFinal: true })

const queueOptions = ({ concurrency, tries, baseMs, rate, keepsResults, batch }) => ({
  ...(batch && { batch }),
  ...(keepsResults && { keep: { results: '1d' } }),
  ...(concurrency && { concurrency }),
  ...(rate && { rate: { max: rate.max, per: rate.perMs } }),
  retry: {
    jitter: 0,
    unless: ({ isFinal }) => isFinal === true,
    ...(tries && { max: tries }),
    ...(baseMs && { baseMs }),
  },
})

const addOptions = ({ delayMs, ...options }) => ({
  ...options,
  ...(delayMs && { delay: delayMs }),
})

/** Starts Keelson with these queues, on the folder `place`. */
export const open = async (place, wanted) => {
  const queues = new Map()
  for (const { name, options, run } of wanted) {
    const alone = (job, { log, progress }) => run(job, final, { log, progress })
    const several = (jobs) => Promise.allSettled(jobs.map(async (job) => alone(job.input, job)))
    queues.set(name, queue(name, options.batch ? several : alone, queueOptions(options)))
  }
  /** Gives a job to a queue: a schedule starts workflows. */
  const gives = workflow('gives', async (ctx, { name, job, key }) => {
    await ctx.step('add', () => jobs.add(of(name), job, { unique: key }))
  })
  mkdirSync(place, { recursive: true })
  const app = await start({
    dir: place,
    app: supervisor('scripts', {}, [flows({ queues: [...queues.values()], workflows: [gives] })]),
  })
  const jobs = flow(app)
  const of = (name) => queues.get(name)
  /** Schedules of an instance have names, those of its peer are each of a queue. */
  const keyOf = (name, key) => `${name}-${key}`
  const deadOf = (name) => jobs.dead(of(name)).entries
  return {
    add: async (name, job, options = {}) => (await jobs.add(of(name), job, addOptions(options))).id,
    addMany: async (name, list) => (await jobs.addMany(of(name), list)).map(({ id }) => id),
    pause: (name) => jobs.pause(of(name)),
    resume: (name) => jobs.resume(of(name)),
    limitTo: (name, concurrency) => jobs.setLimits(of(name), { concurrency }),
    retry: async (name) => {
      for (const { id } of deadOf(name)) await jobs.retry(of(name), id)
    },
    drain: (name) => jobs.drain(of(name)),
    remove: (name, id) => jobs.job(of(name), id).remove(),
    reprioritize: (name, id, priority) => jobs.job(of(name), id).update({ priority }),
    postpone: (name, id, delay) => jobs.job(of(name), id).update({ delay }),
    look: async (name, id) => {
      const { state, result, progress, log } = (await jobs.job(of(name), id).get()) ?? {}
      return { state: state ?? 'gone', result, progress, log }
    },
    schedule: async (name, given, cron, job) => {
      const key = keyOf(name, given)
      const input = { name, job, key }
      if (jobs.schedules.get(key)) await jobs.schedules.change(key, { cron, input })
      else await jobs.schedules.create(key, cron, gives, { input })
    },
    unschedule: (name, key) => jobs.schedules.delete(keyOf(name, key)),
    scheduled: (name, key) => jobs.schedules.get(keyOf(name, key))?.cron ?? 'none',
    trigger: (name, key) => jobs.schedules.trigger(keyOf(name, key)),
    pauseSchedule: (name, key) => jobs.schedules.pause(keyOf(name, key)),
    open: async (name) => {
      const { ready, delayed, running } = await jobs.counts(of(name))
      return ready + delayed + running
    },
    dead: async (name) =>
      deadOf(name).map(({ job, tries, error }) => ({ job, tries, error: error.message })),
  }
}
