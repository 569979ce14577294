/** Scripts of signals: `recv` and `send` in DBOS, `waitFor` and `signal` here. */
const waits = async (ctx) => {
  ctx.reached()
  return (await ctx.waitFor('approval', 30_000)) ?? 'nobody'
}

export const signals = [
  {
    title: 'a signal after the wait began is received',
    main: waits,
    lives: [
      async (host) => {
        await host.start()
        await host.reached()
        await host.signal('approval', { by: 'Ada' })
        await host.end()
      },
    ],
  },
  {
    title: 'a signal before the wait is kept for it',
    main: async (ctx) => {
      await ctx.step('before', (_, { reached, opened }) => {
        reached()
        return opened()
      })
      return ctx.waitFor('approval', 30_000)
    },
    lives: [
      async (host) => {
        await host.start()
        await host.reached()
        await host.signal('approval', 'early')
        host.open()
        await host.end()
      },
    ],
  },
  {
    title: 'a wait without a signal ends at its time-out',
    main: async (ctx) => (await ctx.waitFor('approval', 100)) ?? 'nobody',
  },
  {
    title: 'a wait of no time takes a signal that is there, or nothing',
    main: async (ctx) => (await ctx.waitFor('approval', 0)) ?? 'nobody',
  },
  {
    title: 'signals of one name are received in their order',
    main: async (ctx) => {
      ctx.reached()
      const got = []
      for (let at = 0; at < 3; at++) got.push(await ctx.waitFor('part', 30_000))
      return got
    },
    lives: [
      async (host) => {
        await host.start()
        for (const part of ['a', 'b', 'c']) await host.signal('part', part)
        await host.end()
      },
    ],
  },
  {
    title: 'names do not mix',
    main: async (ctx) => {
      const right = await ctx.waitFor('right', 30_000)
      return [right, await ctx.waitFor('left', 30_000)]
    },
    lives: [
      async (host) => {
        await host.start()
        await host.signal('left', 1)
        await host.signal('right', 2)
        await host.end()
      },
    ],
  },
  {
    title: 'a signal sent twice with one id counts once',
    main: async (ctx) => {
      const first = await ctx.waitFor('paid', 30_000)
      return [first, (await ctx.waitFor('paid', 200)) ?? 'nothing more']
    },
    lives: [
      async (host) => {
        await host.start()
        await host.signal('paid', 5, { id: 'transfer-1' })
        await host.signal('paid', 5, { id: 'transfer-1' })
        await host.end()
      },
    ],
  },
  {
    title: 'a signal to a run that is not there',
    main: waits,
    lives: [
      async (host) => {
        await host.try('sent', () => host.signal('approval', 1, { to: 'nobody-there' }))
        await host.start()
        await host.signal('approval', 2)
        await host.end()
      },
    ],
  },
  {
    title: 'a signal to a run that has ended',
    main: async () => 'over',
    lives: [
      async (host) => {
        await host.start()
        await host.end()
        await host.try('sent', () => host.signal('approval', 1))
      },
    ],
    differs: {
      why: 'A signal to a run that has ended is refused with `CONFLICT`. DBOS keeps a message that nobody will receive.',
      keelson: { notes: { sent: 'refused' } },
    },
  },
]
