/** The parent of members on a virtual clock, over processes that the test plays. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import type { FromMember } from '../../../src/inspect/members/member-message.ts'
import { type MemberProcesses, MembersParent } from '../../../src/inspect/members/members-parent.ts'
import type { MemberEnd } from '../../../src/inspect/members/members-plan.ts'
import { memberNames } from '../../../src/inspect/members/members-plan.ts'
import { checkMembersOptions } from '../../../src/supervisors/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'

type Hearing = Parameters<MemberProcesses['start']>[1]

/** Processes that do what the test says. One that answers does so at once. */
class PlayedProcesses implements MemberProcesses {
  /** What the parent has done, as `start a`, `end b`, `kill c`. */
  readonly done: string[] = []
  readonly silent = new Set<string>()
  readonly #hearing = new Map<string, Hearing>()

  start(member: string, hearing: Hearing): void {
    this.done.push(`start ${member}`)
    this.#hearing.set(member, hearing)
  }

  send(member: string, { keelson }: { readonly keelson: string }): void {
    if (keelson === 'end') this.done.push(`end ${member}`)
    else if (!this.silent.has(member)) this.alive(member)
  }

  kill(member: string): void {
    this.done.push(`kill ${member}`)
    this.silent.delete(member)
    this.end(member, null, 'SIGKILL')
  }

  say(member: string, message: FromMember): void {
    this.#hearing.get(member)?.said(message)
  }

  alive(member: string, isInspected = false): void {
    this.say(member, { keelson: 'alive', isInspected })
  }

  /** The member has started in full. */
  begin(member: string, options = {}): void {
    this.alive(member)
    this.say(member, { keelson: 'joined', options: checkMembersOptions(options) })
    this.say(member, { keelson: 'ready', line: `Keelson of ${member}` })
  }

  end(member: string, status: MemberEnd['status'], signal: MemberEnd['signal'] = null): void {
    this.#hearing.get(member)?.ended({ status, signal })
  }

  /** What was done since this was asked before. */
  news(): string[] {
    return this.done.splice(0)
  }
}

const parentOf = (count: number) => {
  const clock = virtualClock()
  const [log, processes] = [capturedLog(), new PlayedProcesses()]
  const announced: string[] = []
  const parent = new MembersParent(memberNames(count), {
    ...{ clock, log, processes },
    announce: (line) => announced.push(line),
  })
  let status: number | undefined
  void parent.finished.then((ended) => (status = ended))
  const finished = async (): Promise<number | undefined> => {
    await clock.settle()
    return status
  }
  return { clock, log, processes, parent, announced, finished }
}

/** The same, when all members are ready. */
const serving = (count: number, options = {}) => {
  const world = parentOf(count)
  for (const name of memberNames(count)) world.processes.begin(name, options)
  world.processes.news()
  return world
}

test('members are a to z, then aa and so on, whatever their number', () => {
  expect(memberNames(4)).toEqual(['a', 'b', 'c', 'd'])
  expect(memberNames(64).slice(24, 29)).toEqual(['y', 'z', 'aa', 'ab', 'ac'])
  expect(memberNames(64).at(-1)).toBe('bl')
  expect(new Set(memberNames(64)).size).toBe(64)
})

