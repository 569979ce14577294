/** The examples as their pages say: real processes, a kill, and the same command again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { running } from '../test/support/commands/keelson-command.ts'
import { tempFolder } from '../test/support/temp-folder.ts'

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}

/** An example in a folder of its own: `lives` runs it until a text is printed and `act` has ended, and kills it. */
const example = async (name: string) => {
  const cwd = tempFolder()
  const port = await freePort()
  const lives = async <T>(until: string | RegExp, act?: () => Promise<T>) => {
    const words = ['node_modules/jiti/lib/jiti-cli.mjs', `examples/${name}/run.ts`]
    const program = running(
      spawn(
        process.execPath,
        words.map((path) => resolve(path)),
        { cwd, env: { ...process.env, PORT: `${port}` }, stdio: ['ignore', 'pipe', 'pipe'] },
      ),
    )
    await program.says(until)
    const acted = await act?.()
    program.process.kill('SIGKILL')
    const { signal, output, errors } = await program.ended
    expect(signal, errors).toBe('SIGKILL')
    return { output, acted }
  }
  const ask = async (path: string, body?: unknown): Promise<string> => {
    const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    return (await fetch(`http://127.0.0.1:${port}${path}`, options)).text()
  }
  return { lives, ask }
}

test('the ledger has all its money after each of two kills', async () => {
  const { lives } = await example('ledger')
  for (let life = 0; life < 3; life++) {
    const { output } = await lives(/completed.*\n.*completed/)
    expect(output).toContain('the sum of 5 accounts is 50000')
  }
})

test('the rooms of games have every point that was printed', async () => {
  const { lives } = await example('games')
  const { output } = await lives(/crashed with[\s\S]*\d points/)
  const last = Number([...output.matchAll(/^(\d+) points$/gm)].at(-1)?.[1])
  const { output: again } = await lives('points at the start')
  expect(last).toBeGreaterThan(0)
  expect(Number.parseInt(again, 10)).toBeGreaterThanOrEqual(last)
})

test('the chat has a line that was answered, once', async () => {
  const { lives, ask } = await example('chat')
  const say = () => ask('/rooms/lobby', { id: 'a', from: 'Ada', text: 'hello' })
  expect((await lives('kill -9', say)).acted).toBe('1\n')
  expect((await lives('kill -9', say)).acted).toBe('1\n')
})

test('a device keeps a reading that was answered, and its repetition does not count', async () => {
  const { lives, ask } = await example('ingest')
  const read = () => ask('/devices/boiler', { id: 'a', celsius: 90 })
  expect((await lives('kill -9', read)).acted).toBe('"hot"\n')
  const { acted } = await lives('kill -9', async () => [await read(), await ask('/devices/boiler')])
  expect(acted?.[0]).toBe('"hot"\n')
  expect(acted?.[1]).toContain('"count":1')
})

test('a job that was answered is in the queue, or done', async () => {
  const { lives, ask } = await example('jobs')
  const add = () => ask('/jobs', { customer: 'zed', name: 'zed.jpg' })
  const { id } = JSON.parse((await lives('kill -9', add)).acted ?? '') as { id: string }
  const { acted } = await lives('kill -9', () => ask(`/jobs/${id}`))
  expect(JSON.parse(acted ?? '')).toMatchObject({ id, state: expect.any(String) })
})
