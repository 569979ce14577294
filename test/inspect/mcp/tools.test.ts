/** The tools of `keelson mcp`: what each takes, asks and answers, without a process. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { pagesOf } from '../../../src/inspect/mcp/doc-pages.ts'
import { answerOf } from '../../../src/inspect/mcp/mcp-server.ts'
import { openText, plainAnswer } from '../../../src/inspect/mcp/plain-answers.ts'
import {
  givenTo,
  inputSchemaOf,
  type Sources,
  sorts,
  tools,
} from '../../../src/inspect/mcp/tools.ts'
import { recordedSorts } from '../../../src/inspect/recorder/records.ts'

const pages: Readonly<Record<string, string>> = {
  'docs/a.md': '# First\n\nThe gate is BUSY.\n\n## Gates\n\nBUSY again.',
  'docs/b.md': `# Long\n\n${'x'.repeat(40_000)}`,
}
const docs = pagesOf(Object.keys(pages), (page) => pages[page] ?? '')

/** Arguments that a tool takes: the first of some words, the least number, any text. */
const argumentsOf = (name: string) =>
  Object.fromEntries(
    Object.entries(tools[name]?.parameters ?? {})
      .filter(([, { isRequired }]) => isRequired)
      .map(([key, each]) => [
        key,
        key === 'page' ? 'a.md' : each.type === 'integer' ? each.minimum : (each.enum?.[0] ?? 'x'),
      ]),
  )

test('no tool can do more than ask looks of the page, and none of them acts', async () => {
  const asked = new Set<string>()
  const answer = { troubles: [], pending: [], queues: [], silent: [] }
  const sources: Sources = {
    look: async (view) => {
      asked.add(view)
      return { header: {} as never, data: answer as never }
    },
    docs,
  }
  for (const name of Object.keys(tools)) {
    const { isError, content } = await answerOf(name, argumentsOf(name), sources)
    expect([name, isError, content[0]?.text]).toEqual([name, undefined, expect.any(String)])
  }
  await answerOf('jobs', { queue: 'q', state: 'dead' }, sources)

  // A new look stands here when somebody has seen that it changes nothing.
  expect([...asked].sort()).toEqual([
    ...['crashes', 'dead', 'entities', 'entity', 'flows', 'history', 'job', 'jobs', 'kind', 'log'],
    ...['overview', 'past', 'process', 'processes', 'replication', 'run', 'runs', 'schedules'],
    ...['storage', 'streams', 'tree'],
  ])
  // A trace would be work in the instance.
  expect(Object.keys(tools.process?.parameters ?? {})).toEqual(['pid', 'member'])
})

test('each tool has a name that clients take, a description, and a schema of each parameter', () => {
  for (const [name, tool] of Object.entries(tools)) {
    expect(name).toMatch(/^[a-z][a-z_]{2,40}$/)
    expect([name, tool.title, tool.description]).toEqual([
      name,
      expect.stringMatching(/^[A-Z]/),
      expect.stringMatching(/^[A-Z].*\.$/),
    ])
    const { properties, required, ...schema } = inputSchemaOf(tool)
    expect(schema).toEqual({ type: 'object', additionalProperties: false })
    expect(required.filter((each) => !(each in properties))).toEqual([])
    for (const property of Object.values(properties))
      expect(property.description).toMatch(/^\S.*\.$/)
  }
})

test('the log is asked for the sorts of events that are recorded', () => {
  expect(sorts).toEqual(recordedSorts)
})

test('the log of several members has the events of all in their order, and who did not answer', async () => {
  const members = ['a', 'b', 'c']
  const lines: Readonly<Record<string, object[]>> = {
    a: [
      { at: 1, text: 'one' },
      { at: 4, text: 'four' },
    ],
    b: [{ at: 2, text: 'two' }],
  }
  const look = async (_: string, { member = 'a' }: { member?: string }) => {
    if (!lines[member]) throw new KeelsonError('TIMEOUT', `${member} has not answered`)
    return { header: { member, members }, data: { lines: lines[member] } }
  }
  const sources = { look, docs } as never
  const shown = async (given: object) =>
    JSON.parse((await answerOf('log', given, sources)).content[0]?.text ?? '')

  const all = await shown({})
  expect(all.lines.map(({ member, text }: Record<string, string>) => `${member} ${text}`)).toEqual([
    ...['a one', 'b two', 'a four'],
  ])
  expect(all.silent).toMatchObject([
    { member: 'c', code: 'TIMEOUT', reason: expect.stringContaining('c has not answered') },
  ])
  expect(await shown({ member: 'b' })).toMatchObject({
    ...{ member: 'b', otherMembers: ['a', 'c'], lines: [{ text: 'two' }] },
  })
  lines.a?.push(...Array.from({ length: 90 }, (_, at) => ({ at: 9 + at, text: 'x'.repeat(900) })))
  const { content } = await answerOf('log', {}, sources)
  expect(Buffer.byteLength(content[0]?.text ?? '')).toBeLessThan(64 * 1024)
})

