/** Runs of workflows: starts, steps, sleeps, ends, and the same over crashes. */
import { describe, expect, test } from 'vitest'
import { type FlowParts, flow, flows, workflow } from '../../src/flow/index.ts'
import { supervisor } from '../../src/index.ts'
import { codeOf, simulated } from '../support/worlds/simulated-instance.ts'

const world = (...workflows: NonNullable<FlowParts['workflows']>) =>
  simulated({ app: supervisor('app', {}, [flows({ workflows })]) })

describe('a run', () => {
  test('ends with the output of its body, and a repeated start finds it', {
    tags: ['W1', 'W11'],
  }, async () => {
    const calls: string[] = []
    const greet = workflow('greet', async (ctx, name: string) => {
      const greeting = await ctx.step('greet', ({ key }) => {
        calls.push(key)
        return { text: `hello ${name}` }
      })
      await ctx.sleep('pause', '2s')
      return greeting.text
    })
    const s = await world(greet)

    const run = await s.during(flow(s.app).start(greet, 'Ada', { id: '1' }))
    expect(run.repeated).toBe(false)
    expect(await s.during(run.result())).toBe('hello Ada')

    const again = await s.during(flow(s.app).start(greet, 'Ada', { id: '1' }))
    expect(again.repeated).toBe(true)
    expect(await s.during(again.result())).toBe('hello Ada')
    expect(await s.during(codeOf(flow(s.app).start(greet, 'Eve', { id: '1' })))).toBe('CONFLICT')
    expect(calls).toEqual([expect.stringMatching(/^flow\/greet\/1\/[0-9a-f]{16}\/0\/greet$/)])
  })
})
