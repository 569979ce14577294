/** Scripts of steps: order, retries, time-outs. */

/** A step that fails until this run of it. */
const worksOn = (run) => (attempt) => {
  if (attempt < run) throw new Error('the bank is away')
  return `run ${attempt}`
}
const never = worksOn(Number.POSITIVE_INFINITY)

/** A step that goes on until its signal aborts. */
const untilAborted = ({ signal }) =>
  new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error('gave up')), { once: true }),
  )

export const steps = [
  {
    title: 'a body without steps answers its input',
    main: async (_, input) => input,
    lives: [
      async (host) => {
        await host.start({ at: new Date(0), list: [1, null], nothing: null, text: 'ä€😀' })
        await host.end()
      },
    ],
  },
  {
    title: 'a body that answers nothing completes',
    main: async (ctx) => {
      await ctx.step('only', () => undefined)
    },
  },
  { title: 'a body that throws fails with its error', main: () => Promise.reject(new Error('no')) },
  {
    title: 'three steps run once each, and pass their results on',
    main: async (ctx, input) => {
      const one = await ctx.step('one', () => input + 1)
      const two = await ctx.step('two', () => one * 2)
      return ctx.step('three', () => `${two}`)
    },
  },
  {
    title: 'steps side by side all run',
    main: async (ctx) => Promise.all(['a', 'b', 'c'].map((key) => ctx.step(key, () => key))),
  },
  {
    title: 'a step that fails twice is tried three times',
    main: (ctx) => ctx.step('pay', worksOn(3), { tries: 3, baseMs: 5 }),
  },
  {
    title: 'a step whose tries are exhausted fails its run',
    main: (ctx) => ctx.step('pay', never, { tries: 3, baseMs: 5 }),
    differs: {
      why: 'A run fails with the last error of its step. DBOS throws another error, with a list of them.',
      keelson: { error: 'the bank is away' },
    },
  },
  {
    title: 'a step without a retry policy',
    main: (ctx) => ctx.step('pay', worksOn(2)),
    differs: {
      why: 'A step has three tries unless `retry` sets another number. DBOS tries once unless `retriesAllowed` is set.',
      keelson: { status: 'completed', value: 'run 2', error: undefined, steps: { pay: 2 } },
    },
  },
  {
    title: 'an error that is not retried fails at the first try',
    main: (ctx) =>
      ctx.step('pay', never, {
        tries: 3,
        baseMs: 5,
        unless: ({ message }) => /away/.test(message),
      }),
  },
  {
    title: 'a body that catches the error of a step goes on',
    main: async (ctx) => {
      const paid = await ctx.step('pay', never, { tries: 1 }).catch(({ message }) => message)
      return ctx.step('note', () => paid)
    },
  },
  {
    title: 'a step beyond its time-out is tried again',
    main: (ctx) =>
      ctx.step('slow', (run, tools) => (run === 1 ? untilAborted(tools) : 'in time'), {
        tries: 2,
        baseMs: 5,
        timeoutMs: 50,
      }),
  },
  {
    title: 'a step whose last try is timed out fails',
    main: (ctx) =>
      ctx
        .step('slow', (_, tools) => untilAborted(tools), { tries: 1, timeoutMs: 50 })
        .catch(() => 'caught'),
  },
  {
    title: 'a sleep ends, and its time is not short',
    main: async (ctx) => {
      const before = Date.now()
      await ctx.sleep('nap', 100)
      return Date.now() - before >= 100
    },
  },
  {
    title: 'a failed run leaves its steps done',
    main: async (ctx) => {
      await ctx.step('reserve', () => 'seat', { undo: 'release' })
      throw new Error('sold out')
    },
    differs: {
      why: 'A step may have an `undo`, which runs if the run does not complete. DBOS leaves that to the body.',
      keelson: { steps: { reserve: 1, release: 1 } },
    },
  },
]
