/**
 * The tree of the soak, and what a load may ask of it. It has each thing that an instance can do, in small: accounts that are
 * called with ids, holds that are born and end by an alarm and a step, workflows with steps, timers and signals, a queue whose
 * tries fail at times, a schedule, and a subscription to the journal. Each effect is a call with an id to an account, so at
 * the end a sum says whether each came about once.
 */
import { call, entity, noReply, ok, reply, supervisor, worker } from 'keelson'
import { flow, flows, queue, schedule, workflow } from 'keelson/flow'

/** A call is asked again until it is answered: the ids make that harmless. */
const patiently = { timeoutMs: 20_000 }
/** Outcomes are remembered for long enough to ask again, and no longer: otherwise they would grow for a day. */
const keepIds = { forMs: 120_000, newest: 10 }

const account = entity(
  'account',
  {
    init: () => ok(0),
    calls: {
      add: (sum, by) => reply(sum + by, sum + by),
      read: (sum) => reply(sum, sum),
    },
  },
  { keepIds, idleMs: 5_000 },
)

const pay = (app, name, by, id) =>
  call(app.entity('account').ref(name), 'add', by, { ...patiently, id })

/**
 * Lives for some seconds: placed, charged in a step, and ended by its alarm. An end takes back a step that waits for its next
 * try, so the alarm waits for the charge. A `place` that is asked again after the end finds the row and bears no second one.
 */
const hold = entity(
  'hold',
  {
    init: () => ok(undefined),
    retry: { baseMs: 50, maxMs: 1_000 },
    calls: {
      place: (state, { ms }, context) => {
        if (state) return reply('exists', state)
        context.setAlarm('end', { inMs: ms })
        return reply('placed', { isCharged: false, isOver: false }, { continue: ['charge'] })
      },
    },
    continues: {
      charge: async (state, _, { app, step }) => {
        await pay(app, 'holds begun', 1, step)
        return noReply({ ...state, isCharged: true })
      },
    },
    alarms: {
      end: async (state, _, context) => {
        if (!state.isCharged) {
          context.setAlarm('end', { inMs: 200 })
          return noReply(state)
        }
        await pay(context.app, 'holds ended', 1, context.step)
        context.end({ keepMs: keepIds.forMs })
        return noReply({ ...state, isOver: true })
      },
    },
    index: (state) => ({ isOver: state?.isOver === true }),
  },
  { keepIds, idleMs: 2_000 },
)

/** A step, a pause, a signal, a child and an output. */
const leg = workflow(
  'leg',
  async (ctx, { name }) => {
    await ctx.step('pay', ({ app, key }) => pay(app, name, 1, key))
    return 'arrived'
  },
  { keep: { completed: '30s' } },
)

const trip = workflow(
  'trip',
  async (ctx, { name, pauseMs }) => {
    await ctx.step('pay', ({ app, key }) => pay(app, name, 1, key))
    await ctx.sleep('pause', pauseMs)
    const word = await ctx.waitFor('word', { timeout: '10m' })
    const end = await ctx.child('leg', leg, { name })
    return `${word} ${end}`
  },
  { keep: { completed: '30s' } },
)

const mails = queue(
  'mails',
  async ({ name, number }, { app, key, attempt }) => {
    if (number % 20 === 0 && attempt < 2) throw new Error('the first try fails')
    await pay(app, name, 1, key)
  },
  {
    ...{ concurrency: 20, perKey: 4, rate: { max: 200, per: '1s' }, timeout: '30s' },
    // An add whose outcome is open is asked again, perhaps after its job has ended.
    unique: '5m',
    // No stall of the machine is long enough for a job to die, and one that does is there at the end.
    ...{ retry: { max: 1_000, baseMs: 100, maxMs: 1_000 }, keep: { dead: '1d' } },
  },
)

const beat = workflow(
  'beat',
  async (ctx, { at }) => {
    await ctx.step('pay', ({ app }) => pay(app, 'beats', 1, `beat ${at}`))
  },
  { keep: { completed: '30s' } },
)
const beats = schedule('beats', '*/5 * * * * *', beat, { missed: 'one' })

/** A handler that throws would stop its subscription, which then holds the log. So it asks again. */
const heard = async ({ app, signal, system }, { id }) => {
  while (!signal.aborted) {
    try {
      return void (await pay(app, 'entries', 1, `entry ${id}`))
    } catch {
      // Under the same id it counts once.
      await new Promise((resolve) => system.clock.after(100, resolve))
    }
  }
}

/** Has every entry of the journal once, whichever actor dies. */
const listener = {
  init: (_, context) =>
    ok(
      context.app.journal.subscribe({
        ...{ name: 'listener', signal: context.signal },
        handler: (entry) => heard(context, entry),
      }),
    ),
}

/** All of it below one supervisor; `more`: further children. */
export const soakTree = (more = []) =>
  supervisor('app', { intensity: 100 }, [
    account,
    hold,
    flows({ workflows: [leg, trip, beat], queues: [mails], schedules: [beats] }),
    worker('listener', listener),
    ...more,
  ])

/** The bytes of a value: its number, and a filler that the number decides. */
const contentOf = (number, bytes) => {
  const value = Buffer.alloc(bytes, number % 251)
  value.writeUIntLE(number, 0, 6)
  return value
}

const numberIn = (value, bytes) => {
  if (value === undefined) return 0
  const number = value.readUIntLE(0, 6)
  if (!contentOf(number, bytes).equals(value)) throw new Error(`the value of ${number} is another`)
  return number
}

/** What may be asked of an instance, by name. All answers are plain data. */
export const desk = (app) => ({
  put: ([key, number, bytes]) => app.store.put(key, contentOf(number, bytes)).then(() => true),
  number: async ([key, bytes]) => numberIn(await app.store.load(key), bytes),
  putForMs: ([key, ttlMs]) => app.store.put(key, 'passing', { ttlMs }).then(() => true),
  countOf: async ([prefix]) => {
    let count = 0
    for await (const _ of app.store.entries({ prefix, values: false })) count++
    return count
  },
  add: ([name, by, id]) => pay(app, name, by, id),
  read: ([name]) => call(app.entity('account').ref(name), 'read', undefined, patiently),
  place: ([id, ms]) => call(app.entity('hold').ref(id), 'place', { ms }, { ...patiently, id }),
  holds: async () => (await app.entity('hold').counts('isOver')).get(false) ?? 0,
  enter: ([id]) => app.journal.append({ id, type: 'entry', command: { id } }).then(() => true),
  start: ([id, input]) =>
    flow(app)
      .start(trip, input, { id })
      .then(() => true),
  signal: ([id, word]) =>
    flow(app)
      .handle(trip, id)
      .signal('word', word, { id: 'word' })
      .then(() => true),
  result: ([id]) => flow(app).handle(trip, id).result({ timeoutMs: 5_000 }),
  mail: ([job, options]) =>
    flow(app)
      .add(mails, job, options)
      .then(() => true),
  jobs: () => flow(app).counts(mails),
  runs: async () => {
    const counts = await Promise.all([trip, leg, beat].map((type) => flow(app).counts(type)))
    return counts.reduce((sum, { completed }) => sum + completed, 0)
  },
})
