/** The files of docs/getting-started.md do what the page says, on the built package. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { examplesOf, folderInside } from './support/doc-examples.ts'

/** A folder with the files of the page, each named by its first line. */
const shop = (): string => {
  const dir = folderInside()
  for (const code of examplesOf('docs/getting-started.md', 'js'))
    writeFileSync(join(dir, /^\/\/ (\S+)/.exec(code)?.[1] ?? ''), code)
  return dir
}

const run = (dir: string, ...args: string[]): string =>
  execFileSync(process.execPath, args, { cwd: dir, encoding: 'utf8' })

/** `node service.js`, once it is ready. It listens on a socket in its folder. */
const service = async (dir: string): Promise<ChildProcess> => {
  const child = spawn(process.execPath, ['service.js'], {
    cwd: dir,
    env: { ...process.env, PORT: './shop.sock' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  await once(createInterface(child.stdout), 'line')
  return child
}

const get = async (dir: string, path: string): Promise<string> => {
  const sent = request({ socketPath: join(dir, 'shop.sock'), path }).end()
  const [response] = await once(sent, 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  return text
}

test('the first program counts its visits', () => {
  const dir = shop()

  expect(run(dir, 'first.js')).toBe('visits: 1\n')
  expect(run(dir, 'first.js')).toBe('visits: 2\n')
})

test('the service gives every order a number of its own, also over kill -9', async () => {
  const dir = shop()
  const first = await service(dir)
  expect(await get(dir, '/tea')).toBe('order 1\n')
  first.kill('SIGKILL')
  await once(first, 'exit')

  rmSync(join(dir, 'shop.sock')) // a killed process leaves its socket behind
  const second = await service(dir)
  expect(await get(dir, '/rice')).toBe('order 2\n')
  second.kill('SIGTERM')

  expect(await once(second, 'exit')).toEqual([0, null])
})

test('the prompt kills the actor, and its orders are there', () => {
  const dir = shop()
  const command = join(process.cwd(), 'dist/inspect/cli/cli.js')

  const output = execFileSync(process.execPath, [command, 'start'], {
    cwd: dir,
    encoding: 'utf8',
    input: [
      "call('orders', 'place', { item: 'ink' })",
      "kill('orders')",
      // The supervisor has its turn meanwhile.
      "store.delete('no such key').then(({ existed }) => existed)",
      "call('orders', 'place', { item: 'rice' })",
      "call('orders', 'find', 1)",
      '',
    ].join('\n'),
  })

  expect(output.replace(/<.*>/g, '<pid>').split('\n')).toEqual([
    '1',
    'killed orders <pid>',
    'false',
    '2',
    "{ item: 'ink' }",
    '',
  ])
})