describe('the start', () => {
  test('begins with one member; the others follow when it has the folder', () => {
    const { processes } = parentOf(3)
    expect(processes.news()).toEqual(['start a'])
    processes.alive('a')
    expect(processes.news()).toEqual([])

    processes.say('a', { keelson: 'joined', options: checkMembersOptions() })
    expect(processes.news()).toEqual(['start b', 'start c'])
  })

  test('is announced once, when all are ready', () => {
    const { processes, announced } = parentOf(3)
    processes.begin('a')
    processes.begin('c')
    expect(announced).toEqual([])

    processes.begin('b')
    processes.end('c', null, 'SIGKILL')
    processes.begin('c')
    expect(announced).toEqual(['Keelson of b'])
  })

  test.each([
    [78, 78],
    [1, 1],
    [null, 1],
  ])(
    'that one member does not survive (%s) ends the others, with status %s',
    async (how, status) => {
      const { processes, finished } = parentOf(3)
      processes.begin('a')
      processes.begin('b')
      processes.news()

      processes.end('c', how, how === null ? 'SIGKILL' : null)
      expect(processes.news()).toEqual(['end a', 'end b'])
      processes.end('a', 0)
      expect(await finished()).toBeUndefined()
      processes.end('b', 143)
      expect(await finished()).toBe(status)
    },
  )

  test('that is refused to the first one starts no other', async () => {
    const { processes, finished } = parentOf(3)
    processes.end('a', 78)

    expect([processes.news(), await finished()]).toEqual([['start a'], 78])
  })

  test('that a signal interrupts ends with the status of the signal', async () => {
    const { processes, parent, finished } = parentOf(2)
    processes.begin('a')
    processes.news()
    parent.signalled('SIGINT')
    expect(processes.news()).toEqual(['end a', 'end b'])
    processes.end('a', 0)
    processes.end('b', 143)

    expect(await finished()).toBe(130)
  })
})

describe('a member that dies', () => {
  test('starts again after a time that doubles with each end in a row', async () => {
    const { processes, clock } = serving(2, { intensity: 10 })
    for (const mostMs of [100, 200, 400]) {
      processes.end('b', null, 'SIGSEGV')
      await clock.advance(mostMs / 2 - 1)
      expect(processes.news()).toEqual([])
      await clock.advance(mostMs / 2 + 1)
      expect(processes.news()).toEqual(['start b'])
      processes.begin('b')
    }
  })

  test.each([
    [0, null, 'info'],
    [1, null, 'error'],
    [null, 'SIGKILL', 'error'],
  ] as const)(
    'with status %s and signal %s is a line of the level %3$s',
    (status, signal, level) => {
      const { processes, log } = serving(2)
      processes.end('b', status, signal)
      expect(log.lines.at(-1)?.level).toBe(level)
    },
  )

  test('after it ran for long starts again soon', async () => {
    const { processes, clock } = serving(2)
    for (let end = 0; end < 3; end++) {
      await clock.advance(100_000)
      processes.end('a', 1)
      await clock.advance(100)
      expect(processes.news()).toEqual(['start a'])
      processes.begin('a')
    }
  })

  test('more often than the intensity allows ends all, with status 1', async () => {
    const { processes, clock, finished } = serving(2, { intensity: 2, periodMs: 60_000 })
    for (let end = 0; end < 3; end++) {
      processes.end('b', 1)
      await clock.advance(5_000)
    }
    expect(processes.news()).toEqual(['start b', 'start b', 'end a'])
    processes.end('a', 0)

    expect(await finished()).toBe(1)
  })

  test('spends the intensity of no other member', async () => {
    const { processes, clock } = serving(4, { intensity: 1 })
    for (const name of ['a', 'b', 'c', 'd']) processes.end(name, null, 'SIGKILL')
    await clock.advance(100)

    expect(processes.news().sort()).toEqual(['start a', 'start b', 'start c', 'start d'])
  })

  test('and is refused since then waits for its configuration, while the others go on', async () => {
    const { processes, clock, finished } = serving(2, { intensity: 1 })
    processes.end('b', null, 'SIGKILL')
    for (let refusal = 0; refusal < 10; refusal++) {
      await clock.advance(5_000)
      expect(processes.news()).toEqual(['start b'])
      processes.end('b', 78)
    }
    expect(await finished()).toBeUndefined()

    processes.end('a', 78)
    expect(await finished()).toBe(78)
  })
})

