/** Scripts of children. */
const failing = async (ctx) => {
  await ctx.step('break', () => undefined)
  throw new Error('the child broke')
}

/** A body that stays until it is cancelled. */
const stays = async (ctx) => {
  ctx.reached()
  await ctx.sleep('long', 3_600_000)
}

export const children = [
  {
    title: 'a child gives its result to its parent',
    main: async (ctx) => (await ctx.child('half', 'half', 8)) + 1,
    half: (ctx, input) => ctx.step('halve', () => input / 2),
  },
  {
    title: 'the failure of a child fails its parent with its error',
    main: (ctx) => ctx.child('bad', 'bad'),
    bad: failing,
    differs: {
      why: 'A child that fails rejects with `FAILED` and its error as cause. DBOS throws its error itself.',
      keelson: { error: 'the run run-30-bad of s30-bad is failed: the child broke' },
    },
  },
  {
    title: 'a parent that catches the failure of its child goes on',
    main: async (ctx) => {
      const told = await ctx
        .child('bad', 'bad')
        .catch(({ message, cause }) => cause?.message ?? message)
      return ctx.step('after', () => told)
    },
    bad: failing,
  },
  {
    title: 'ten children side by side',
    main: (ctx) =>
      Promise.all(Array.from({ length: 10 }, (_, at) => ctx.child(`c${at}`, 'square', at))),
    square: (ctx, input) => ctx.step('square', () => input * input),
  },
  {
    title: 'a cancelled parent with a child that runs',
    main: (ctx) => ctx.child('stays', 'stays'),
    stays,
    lives: [
      async (host) => {
        await host.start()
        await host.reached()
        await host.cancel()
        await host.end()
        host.note('child', await host.childStatus('stays'))
      },
    ],
    differs: {
      why: 'A cancelled parent cancels its children first, unless they are abandoned. DBOS leaves them running unless the caller asks for it.',
      keelson: { notes: { child: 'cancelled' } },
    },
  },
  {
    title: 'a parent whose child is cancelled learns it as an error',
    main: (ctx) => ctx.child('stays', 'stays').catch(() => 'the child was cancelled'),
    stays,
    lives: [
      async (host) => {
        await host.start()
        await host.reached()
        await host.cancelChild('stays')
        await host.end()
      },
    ],
  },
]
