/** Scripts of a killed process: where the body calls `crash`, its first life stays for ever, and the second one goes on. */
const crashed = [
  async (host) => {
    await host.start()
    await host.reached()
  },
  (host) => host.end(),
]

/** Three steps, and a crash after this many. */
const crashAfter = (count) => async (ctx) => {
  for (const [at, key] of ['one', 'two', 'three'].entries()) {
    if (at === count) await ctx.crash()
    await ctx.step(key, () => key)
  }
  if (count === 3) await ctx.crash()
  return 'all'
}

export const crashes = [
  ...[0, 1, 2, 3].map((count) => ({
    title: `a crash after ${count} of three steps: none of them runs twice`,
    main: crashAfter(count),
    lives: crashed,
  })),
  {
    title: 'a crash inside a step: it runs again',
    main: async (ctx) => {
      await ctx.step('before', () => undefined)
      return ctx.step('pay', async (run, { crash }) => {
        await crash()
        return `run ${run}`
      })
    },
    lives: crashed,
  },
  {
    title: 'a crash inside a step that may run once only',
    main: (ctx) =>
      ctx.step(
        'pay',
        async (run, { crash }) => {
          await crash()
          return `run ${run}`
        },
        { isOnce: true },
      ),
    lives: crashed,
    differs: {
      why: "A step with `repeat: 'once'` is not repeated: its run is `blocked` until somebody decides. DBOS repeats every step.",
      keelson: { status: 'blocked', value: undefined, steps: { pay: 1 } },
    },
  },
  {
    title: 'a crash in a back-off',
    main: (ctx) =>
      ctx
        .step(
          'pay',
          async (run, { crash }) => {
            if (run === 2) await crash()
            throw new Error('the bank is away')
          },
          { tries: 3, baseMs: 5 },
        )
        .catch(() => 'gave up'),
    lives: crashed,
    differs: {
      why: 'A failed try is recorded, so a crash does not give a step more tries. DBOS counts in memory and starts from zero after a crash.',
      keelson: { steps: { pay: 4 } },
    },
  },
  {
    title: 'a crash while steps run side by side: the recorded one does not run again',
    main: (ctx) =>
      Promise.all([
        ctx
          .step('quick', () => 'quick')
          .then((value) =>
            ctx.step('next', async (run, { crash }) => {
              await crash()
              return `${value}, run ${run}`
            }),
          ),
        ctx.step('other', () => 'other'),
      ]),
    lives: crashed,
  },
  {
    title: 'a crash in a wait: the signal comes in the second life',
    main: async (ctx) => {
      ctx.reached()
      return ctx.waitFor('approval', 60_000)
    },
    lives: [
      crashed[0],
      async (host) => {
        await host.signal('approval', 'later')
        await host.end()
      },
    ],
  },
  {
    title: 'a signal that was acknowledged before the crash',
    main: async (ctx) => {
      await ctx.crash()
      return ctx.waitFor('approval', 60_000)
    },
    lives: [
      async (host) => {
        await crashed[0](host)
        await host.signal('approval', 'kept')
      },
      crashed[1],
    ],
  },
  {
    title: 'a signal that was received before the crash is received once',
    main: async (ctx) => {
      const first = await ctx.waitFor('paid', 60_000)
      await ctx.crash()
      return [first, (await ctx.waitFor('paid', 200)) ?? 'nothing more']
    },
    lives: [
      async (host) => {
        await host.start()
        await host.signal('paid', 5)
        await host.reached()
      },
      crashed[1],
    ],
  },
  {
    title: 'a cancel that was acknowledged before the crash',
    main: async (ctx) => {
      await ctx.step('before', () => undefined)
      await ctx.crash()
      await ctx.step('after', () => undefined)
    },
    lives: [
      async (host) => {
        await crashed[0](host)
        await host.cancel()
      },
      crashed[1],
    ],
  },
  {
    title: 'a crash inside a child: its parent gets one result',
    main: async (ctx) => {
      await ctx.step('before', () => undefined)
      return ctx.child('c', 'child', 3)
    },
    child: (ctx, input) =>
      ctx.step('work', async (run, { crash }) => {
        await crash()
        return `${input}, run ${run}`
      }),
    lives: crashed,
  },
  {
    title: 'a crash after a child: it is not started again',
    main: async (ctx) => {
      const value = await ctx.child('c', 'child', 3)
      await ctx.crash()
      return value
    },
    child: (ctx, input) => ctx.step('work', () => input),
    lives: crashed,
  },
  {
    title: 'a crash after a failed step: it stays failed',
    main: async (ctx) => {
      const told = await ctx
        .step('pay', () => Promise.reject(new Error('no money')), { tries: 1 })
        .catch(({ message }) => message)
      await ctx.crash()
      return told
    },
    lives: crashed,
  },
  {
    title: 'random ids and times are the same in the second life',
    main: async (ctx) => {
      const made = [await ctx.uuid(), await ctx.now()]
      const kept = await ctx.step('keep', () => made)
      await ctx.crash()
      return made.every((value, at) => value === kept[at])
    },
    lives: crashed,
  },
  {
    title: 'a body that sleeps after the crash where it had a step',
    main: async (ctx) => {
      if (ctx.life === 1) await ctx.step('first', () => undefined)
      else await ctx.sleep('first', 1)
      await ctx.crash()
      return 'all'
    },
    lives: crashed,
    differs: {
      why: 'A run whose body has changed is `blocked`, with both lists, and continues with the right body. DBOS fails it.',
      keelson: { status: 'blocked', error: undefined },
    },
  },
]
