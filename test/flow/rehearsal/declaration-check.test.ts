/** A check of a tree against stored data names what they need and the tree lacks, and calls nothing of it. */
import { expect, test } from 'vitest'
import {
  type Ctx,
  checkDeclarations,
  flow,
  flows,
  queue,
  StoredParts,
  workflow,
} from '../../../src/flow/index.ts'
import {
  type AppTree,
  call,
  type DurableServer,
  entity,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type CountMessages = { calls: { add: () => number } }

/** The code of users that was called. */
const called: string[] = []

const counter = (version = 1): DurableServer<CountMessages, number> => ({
  version,
  init: () => 0,
  calls: { add: (count) => reply(count + 1, count + 1) },
  casts: {},
  infos: {},
  info: (state) => noReply(state),
  migrate: (state) => {
    called.push('migrate')
    return state as number
  },
})

const child = workflow('child', (ctx: Ctx<{ grow: string }>) => ctx.waitFor('grow'))
const parent = workflow('parent', (ctx: Ctx) => ctx.child('own', child, undefined))
const mails = queue('mails', async () => undefined)

type Parts = {
  readonly workflows?: readonly unknown[]
  readonly queues?: readonly unknown[]
  readonly kind?: string
  readonly worker?: string
  readonly version?: number
}

const treeOf = (parts: Parts = {}): AppTree => {
  const { workflows = [child, parent], queues = [mails] } = parts
  const { kind = 'count', worker: name = 'visits', version = 1 } = parts
  return supervisor('app', {}, [
    entity(kind, counter(version)),
    worker(name, counter(version) as never, { durable: true } as never),
    flows({ workflows: workflows as never, queues: queues as never }),
  ])
}

/** A parent that waits for its child, a run that has ended, a delayed job, an entity and a worker. */
const written = async () => {
  const s = await simulated({ app: treeOf() })
  await s.during(flow(s.app).start(parent, undefined, { id: 'p' }))
  const ended = await s.during(flow(s.app).start(child, undefined, { id: 'ended' }))
  await s.advance(1_000)
  await s.during(ended.signal('grow', 'up'))
  await s.during(flow(s.app).add(mails, { text: 'hello' } as never, { delay: '1d' }))
  await s.during(call(s.app.entity<CountMessages>('count').ref('a'), 'add'))
  await s.during(call(s.app.system.whereis('visits' as never) as never, 'add' as never))
  await s.advance(5_000)
  return s
}

const throws = (name: string, options?: object) =>
  workflow(
    name,
    () => {
      called.push(`body of ${name}`)
      throw new Error('it is called')
    },
    options as never,
  )

const gone = 'is not in the tree'
const lacks = 'UNSUPPORTED_VERSION'

test.each<readonly [string, Parts, readonly string[]]>([
  ['that wrote the data lacks nothing', {}, []],
  [
    'with other code lacks nothing: no code is called',
    { workflows: [throws('child'), throws('parent')], version: 2 },
    [],
  ],
  [
    'without a workflow lacks it for its runs, and for those that wait for one',
    { workflows: [parent] },
    [`blocks: workflow child ${lacks}`, `blocks: workflow parent ${lacks}`],
  ],
  [
    'with another version of a workflow lacks the body of the earlier one',
    { workflows: [child, throws('parent', { version: 2 })] },
    [`blocks: workflow parent ${lacks}`],
  ],
  ['without a queue lacks it for its jobs', { queues: [] }, [`blocks: queue mails ${lacks}`]],
  ['without a kind lacks it', { kind: 'tally' }, [`blocks: entity count ${gone}`]],
  ['without a worker lacks it', { worker: 'guests' }, [`blocks: worker visits ${gone}`]],
])('a tree %s', async (_, parts, expected) => {
  const s = await written()
  called.length = 0
  const { clock } = s.system
  const data = { parts: new StoredParts(s.app, 0), asOf: clock.now() }
  const { findings, counts } = await s.during(checkDeclarations(treeOf(parts), data))

  expect(findings.map(({ level, kind, what }) => `${level}: ${kind} ${what}`)).toEqual(expected)
  expect(counts.runs).toBe(2)
  expect(called).toEqual([])
})

test('the store alone lacks everything that has data', async () => {
  const s = await written()
  const data = { parts: new StoredParts(s.app, 0), asOf: s.system.clock.now() }
  const { findings } = await s.during(checkDeclarations(false, data))

  expect(findings.map(({ kind }) => kind).sort()).toEqual([
    'entity count',
    'queue mails',
    'worker visits',
    'workflow child',
    'workflow parent',
  ])
})
