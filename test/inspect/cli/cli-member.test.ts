/** `keelson run` of a member of a cluster: replaced, it is a standby in the same process, and owns again. */
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { runService } from '../../../src/inspect/cli/run-command.ts'
import {
  type EndSignal,
  type Environment,
  processEnvironment,
} from '../../../src/inspect/command/environment.ts'
import { entryIn, entryText } from '../../../src/storage/ports/cluster-engine.ts'
import { write } from '../../support/commands/command-project.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { SimulatedEngine, type SimulatedSession } from '../../support/worlds/simulated-engine.ts'

const held = globalThis as {
  engineOfMember?: SimulatedEngine
  /** What the logger of a configuration has got. */
  linesOfMember?: { text: string; member: unknown; err?: Error }[]
}

/** A configuration's logger, of pino's kind. */
const pino = `const at = ({ member, err }, text) =>
      void globalThis.linesOfMember.push({ text, member, ...(err && { err }) })
    const logger = { error: at, warn: at, info: at, [Symbol.for('pino.serializers')]: {} }`

/** The text of a stream, and a promise for what it comes to say after what was awaited before. */
const heard = () => {
  const stream = new PassThrough()
  let [text, from] = ['', 0]
  const listeners = new Set<() => void>()
  stream.on('data', (more: Buffer) => {
    text += more
    for (const listener of listeners) listener()
  })
  const says = (wanted: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        const at = text.indexOf(wanted, from)
        if (at < 0) return
        listeners.delete(look)
        from = at + wanted.length
        resolve()
      }
      listeners.add(look)
      look()
    })
  return { stream, says, all: () => text }
}

/** `keelson run` of the member a in this process, over an engine that the test holds. */
const memberHere = async (logger?: string) => {
  const dir = tempFolder()
  held.engineOfMember = new SimulatedEngine({ clock: systemClock() })
  write(
    dir,
    'keelson.config.mjs',
    `const engine = globalThis.engineOfMember
    ${logger ?? 'const logger = undefined'}
    export default { logger, cluster: { name: 'c', member: 'a', engine, leaseMs: 60_000 } }`,
  )
  write(dir, 'systemd-notify', '#!/bin/sh\necho "$1" >> "$NOTIFY_SOCKET"\n')
  chmodSync(join(dir, 'systemd-notify'), 0o755)
  const notified = join(dir, 'notified')
  let signal: (signal: EndSignal) => void = () => undefined
  const [output, errors] = [heard(), heard()]
  const environment: Environment = {
    ...processEnvironment(),
    ...{ output: output.stream, errors: errors.stream, cwd: dir },
    input: new PassThrough().end(),
    variables: { PATH: `${dir}:${process.env.PATH}`, NOTIFY_SOCKET: notified },
    onSignal: (listener) => {
      signal = listener
      return () => undefined
    },
  }
  const command = {
    ...{ kind: 'run', config: undefined, dir: join(dir, 'd'), shards: undefined },
    log: undefined,
  } as never
  const ended = runService(command, environment)
  await output.says('ready: ')
  const session = held.engineOfMember.connect('c')
  const notifications = () => readFileSync(notified, 'utf8').split('\n').filter(Boolean)
  return { session, output, errors, ended, notifications, signal: () => signal('SIGTERM') }
}

/** Writes an entry of the directory, whatever it is. */
const set = async ({ directory }: SimulatedSession, name: string, value: object): Promise<void> => {
  const { entries } = await directory.view()
  await directory.set(name, entries.get(name)?.revision ?? 0, entryText(name, value))
}

/** The member b ends the lease of a, and owns the instance. */
const replace = async (session: SimulatedSession): Promise<void> => {
  const lease = entryIn(await session.directory.view(), 'member/a')
  await set(session, 'member/b', { incarnation: 'of b' })
  await set(session, 'member/a', { ...lease, ended: true })
  await set(session, 'owner', { member: 'b', incarnation: 'of b', epoch: 2 })
}

test('a member that is replaced says so, is a standby, and owns again when the other has closed', {
  tags: ['slow'],
}, async () => {
  const { session, output, errors, ended, notifications, signal } = await memberHere()

  await replace(session)
  await errors.says('another member may own the instance: it starts again, as a standby.')
  await errors.says('is a standby: the member b owns c')
  await set(session, 'member/b', { incarnation: 'of b', ended: true })
  await output.says('ready: ')
  const notified = notifications()
  signal()

  expect(await ended).toBe(0)
  // A service manager that hears of an end would not let it go on.
  expect(notified).toContain('READY=1')
  expect(notified).not.toContain('STOPPING=1')
})

test('a signal ends a member that was replaced, and gives its name back at once', {
  tags: ['slow'],
}, async () => {
  const { session, errors, ended, signal } = await memberHere()
  await replace(session)
  await errors.says('is a standby: the member b owns c')

  signal()

  expect(await ended).toBe(143)
  expect(entryIn(await session.directory.view(), 'member/a')).toMatchObject({ ended: true })
})

test('a logger of the configuration gets every line of the service, each with its member', {
  tags: ['slow'],
}, async () => {
  held.linesOfMember = []
  const { session, output, errors, ended, signal } = await memberHere(pino)
  const texts = () => held.linesOfMember?.map(({ text }) => text) ?? []
  expect(texts()).toContainEqual(expect.stringMatching(/^ready: Keelson /))
  expect(texts()).toContain('recovering …')

  await set(session, 'owner', { member: 'b', incarnation: 'of b', epoch: 2 })
  await replace(session)
  await set(session, 'member/b', { incarnation: 'of b', ended: true })
  await output.says('ready: ')
  signal()
  expect(await ended).toBe(0)

  expect(texts()).toContain('another member may own the instance: it starts again, as a standby.')
  expect(texts().at(-1)).toContain('SIGTERM: ending in order')
  expect(new Set(held.linesOfMember.map(({ member }) => member))).toEqual(new Set(['a']))
  expect(errors.all()).toBe('')
})
