/** Scripts of forks, events and updates: `forkWorkflow`, `setEvent` with `getEvent`, and `send` with an event as its answer in DBOS. */
const three = async (ctx) => {
  const one = await ctx.step('one', (runs) => `one ${runs}`)
  const two = await ctx.step('two', (runs) => `two ${runs}`)
  return [one, two, await ctx.step('three', (runs) => `three ${runs}`)]
}

/** Takes so many updates, and answers each with how many there were. */
const adds = (count) => async (ctx) => {
  const got = []
  ctx.reached()
  await ctx.updates('add', count, (item) => got.push(item))
  return got
}

const forksFrom = (key) => [
  async (host) => {
    await host.start()
    await host.end()
    await host.fork(key, 'fork')
    await host.end('fork')
    host.note('fork', await host.row('fork'))
  },
]

export const forks = [
  {
    title: 'a fork from a step keeps the outcomes before it, and runs it and the later ones',
    main: three,
    lives: forksFrom('two'),
  },
  { title: 'a fork from the first step runs all', main: three, lives: forksFrom('one') },
  { title: 'a fork from the last step runs that alone', main: three, lives: forksFrom('three') },
  {
    title: 'a fork of a run that failed goes on where it failed, and the old run stays failed',
    main: async (ctx) => {
      const one = await ctx.step('one', (runs) => `one ${runs}`)
      await ctx.step(
        'fails',
        (runs) => {
          if (runs === 1) throw new Error('bad deploy')
        },
        { tries: 1 },
      )
      return one
    },
    lives: forksFrom('fails'),
  },
  {
    title: 'a fork of a fork has the outcomes of both',
    main: three,
    lives: [
      async (host) => {
        await host.start()
        await host.end()
        await host.fork('two', 'first')
        await host.end('first')
        await host.fork('three', 'second', 'first')
        await host.end('second')
        host.note('second', await host.row('second'))
      },
    ],
  },
  {
    title: 'a fork of a run that has not begun is refused',
    main: three,
    lives: [
      async (host) => {
        await host.start()
        await host.end()
        await host.try('forked', () => host.fork('two', 'fork', 'nobody-there'))
      },
    ],
  },
  {
    title: 'what a body reports can be asked for while it runs, and after its end',
    main: async (ctx) => {
      await ctx.report({ left: 2 })
      await ctx.step('begin', () => 1)
      await ctx.step('wait', (_, { reached, opened }) => {
        reached()
        return opened()
      })
      await ctx.report({ left: 0 })
      return 'over'
    },
    lives: [
      async (host) => {
        await host.start()
        await host.reached()
        host.note('during', await host.progress())
        host.open()
        await host.end()
        host.note('after', await host.progress())
      },
    ],
  },
  {
    title: 'updates are answered in the order in which they came',
    main: adds(3),
    lives: [
      async (host) => {
        await host.start()
        await host.reached()
        const answers = []
        for (const item of ['a', 'b', 'c']) answers.push(await host.update('add', item, item))
        host.note('answers', answers)
        await host.end()
      },
    ],
  },
  {
    title: 'an update asked for twice with one id counts once, and has one answer',
    main: adds(2),
    lives: [
      async (host) => {
        await host.start()
        await host.reached()
        const first = await host.update('add', 'a', 'click-1')
        host.note('answers', [first, await host.update('add', 'a', 'click-1')])
        await host.update('add', 'b', 'click-2')
        await host.end()
      },
    ],
  },
  {
    title: 'an answered update is remembered over a kill',
    main: adds(2),
    lives: [
      async (host) => {
        await host.start()
        await host.reached()
        host.note('first', await host.update('add', 'a', 'click-1'))
      },
      async (host) => {
        await host.update('add', 'b', 'click-2')
        await host.end()
        host.note('again', await host.update('add', 'a', 'click-1'))
      },
    ],
  },
]
