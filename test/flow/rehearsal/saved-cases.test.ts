/** Cases that a rehearsal saves: what is chosen, and that they are judged as the data that they come from. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, StoredParts, workflow } from '../../../src/flow/index.ts'
import { CaseParts } from '../../../src/flow/rehearsal/cases-folder.ts'
import { rehearseParts } from '../../../src/flow/rehearsal/rehearse.ts'
import { CaseChoice, readCases } from '../../../src/flow/rehearsal/saved-cases.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  type KeelsonError,
  noReply,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Own = Ctx<{ approval: string; grant: string }>
type NoteMessages = { calls: { keep: (value: unknown) => void }; alarms: { remind: () => void } }

const notes = (version = 1): DurableServer<NoteMessages, unknown> => ({
  version,
  init: () => null,
  calls: {
    keep: (_, value, context) => {
      context.setAlarm('remind', { inMs: 86_400_000 })
      return reply(undefined, value)
    },
  },
  casts: {},
  infos: {},
  info: (state) => noReply(state),
  alarms: { remind: (state) => noReply(state) },
})

/** Values that JSON does not have. */
const odd = {
  at: new Date(5),
  bytes: new Uint8Array([0, 255]),
  map: new Map([[1n, new Set(['a'])]]),
  none: undefined,
}

const body =
  (step: string, signal: 'approval' | 'grant' = 'approval') =>
  async (ctx: Own, which?: string): Promise<unknown> => {
    const got = await ctx.step(step, () => odd)
    if (got.map.get(1n)?.has('a') !== true) throw new Error('it is another value')
    return which === 'other' ? ctx.waitFor('grant') : ctx.waitFor(signal)
  }

const treeOf = (own = body('reserve'), version = 1, kind = 'note') =>
  supervisor('app', {}, [
    entity(kind, notes(version)),
    flows({ workflows: [workflow('order', own)] }),
  ])

const order = workflow('order', body('reserve'))

/** Forty runs that wait alike, one that does not, three that have ended, and two notes. */
const written = async () => {
  const s = await simulated({ app: treeOf() })
  const start = (id: string, which = 'all') =>
    s.during(flow(s.app).start(order, which as never, { id }))
  for (let at = 0; at < 40; at++) await start(`run-${String(at).padStart(2, '0')}`)
  await start('some-other', 'other')
  for (const id of ['e1', 'e2', 'e3']) {
    const run = await start(id)
    await s.advance(1_000)
    await s.during(run.signal('approval', 'yes'))
  }
  for (const id of ['a', 'b'])
    await s.during(call(s.app.entity<NoteMessages>('note').ref(id), 'keep', odd))
  await s.advance(5_000)
  return s
}

const chosenOf = async (app: App) => {
  const [parts, choice] = [new StoredParts(app, 1_000), new CaseChoice()]
  for await (const lot of parts.lots()) for (const part of lot) choice.add(part)
  return { choice, text: choice.text(7, parts.facts) }
}

const readBack = (text: string) => readCases(text, 'cases.json')

test.each([
  ['the build that wrote the data', treeOf(), []],
  [
    'a step that is renamed',
    treeOf(body('book')),
    ['acts: ended, and DIVERGED', 'blocks: DIVERGED'],
  ],
  [
    'a signal that is renamed',
    treeOf(body('reserve', 'grant')),
    ['acts: ended, and DIVERGED', 'acts: would wait otherwise'],
  ],
  ['a version without a migrate', treeOf(body('reserve'), 2), ['blocks: BLOCKED']],
  ['a kind that is renamed', treeOf(body('reserve'), 1, 'memo'), ['blocks: is not in the tree']],
])('cases find what their data find, about %s', async (_, app, expected) => {
  const s = await written()
  const { text } = await chosenOf(s.app)
  const parts = new CaseParts(readBack(text))
  const { system } = s.app
  const ofCases = await s.during(rehearseParts({ parts, asOf: 7, system }, app))
  const ofData = await s.during(rehearse({ from: s.app, app }))

  const sorts = ({ findings }: typeof ofData) =>
    findings.map(({ level, what }) => `${level}: ${what}`).sort()
  expect(sorts(ofCases)).toEqual(expected)
  expect(sorts(ofData)).toEqual(expected)
  expect(ofCases).toMatchObject({ asOf: 7, counts: { runs: 23, actors: 2, endedLeft: 0 } })
})

test('of each type at most 20 are chosen: the ones that differ come first, and ended runs are a type', async () => {
  const s = await written()
  const { parts } = readBack((await chosenOf(s.app)).text)

  const idsOf = (kind: string) => parts.filter((each) => each.kind === kind).map(({ id }) => id)
  expect(idsOf('note')).toEqual(['a', 'b'])
  const runs = idsOf('$flow-order')
  expect(runs.slice(0, 3)).toEqual(['run-00', 'some-other', 'run-01'])
  expect(runs.slice(20).sort()).toEqual(['e1', 'e2', 'e3'])
})

test('equal data have equal cases', async () => {
  const s = await written()

  expect((await chosenOf(s.app)).text).toBe((await chosenOf(s.app)).text)
})

test('an actor of more than 256 KiB is left out, and counted', async () => {
  const s = await simulated({ app: treeOf(), wal: { maxFileSize: 2 * 1024 * 1024 } })
  const long = 'x'.repeat(256 * 1024)
  await s.during(call(s.app.entity<NoteMessages>('note').ref('long'), 'keep', long))
  await s.during(call(s.app.entity<NoteMessages>('note').ref('short'), 'keep', 'x'))
  const { choice, text } = await chosenOf(s.app)

  expect(readBack(text).parts.map(({ id }) => id)).toEqual(['short'])
  expect(choice.counts).toEqual({ cases: 1, long: 1 })
})

test('a text that is damaged, or of a newer version, is refused with its file', async () => {
  const s = await simulated({ app: treeOf() })
  await s.during(call(s.app.entity<NoteMessages>('note').ref('a'), 'keep', 'x'))
  const { text } = await chosenOf(s.app)
  const refused = (given: string): unknown => {
    try {
      return readBack(given)
    } catch (error) {
      return (error as KeelsonError).code
    }
  }

  expect(readBack(text).parts).toHaveLength(1)
  const spoilt = [
    ...['', '[]', 'null', '{}', text.slice(1), text.replace('"workers":[]', '"workers":1')],
    text.replace('"id":"a"', '"id":"b"'),
    text.replace(/"value":".{8}/, '"value":"AAAAAAAA'),
    text.replace('"value"', '"other"'),
  ]
  expect(spoilt.map(refused)).toEqual(spoilt.map(() => 'CORRUPT'))
  expect(refused(text.replace('"format":1', '"format":2'))).toBe('UNSUPPORTED_VERSION')
  expect(() => readBack('')).toThrow('cases.json is damaged: it has no cases')
})

test('a folder without cases is refused, as is any other source', async () => {
  for (const from of ['nowhere', 5])
    await expect(rehearse({ from: from as never, app: treeOf() })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
})
