/** Operations that their body does not wait for. */
import { expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld, type Workflows } from '../../support/worlds/flow-world.ts'

/** An instance that keeps its warnings. */
const warned = async (workflows: Workflows) => {
  const lines: unknown[] = []
  const logger = {
    info: () => undefined,
    warn: (text: string, facts: unknown) => void lines.push([text, facts]),
    error: () => undefined,
  }
  return { w: await flowWorld(workflows, { options: { logger } as never }), lines }
}

test('work that a body asks for right before its end is cancelled, and the log names it', async () => {
  const child = workflow('child', async () => 1)
  const forgets = workflow('forgets', async (ctx: Ctx) => {
    await ctx.step('first', () => 1)
    void ctx.step('mail', () => 1)
    void ctx.child('news', child, undefined)
    void ctx.sleep('nap', '1h')
    return 'done'
  })
  const { w, lines } = await warned([forgets, child])
  const run = await w.during(w.flow.start(forgets, undefined, { id: '1' }))
  expect(await w.during(run.result())).toBe('done')
  const text =
    'forgets/1: its body has ended and waited for none of step mail, child news: that is cancelled. ' +
    'Is an `await` missing?'
  expect(lines).toEqual([[text, { code: 'NOT_AWAITED' }]])
})

test('work that has lost a race, or was cancelled with its branch, is no mistake', async () => {
  const never = (): Promise<never> => new Promise(() => undefined)
  const races = workflow('races', async (ctx: Ctx) => {
    await Promise.race([ctx.step('slow', never), ctx.sleep('short', '1s')])
    const hangs = (own: Ctx) => own.step('hangs', never)
    await ctx.all('any', [hangs, async () => undefined as never], { wait: 'any' })
  })
  const { w, lines } = await warned([races])
  const run = await w.during(w.flow.start(races, undefined, { id: '1' }))
  await w.during(run.result())
  expect(lines).toEqual([])
})
