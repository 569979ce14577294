/** The first steps of docs/cluster.md, with other ports: two members on a PostgreSQL server with a synchronous standby. */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runKeelson, startKeelson } from './support/commands/keelson-command.ts'
import { examplesOf, folderInside } from './support/doc-examples.ts'
import { lacks } from './support/lacks.ts'
import { tempFolder } from './support/temp-folder.ts'
import { binaries, noPostgres, servant } from './support/worlds/postgres-server.ts'

const page = 'docs/cluster.md'

/** A port that nobody listens on. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0))
    })
  })

/** Runs lines of a shell as the user who may run PostgreSQL. */
const shell = (lines: string, cwd: string): void => {
  const PATH = `${binaries()}:${process.env.PATH}`
  execFileSync('sh', ['-ec', lines], { ...servant(), cwd, env: { PATH }, stdio: 'ignore' })
}

/** The folder of the servers. They are stopped at the end of the test. */
const serversFolder = (): string => {
  const folder = join(tempFolder(), 'servers')
  const user = servant()
  chmodSync(join(folder, '..'), 0o755)
  mkdirSync(folder)
  if (user) chownSync(folder, user.uid, user.gid)
  onTestFinished(() => {
    for (const data of ['pg-b', 'pg-a'])
      shell(`[ ! -d ${data} ] || pg_ctl -D ${data} -m immediate stop || true`, folder)
  })
  return folder
}

test.skipIf(lacks(noPostgres()))(
  'the commands of docs/cluster.md make two members, and the second has everything when the first is killed',
  { timeout: 120_000 },
  async () => {
    const [servers = '', members = '', attach = ''] = examplesOf(page, 'sh')
    const [configuration = ''] = examplesOf(page, 'mjs')
    const folder = serversFolder()
    const ports = { 5501: await freePort(), 5502: await freePort() }
    const here = (text: string): string =>
      text
        .replace(/\b(5501|5502)\b/g, (port) => `${ports[port as unknown as keyof typeof ports]}`)
        .replaceAll('-k /tmp', `-k ${folder}`)
    // What npm would install is there.
    shell(here(servers.replace(/^npm .*$/m, '')), folder)
    const dir = folderInside()
    writeFileSync(join(dir, 'keelson.config.mjs'), here(configuration))
    const started = (line = '') => {
      const [, MEMBER = '', words = ''] = /^MEMBER=(\w+) npx keelson (.*)$/.exec(line) ?? []
      return startKeelson(words.split(' '), dir, { MEMBER }, 'ignore')
    }
    const [input = '', words = ''] = attach.trim().split(' | npx keelson ')
    const added = async (cache: string): Promise<string> => {
      const line = /^echo "(.*)"$/.exec(input)?.[1] ?? ''
      const { output } = await runKeelson(words.replace('cache-a', cache).split(' '), dir, line)
      return output.trim()
    }

    const [a, b] = members.trim().split('\n')
    const first = started(a)
    await first.says('ready: ')
    const second = started(b)
    await second.says('is a standby: the member a owns shop', 'errors')
    expect(await added('cache-a')).toBe('1')

    first.process.kill('SIGKILL')
    await second.says('ready: ')
    expect(await added('cache-b')).toBe('2')
    second.process.kill('SIGTERM')
    expect((await second.ended).status).toBe(0)
  },
)
