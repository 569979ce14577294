/** Types of workflows: inputs, outputs and signals are inferred, and wrong ones do not compile. */
import { type Ctx, flow, flows, workflow } from '../../src/flow/index.ts'
import { type App, supervisor } from '../../src/index.ts'

type Order = { readonly cents: number }

const order = workflow(
  'order',
  async (ctx: Ctx<{ approval: { by: string }; stop: undefined }>, input: Order) => {
    const charge: number = await ctx.step('charge', ({ key, signal }) =>
      signal.aborted ? 0 : key.length + input.cents,
    )
    await ctx.step('book', async () => ({ seat: 1 }), { undo: ({ value }) => value?.seat })
    const approval: { by: string } = await ctx.waitFor('approval')
    const late: { by: string } | undefined = await ctx.waitFor('approval', { timeout: '3d' })
    const ends = await ctx.all(
      'both',
      [1, 2].map((n) => async (own) => own.step('n', () => n)),
    )
    const [first] = ends
    const n: number | undefined = first?.ok ? first.value : undefined
    // @ts-expect-error: no such signal
    await ctx.waitFor('refusal')
    // @ts-expect-error: a wait with a time-out may have no value
    const sure: { by: string } = await ctx.waitFor('approval', { timeout: 1 })
    // @ts-expect-error: the value of the step is a number
    const text: string = await ctx.step('text', () => 1)
    // @ts-expect-error: no duration
    await ctx.sleep('pause', '3 weeks')
    // @ts-expect-error: an undo gets the value of its step
    await ctx.step('typed', () => 1, { undo: ({ value }) => value?.length })
    // @ts-expect-error: the input of the child is a number
    await ctx.child('child', square, 'two')
    const squared: number = await ctx.child('square', square, 2)
    return `${charge} ${approval.by} ${late} ${n} ${sure} ${text} ${squared}`
  },
)

const square = workflow('square', async (_ctx: Ctx, n: number) => n ** 2)

export const tree = supervisor('app', {}, [flows({ workflows: [order, square] })])

export const use = async (app: App): Promise<void> => {
  const run = await flow(app).start(order, { cents: 1 }, { id: '1', delay: '2h' })
  const output: string = await run.result()
  await run.signal('approval', { by: 'Eve' }, { id: output })
  await flow(app).retry(order, '1')
  // @ts-expect-error: the input has no cents
  await flow(app).start(order, { euros: 1 }, { id: '1' })
  // @ts-expect-error: a run has an id
  await flow(app).start(order, { cents: 1 }, {})
  // @ts-expect-error: the output is a text
  const wrong: number = await run.result()
  // @ts-expect-error: no such signal
  await run.signal('refusal', { by: 'Eve' })
  // @ts-expect-error: the value of the signal has a `by`
  await run.signal('approval', { from: wrong })
  // @ts-expect-error: this workflow takes no signals
  await flow(app).handle(square, '1').signal('approval', 1)
  // @ts-expect-error: no such status
  flow(app).list({ type: order, status: 'done' })
  // @ts-expect-error: flows takes workflows
  flows({ workflows: [async () => 1] })
}
