/** The rooms in one process, on the virtual clock. */
import { readFileSync } from 'node:fs'
import { call, cast, startSupervisor, sys } from 'keelson'
import { type Probe, testSystem } from 'keelson/testing'
import { expect, onTestFinished, test } from 'vitest'
import { type Guest, jobs, limiter, roomOf, tree } from './rooms.ts'

const open = async () => {
  const kit = testSystem()
  onTestFinished(() => kit.close())
  await startSupervisor(kit.system, tree)
  const room = (title: string) => roomOf(kit.system, title)
  return { ...kit, room }
}

/** What a guest was told, and nothing else. */
const told = async (guest: Probe<Guest>, count: number): Promise<unknown[]> =>
  (await guest.take(count)).map((each) => ('name' in each ? [each.name, each.payload] : each.kind))

test('guests of a room hear each other, and see who comes and who ends', async () => {
  const { room, probe, system, settle } = await open()
  const [ada, bob] = [probe<Guest>(), probe<Guest>()]
  const [lobby, same] = await Promise.all([room('lobby'), room('lobby')])

  await call(lobby, 'join', { name: 'Ada', ref: ada.ref })
  expect(await call(same, 'join', { name: 'Bob', ref: bob.ref })).toEqual(['Ada', 'Bob'])
  cast(await room('lobby'), 'say', { from: 'Ada', text: 'hello' })
  system.kill(bob.ref)
  await settle()

  expect(await told(ada, 4)).toEqual([
    ['present', ['Ada']],
    ['present', ['Ada', 'Bob']],
    ['heard', { from: 'Ada', text: 'hello' }],
    ['present', ['Ada']],
  ])
  expect((await sys.getState(lobby)).members.map(({ name }) => name)).toEqual(['Ada'])
})

test('a room that crashes is opened again by its next guest, and other rooms go on', async () => {
  const { room, system, settle } = await open()
  const [lobby, bar] = await Promise.all([room('lobby'), room('bar')])
  system.kill(lobby)
  await settle()

  expect((await room('lobby')).pid).not.toBe(lobby.pid)
  expect((await room('bar')).pid).toBe(bar.pid)
})

test('the limiter lets two through in a second', async () => {
  const { system, advance } = await open()
  const take = () => call(system.to(limiter), 'take', 'key')
  expect([await take(), await take(), await take()]).toEqual([true, true, false])
  await advance(1_000)
  expect(await take()).toBe(true)
})

test('jobs run beside each other, and those beyond the limit a second later', async () => {
  const { system, advance, log } = await open()
  for (const id of [1, 2, 3]) cast(system.to(jobs), 'enqueue', { id })
  await advance(10)
  expect(await call(system.to(jobs), 'done')).toEqual([1, 2])
  await advance(1_000)
  expect(await call(system.to(jobs), 'done')).toEqual([1, 2, 3])
  expect(log.lines).toEqual([])
})

test('the program has no cast', () => {
  const code = readFileSync(new URL('rooms.ts', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => !/^\s*(\*|\/|$)/.test(line))
  expect(code.filter((line) => /\bas\b|\bany\b|\bnever\b|[\w)\]]!|@ts-/.test(line))).toEqual([])
})
