/** Another user of the machine: the socket of the instance, and the port of the page. A child gives up root for it. */
import { execFile } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { start } from '../../../dist/index.js'
import { silentLogger } from '../../../src/testing/index.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { pageServed, sourceOf } from '../../support/worlds/page-client.ts'

const mayChange = process.getuid?.() === 0
const whyNot = mayChange ? undefined : 'only root can run a child as another user'

/** `nobody` on Linux and macOS; any user without rights would do. */
const otherUser = 65_534

/** Runs a module's text as another user. What it prints last is the answer. */
const asOther = async (text: string): Promise<string> => {
  const leave = `process.setgroups([]);process.setgid(${otherUser});process.setuid(${otherUser});`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', leave + text], {
    cwd: '/',
  })
  return stdout.trim()
}

/** Connects, and prints `in` or the code of the refusal. */
const connecting = (path: string): string =>
  `const socket = require('node:net').connect(${JSON.stringify(path)});
   socket.on('connect', () => { console.log('in'); socket.destroy() });
   socket.on('error', ({ code }) => console.log(code))`

describe.skipIf(lacks(whyNot))('another user of the machine', () => {
  test('does not reach an instance by its socket (needs the build)', async () => {
    const dir = tempFolder()
    const app = await start({ dir, attach: true, logger: silentLogger })
    onTestFinished(() => app.close().then(() => undefined))
    // The folder is no secret here: the socket keeps others out by itself.
    chmodSync(dir, 0o755)
    const socket = join(dir, 'attach.sock')

    expect(await asOther(connecting(socket))).toBe('EACCES')

    // With the rights of a file it would.
    chmodSync(socket, 0o666)
    expect(await asOther(connecting(socket))).toBe('in')
  })

  test('reaches the port of the page, and reads nothing there without the token', async () => {
    const { port } = await pageServed({
      source: sourceOf(() => ({ header: { instance: 'secret' }, data: null })),
    })
    const asking = (path: string): string =>
      `fetch('http://127.0.0.1:${port}${path}').then(async (answer) => console.log(answer.status, await answer.text()))`

    for (const path of ['/api/header', '/api/stream?view=header']) {
      const answer = await asOther(asking(path))
      expect(answer).toMatch(/^401/)
      expect(answer).not.toContain('secret')
    }
  })
})
