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

const get = async (dir: string, path: string, key?: string): Promise<string> => {
  const headers = key === undefined ? {} : { 'idempotency-key': key }
  const sent = request({ socketPath: join(dir, 'shop.sock'), path, headers }).end()
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

test('the service sells each packet once, over kill -9 and repeated requests', async () => {
  const dir = shop()
  const first = await service(dir)
  expect(await get(dir, '/tea', '7')).toBe('1 left\n')
  first.kill('SIGKILL')
  await once(first, 'exit')

  rmSync(join(dir, 'shop.sock')) // a killed process leaves its socket behind
  const second = await service(dir)
  expect(await get(dir, '/tea', '7')).toBe('1 left\n')
  expect(await get(dir, '/tea')).toBe('0 left\n')
  expect(await get(dir, '/tea')).toBe('sold out\n')
  expect(await get(dir, '/constructor')).toBe('sold out\n')
  second.kill('SIGTERM')

  expect(await once(second, 'exit')).toEqual([0, null])
})

test('the prompt kills the actor, and its state is there', () => {
  const dir = shop()
  const command = join(process.cwd(), 'dist/inspect/cli/cli.js')

  const output = execFileSync(process.execPath, [command, 'start'], {
    cwd: dir,
    encoding: 'utf8',
    input: [
      "call('stock', 'take', 'ink')",
      "kill('stock')",
      // The supervisor has its turn meanwhile.
      "store.delete('no such key').then(({ existed }) => existed)",
      "call('stock', 'take', 'ink')",
      "call('stock', 'count', 'ink')",
      '',
    ].join('\n'),
  })

  expect(output.replace(/<.*>/g, '<pid>').split('\n')).toEqual([
    "'4 left'",
    'killed stock <pid>',
    'false',
    "'3 left'",
    '3',
    '',
  ])
})
