import { setup } from 'xstate'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import {
  call,
  createSystem,
  type DurableContext,
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  ok,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import type { Asked } from '../../../src/inspect/attach/attach-protocol.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import type { Action, Header, Planned, Refusal, Views } from '../../../src/observe/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { machine } from './simulated-instance.ts'

/** A secret that no answer may have. */
export const canary = 'CANARY7'

/** Markup in a key, an id and an error: a page must get it as plain text. */
export const markup = '<img src=x onerror=alert(1)>'

/** A value with a name that hides, and one that does not. */
export const secrets = { login: 'ada', password: canary }

type Messages = {
  calls: { ask: (payload: unknown) => unknown; fail: (payload: unknown) => void }
  casts: { wait: (payload: unknown) => void }
}

const fail = (payload: unknown): never => {
  throw Object.assign(new Error(markup), { payload, password: canary })
}

const open: GenServer<Messages, typeof secrets> = {
  init: () => secrets,
  calls: { ask: (state) => reply(state, state), fail: (_, payload) => fail(payload) },
  casts: { wait: (state) => noReply(state) },
}

/** It handles its first message for ever. */
const stuck: GenServer<Messages, typeof secrets> = {
  ...open,
  casts: { wait: () => new Promise<never>(() => undefined) },
}

/** Its own view of its state fails. */
const broken: GenServer<Messages, typeof secrets> = {
  ...open,
  formatStatus: () => {
    throw new Error(canary)
  },
}

const account = {
  init: () => ok({ number: canary, total: 1 }),
  calls: {
    ask: (state: { total: number }) => reply(1, { ...state, total: state.total + 1 }),
    fail: (_: unknown, payload: unknown) => fail(payload),
    hang: (state: object) => reply(1, state, { continue: ['hang'] }),
    plan: (
      state: object,
      _: unknown,
      context: Pick<
        DurableContext<{ alarms: { remind: () => void; forget: () => void } }>,
        'setAlarm'
      >,
    ) => {
      context.setAlarm('remind', { inMs: 60_000 })
      context.setAlarm('forget', { inMs: 60_000 })
      return reply(1, { ...state }, { continue: ['charge'] })
    },
  },
  casts: {},
  continues: { charge: fail, hang: () => new Promise<never>(() => undefined) },
  alarms: { remind: (state: object) => noReply(state), forget: fail },
  retry: { baseMs: 60_000 },
  formatStatus: () => ({ state: { number: '…' } }),
  index: () => ({ password: canary, status: 'new' }),
} as unknown as DurableServer<Messages, unknown>

const gate = setup({}).createMachine({
  id: 'gate',
  context: secrets,
  initial: 'shut',
  states: { shut: { on: { PUSH: 'open' } }, open: { type: 'final' } },
})

const order = workflow('order', async (ctx: Ctx, item: typeof secrets) => {
  ctx.report(item)
  await ctx.step('reserve', () => item)
  throw new Error('refused')
})
/** A workflow that waits for a signal. */
export const approval = workflow('approval', async (ctx: Ctx<{ approve: unknown }>) => {
  await ctx.waitFor('approve')
})
/** A workflow whose step fails. */
export const unsteady = workflow('unsteady', (ctx: Ctx) =>
  ctx.step('reach', fail, { retry: { max: 5 } }),
)
const mails = queue('mails', (job: typeof secrets) => fail(job), { retry: { max: 1 } })

const tree = supervisor('app', { intensity: 1_000 }, [
  worker('open', open),
  worker('broken', broken),
  worker('stuck', stuck),
  entity('acct', account),
  worker('gate', StateMachine.server(gate)),
  entity('door', StateMachine.durable(gate)),
  flows({ workflows: [order, approval, unsteady], queues: [mails] }),
])

/** Starts the instance, in which something of each kind was done. */
export const observedInstance = async () => {
  const world = machine()
  const { during } = world
  const advance = (ms: number): Promise<void> => world.clock.advance(ms)
  const log = capturedLog()
  const start = () =>
    world.start({ app: tree, system: createSystem({ clock: world.clock, logger: log }) })
  const app = await start()
  recordsOf(app.system)
  await during(app.store.put(markup, secrets))
  await during(app.store.put('user/token', canary))
  await during(call(app.entity('acct').ref(markup), 'ask' as never))
  const run = await during(flow(app).start(order, secrets, { id: '1' }))
  await during(run.result().catch(() => undefined))
  await during(flow(app).add(mails, secrets))

  const observer = (isWriting = false): Observer => new Observer(app, { isWriting, user: 'ann' })

  /** An action without its plan is planned at once. */
  const told = async (
    request: Asked | { readonly act: Action },
    by = observer(),
  ): Promise<unknown> => {
    if ('act' in request && !('planned' in request))
      return told({ ...request, planned: (await told({ plan: request.act }, by)) as Planned }, by)
    const answered = await during(by.answer({ id: 1, ...request }))
    if ('refusal' in answered)
      throw Object.assign(new Error(answered.refusal.message), answered.refusal)
    return answered.answer
  }

  const look = async <V extends keyof Views>(
    view: V,
    query: object = {},
    by?: Observer,
  ): Promise<Views[V]['data']> =>
    ((await told({ look: view, query }, by)) as { header: Header; data: Views[V]['data'] }).data

  const refused = (request: Parameters<typeof told>[0], by?: Observer): Promise<string> =>
    told(request, by).then(
      () => 'none',
      (refusal: Refusal) => refusal.code,
    )

  const pidOf = (label: string): number =>
    app.system.processes().find((each) => (each.name ?? each.label) === label)?.pid ?? 0

  return { app, start, during, advance, log, observer, told, look, refused, pidOf }
}

/** The instance, and how it is asked. */
export type Observed = Awaited<ReturnType<typeof observedInstance>>
