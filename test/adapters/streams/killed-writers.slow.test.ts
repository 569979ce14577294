/** A real process that serves streams is killed under many writers and readers over HTTP: what was acknowledged or shown is there. */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'
import { triesAll } from '../../support/tier.ts'

const {
  writers: writerCount,
  kills,
  lifeMs,
} = triesAll ? { writers: 500, kills: 20, lifeMs: 2_000 } : { writers: 100, kills: 3, lifeMs: 700 }
const streamCount = 20

const program = new URL('../../support/programs/stream-server.mjs', import.meta.url)

/** The process, over all its lives. */
class Served {
  readonly #dir = tempFolder()
  #child: ChildProcess | undefined
  #serves: (port: number) => void = () => undefined
  /** The port of the present life, or of the next one. */
  port = this.#coming()

  begin(): void {
    const child = fork(program, [this.#dir, '1000'])
    this.#child = child
    child.once('message', (port) => this.#serves(port as number))
  }

  async kill(): Promise<void> {
    this.port = this.#coming()
    const ended = this.#child && once(this.#child, 'exit')
    this.#child?.kill('SIGKILL')
    await ended
  }

  #coming(): Promise<number> {
    return new Promise((resolve) => {
      this.#serves = resolve
    })
  }
}

type Answer = { readonly status: number; readonly offset: string; readonly text: string }

const agent = new Agent({ keepAlive: true })

/** Asks the present life. @throws what the connection does */
const ask = async (
  at: Promise<number>,
  path: string,
  { method = 'GET', headers = {}, body = '' } = {},
): Promise<Answer> => {
  const port = await at
  return new Promise((resolve, reject) => {
    const asked = request(
      { agent, host: '127.0.0.1', port, path: `/v1/stream/${path}`, method, headers },
      (response) => {
        const pieces: Buffer[] = []
        response.on('data', (piece) => pieces.push(piece))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            offset: String(response.headers['stream-next-offset']),
            text: Buffer.concat(pieces).toString(),
          }),
        )
      },
    )
    asked.on('error', reject)
    asked.end(body)
  })
}

type Message = { readonly w: number; readonly n: number }

const json = { 'content-type': 'application/json' }

test(`${writerCount} writers, ${kills} kills: what was acknowledged is there, in each writer's order, and no request of a producer twice`, {
  timeout: 900_000,
  tags: ['ST1', 'ST2', 'ST6', 'ST9'],
}, async () => {
  const served = new Served()
  served.begin()
  onTestFinished(() => served.kill())
  const streams = Array.from({ length: streamCount }, (_, at) => `s${at}`)
  for (const name of streams)
    expect((await ask(served.port, name, { method: 'PUT', headers: json })).status).toBe(201)

  let isOver = false
  /** What each writer has sent, and which of it was acknowledged. */
  const sent = Array.from({ length: writerCount }, () => 0)
  const acknowledged = Array.from({ length: writerCount }, () => new Set<number>())
  const numbered = (w: number): boolean => w % 4 !== 0

  const write = async (w: number): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      sent[w] = n + 1
      const producer = { 'producer-id': `w${w}`, 'producer-epoch': '0', 'producer-seq': `${n}` }
      const headers = { ...json, ...(numbered(w) && producer) }
      const body = JSON.stringify({ w, n })
      const post = { method: 'POST', headers, body }
      for (;;) {
        const answer = await ask(served.port, `s${w % streamCount}`, post).catch(() => undefined)
        if (answer && answer.status < 300) acknowledged[w]?.add(n)
        // It is a producer that repeats a request without an answer; any other one says the next message.
        if (answer && answer.status < 300) break
        if (answer && answer.status !== 503) throw new Error(`${answer.status} ${answer.text}`)
        if (!numbered(w)) break
      }
    }
  }
  const seen = streams.map((): Message[] => [])
  const read = async (at: number): Promise<void> => {
    let offset = '-1'
    while (!isOver) {
      const path = `s${at}?offset=${offset}&live=long-poll`
      const answer = await ask(served.port, path).catch(() => undefined)
      if (answer?.status !== 200) continue
      seen[at]?.push(...JSON.parse(answer.text))
      offset = answer.offset
    }
  }

  const all = [...sent.map((_, w) => write(w)), ...streams.map((_, at) => read(at))]
  for (let life = 0; life < kills; life++) {
    await served.port
    await pause(lifeMs * (0.5 + Math.random()))
    await served.kill()
    served.begin()
  }
  await served.port
  await pause(lifeMs)
  isOver = true
  await Promise.all(all)

  let total = 0
  for (const [at, name] of streams.entries()) {
    const found: Message[] = []
    for (let offset = '-1'; ; ) {
      const answer = await ask(served.port, `${name}?offset=${offset}`)
      const messages: Message[] = JSON.parse(answer.text)
      if (messages.length === 0) break
      found.push(...messages)
      offset = answer.offset
    }
    total += found.length
    expect(found.slice(0, seen[at]?.length)).toEqual(seen[at])
    for (let w = at; w < writerCount; w += streamCount) {
      const numbers = found.filter((each) => each.w === w).map(({ n }) => n)
      // No number twice, and none before an earlier one.
      expect(numbers, `of writer ${w}`).toEqual([...new Set(numbers)].sort((a, b) => a - b))
      const there = new Set(numbers)
      expect([...(acknowledged[w] ?? [])].filter((n) => !there.has(n))).toEqual([])
      if (numbered(w)) expect(numbers.length).toBe(sent[w])
    }
  }
  expect(total).toBeGreaterThan(writerCount)
  if (process.env.KEELSON_TALLY) console.log(`${total} messages, ${kills} kills`)
})
