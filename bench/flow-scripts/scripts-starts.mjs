/** Scripts of starts: ids, repeats, progress. */
const once = (ctx, input) => ctx.step('once', () => input)

export const starts = [
  {
    title: 'two starts with one id and one input are one run',
    main: once,
    lives: [
      async (host) => {
        await Promise.all([host.start(7), host.start(7)])
        await host.end()
      },
    ],
  },
  {
    title: 'a start after the end gives the ended run',
    main: once,
    lives: [
      async (host) => {
        await host.start(7)
        await host.end()
        await host.start(7)
        await host.end()
      },
    ],
  },
  {
    title: 'a start after a failure does not run again',
    main: async (ctx) => {
      await ctx.step('once', () => undefined)
      throw new Error('no')
    },
    lives: [
      async (host) => {
        await host.start()
        await host.end()
        await host.start()
        await host.end()
      },
    ],
  },
  {
    title: 'a start with the id of a run with other input',
    main: once,
    lives: [
      async (host) => {
        await host.start(7)
        await host.end()
        await host.try('second', () => host.start(8))
      },
    ],
    differs: {
      why: 'The same id with other input is refused with `CONFLICT`. DBOS answers the first run, and drops the input.',
      keelson: { notes: { second: 'refused' } },
    },
  },
  {
    title: 'progress is read from outside',
    main: async (ctx) => {
      await ctx.report({ done: 1 })
      await ctx.step('half', () => undefined)
      await ctx.report({ done: 2 })
    },
    lives: [
      async (host) => {
        await host.start()
        await host.end()
        host.note('progress', await host.progress())
      },
    ],
  },
  {
    title: 'steps are listed with their outcomes',
    main: async (ctx) => {
      await ctx.step('first', () => 1)
      await ctx.step('second', () => Promise.reject(new Error('no')), { tries: 1 }).catch(() => {})
      await ctx.step('third', () => 3)
    },
    lives: [
      async (host) => {
        await host.start()
        await host.end()
        host.note('steps', await host.steps())
      },
    ],
  },
]
