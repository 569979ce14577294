/** The words of the scripts, said to DBOS. */
import { createRequire } from 'node:module'

const { DBOS } = createRequire(new URL('../peers/', import.meta.url))('@dbos-inc/dbos-sdk')

const statuses = {
  SUCCESS: 'completed',
  ERROR: 'failed',
  CANCELLED: 'cancelled',
  PENDING: 'running',
  ENQUEUED: 'running',
}

const stepOptions = ({ tries, baseMs, unless, timeoutMs }) => ({
  ...(tries > 1 && { retriesAllowed: true, maxAttempts: tries, intervalSeconds: baseMs / 1_000 }),
  ...(unless && { shouldRetry: (error) => !unless(error) }),
  ...(timeoutMs !== undefined && { timeoutMS: timeoutMs }),
})

const signalOf = ({ timeoutSignal, cancelSignal }) =>
  AbortSignal.any([timeoutSignal, cancelSignal].filter(Boolean))

const ctx = (flows) => ({
  step: (key, run, options = {}) =>
    DBOS.runStep(async () => run({ signal: signalOf(DBOS.stepStatus) }), {
      name: key,
      ...stepOptions(options),
    }),
  sleep: (_, ms) => DBOS.sleep(ms),
  waitFor: async (name, ms) => (await DBOS.recv(name, { timeoutSeconds: ms / 1_000 })) ?? undefined,
  child: async (key, flow, input) => {
    const id = `${DBOS.workflowID}-${key}`
    const handle = await DBOS.startWorkflow(flows.get(flow), { workflowID: id })(input)
    return handle.getResult({ pollingIntervalMs: 50 })
  },
  report: (progress) => DBOS.setEvent('progress', progress),
  // Updates by hand, as its docs show them: a message, and an event with the answer.
  updates: async (name, count, take) => {
    for (let at = 0; at < count; at++) {
      const { value, key } = await DBOS.recv(name, { timeoutSeconds: 30 })
      await DBOS.setEvent(`answer ${key}`, take(value))
    }
  },
  uuid: () => DBOS.randomUUID(),
  now: () => DBOS.now(),
})

const rowOf = async (id) => {
  const row = await DBOS.getWorkflowStatus(id)
  return {
    status: statuses[row.status],
    ...(row.status === 'SUCCESS' && { value: row.output }),
    ...(row.status === 'ERROR' && { error: row.error.message }),
  }
}

const nothing = () => undefined
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing }

/** Starts DBOS with these bodies; `place` is the folder of the server's socket. */
export const open = async (place, bodies) => {
  DBOS.setConfig({
    name: 'scripts',
    systemDatabaseUrl: `postgresql://bench@localhost/scripts?host=${encodeURIComponent(place)}`,
    systemDatabasePoolSize: 80,
    logger: silent,
    runAdminServer: false,
  })
  const flows = new Map()
  for (const [name, body] of bodies)
    flows.set(
      name,
      DBOS.registerWorkflow((input) => body(ctx(flows), input), { name }),
    )
  await DBOS.launch()
  const retrieved = (id) => DBOS.retrieveWorkflow(id)
  return {
    start: async (flow, id, input, { deadlineMs }) => {
      const timeoutMS = deadlineMs === undefined ? {} : { timeoutMS: deadlineMs }
      await DBOS.startWorkflow(flows.get(flow), { workflowID: id, ...timeoutMS })(input)
    },
    end: async (_, id) => {
      await retrieved(id)
        .getResult({ pollingIntervalMs: 50 })
        .catch(() => undefined)
    },
    row: (_, id) => rowOf(id),
    childId: (id, key) => `${id}-${key}`,
    signal: (_, id, name, value, key) => DBOS.send(id, value, name, key),
    update: async (_, id, name, value, key) => {
      await DBOS.send(id, { value, key }, name, key)
      return DBOS.getEvent(id, `answer ${key}`, { timeoutSeconds: 30 })
    },
    fork: async (_, id, from, newWorkflowID) => {
      const { functionID } = (await DBOS.listWorkflowSteps(id)).find(({ name }) => name === from)
      await DBOS.forkWorkflow(id, functionID, { newWorkflowID })
    },
    cancel: (_, id) => DBOS.cancelWorkflow(id),
    retry: (_, id) => DBOS.resumeWorkflow(id),
    progress: (_, id) => DBOS.getEvent(id, 'progress', { timeoutSeconds: 1 }),
    steps: async (_, id) =>
      (await DBOS.listWorkflowSteps(id)).map(({ name, error }) => ({
        key: name,
        outcome: error ? 'error' : 'ok',
      })),
  }
}
