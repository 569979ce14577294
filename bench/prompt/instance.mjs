/**
 * The instance that the prompt's bench looks at: very many live entities, a tenth as many children of
 * a dynamic supervisor, a server with much to print, a state machine, and a queue.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  call,
  dynamicSupervisor,
  entity,
  noReply,
  ok,
  reply,
  start,
  startDynamicChild,
  supervisor,
  worker,
} from 'keelson'
import { flow, flows, queue } from 'keelson/flow'
import { StateMachine } from 'keelson/state-machine'
import { createMachine } from 'xstate'

/** A server with much to print, and one of which a dynamic supervisor has very many. */
const large = {
  init: () => Array.from({ length: 200_000 }, (_, at) => ({ at, name: `row ${at}` })),
}
const job = {
  init: () => 0,
  casts: { note: (count) => noReply(count + 1) },
  infos: { tick: (count) => noReply(count) },
}

const order = {
  init: () => ok({ cents: 0 }),
  calls: { place: (state) => reply(state.cents, { cents: state.cents + 1 }) },
}

const orders = entity('order', order, { idleMs: 3_600_000 })
const mails = queue('mails', () => undefined)
const door = StateMachine.server(
  createMachine({
    id: 'door',
    initial: 'open',
    states: { open: { on: { push: 'shut' } }, shut: { on: { push: 'open' } } },
  }),
)

/** Its lines would be between those of the bench. */
const logger = { info: () => undefined, warn: () => undefined, error: console.error }

/** Starts it with so many entities, and more parts if given. `close` ends it and removes its folder. */
export const startLarge = async (rows, { kinds = [], queues = [], workflows = [] } = {}) => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-prompt-'))
  const children = [
    orders,
    dynamicSupervisor('jobs', { name: 'jobs', intensity: 1_000 }),
    worker('large', large),
    worker('door', door),
    ...kinds,
    flows({ queues: [mails, ...queues], workflows }),
  ]
  const app = await start({ dir, logger, attach: true, app: supervisor('app', {}, children) })
  const ref = (at) => app.entity(orders).ref(String(at))
  for (let at = 0; at < rows; at += 1_000) {
    const calls = Array.from({ length: 1_000 }, (_, more) => call(ref(at + more), 'place'))
    await Promise.all(calls)
  }
  for (let at = 0; at < rows / 10; at++)
    await startDynamicChild(app.system.to('jobs'), worker('job', job))
  await flow(app).pause(mails)
  await flow(app).addMany(
    mails,
    Array.from({ length: 1_000 }, (_, at) => ({ to: `user ${at}` })),
  )
  // What 100,000 turns have left to do would be in the first figures.
  await app.control.flushAll()
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const close = async () => {
    await app.close()
    rmSync(dir, { recursive: true, force: true })
  }
  return { app, dir, close }
}
