/** The player of DBOS: a workflow that does nothing, one of three steps and a queue, on the bench's own PostgreSQL. */
import { createRequire } from 'node:module'
import { Jobs } from '../flow/jobs.mjs'
import { byWriters, play } from './turn.mjs'

const { DBOS } = createRequire(new URL('../peers/', import.meta.url))('@dbos-inc/dbos-sdk')
const [, , socket] = process.argv
DBOS.setConfig({
  name: 'bench',
  systemDatabaseUrl: `postgresql://bench@localhost/bench?host=${encodeURIComponent(socket)}`,
  systemDatabasePoolSize: 20,
  logLevel: 'error',
  runAdminServer: false,
})
const jobs = new Jobs()
const plusOne = (number) => async () => number + 1
const nothing = DBOS.registerWorkflow(async (number) => number, { name: 'nothing' })
const steps = DBOS.registerWorkflow(
  async (number) => {
    const one = await DBOS.runStep(plusOne(number), { name: 'one' })
    const two = await DBOS.runStep(plusOne(one), { name: 'two' })
    return DBOS.runStep(plusOne(two), { name: 'three' })
  },
  { name: 'steps' },
)
const handler = DBOS.registerWorkflow(async () => jobs.begin(), { name: 'handler' })
await DBOS.launch()
await DBOS.registerQueue('jobs')

const run = async (workflow, expected) => {
  const result = await workflow(1)
  if (result !== expected) throw new Error(`${result} instead of ${expected}`)
}

const works = {
  nothing: ({ inFlight, seconds }) => byWriters(inFlight, seconds, () => run(nothing, 1)),
  steps: ({ inFlight, seconds }) => byWriters(inFlight, seconds, () => run(steps, 4)),
  idle: ({ seconds }) =>
    jobs.idle(seconds, async (number) => {
      const handle = await DBOS.startWorkflow(handler, { queueName: 'jobs' })()
      void handle.getResult().then(() => jobs.end(number))
    }),
}

play({
  turn: (order) => works[order.work ?? 'nothing'](order),
  close: () => DBOS.shutdown(),
})
