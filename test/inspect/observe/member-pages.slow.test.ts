/** One page shows all members: each question and action goes to the member that its user has chosen. */
import { expect, test } from 'vitest'
import { passed } from '../../../src/clock.ts'
import { entity, supervisor, worker } from '../../../src/index.ts'
import { answerPages, Observer } from '../../../src/inspect/observe/observer.ts'
import type { Header, Overview } from '../../../src/observe/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { type App, innerParts } from '../../../src/supervisors/index.ts'
import { type CapturedLog, capturedLog } from '../../../src/testing/index.ts'
import { SpreadMembers } from '../../support/worlds/spread-members.ts'

const idle = { init: () => null, calls: {}, casts: {}, infos: {} }

/** Members a and b, a page of a, and the log of b. */
const two = async (write = false) => {
  const world = new SpreadMembers(['a', 'b'])
  const logs = new Map<string, CapturedLog>()
  const apps = await world.start(undefined, (member) => {
    const logger = capturedLog()
    logs.set(member, logger)
    const app = supervisor('app', {}, [
      worker('clerk', idle, { arg: null, name: 'clerk' as never }),
      entity('order', { init: () => 'new', calls: {} }),
    ])
    return { app, system: createSystem({ clock: world.clock, logger }) }
  })
  const [a, b] = apps as [App, App]
  for (const app of apps) answerPages(app)
  const page = new Observer(a, { isWriting: write, user: 'ann' })
  const asked = async (message: object) => {
    const answered = await world.during(page.answer({ id: 7, ...message }))
    expect(answered.id).toBe(7)
    return 'answer' in answered ? answered.answer : answered.refusal
  }
  const look = (view: string, query: object) =>
    asked({ look: view, query }) as Promise<{ header: Header; data: never }>
  return { world, a, b, asked, look, log: logs.get('b') as CapturedLog }
}

const pidOf = ({ system }: App): number | undefined =>
  system.processes().find(({ name }) => name === 'clerk')?.pid

test('a question is answered by the member that it names, and by its own one without a name', async () => {
  const { b, look } = await two()
  const own = await look('header', {})
  expect(own.header).toMatchObject({ member: 'a', members: ['a', 'b'] })
  expect((await look('header', { member: 'a' })).header).toMatchObject({ member: 'a' })
  expect((await look('header', { member: 'b' })).header).toMatchObject({ member: 'b' })
  const { data } = await look('process', { member: 'b', pid: String(pidOf(b)) })
  expect(data).toMatchObject({ row: { name: 'clerk' } })
})

test('a question for a member that is none is refused, and makes none', async () => {
  const { a, asked, look } = await two()
  expect(await asked({ look: 'header', query: { member: 'ghost' } })).toMatchObject({
    code: 'NO_PROCESS',
    message: expect.stringContaining('there is no member ghost'),
  })
  expect((await look('header', {})).header).toMatchObject({ members: ['a', 'b'] })
  expect(a.health().members?.map(({ member }) => member)).toEqual(['a', 'b'])
})

test('an entity of any member is shown, whichever member the page has chosen', async () => {
  const { a, look } = await two()
  const ids = Array.from({ length: 8 }, (_, at) => String(at))
  const owners = ids.map((id) => (a.entities.isElsewhere(`order/${id}`) ? 'b' : 'a'))
  expect([...new Set(owners)].sort()).toEqual(['a', 'b'])

  for (const member of ['a', 'b'])
    for (const [at, id] of ids.entries()) {
      const { header, data } = await look('entity', { kind: 'order', id, member })
      const shown: { readonly member?: string } = data
      expect([header.member, shown.member ?? member]).toEqual([member, owners[at]])
    }
})

test('a refusal of another member has its code once, and its text without the code', async () => {
  const { asked } = await two()
  const query = { kind: 'order', id: '' }
  const [own, other] = [
    await asked({ look: 'entity', query }),
    await asked({ look: 'entity', query: { ...query, member: 'b' } }),
  ]

  expect(own).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^id: /) })
  expect(other).toEqual(own)
})

