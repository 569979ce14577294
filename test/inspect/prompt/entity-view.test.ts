/** What the prompt shows of entities: kinds, one of them, and tables that stay short. */
import { afterEach, expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  ok,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { type Simulation, startSimulated } from '../../../src/testing/index.ts'

type Messages = {
  calls: { place: (cents: number) => void; look: () => void }
  continues: { charge: () => void }
  alarms: { unpaid: () => void }
}
type Order = { readonly cents: number }

const order: DurableServer<Messages, Order> = {
  version: 3,
  init: () => ok({ cents: 0 }),
  migrate: () => {
    throw new Error('no way')
  },
  calls: {
    place: (_, cents, context) => {
      context.setAlarm('unpaid', { at: Date.UTC(2100, 0, 1) })
      return reply(undefined, { cents }, { continue: ['charge'] })
    },
    look: (state) => reply(undefined, state),
  },
  continues: {
    charge: () => {
      throw new Error('the bank is away')
    },
  },
  alarms: { unpaid: (state) => noReply(state) },
  index: ({ cents }) => ({ cents }),
}

/** A server that has no name below the children of the root. */
const twin: GenServer<object, number> = { init: () => 0 }

let s: Simulation
afterEach(() => s.close())

const session = async () => {
  const orders = entity('order', order)
  const twins = ['left', 'right'].map((id) => supervisor(id, {}, [worker('twin', twin)]))
  const app = supervisor('app', {}, [orders, ...twins, entity('empty', order)])
  s = await startSimulated({ app })
  const words = promptWords(s.app, plainPaint) as Record<
    string,
    (...parts: unknown[]) => { readonly text: string } & PromiseLike<{ readonly text: string }>
  >
  const ask = async (word: string, ...parts: unknown[]): Promise<string> =>
    (await words[word]?.(...parts))?.text ?? ''
  return { ask, handle: s.app.entity(orders) }
}

test('entity shows all that its rows say, and whether it lives', async () => {
  const { ask, handle } = await session()
  expect(await ask('entity', 'order', '42')).toBe(
    'entity   order/42\nprocess  at rest\nrow      none: it is unborn',
  )
  await s.during(call(handle.ref('42'), 'place', 995, { id: 'one' }))
  await s.advance(10)
  const { pid } = handle.ref('42')
  const shown = (await ask('entity', 'order', '42')).replace(/[0-9a-f]{16}/g, 'INC')
  const at = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`
  const lines = [
    'entity       order/42',
    `process      <${pid}>`,
    'incarnation  INC',
    'seq          2',
    'version      3',
    String.raw`state        \{ cents: 995 \}`,
    'index        cents 995',
    String.raw`steps        charge INC/1/0, failed 1 time \(Error: the bank is away\), is tried again ${at}`,
    String.raw`alarms       unpaid 2100-01-01T00:00:00\.000Z`,
    'calls kept   1',
    '',
    'step charge failed:',
    '  Error: the bank is away',
    String.raw`( {6}at .*\n)* {6}at .*entity-view\.test\.ts.*(\n {6}at .*)*`,
  ]
  expect(shown).toMatch(new RegExp(`^${lines.join('\n')}$`))
  await s.during(handle.stop('42'))
  expect(await ask('entity', 'order', '42')).toContain('process      at rest')
  await expect(ask('entity', 'nobody', '42')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('info of an entity at rest shows its row', { tags: ['O4'] }, async () => {
  const { ask, handle } = await session()
  await s.during(call(handle.ref('42'), 'place', 5))
  expect(await ask('info', 'order/42')).toMatch(/^name +order\/42\n/)
  await s.during(handle.stop('42'))

  expect(await ask('info', 'order/42')).toBe(await ask('entity', 'order', '42'))
  expect(await ask('info', 'order/42')).toMatch(/^process +at rest$/m)
  await expect(ask('info', 'nothing/42')).rejects.toMatchObject({ code: 'NO_PROCESS' })
})

test('an entity at rest is told so by every word that looks, with what its rows say, and is not woken', {
  tags: ['O4'],
}, async () => {
  const { ask, handle } = await session()
  await s.during(call(handle.ref('42'), 'place', 5))
  await s.during(handle.stop('42'))
  const known = await ask('entity', 'order/42')

  for (const word of ['info', 'trace', 'mailbox', 'tree'])
    expect(await ask(word, 'order/42'), word).toBe(known)
  const words = promptWords(s.app, plainPaint) as Record<string, (p: unknown) => unknown>
  expect(await words.state?.('order/42')).toEqual({ cents: 5 })
  expect(words.whereis?.('order/42')).toBe(undefined)
  for (const word of ['kill', 'suspend', 'resume'])
    expect(() => words[word]?.('order/42'), word).toThrow(/at rest; entity\('order\/42'\) shows it/)
  expect(handle.ref('42').pid).toBe(undefined)
})

test('entity takes the name of the process, and a number as the id', { tags: ['O6'] }, async () => {
  const { ask, handle } = await session()
  await s.during(call(handle.ref('42'), 'place', 5))

  const text = await ask('entity', 'order', '42')
  expect(await ask('entity', 'order/42')).toBe(text)
  expect(await ask('entity', 'order', 42)).toBe(text)
  expect(await ask('entity', 'order/no/such')).toMatch(/^entity +order\/no\/such\n.*unborn/s)
  for (const wrong of [[], ['order'], [7], ['order', {}], ['nobody/42']])
    await expect(ask('entity', ...wrong), String(wrong)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
})

test('entities of a kind are listed page by page, alive or at rest', { tags: ['O6'] }, async () => {
  const { ask, handle } = await session()
  for (let at = 10; at < 35; at++) await s.during(call(handle.ref(`${at}`), 'place', at))
  await s.during(handle.stop('10'))

  const page = await ask('entities', 'order')
  expect(page).toMatch(
    /^id +process +state\n10 +at rest +\{ cents: 10 \}\n11 +<\d+> +\{ cents: 11 \}\n/,
  )
  const [, cursor] =
    /\nentities\('order', \{ cursor: '(.*)' \}\) shows the next ones$/.exec(page) ?? []
  expect(page.split('\n')).toHaveLength(22)
  expect(await ask('entities', 'order', { cursor })).toMatch(/^id.*\n30 .*\n.*\n.*\n.*\n34 .*$/)
  expect(await ask('entities', 'order', { where: { cents: 33 } })).toMatch(/^id.*\n33 .*33 \}$/)
  expect(await ask('entities', 'empty')).toBe('no entity of the kind empty is found')
  await expect(ask('entities', 'nobody')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  for (const limit of [0, 201, 1.5, '3'])
    await expect(ask('entities', 'order', { limit })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
})

test('tree of a part shows what is below it; of a kind its entities too', {
  tags: ['O6'],
}, async () => {
  const { ask, handle } = await session()
  for (const id of ['a', 'b']) await s.during(call(handle.ref(id), 'look'))

  expect((await ask('tree', 'left')).split('\n')).toHaveLength(3)
  const order = await ask('tree', 'order')
  expect(order).toMatch(/\norder .* 2 live\n├─ order\/a .*\n└─ order\/b /)
  expect(await ask('tree', handle.ref('a'))).toMatch(/^[^\n]*\norder\/a [^\n]*$/)
})

test('a wrong message is answered with those of the user, without those of the actor itself', {
  tags: ['O8'],
}, async () => {
  const { ask, handle } = await session()
  await s.during(call(handle.ref('42'), 'look'))

  await expect(ask('call', 'order/42', 'lok')).rejects.toMatchObject({
    details: { expected: 'place, look', found: '"lok"' },
  })
})

test('kinds have the number of live ones; ps and tree do not list them', async () => {
  const { ask, handle } = await session()
  for (const id of ['a', 'b', 'c']) await s.during(call(handle.ref(id), 'look'))
  expect(await ask('entities')).toBe(
    'kind   live  blocked  parked\norder     3        0       0\nempty     0        0       0',
  )
  const folded = await ask('ps')
  expect(folded).toMatch(/\norder: 3 live, which ps\(\{ all: true \}\) shows$/)
  expect(folded).not.toContain('order/a')
  expect(await ask('ps', { all: true })).toContain('order/a')
  await expect(ask('ps', 5)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  const tree = await ask('tree')
  expect(tree).toMatch(/order .* running, 3 live\n/)
  expect(tree).toMatch(/empty .* running, 0 live$/)
  expect(tree).not.toContain('order/a')
})

test('a kind is found by the name that is shown; one of two processes is not', async () => {
  const { ask } = await session()
  expect(promptWords(s.app, plainPaint).order).toBe('order')
  expect(await ask('info', 'order')).toMatch(/kind +entity_kind/)
  expect(await s.during(ask('suspend', 'order'))).toMatch(/^suspended order <\d+>/)
  await s.during(ask('resume', 'order'))
  const killed = await s.during(ask('kill', 'order'))
  expect(killed).toMatch(/^killed order <\d+>$/)
  expect(await ask('info', 'order')).not.toContain(killed.slice('killed order '.length))
  await expect(ask('info', 'twin')).rejects.toMatchObject({
    code: 'NO_PROCESS',
    details: { target: 'twin', pids: [expect.any(String), expect.any(String)] },
  })
})
