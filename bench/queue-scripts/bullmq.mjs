/** The words of the scripts of queues, said to BullMQ. */
import { createRequire } from 'node:module'

const { Queue, UnrecoverableError, Worker } = createRequire(new URL('../peers/', import.meta.url))(
  'bullmq',
)

const final = (message) => new UnrecoverableError(message)

const jobOptions = ({ tries, baseMs }) => ({
  ...(tries && { attempts: tries }),
  ...(baseMs && { backoff: { type: 'exponential', delay: baseMs } }),
})

/** A lower number goes first there. */
const priorityOf = (priority) => 100 - priority

/** A debounce is a delayed job there, whose deduplication replaces it and extends its time. */
const windowOptions = ({ debounce, throttle }) => ({
  ...(debounce && {
    delay: debounce.ms,
    deduplication: { id: debounce.key, ttl: debounce.ms, extend: true, replace: true },
  }),
  ...(throttle && { deduplication: { id: throttle.key, ttl: throttle.ms } }),
})

const addOptions = ({ unique, delayMs, priority, ...windows }) => ({
  ...windowOptions(windows),
  ...(unique && { jobId: unique }),
  ...(delayMs && { delay: delayMs }),
  ...(priority && { priority: priorityOf(priority) }),
})

/** Its states in our words. */
const states = {
  ...{ waiting: 'waiting', prioritized: 'waiting', paused: 'waiting', delayed: 'delayed' },
  ...{ active: 'running', failed: 'dead', completed: 'done', unknown: 'gone' },
}

/** A lock that is lost is found within seconds, not in half a minute. With shorter locks jobs run twice while the host is busy. */
const stalls = { lockDuration: 4_000, stalledInterval: 2_000 }

const opened = async ({ name, options, run }, connection) => {
  const { concurrency, rate } = options
  const queue = new Queue(name, { connection, defaultJobOptions: jobOptions(options) })
  const handler = (job) => {
    const says = { log: (line) => job.log(line), progress: (value) => job.updateProgress(value) }
    return run(job.data, final, says)
  }
  const worker = new Worker(name, handler, {
    ...{ connection, ...stalls },
    ...(concurrency && { concurrency }),
    ...(rate && { limiter: { max: rate.max, duration: rate.perMs } }),
  })
  // A job of an earlier life that has stalled is reported here too.
  worker.on('error', () => undefined)
  await worker.waitUntilReady()
  return queue
}

/** Starts the queues and their workers; `place` is the socket of the server. */
export const open = async (place, wanted) => {
  const connection = { path: place, maxRetriesPerRequest: null }
  const queues = new Map()
  for (const each of wanted) queues.set(each.name, await opened(each, connection))
  const failed = (name) => queues.get(name).getFailed()
  return {
    add: async (name, job, options = {}) =>
      (await queues.get(name).add('job', job, addOptions(options))).id,
    addMany: async (name, jobs) => {
      const added = await queues.get(name).addBulk(jobs.map((data) => ({ name: 'job', data })))
      return added.map(({ id }) => id)
    },
    pause: (name) => queues.get(name).pause(),
    resume: (name) => queues.get(name).resume(),
    limitTo: (name, concurrency) => queues.get(name).setGlobalConcurrency(concurrency),
    retry: async (name) => {
      for (const job of await failed(name)) await job.retry()
    },
    drain: (name) => queues.get(name).drain(true),
    remove: async (name, id) => (await queues.get(name).getJob(id)).remove(),
    reprioritize: async (name, id, priority) => {
      const job = await queues.get(name).getJob(id)
      await job.changePriority({ priority: priorityOf(priority) })
    },
    postpone: async (name, id, delayMs) => (await queues.get(name).getJob(id)).changeDelay(delayMs),
    look: async (name, id) => {
      const queue = queues.get(name)
      const { returnvalue: result, progress } = (await queue.getJob(id)) ?? {}
      const { logs: log } = await queue.getJobLogs(id)
      return { state: states[await queue.getJobState(id)], result, progress, log }
    },
    schedule: (name, key, pattern, data) =>
      queues.get(name).upsertJobScheduler(key, { pattern, tz: 'UTC' }, { name: 'job', data }),
    unschedule: (name, key) => queues.get(name).removeJobScheduler(key),
    scheduled: async (name, key) =>
      (await queues.get(name).getJobScheduler(key))?.pattern ?? 'none',
    // It has no call for that: the job of its next time is there, and is delayed.
    trigger: async (name) => {
      for (const job of await queues.get(name).getDelayed()) await job.promote()
    },
    pauseSchedule: (name) => queues.get(name).pause(),
    open: async (name) => {
      const counts = await queues.get(name).getJobCounts()
      return Object.entries(counts)
        .filter(([status]) => status !== 'completed' && status !== 'failed')
        .reduce((sum, [, count]) => sum + count, 0)
    },
    dead: async (name) =>
      (await failed(name))
        .map(({ data, attemptsMade, failedReason }) => ({
          ...{ job: data, tries: attemptsMade, error: failedReason },
        }))
        .sort((one, other) => (one.job < other.job ? -1 : 1)),
  }
}