test('a member without an answer is a refusal', async () => {
  const { b, asked } = await two()
  b[innerParts].way?.answer('page', () => new Promise(() => undefined))

  expect(await asked({ look: 'header', query: { member: 'b' } })).toMatchObject({ code: 'TIMEOUT' })
})

test('an overview has all members, with what each of them answers', async () => {
  const { world, look } = await two()
  const { members } = (await look('overview', {})).data as Overview
  expect(members).toMatchObject([
    { name: 'a', shards: 2, phase: 'open', lagBytes: expect.any(Number) },
    { name: 'b', shards: 2, phase: 'open', since: expect.any(Number) },
  ])
  world.pause('b', 20_000)
  await world.clock.advance(5_000)
  const later = ((await look('overview', {})).data as Overview).members
  expect(later?.find(({ name }) => name === 'b') ?? {}).not.toHaveProperty('phase')
})

test('an action is planned and performed at the member that it names, for the user of the page', async () => {
  const { a, b, asked, log, world } = await two(true)
  const before = [pidOf(a), pidOf(b)]
  const kill = { act: 'kill', pid: before[1], member: 'b' }
  const planned = await asked({ plan: kill })
  expect(planned).toMatchObject({ effect: expect.stringContaining('kills clerk') })
  expect(pidOf(b)).toBe(before[1])
  await asked({ act: { ...kill, reason: 'it hangs' }, planned })
  await world.clock.advance(10)
  expect(pidOf(a)).toBe(before[0])
  expect(pidOf(b)).not.toBe(before[1])
  expect(log.messages('warn')).toContainEqual(
    expect.stringMatching(/^ann, observing: kills clerk .* Reason: it hangs$/),
  )
})

test('an action is refused by another member than the one that has planned it', async () => {
  const { a, asked } = await two(true)
  const pid = pidOf(a)
  const planned = await asked({ plan: { act: 'kill', pid, member: 'b' } })
  expect(await asked({ act: { act: 'kill', pid, reason: 'it hangs' }, planned })).toMatchObject({
    code: 'CONFLICT',
  })
  expect(pidOf(a)).toBe(pid)
})

test('a page that only looks does not act at another member', async () => {
  const { b, asked } = await two()
  const pid = pidOf(b)
  const kill = { act: 'kill', pid, member: 'b', reason: 'it hangs' }
  expect(await asked({ act: kill })).toMatchObject({ code: 'READ_ONLY' })
  expect(pidOf(b)).toBe(pid)
})

test('an action at another member takes longer than a look may, and without an answer it may go on', async () => {
  const { b, asked, world } = await two(true)
  const { way } = b[innerParts]
  const snapshot = { act: 'snapshot', shard: 0, member: 'b', reason: 'a trial' }
  way?.answer('page', async () => {
    await passed(world.clock, 15_000)
    return JSON.stringify({ id: 7, answer: { text: 'Done' } })
  })
  expect(await asked({ act: snapshot })).toEqual({ text: 'Done' })

  way?.answer('page', () => new Promise(() => undefined))
  expect(await asked({ act: snapshot })).toMatchObject({ code: 'UNKNOWN_OUTCOME' })
})

test('a refusal of another member, and a member that is none, are answers', async () => {
  const { asked, look } = await two()
  expect(await look('process', { member: 'b', pid: '99999' })).toMatchObject({ code: 'NO_PROCESS' })
  expect(await look('nothing', { member: 'b' })).toMatchObject({ code: 'INVALID_ARGUMENT' })
  const nobody = await asked({ look: 'header', query: { member: 'z' } })
  expect(nobody).toMatchObject({ code: expect.stringMatching(/NO_PROCESS|SHARD_DOWN|TIMEOUT/) })
})