describe('a member that is stuck', () => {
  test('is killed when it has not answered for stuckMs, and starts again', async () => {
    const { processes, clock } = serving(2, { stuckMs: 1_000 })
    await clock.advance(10_000)
    expect(processes.news()).toEqual([])
    processes.silent.add('b')
    await clock.advance(900)
    expect(processes.news()).toEqual([])

    await clock.advance(1_300)
    expect(processes.news()).toEqual(['kill b', 'start b'])
  })

  test('is left alone when it answers in time', async () => {
    const { processes, clock } = serving(2, { stuckMs: 1_000 })
    for (let pause = 0; pause < 5; pause++) {
      processes.silent.add('a')
      await clock.advance(800)
      processes.silent.delete('a')
      processes.alive('a')
    }
    expect(processes.news()).toEqual([])
  })

  test('is left alone while a debugger is there', async () => {
    const { processes, clock } = serving(2, { stuckMs: 1_000 })
    processes.alive('a', true)
    processes.silent.add('a')
    await clock.advance(100_000)

    expect(processes.news()).toEqual([])
  })

  test('is watched from its first sign of life on, also before it is ready', async () => {
    const { processes, clock, finished } = parentOf(2)
    processes.silent.add('a')
    await clock.advance(60_000)
    expect(processes.news()).toEqual(['start a'])

    processes.alive('a')
    await clock.advance(12_000)
    expect(processes.news()).toEqual(['kill a'])
    expect(await finished()).toBe(1)
  })

  test('is killed at the end, too: the status is 1', async () => {
    const { processes, clock, parent, finished } = serving(2, { stuckMs: 1_000 })
    parent.signalled('SIGTERM')
    processes.end('a', 0)
    processes.silent.add('b')
    await clock.advance(2_000)

    expect(processes.news()).toEqual(['end a', 'end b', 'kill b'])
    expect(await finished()).toBe(1)
  })
})

describe('SIGHUP', () => {
  test('restarts one member after another, each when all run', () => {
    const { processes, parent } = serving(3)
    parent.hungUp()
    for (const [name, next] of [
      ['a', 'b'],
      ['b', 'c'],
    ] as const) {
      expect(processes.news()).toEqual([`end ${name}`])
      processes.end(name, 0)
      expect(processes.news()).toEqual([`start ${name}`])
      processes.begin(name)
      expect(processes.done).toEqual([`end ${next}`])
    }
    processes.news()
    processes.end('c', 0)
    processes.begin('c')

    expect(processes.news()).toEqual(['start c'])
  })

  test('waits for a member that died for another reason', async () => {
    const { processes, parent, clock } = serving(3)
    parent.hungUp()
    processes.end('c', null, 'SIGKILL')
    processes.end('a', 0)
    processes.begin('a')
    expect(processes.news()).toEqual(['end a', 'start a'])
    await clock.advance(100)
    processes.begin('c')

    expect(processes.news()).toEqual(['start c', 'end b'])
  })

  test('restarts no more when a new one is refused', async () => {
    const { processes, parent, clock } = serving(3)
    parent.hungUp()
    processes.end('a', 0)
    processes.news()
    processes.end('a', 78)
    await clock.advance(5_000)
    processes.begin('a')

    expect(processes.news()).toEqual(['start a'])
  })

  test('is nothing before all are ready', () => {
    const { processes, parent } = parentOf(2)
    processes.begin('a')
    processes.news()
    parent.hungUp()

    expect(processes.news()).toEqual([])
  })
})

