/** The words of the scripts, said to Keelson. */
import { mkdirSync } from 'node:fs'
import { start, supervisor } from 'keelson'
import { flow, flows, workflow } from 'keelson/flow'

const stepOptions = ({ tries, baseMs, unless, timeoutMs, isOnce, undo }) => ({
  ...(tries && { retry: { max: tries, ...(baseMs && { baseMs }), ...(unless && { unless }) } }),
  ...(timeoutMs !== undefined && { timeout: timeoutMs }),
  ...(isOnce && { repeat: 'once' }),
  ...(undo && { undo }),
})

const contextOf = (ctx, types) => ({
  step: (key, run, options = {}) => ctx.step(key, run, stepOptions(options)),
  sleep: (key, ms) => ctx.sleep(key, ms),
  waitFor: (name, timeout) => ctx.waitFor(name, { timeout }),
  child: (key, type, input) => ctx.child(key, types.get(type), input, { id: `${ctx.id}-${key}` }),
  report: (progress) => ctx.report(progress),
  updates: (name, count, take) =>
    new Promise((resolve) => {
      let left = count
      ctx.onUpdate(name, (value) => {
        const answer = take(value)
        if (--left === 0) resolve()
        return answer
      })
    }),
  uuid: () => ctx.uuid(),
  now: () => ctx.now(),
})

/** Starts Keelson with these bodies, on the folder `place`. */
export const open = async (place, bodies) => {
  const types = new Map()
  for (const [name, body] of bodies)
    types.set(
      name,
      workflow(name, (ctx, input) => body(contextOf(ctx, types), input)),
    )
  mkdirSync(place, { recursive: true })
  const app = await start({
    dir: place,
    app: supervisor('scripts', {}, [flows({ workflows: [...types.values()] })]),
  })
  const runs = flow(app)
  const handle = (type, id) => runs.handle(types.get(type), id)
  const rowOf = (type, id) =>
    runs.list({ type: types.get(type) }).entries.find((row) => row.id === id)
  return {
    start: (type, id, input, { deadlineMs }) =>
      runs.start(types.get(type), input, { id, ...(deadlineMs && { deadline: deadlineMs }) }),
    end: async (type, id) => {
      await handle(type, id)
        .result({ timeoutMs: 300_000 })
        .catch(() => undefined)
    },
    row: async (type, id) => {
      const { status, error } = rowOf(type, id)
      if (status === 'completed') return { status, value: await handle(type, id).result() }
      return { status, ...(status === 'failed' && { error: error.message }) }
    },
    childId: (id, key) => `${id}-${key}`,
    signal: (type, id, name, value, key) =>
      handle(type, id).signal(name, value, key === undefined ? {} : { id: key }),
    update: (type, id, name, value, key) => handle(type, id).update(name, value, { id: key }),
    fork: (type, id, from, other) => runs.fork(types.get(type), id, { from, id: other }),
    cancel: (type, id) => handle(type, id).cancel(),
    retry: (type, id) => runs.retry(types.get(type), id),
    progress: (type, id) => rowOf(type, id).progress,
    steps: (type, id) =>
      runs.steps(types.get(type), id).entries.map(({ key, outcome }) => ({ key, outcome })),
  }
}
