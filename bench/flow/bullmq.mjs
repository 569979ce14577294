/**
 * The player of BullMQ: a queue and its worker in one process, on the bench's own Redis. A job is done when Redis has
 * said so, and is removed then, as Keelson does.
 */
import { createRequire } from 'node:module'
import { byWriters, play } from '../entities/turn.mjs'
import { Jobs } from './jobs.mjs'

const { Queue, Worker } = createRequire(new URL('../peers/', import.meta.url))('bullmq')
const connection = { path: process.argv[2], maxRetriesPerRequest: null }
const jobs = new Jobs()
const queue = new Queue('jobs', { connection, defaultJobOptions: { removeOnComplete: true } })
const worker = new Worker('jobs', async () => jobs.begin(), { connection, concurrency: 64 })
worker.on('completed', ({ data }) => jobs.end(data))
await worker.waitUntilReady()

const drain = () => jobs.drain()
const add = (number) => queue.add('job', number)
const hundred = () => Array.from({ length: 100 }, () => ({ name: 'job', data: jobs.next() }))

const works = {
  add: ({ inFlight, seconds }) => byWriters(inFlight, seconds, () => add(jobs.next()), { drain }),
  addMany: ({ inFlight, seconds }) =>
    byWriters(inFlight, seconds, () => queue.addBulk(hundred()), { drain, size: 100 }),
  idle: ({ seconds }) => jobs.idle(seconds, add),
}

play({
  turn: (order) => works[order.work](order),
  close: async () => {
    await worker.close()
    await queue.close()
  },
})