test('arguments that a tool does not take are refused with what to do next', async () => {
  const refused = async (name: string, given: object) => {
    const sources = { look: () => Promise.reject(new Error('asked')), docs }
    const { isError, content } = await answerOf(name, given, sources)
    expect(isError).toBe(true)
    return JSON.parse(content[0]?.text ?? '').error
  }
  for (const [name, given, why] of [
    ['run', { type: 'order' }, /^id/],
    ['run', { type: 'order', id: 7 }, /^id: expected a text/],
    ['run', { type: 'order', id: '1', trace: 'on' }, /^trace: expected one of type, id, member/],
    ['log', { level: 'info' }, /^level: expected one of error, warn/],
    ['history', { kind: 'a', id: '1', limit: 51 }, /^limit: expected a whole number from 1 to 50/],
    ['health', { toString: 1 }, /^toString/],
    ['docs_read', { page: '../../etc/passwd' }, /^page: expected a page that docs_list has/],
    ['docs_search', { words: '  ' }, /at least one word/],
  ] as const)
    expect(await refused(name, given)).toEqual({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(why),
      next: expect.stringMatching(/schema/),
    })
  expect(givenTo(tools.log as never, { level: null, find: '' })).toEqual({})
  expect(await refused('health', {})).toMatchObject({ code: 'FAILED', message: 'Error: asked' })
})

test('a refusal of the instance has its code and what to do next', async () => {
  const look = () => Promise.reject(new KeelsonError('SHARD_DOWN', 'shard 0 is down: token=x1y2'))
  const { content, isError } = await answerOf('kinds', {}, { look, docs })
  expect(isError).toBe(true)
  expect(JSON.parse(content[0]?.text ?? '')).toEqual({
    error: {
      code: 'SHARD_DOWN',
      message: expect.stringMatching(/^shard 0 is down: token=\[hidden string of 4\]$/),
      next: 'Ask `health` and `storage` why the shard does not answer.',
    },
  })
})

test.each([
  ['wrong password: hunter2', 'wrong password: [hidden string of 7]'],
  ['error: password=hunter2', 'error: password=[hidden string of 7]'],
  ['{"apiKey":"k-1","key":"a/b"}', '{"apiKey":"[hidden string of 3]","key":"a/b"}'],
  ['authorization: Bearer abc.def', 'authorization: Bearer [hidden string of 7]'],
  ['sent Bearer abcdef.ghi', 'sent Bearer [hidden string of 10]'],
  [
    'connect postgres://app:hunter2@db:5432/shop',
    'connect postgres://app:[hidden string of 7]@db:5432/shop',
  ],
  ["{ password: '[hidden string of 7]' }", "{ password: '[hidden string of 7]' }"],
  ['at pay (file:///srv/tokens.ts:10:5)', 'at pay (file:///srv/tokens.ts:10:5)'],
  ['tryKey: order/1/pay', 'tryKey: order/1/pay'],
])('a text with a secret that says its name is shown without it: %s', (text, shown) => {
  expect(openText(text)).toBe(shown)
  expect(openText(shown)).toBe(shown)
})

test('a text of any length is read once', () => {
  const begun = performance.now()
  for (const part of ['a', 'a.', 'a:', 'a: ', 'bearer ', 'a://b:'])
    openText(part.repeat(50_000 / part.length))
  expect(performance.now() - begun).toBeLessThan(2_000)
})

test('values are plain JSON with what is left out, and times are texts', () => {
  const shown = {
    type: 'object',
    size: 4,
    members: [
      ['at', 5],
      ['list', { type: 'array', size: 3, members: [['0', 1]] }],
      ['password', { text: '[hidden string of 7]', isHidden: true }],
    ],
  }
  expect(plainAnswer({ state: shown, at: 0, count: 3, dueAt: 1_000 })).toEqual({
    state: { at: 5, list: [1, '… 2 more'], password: '[hidden string of 7]', '…': '… 1 more' },
    at: '1970-01-01T00:00:00.000Z',
    count: 3,
    dueAt: '1970-01-01T00:00:01.000Z',
  })
})

test('the docs are listed, read in parts, and found by words in a paragraph and its heading', () => {
  expect(docs.list()).toEqual([
    { page: 'docs/a.md', title: 'First' },
    { page: 'docs/b.md', title: 'Long' },
  ])
  expect(docs.read('b.md', 0)).toMatchObject({ page: 'docs/b.md', next: 32_000 })
  expect(docs.read('docs/b.md', 32_000)).toEqual({
    page: 'docs/b.md',
    text: 'x'.repeat(40_000 + '# Long\n\n'.length - 32_000),
  })
  expect(docs.search('busy gates')).toEqual({
    count: 1,
    found: [{ page: 'docs/a.md', heading: 'Gates', text: 'BUSY again.' }],
  })
})
