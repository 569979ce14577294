/** Ended runs under a program that keeps them for a shorter time than the one before. */
import { expect, test } from 'vitest'
import { flow, flows, workflow } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

test('an instance that was off for longer than `keep` finds nothing about runs that it removes soon', {
  tags: ['RE3'],
}, async () => {
  const order = workflow('order', async () => 'done')
  const app = supervisor('app', {}, [flows({ workflows: [order] })])
  const s = await simulated({ app })
  const ends = async (id: string): Promise<void> => {
    await s.during(flow(s.app).start(order, undefined, { id }))
    await s.advance(1_000)
  }
  await ends('before')
  await s.kill()
  await s.advance(10 * 86_400_000)
  await s.start({ app })
  await ends('after')

  const { findings } = await s.during(rehearse({ from: s.app, app }))

  expect(findings).toEqual([])
})
