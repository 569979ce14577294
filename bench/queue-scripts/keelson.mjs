/** The words of the scripts of queues, said to Keelson. */
import { mkdirSync } from 'node:fs'
import { start, supervisor } from 'keelson'
import { flow, flows, queue } from 'keelson/flow'

const final = (message) => Object.assign(new Error(message), { isFinal: true })

const queueOptions = ({ concurrency, tries, baseMs, rate, keepsResults }) => ({
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
  for (const { name, options, run } of wanted)
    queues.set(
      name,
      queue(
        name,
        (job, { log, progress }) => run(job, final, { log, progress }),
        queueOptions(options),
      ),
    )
  mkdirSync(place, { recursive: true })
  const app = await start({
    dir: place,
    app: supervisor('scripts', {}, [flows({ queues: [...queues.values()] })]),
  })
  const jobs = flow(app)
  const of = (name) => queues.get(name)
  const deadOf = (name) => jobs.dead(of(name)).entries
  return {
    add: async (name, job, options = {}) => (await jobs.add(of(name), job, addOptions(options))).id,
    addMany: async (name, list) => (await jobs.addMany(of(name), list)).map(({ id }) => id),
    pause: (name) => jobs.pause(of(name)),
    resume: (name) => jobs.resume(of(name)),
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
    open: async (name) => {
      const { ready, delayed, running } = await jobs.counts(of(name))
      return ready + delayed + running
    },
    dead: async (name) =>
      deadOf(name).map(({ job, tries, error }) => ({ job, tries, error: error.message })),
  }
}
