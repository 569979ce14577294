/** What the parent of members does when one of them does not start, does not end, or ends too often. Real processes. */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { write } from '../../support/commands/command-project.ts'
import {
  program,
  type RunningCommand,
  running,
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
import { tempFolder } from '../../support/temp-folder.ts'

const pidOf = async (service: RunningCommand, count: number, name: string): Promise<number> =>
  (await processes(service, count)).get(`keelson member ${name}`) as number

/** A worker whose member ends when it gets SIGUSR2, and runs an endless loop at SIGPWR. */
const fragile = `${web}
  process.on('SIGUSR2', () => process.exit(7))
  process.on('SIGPWR', () => { for (;;); })`

/** The built package in a folder of its own, which another version can be installed over. */
const installed = (): { readonly program: string; readonly install: (version: string) => void } => {
  const root = join(program, '../../../..')
  const dir = join(tempFolder(), 'keelson')
  mkdirSync(dir)
  cpSync(join(root, 'dist'), join(dir, 'dist'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const install = (version: string): void =>
    writeFileSync(join(dir, 'package.json'), JSON.stringify({ ...about, version }))
  install(about.version)
  return { program: join(dir, 'dist/inspect/cli/cli.js'), install }
}

describe.skipIf(lacks(noFlock))('keelson run --members (needs the build)', () => {
  test('restarts a member that gets SIGTERM, and leaves the others', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 2)
    const before = await processes(service, 2)
    process.kill(before.get('keelson member b') as number, 'SIGTERM')
    await service.says('member b is ready', 'errors')
    const after = await processes(service, 2)

    expect(after.get('keelson member a')).toBe(before.get('keelson member a'))
    expect(after.get('keelson member b')).not.toBe(before.get('keelson member b'))
    service.process.kill('SIGTERM')
    const { status, errors } = await service.ended
    expect([status, await shardStates(dir)]).toEqual([0, allClean])
    expect(errors).toMatch(/member b has ended \((status 143|status 0|SIGTERM)\)/)
  })

  test('ends all in order when a member has ended more often than intensity', async () => {
    const dir = folderWith(fragile, { members: { intensity: 1 } })
    const service = await startMembers(dir, 2)
    process.kill(await pidOf(service, 2, 'b'), 'SIGUSR2')
    await service.says('member b is ready', 'errors')
    process.kill(await pidOf(service, 2, 'b'), 'SIGUSR2')
    const { status, errors } = await service.ended

    expect(errors).toContain(
      'EXITED: member b has ended (status 7), more than 1 times in 60000 ms: all end',
    )
    expect([status, await shardStates(dir)]).toEqual([1, allClean])
  })

  test('goes on with the others when the configuration is broken at SIGHUP, until it is mended', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 2)
    const other = await pidOf(service, 2, 'b')
    const good = readFileSync(join(dir, 'service.json'), 'utf8')
    write(dir, 'service.json', JSON.stringify({ ...JSON.parse(good), shards: 'many' }))
    service.process.kill('SIGHUP')
    await service.says('SIGHUP: a does not start, so these are not restarted: b', 'errors')
    expect(await answerAt(portOf(service))).toEqual({ title: 'keelson member b', pid: other })

    write(dir, 'service.json', good)
    await service.says('member a is ready', 'errors')
    expect(await pidOf(service, 2, 'b')).toBe(other)
    service.process.kill('SIGTERM')
    expect([(await service.ended).status, await shardStates(dir)]).toEqual([0, allClean])
  })

  test('ends with status 78 when no member starts any more for its configuration', async () => {
    const dir = folderWith(web)
    const service = await startMembers(dir, 2)
    const pids = [...(await processes(service, 2)).values()]
    write(dir, 'service.json', JSON.stringify({ shards: 'many' }))
    for (const pid of pids) process.kill(pid, 'SIGTERM')
    const { status, errors } = await service.ended

    expect(status).toBe(78)
    expect(errors).toMatch(/EXITED: member [ab] has ended \(status 78\), and no start is accepted/)
  })

  test('stops a restart of all at the first member when another version is installed', async () => {
    const dir = folderWith(web)
    const here = installed()
    const words = ['run', 'service.json', '--dir', 'd', '--members', '2']
    const service = running(
      spawn(process.execPath, [here.program, ...words], {
        cwd: dir,
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    )
    await service.says('ready: ')
    here.install('99.0.0')
    service.process.kill('SIGHUP')
    await service.says('SIGHUP: a does not start, so these are not restarted: b', 'errors')
    service.process.kill('SIGTERM')
    const { status, errors } = await service.ended

    expect(errors).toMatch(/a: CONFIG: .*as its parent is: restart the service/)
    expect([status, await shardStates(dir)]).toEqual([0, allClean])
  })

  test('does not kill a member with a debugger that does not move', async () => {
    const dir = folderWith(web, { members: { stuckMs: 1_000 } })
    const service = await startMembers(dir, 2)
    const inspected = await pidOf(service, 2, 'a')
    process.kill(inspected, 'SIGUSR1')
    await service.says('Debugger listening', 'errors')
    // The parent hears of it with the next sign of life, which comes before the other member is back.
    process.kill(await pidOf(service, 2, 'b'), 'SIGTERM')
    await service.says('member b is ready', 'errors')
    const other = await pidOf(service, 2, 'b')
    process.kill(inspected, 'SIGSTOP')
    process.kill(other, 'SIGSTOP')
    await service.says('member b has ended (SIGKILL)', 'errors')
    process.kill(inspected, 'SIGCONT')
    service.process.kill('SIGTERM')
    const { errors } = await service.ended

    expect(errors).toContain('member b has not moved')
    expect(errors).not.toContain('member a has not moved')
  })

  test('leaves a member in an endless loop behind when the parent is killed, with its lock', async () => {
    const dir = folderWith(fragile)
    const service = await startMembers(dir, 2)
    const looping = await pidOf(service, 2, 'a')
    process.kill(looping, 'SIGPWR')
    service.process.kill('SIGKILL')
    const words = ['run', 'service.json', '--dir', 'd']
    const refused = await startKeelson(words, dir, {}, 'ignore').ended

    expect(refused.status).toBe(1)
    expect(refused.errors).toMatch(/LOCKED_DIR: .* is held by members/)
    process.kill(looping, 'SIGKILL')
    await service.ended
    const alone = startKeelson(words, dir, {}, 'ignore')
    await alone.says('ready: ')
    alone.process.kill('SIGTERM')
    expect((await alone.ended).status).toBe(0)
  })
})
