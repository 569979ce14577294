/** The agent as a process that is killed in mid-sentence, with two browsers, one of which goes away and returns. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { tempFolder } from '../../test/support/temp-folder.ts'
import type { Line } from './agent.ts'

const kills = process.env.KEELSON_TIER === 'all' ? 50 : 8

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}

/** The program of the example in a folder. `printed` has the lines of all its lives. */
const program = async () => {
  const cwd = tempFolder()
  const port = await freePort()
  const printed: string[] = []
  let child: ChildProcess | undefined
  const begin = async (): Promise<void> => {
    const words = ['node_modules/jiti/lib/jiti-cli.mjs', 'examples/agent/run.ts']
    child = spawn(
      process.execPath,
      words.map((path) => resolve(path)),
      { cwd, env: { ...process.env, PORT: `${port}` }, stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const life = child
    await new Promise<void>((ready, reject) => {
      life.once('exit', () => reject(new Error('it ended')))
      if (life.stdout)
        createInterface(life.stdout).on('line', (line) => {
          printed.push(line)
          if (line.startsWith('end it with')) ready()
        })
    })
  }
  const kill = async (): Promise<void> => {
    const ended = child && once(child, 'exit')
    child?.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  const say = async (act: string, id: string, text: string, key: string): Promise<number> => {
    const options = { method: 'POST', body: text, headers: { 'idempotency-key': key } }
    return (await fetch(`http://127.0.0.1:${port}/${act}/${id}`, options)).status
  }
  return { begin, kill, say, printed, url: `http://127.0.0.1:${port}/streams` }
}

/** A browser: it follows the stream of a conversation, and resumes where it was. */
class Browser {
  readonly lines: Line[] = []
  readonly #url: string
  #offset = '-1'
  #isClosed = false
  #leave = new AbortController()
  #onLine: () => void = () => undefined

  constructor(url: string) {
    this.#url = url
  }

  /** Reads until it leaves, or is told that the stream is closed. A server that is away is asked again. */
  async watch(): Promise<void> {
    this.#leave = new AbortController()
    const { signal } = this.#leave
    while (!signal.aborted && !this.#isClosed) {
      await this.#read(signal).catch(() => undefined)
      await new Promise((again) => setTimeout(again, 20))
    }
  }

  leave(): void {
    this.#leave.abort()
  }

  /** Resolves when the lines that it has seen are like this. */
  async until(isThere: (lines: readonly Line[]) => boolean): Promise<void> {
    while (!isThere(this.lines)) await new Promise<void>((seen) => (this.#onLine = seen))
  }

  get hasEnded(): boolean {
    return this.lines.at(-1)?.type === 'end'
  }

  /** The tokens as one text, with the lines between them. */
  get text(): string {
    return this.lines.map((line) => ('text' in line ? line.text : `<${line.type}>`)).join('|')
  }

  async #read(signal: AbortSignal): Promise<void> {
    const response = await fetch(`${this.#url}?offset=${this.#offset}&live=sse`, { signal })
    if (response.status !== 200) return
    let text = ''
    for await (const piece of response.body ?? []) {
      text += Buffer.from(piece).toString()
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      // A control has the offset after the data before it: both count, or neither.
      for (const event of events) this.#event(event)
    }
  }

  #pending: readonly Line[] = []

  #event(event: string): void {
    const data = [...event.matchAll(/^data:(.*)$/gm)].map(([, line]) => line).join('\n')
    if (event.startsWith('event: data')) this.#pending = JSON.parse(data)
    else {
      this.lines.push(...this.#pending)
      this.#pending = []
      const { streamNextOffset, streamClosed } = JSON.parse(data)
      this.#offset = streamNextOffset
      if (streamClosed) this.#isClosed = true
      this.#onLine()
    }
  }
}

test(`killed ${kills} times while it speaks, both browsers see each token once, and a tool has one key`, async () => {
  const agent = await program()
  await agent.begin()
  const [stays, leaves] = [new Browser(`${agent.url}/ada`), new Browser(`${agent.url}/ada`)]
  const watching = [stays.watch(), leaves.watch()]
  const question = 'What is the weather in Paris?'
  const ends = ({ lines }: Browser): number => lines.filter(({ type }) => type === 'end').length
  let killed = 0
  let rounds = 0
  while (killed < kills) {
    rounds++
    const hasEnded = (): boolean => ends(stays) === rounds
    expect(await agent.say('chat', 'ada', question, `q${rounds}`)).toBe(202)
    while (killed < kills && !hasEnded()) {
      const seen = stays.lines.length + 1 + (killed % 2)
      await stays.until(({ length }) => length >= seen || hasEnded())
      await agent.kill()
      await agent.begin()
      killed++
      // A client that got no answer says it again.
      expect(await agent.say('chat', 'ada', question, `q${rounds}`)).toBe(202)
      if (killed === 2) leaves.leave()
    }
    await stays.until(hasEnded)
  }
  watching.push(leaves.watch())
  await leaves.until(() => ends(leaves) === rounds)
  stays.leave()
  leaves.leave()
  await Promise.all(watching)

  const round = [
    question,
    'I will look at the weather for you. [weather Paris]',
    'it is sunny in Paris',
    'The tool answered: it is sunny in Paris. Is there anything else that I can do for you today?',
    '<end>',
  ].join('|')
  expect(stays.text.replaceAll(/\s\|/g, ' ')).toBe(Array(rounds).fill(round).join('|'))
  expect(leaves.lines).toEqual(stays.lines)
  const keys = agent.printed.filter((line) => line.startsWith('weather '))
  expect(new Set(keys).size).toBe(rounds)
}, 300_000)

test('a dangerous tool waits for a person over a kill, and a cancel stops the model', async () => {
  const agent = await program()
  await agent.begin()
  const browser = new Browser(`${agent.url}/bob`)
  const watching = browser.watch()
  await agent.say('chat', 'bob', 'please delete notes.txt', 'q1')
  await browser.until((lines) => lines.at(-1)?.type === 'asks')
  await agent.kill()
  await agent.begin()
  expect(agent.printed.filter((line) => line.startsWith('delete'))).toEqual([])
  expect(await agent.say('approve', 'bob', 'yes', 'a1')).toBe(202)
  await browser.until(() => browser.hasEnded)
  expect(browser.text).toContain('notes.txt is gone')

  await agent.say('chat', 'bob', 'talk to me', 'q2')
  const { length: before } = browser.lines
  await browser.until((lines) => lines.length >= before + 4)
  expect(await agent.say('cancel', 'bob', '', 'c1')).toBe(202)
  const { length } = browser.lines
  // The cancel is accepted before the run has ended, and its end closes the stream.
  await watching
  const response = await fetch(`${agent.url}/bob?offset=-1`)
  expect(response.headers.get('stream-closed')).toBe('true')
  expect(((await response.json()) as Line[]).length).toBeLessThanOrEqual(length + 2)
}, 60_000)
