/** `keelson run --members` with real processes: deaths, signals, a shared port, prompts. */
import { describe, expect, test } from 'vitest'
import { codeIn, hangingWorker } from '../../support/commands/command-project.ts'
import {
  type RunningCommand,
  runKeelson,
  startKeelson,
} from '../../support/commands/keelson-command.ts'
import {
  allClean,
  answerAt,
  folderWith,
  portOf,
  processes,
  shardStates,
  startMembers,
  web,
} from '../../support/commands/members-command.ts'
import { noFlock } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'

const readies = (service: RunningCommand): number =>
  service.printed().match(/ready: /g)?.length ?? 0

describe.skipIf(lacks(noFlock))('keelson run --members (needs the build)', () => {
  test('is ready once, shares a port among all members, and ends in order at SIGTERM', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 3)
    expect(service.printed()).toMatch(
      /info {2}ready: Keelson \S+ {2}\S+\/d {2}4 shards, 3 members\n/,
    )
    expect(new Set(service.printed().match(/port \d+/g)).size).toBe(1)
    const found = await processes(service, 3)
    expect([...found.keys()].sort()).toEqual([
      'keelson member a',
      'keelson member b',
      'keelson member c',
    ])
    expect([...found.values()]).not.toContain(service.process.pid)

    service.process.kill('SIGTERM')
    const { status } = await service.ended

    expect([status, readies(service), await shardStates(dir)]).toEqual([0, 1, allClean])
  })

  test('starts a member that was killed again, under its name', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 2)
    const before = await processes(service, 2)
    const killed = before.get('keelson member b') as number
    process.kill(killed, 'SIGKILL')
    await service.says('member b is ready', 'errors')
    const after = await processes(service, 2)

    expect([...after.keys()].sort()).toEqual([...before.keys()].sort())
    expect(after.get('keelson member a')).toBe(before.get('keelson member a'))
    expect(after.get('keelson member b')).not.toBe(killed)
    service.process.kill('SIGTERM')
    expect([(await service.ended).status, await shardStates(dir)]).toEqual([0, allClean])
  })

  test('closes a connection that a killed member had not taken yet', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 2)
    const stopped = (await processes(service, 2)).get('keelson member a') as number
    process.kill(stopped, 'SIGSTOP')
    // One of the two goes to the member that is stopped.
    const asked = [portOf(service), portOf(service)].map((port) =>
      answerAt(port).then(
        ({ title }) => title,
        (error) => error.code,
      ),
    )
    expect(await Promise.race(asked)).toBe('keelson member b')
    process.kill(stopped, 'SIGKILL')

    expect((await Promise.all(asked)).sort()).toEqual(['ECONNRESET', 'keelson member b'])
  })

  test('sends a connection to another member if the first one ends in order before it takes it', async () => {
    const busy = web.replace(
      /terminate: .*/,
      `terminate: () => {
        console.log('busy')
        for (const until = Date.now() + 1_000; Date.now() < until; );
        process.exit(0)
      },`,
    )
    const service = await startMembers(folderWith(busy), 2)
    const ending = (await processes(service, 2)).get('keelson member a') as number
    process.kill(ending, 'SIGTERM')
    await service.says('busy')
    const asked = await Promise.all([1, 2, 3].map(() => answerAt(portOf(service))))

    expect(asked.map(({ title }) => title)).toEqual(Array(3).fill('keelson member b'))
  })

  test('kills a member that is stopped, after stuckMs, and starts it again', async () => {
    const dir = folderWith(web, { members: { stuckMs: 1_000 } })
    const service = await startMembers(dir, 2)
    const stopped = (await processes(service, 2)).get('keelson member a') as number
    process.kill(stopped, 'SIGSTOP')
    await service.says('member a has not moved for 1000 ms', 'errors')
    await service.says('member a is ready', 'errors')
    service.process.kill('SIGTERM')

    expect([(await service.ended).status, await shardStates(dir)]).toEqual([0, allClean])
  })

  test('restarts one member after another at SIGHUP, and answers each request', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 2)
    const before = await processes(service, 2)
    service.process.kill('SIGHUP')
    let isOver = false
    const over = service.says('member b is ready', 'errors').then(() => (isOver = true))
    while (!isOver) await answerAt(portOf(service))
    await over
    const after = await processes(service, 2)

    for (const [title, pid] of before) expect(after.get(title), title).not.toBe(pid)
    service.process.kill('SIGTERM')
    const { status, output } = await service.ended
    expect([status, new Set(output.match(/port \d+/g)).size]).toEqual([0, 1])
  })

  test('ends in order when its parent is killed: the folder opens without members', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 3)
    service.process.kill('SIGKILL')
    // Its streams are at their end when the last member has ended.
    await service.ended

    expect(await shardStates(dir)).toEqual(allClean)
    const alone = startKeelson(['run', 'service.json', '--dir', 'd'], dir, {}, 'ignore')
    await alone.says('ready: ')
    alone.process.kill('SIGTERM')
    expect((await alone.ended).status).toBe(0)
  })

  test('ends at once at the second signal, and leaves no process', async () => {
    const dir = folderWith(hangingWorker)
    const service = await startMembers(dir, 2)
    service.process.kill('SIGTERM')
    await service.says('hanging', 'errors')
    service.process.kill('SIGINT')

    expect((await service.ended).status).toBe(130)
  })

  test('survives the Ctrl-C of a terminal, which all processes get, in order', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 2)
    const members = await processes(service, 2)
    for (const pid of members.values()) process.kill(pid, 'SIGINT')
    service.process.kill('SIGINT')

    expect([(await service.ended).status, await shardStates(dir)]).toEqual([0, allClean])
  })

  test('fails with status 78 for fewer shards than members, and says it once', async () => {
    const dir = folderWith(web)
    const words = ['run', 'service.json', '--dir', 'd', '--members', '5']
    const { status, errors } = await runKeelson(words, dir)

    expect([status, errors.match(/CONFIG/g)?.length]).toEqual([78, 1])
  })

  test('with --log json names the member in each line of one', async () => {
    const dir = folderWith(web)
    const words = ['run', 'service.json', '--dir', 'd', '--members', '2', '--log', 'json']
    const service = startKeelson(words, dir, {}, 'ignore')
    await service.says('ready: ')
    service.process.kill('SIGTERM')
    const { errors } = await service.ended

    const lines = errors
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; member?: string })
    const ends = lines.filter(({ msg }) => /^(SIGTERM: |ends in order)/.test(msg))
    expect(ends.map(({ member }) => member ?? 'parent').sort()).toEqual(['a', 'b', 'parent'])
  })

  test('of one member is keelson run itself', async () => {
    const dir = folderWith(web)
    const service = startKeelson(
      ['run', 'service.json', '--dir', 'd', '--members', '1'],
      dir,
      {},
      'ignore',
    )
    await service.says('ready: ')
    expect([...(await processes(service, 1)).values()]).toEqual([service.process.pid])
    expect(service.printed()).toMatch(/ {2}4 shards\n/)
    service.process.kill('SIGTERM')
    expect((await service.ended).status).toBe(0)
  })

  test('gives a prompt on each member, and says which there are', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 2)
    const members = await processes(service, 2)
    const words = ['attach', '--dir', 'd']
    const asked = await runKeelson([...words, '--member', 'b'], dir, 'process.pid')
    const unnamed = await runKeelson(words, dir)
    const flows = await runKeelson(['flow', 'list', '--dir', 'd'], dir)
    const page = startKeelson(['observe', '--dir', 'd', '--member', 'b'], dir)
    await page.says(/^Observes \S+\/d, member b, read only/)
    page.process.kill('SIGTERM')
    await page.ended
    const unknown = await runKeelson(['observe', '--dir', 'd', '--member', 'x'], dir)

    expect([flows.status, flows.errors]).toEqual([0, ''])
    expect([asked.output, asked.status]).toEqual([`${members.get('keelson member b')}\n`, 0])
    for (const { errors, status } of [unnamed, unknown]) {
      expect([status, codeIn(errors)]).toEqual([1, 'NO_PROCESS'])
      expect(errors).toContain('choose one with --member: a, b')
    }
    expect(unnamed.errors).not.toContain('takes prompts')
    expect(unknown.errors).toContain('no member x in ')
    service.process.kill('SIGTERM')
    await service.ended
  })
})
