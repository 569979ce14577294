/** `keelson run` notifies a service manager with systemd's protocol, over a socket of its kind. */
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ServiceManager } from '../../../src/inspect/cli/run-command.ts'
import type { Environment } from '../../../src/inspect/command/environment.ts'
import { startKeelson } from '../../support/commands/keelson-command.ts'
import { examplesOf } from '../../support/doc-examples.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** Prints each message that comes to the socket. Node has no sockets of this kind. */
const receiver = `use Socket; socket(S, PF_UNIX, SOCK_DGRAM, 0); $| = 1;
  bind(S, sockaddr_un($ARGV[0])) or die $!; print "listens\\n";
  while (defined recv(S, $text, 4096, 0)) { print "$text\\n" }`

const missing = ['perl', 'systemd-notify'].find((tool) => spawnSync(tool, ['--version']).error)

/** A socket in the folder, and its messages one after another. Those that only mark the others are left out. */
const serviceManager = async (dir: string) => {
  const socket = join(dir, 'notify.sock')
  const child = spawn('perl', ['-e', receiver, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  const messages = lines[Symbol.asyncIterator]()
  await messages.next()
  const next = async (): Promise<string> => {
    const { value } = await messages.next()
    return value === 'BARRIER=1' ? next() : value
  }
  return { socket, next }
}

function ofProcess(pid: number) {
  return { WATCHDOG_USEC: '400000', WATCHDOG_PID: String(pid) }
}

describe('keelson run under systemd (needs the build)', () => {
  test.skipIf(lacks(missing && `there is no ${missing}`))(
    'says when it is ready, that it lives, and that it stops',
    async () => {
      const dir = tempFolder()
      const { socket, next } = await serviceManager(dir)
      const variables = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '400000' }
      const service = startKeelson(['run', '--dir', 'd'], dir, variables, 'ignore')

      expect([await next(), await next(), await next()]).toEqual([
        'READY=1',
        'WATCHDOG=1',
        'WATCHDOG=1',
      ])
      expect(service.printed()).toContain('ready: ')

      service.process.kill('SIGTERM')
      let last = await next()
      while (last === 'WATCHDOG=1') last = await next()
      expect([last, (await service.ended).status]).toEqual(['STOPPING=1', 0])
    },
  )

  test('warns once when its messages cannot be sent, and goes on', async () => {
    const dir = tempFolder()
    const variables = { NOTIFY_SOCKET: join(dir, 'none'), WATCHDOG_USEC: '2000' }
    const service = startKeelson(['run', '--dir', 'd'], dir, variables, 'ignore')
    await service.says('the service manager is not notified', 'errors')

    service.process.kill('SIGTERM')

    const { status, errors } = await service.ended
    expect([status, errors.match(/not notified/g)]).toEqual([0, ['not notified']])
  })
})

const analyze = 'systemd-analyze'
const lacksAnalyze = spawnSync(analyze, ['--version']).error && `there is no ${analyze}`

test.skipIf(lacks(lacksAnalyze))('systemd finds no fault in the unit of the page', () => {
  const [unit = ''] = examplesOf('docs/cli/run-as-a-service.md', 'ini')
  const file = join(tempFolder(), 'shop.service')
  writeFileSync(file, unit.replace('/usr/bin/node', process.execPath))

  const { status, stderr } = spawnSync(analyze, ['verify', file], { encoding: 'utf8' })

  expect([status, stderr.split('\n').filter((line) => line.includes('shop.service'))]).toEqual([
    0,
    [],
  ])
})

test.each([
  ['half of its time', { WATCHDOG_USEC: '400000' }, [200]],
  ['half of its time, if it is that of this process', ofProcess(process.pid), [200]],
  ['never, if it is that of another process', ofProcess(1), []],
  ['never, if there is none', {}, []],
] as const)('a watchdog gets a sign of life after %s', (_, variables, expected) => {
  const asked: number[] = []
  const clock = { after: (ms: number) => () => void asked.push(ms) }
  const environment = { variables: { NOTIFY_SOCKET: '/none', ...variables }, clock }
  const manager = new ServiceManager(environment as unknown as Environment, () => undefined)

  manager.ready()
  manager.release()

  expect(asked).toEqual(expected)
})