describe('SIGHUP with judge: hold', () => {
  const before = 'workflow order: DIVERGED'

  /** Three members, of which the first one has restarted. */
  const rolling = (known: readonly string[] = []) => {
    const world = serving(3, { judge: 'hold' })
    const { processes, parent } = world
    processes.say('b', { keelson: 'judged', wouldBlock: known })
    parent.hungUp()
    processes.end('a', 0)
    processes.begin('a', { judge: 'hold' })
    expect(processes.news()).toEqual(['end a', 'start a'])
    return world
  }

  test('restarts the next member when the one before has judged, and nothing more would be blocked', () => {
    const { processes } = rolling([before])
    processes.say('a', { keelson: 'judged', wouldBlock: [before] })

    expect(processes.news()).toEqual(['end b'])
  })

  test('leaves the others as they are when the new build would block more, and once more goes on', () => {
    const { processes, parent, log } = rolling([before])
    const found = 'entity account: BLOCKED'
    processes.say('a', { keelson: 'judged', wouldBlock: [before, found] })
    expect(processes.news()).toEqual([])
    expect(log.lines.at(-1)).toMatchObject({
      message: `SIGHUP: member a would block actors that none would before: ${found}, so these are not restarted: b, c`,
    })

    parent.hungUp()
    processes.end('a', 0)
    processes.begin('a', { judge: 'hold' })
    processes.say('a', { keelson: 'judged', wouldBlock: [before, found] })
    expect(processes.news()).toEqual(['end a', 'start a', 'end b'])
  })

  test('stops also when a member finds it later, in shards that came to it', () => {
    const { processes } = rolling()
    processes.say('a', { keelson: 'judged', wouldBlock: [] })
    processes.say('a', { keelson: 'judged', wouldBlock: [before] })
    processes.end('b', 0)
    processes.begin('b', { judge: 'hold' })

    expect(processes.news()).toEqual(['end b', 'start b'])
  })

  test('of a build that has not restarted yet, a finding is none of the new one', () => {
    const { processes } = rolling()
    processes.say('c', { keelson: 'judged', wouldBlock: [before] })
    processes.say('a', { keelson: 'judged', wouldBlock: [before] })

    expect(processes.news()).toEqual(['end b'])
  })

  test('goes on after a minute without a judgement, and says so', async () => {
    const { processes, clock, log } = rolling()
    await clock.advance(59_999)
    expect(processes.news()).toEqual([])
    await clock.advance(1)
    expect(processes.news()).toEqual(['end b'])
    expect(log.lines.at(-1)).toMatchObject({
      message: 'SIGHUP: member a has not judged all in 60 s: the next one restarts',
    })
  })

  test('waits again for a member that died before it had judged', async () => {
    const { processes, clock } = rolling()
    processes.end('a', null, 'SIGKILL')
    await clock.advance(100)
    processes.begin('a', { judge: 'hold' })
    expect(processes.news()).toEqual(['start a'])
    processes.say('a', { keelson: 'judged', wouldBlock: [] })
    expect(processes.news()).toEqual(['end b'])
  })

  test('by default no restart waits for a judgement', () => {
    const { processes, parent } = serving(3)
    parent.hungUp()
    processes.end('a', 0)
    processes.begin('a')

    expect(processes.news()).toEqual(['end a', 'start a', 'end b'])
  })
})

describe('a signal', () => {
  test('that comes before the process of a member listens ends it once it does', async () => {
    const { processes, parent, finished } = serving(2)
    parent.hungUp()
    processes.end('a', 0)
    parent.signalled('SIGTERM')
    expect(processes.news()).toEqual(['end a', 'start a', 'end a', 'end b'])

    processes.alive('b')
    expect(processes.news()).toEqual([])
    processes.alive('a')
    processes.alive('a')
    expect(processes.news()).toEqual(['end a'])
    processes.end('a', 0)
    processes.end('b', 0)
    expect(await finished()).toBe(0)
  })

  test('ends all members in order: the status is 0 when each has ended so', async () => {
    const { processes, parent, finished } = serving(3)
    parent.signalled('SIGTERM')
    expect(processes.news()).toEqual(['end a', 'end b', 'end c'])
    processes.end('a', 0)
    processes.end('b', 0)
    expect(await finished()).toBeUndefined()
    processes.end('c', 0)

    expect(await finished()).toBe(0)
  })

  test.each([
    [1, null],
    [null, 'SIGKILL'],
  ])('leaves status 1 when one has ended otherwise (%s, %s)', async (status, signal) => {
    const { processes, parent, finished } = serving(2)
    parent.signalled('SIGTERM')
    processes.end('a', status, signal)
    processes.end('b', 0)

    expect(await finished()).toBe(1)
  })

  test('ends a parent whose member waits for its start, without that start', async () => {
    const { processes, parent, clock, finished } = serving(2)
    processes.end('a', null, 'SIGKILL')
    parent.signalled('SIGTERM')
    processes.end('b', 0)
    await clock.advance(60_000)

    expect([processes.news(), await finished()]).toEqual([['end b'], 0])
  })

  test('that is the second one kills all at once, with its own status', async () => {
    const { processes, parent, finished } = serving(2)
    parent.signalled('SIGTERM')
    processes.news()
    parent.signalled('SIGINT')

    expect([processes.news(), await finished()]).toEqual([['kill a', 'kill b'], 130])
  })
})
