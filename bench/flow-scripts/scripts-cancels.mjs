/** Scripts of cancels, deadlines and retries of a whole run. */
const startReachCancel = async (host) => {
  await host.start()
  await host.reached()
  await host.cancel()
  await host.end()
}

export const cancels = [
  {
    title: 'a cancel of a run that sleeps',
    main: async (ctx) => {
      await ctx.step('before', () => undefined)
      ctx.reached()
      await ctx.sleep('long', 3_600_000)
      await ctx.step('after', () => undefined)
    },
    lives: [startReachCancel],
  },
  {
    title: 'a cancel of a run that waits for a signal',
    main: async (ctx) => {
      ctx.reached()
      await ctx.waitFor('approval', 3_600_000)
      await ctx.step('after', () => undefined)
    },
    lives: [startReachCancel],
  },
  {
    title: 'a cancel while a step runs aborts its signal, and no step follows',
    main: async (ctx) => {
      await ctx.step('long', async (_, { signal, reached }) => {
        reached()
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      })
      await ctx.step('after', () => undefined)
    },
    lives: [startReachCancel],
  },
  {
    title: 'a body that catches its cancel begins no step',
    main: async (ctx) => {
      ctx.reached()
      await ctx.sleep('long', 3_600_000).catch(() => undefined)
      await ctx.step('after', () => undefined)
      return 'went on'
    },
    lives: [startReachCancel],
  },
  {
    title: 'a cancel after the end changes nothing',
    main: async () => 'over',
    lives: [
      async (host) => {
        await host.start()
        await host.end()
        await host.cancel()
      },
    ],
  },
  {
    title: 'a cancel of a run that is not there',
    main: async () => 'other',
    lives: [
      async (host) => {
        await host.try('cancelled', () => host.cancel({ to: 'nobody-there' }))
        await host.start()
        await host.end()
      },
    ],
    differs: {
      why: 'A cancel of a run that has not begun is refused with `CONFLICT`. DBOS accepts it, and nothing happens.',
      keelson: { notes: { cancelled: 'refused' } },
    },
  },
  {
    title: 'a cancelled run is taken up again',
    main: async (ctx) => {
      await ctx.step('before', () => undefined)
      await ctx.step('long', async (run, { signal, reached }) => {
        if (run > 1) return
        reached()
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        throw new Error('aborted')
      })
      return 'done'
    },
    lives: [
      async (host) => {
        await startReachCancel(host)
        await host.retry()
        await host.end()
      },
    ],
  },
  {
    title: 'a failed run is taken up again',
    main: async (ctx) => {
      await ctx.step('before', () => undefined)
      await ctx.step(
        'pay',
        (run) => {
          if (run === 1) throw new Error('no money')
        },
        { tries: 1 },
      )
      return 'done'
    },
    lives: [
      async (host) => {
        await host.start()
        await host.end()
        await host.retry()
        await host.end()
      },
    ],
    differs: {
      why: '`retry` resumes a failed run too: recorded outcomes stay, and the failed step gets new tries. `resumeWorkflow` of DBOS leaves a failed run as it is.',
      keelson: {
        status: 'completed',
        value: 'done',
        error: undefined,
        steps: { before: 1, pay: 2 },
      },
    },
  },
  {
    title: 'a run beyond its deadline ends as cancelled',
    main: async (ctx) => {
      await ctx.step('before', () => undefined)
      await ctx.sleep('long', 3_600_000)
      await ctx.step('after', () => undefined)
    },
    lives: [
      async (host) => {
        await host.start(undefined, { deadlineMs: 2_000 })
        await host.end()
      },
    ],
  },
]
