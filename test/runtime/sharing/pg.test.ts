/** Process groups: memberships, changes told to watchers, and ends of processes. */
import { describe, expect, test } from 'vitest'
import { type BareContext, type Messages, pg, type Ref, send } from '../../../src/runtime/index.ts'
import { type Probe, testSystem } from '../../../src/testing/index.ts'
import { holed } from '../../support/read-once.ts'

const world = () => {
  const { system, clock, probe } = testSystem()
  const idle = (): Ref => system.spawn((context) => context.receive())
  return { system, clock, probe, idle }
}

const watch = (probe: Probe<Messages>, group: string) =>
  probe.act((context) => pg.monitor(context as unknown as pg.Watcher, group))

/** The changes that a probe was sent, without the monitor. */
const changes = (probe: Probe<Messages>) =>
  probe.waiting().map((message) => {
    const { event, group, members } = (message as { payload: pg.Change }).payload
    return [event, group, members]
  })

describe('a group', () => {
  test('lists its members in the order of their joins, each as often as it has joined', () => {
    const { system, idle } = world()
    const [a, b] = [idle(), idle()]
    pg.join(system, 'g', a)
    pg.join(system, 'g', [b, a])

    expect(pg.members(system, 'g')).toEqual([a, a, b])
    expect(pg.leave(system, 'g', a)).toBe(true)
    expect(pg.members(system, 'g')).toEqual([a, b])
    expect(pg.leave(system, 'g', [a, b])).toBe(true)
    expect(pg.leave(system, 'g', a)).toBe(false)
    expect(pg.members(system, 'g')).toEqual([])
  })

  test('is there while it has a member, and compares its name by content', () => {
    const { system, idle } = world()
    const a = idle()
    pg.join(system, ['room', 1], a)
    pg.join(system, 'other', a)

    expect(pg.groups(system)).toEqual([['room', 1], 'other'])
    expect(pg.members(system, ['room', 1])).toEqual([a])
    pg.leave(system, ['room', 1], a)
    expect(pg.groups(system)).toEqual(['other'])
  })

  test('loses a process at its end, before anybody learns of that end', async () => {
    const { system, clock, idle } = world()
    const [a, b] = [idle(), idle()]
    pg.join(system, 'g', [a, b, a])
    pg.join(system, 'h', a)
    const seen: unknown[] = []
    system.monitor(a, () => seen.push(pg.members(system, 'g'), pg.groups(system)))
    system.kill(a)
    await clock.settle()

    expect(seen).toEqual([[b], ['g']])
    pg.join(system, 'g', a) // ended: as in OTP, no error and no member
    expect(pg.members(system, 'g')).toEqual([b])
  })

  test('refuses what is no process, also a hole in a list, and then nobody has joined', () => {
    const { system, idle } = world()
    const [one, other] = [idle(), idle()]
    for (const [where, members] of [
      [system, null],
      [system, holed(one, other)],
      [system, [one, 5]],
      [null, one],
    ])
      expect(() => pg.join(where as never, 'g', members as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    expect(pg.members(system, 'g')).toEqual([])
  })

  test('belongs to one System', () => {
    const [here, there] = [world(), world()]
    pg.join(here.system, 'g', here.idle())

    expect(pg.members(there.system, 'g')).toEqual([])
    expect(() => pg.join(there.system, 'g', here.idle())).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(() => pg.join(here.system, 'g', here.system.to('nobody' as never))).toThrow(
      expect.objectContaining({ code: 'NO_PROCESS' }),
    )
    expect(() => pg.join({} as never, 'g', here.idle())).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  test('is not changed by the code of a process that has ended', async () => {
    const { system, clock, idle } = world()
    let kept: BareContext | undefined
    const dead = system.spawn((context) => {
      kept = context
    })
    await clock.settle()
    const member = idle()

    const late = () => pg.join(kept as BareContext, 'g', member)
    expect(late).toThrow(expect.objectContaining({ code: 'EXITED' }))
    expect(pg.members(system, 'g')).toEqual([])
    expect(system.info(dead)).toBeUndefined()
  })
})

describe('a broadcast', () => {
  test('sends to each member as often as it has joined, with its sender', async () => {
    const { system, clock, probe } = world()
    const [a, b, sender] = [probe(), probe(), probe()]
    const group = pg.group<{ infos: { news: (text: string) => void } }>('g')
    pg.join(system, group, [a.ref, b.ref, a.ref] as never)

    const sent = await sender.act((context) => pg.broadcast(context, group, 'news', 'tea'))
    await clock.settle()

    expect(sent).toBe(3)
    const news = { kind: 'info', name: 'news', payload: 'tea' }
    expect(a.waiting()).toEqual([news, news])
    expect(b.waiting()).toEqual([news])
  })

  test('counts the members whose mailbox took it', async () => {
    const { system } = world()
    const full = system.spawn((context) => context.sleep(1_000), { mailboxMax: 1 })
    const group = pg.group<{ infos: { news: () => void } }>('g')
    pg.join(system, group, full as never)

    expect(pg.broadcast(system, group, 'news')).toBe(1)
    expect(pg.broadcast(system, group, 'news')).toBe(0)
  })
})

describe('a monitor of a group', () => {
  test('tells the members of its beginning, and then each change once', async () => {
    const { system, clock, probe, idle } = world()
    const [a, b, watcher] = [idle(), idle(), probe()]
    pg.join(system, 'g', a)
    const { members } = await watch(watcher, 'g')
    pg.join(system, 'g', [a, b])
    pg.join(system, 'other', b)
    pg.leave(system, 'g', [b, b, idle()])
    await clock.settle()

    expect(members).toEqual([a])
    expect(changes(watcher)).toEqual([
      ['join', 'g', [a, b]],
      ['leave', 'g', [b]],
    ])
  })

  test('tells the end of a member with all its memberships, before the down message', async () => {
    const { system, clock, probe, idle } = world()
    const [a, watcher] = [idle(), probe()]
    pg.join(system, 'g', [a, a])
    await watcher.act((context) => context.monitor(a))
    await watch(watcher, 'g')
    system.kill(a)
    await clock.settle()

    const [first, second] = watcher.waiting() as readonly { kind: string; payload?: pg.Change }[]
    expect(first?.payload).toMatchObject({ event: 'leave', members: [a, a] })
    expect(second?.kind).toBe('down')
  })

  test('of all groups names the group of each change', async () => {
    const { system, clock, probe, idle } = world()
    const [a, watcher] = [idle(), probe()]
    pg.join(system, 'g', a)
    const found = await watcher.act((context) => pg.monitorAll(context as unknown as pg.Watcher))
    pg.join(system, 'h', a)
    system.kill(a)
    await clock.settle()

    expect(found.groups).toEqual([['g', [a]]])
    expect(changes(watcher)).toEqual([
      ['join', 'h', [a]],
      ['leave', 'g', [a]],
      ['leave', 'h', [a]],
    ])
  })

  test('`demonitor` looks at each waiting message once, however many changes wait', async () => {
    const { system, clock, idle } = world()
    const member = idle()
    let looks = 0
    const noise = {
      get monitor() {
        looks++
        return undefined
      },
    }
    let left: number | undefined
    const watcher = system.spawn(async (context: BareContext) => {
      const own = context as unknown as pg.Watcher
      const { monitor } = pg.monitor(own, 'g')
      await context.receive()
      pg.demonitor(own, monitor)
      left = system.info(context.self)?.mailbox
    })
    await clock.settle()
    for (const each of ['go', ...Array<string>(50).fill('pg')])
      send(watcher as Ref<{ infos: Record<string, (payload: unknown) => void> }>, each, noise)
    for (let each = 0; each < 50; each++) pg.join(system, 'g', member)
    await clock.settle()

    expect([looks, left]).toEqual([50, 50])
  })

  test('ends with `demonitor`, which also removes what waits in the mailbox', async () => {
    const { system, clock, idle } = world()
    const a = idle()
    const seen: unknown[] = []
    system.spawn(async (context) => {
      const watcher = context as unknown as pg.Watcher
      const { monitor } = pg.monitor(watcher, 'g')
      pg.join(context, 'g', [a])
      pg.join(context, 'g', [a])
      seen.push(pg.demonitor(watcher, monitor), pg.demonitor(watcher, monitor))
      pg.leave(context, 'g', a)
      seen.push(await context.receive(0))
    })
    await clock.settle()

    expect(seen).toEqual([true, false, undefined])
  })

  test('is refused to a process that does not hold it', async () => {
    const { probe } = world()
    const [one, other] = [probe(), probe()]
    const { monitor } = await watch(one, 'g')

    const stolen = other.act((context) => pg.demonitor(context as unknown as pg.Watcher, monitor))
    await expect(stolen).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('and a full mailbox: no change is refused', async () => {
    const { system, clock, idle } = world()
    const a = idle()
    const seen: unknown[] = []
    const body = async (context: BareContext): Promise<void> => {
      pg.monitor(context as unknown as pg.Watcher, 'g')
      await context.sleep(10)
      for (let at = 0; at < 3; at++) seen.push(await context.receive(0))
    }
    system.spawn(body, { mailboxMax: 1 })
    await clock.settle()
    for (let at = 0; at < 3; at++) pg.join(system, 'g', a)
    await clock.advance(10)

    expect(seen.filter((message) => message !== undefined)).toHaveLength(3)
  })
})
