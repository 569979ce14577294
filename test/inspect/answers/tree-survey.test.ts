import { expect, test } from 'vitest'
import {
  dynamicSupervisor,
  type GenServer,
  name,
  type SupervisorMessages,
  startChild,
  startDynamicChild,
  supervisor,
  worker,
} from '../../../src/index.ts'
import {
  foldedTree,
  type Surveyed,
  surveyBelow,
  surveyTree,
  type TreeNode,
} from '../../../src/inspect/answers/tree-survey.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

for (const found of [5, null, undefined, 'app', {}])
  test(`a survey of ${JSON.stringify(found)}, which is no instance, is refused`, async () => {
    await expect(surveyTree(found as unknown as Surveyed)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

const job: GenServer<object, number> = { init: () => 0 }
const find = (node: TreeNode, called: string): TreeNode | undefined =>
  node.name === called ? node : node.children.map((each) => find(each, called)).find(Boolean)

test('the children of a dynamic supervisor are counted; a tree that begins there has 500 of them', async () => {
  const jobs = dynamicSupervisor('jobs', { name: name('jobs') })
  const { app, during } = await started({ app: supervisor('app', {}, [jobs]) })
  for (let at = 0; at < 501; at++)
    await during(startDynamicChild(app.system.to<never>(name('jobs')), worker('job', job)))

  const whole = await during(surveyTree(app))
  expect(find(whole, 'jobs')).toMatchObject({ live: 501, children: [] })

  const top = app.system.info(name('jobs'))
  const below = top && (await during(surveyBelow(app, top)))
  expect(below).toMatchObject({ name: 'jobs', live: 501 })
  expect(below?.children).toHaveLength(500)
})

test('a supervisor with more than 100 children is not asked for them all', async () => {
  const workers = Array.from({ length: 101 }, (_, at) => worker(`job${at}`, job))
  const { app, during } = await started({ app: supervisor('app', {}, workers) })

  const node = find(await during(surveyTree(app)), 'app')

  expect(node).toMatchObject({ live: 101 })
  expect(node?.children).toHaveLength(100)
})

test('a supervisor that a start keeps busy holds up no survey: it shows the processes that it started', async () => {
  const jobs = supervisor('jobs', { name: name('jobs') }, [worker('one', job)])
  const { app, during } = await started({ app: supervisor('app', {}, [jobs]) })
  let go = (_: number): void => undefined
  const slow: GenServer<object, number> = { init: () => new Promise((resolve) => (go = resolve)) }
  const starting = startChild(app.system.to(name<SupervisorMessages>('jobs')), worker('slow', slow))
  const top = app.system.info(name('jobs'))

  const below = top && (await during(surveyBelow(app, top)))

  expect(below?.children[0]).toMatchObject({ name: 'one', status: 'running' })
  go(0)
  expect(await during(starting)).toMatchObject({ ok: true })
})

test('of many shards the sound ones are counted, so that the tree of the user is in sight', async () => {
  const { app, during } = await started({ shards: 9, app: supervisor('app', {}, []) })
  const whole = await during(surveyTree(app))
  const shards = (root: TreeNode) => find(root, 'shards')
  expect(shards(whole)?.children).toHaveLength(9)
  expect(shards(foldedTree(whole))).toMatchObject({ live: 9, children: [] })

  app.system.kill(name('journal(2)'))
  await during(new Promise((resolve) => app.system.clock.after(10, () => resolve(undefined))))
  const after = foldedTree(await during(surveyTree(app)))
  expect(shards(after)?.children.map((each) => each.name)).toEqual(['shard(2)'])
  expect(find(after, 'app')).toBeDefined()
})
