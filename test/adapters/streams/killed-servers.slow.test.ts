/**
 * Real processes that serve streams are killed and stopped under many writers and readers over HTTP: what was acknowledged or shown
 * is there, in that order.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { triesAll } from '../../support/tier.ts'
import { askStream, EventReader, StreamServers } from '../../support/worlds/stream-servers.ts'

/** Between two troubles so many appends are acknowledged. */
const { writerCount, troubles, appends } = triesAll
  ? { writerCount: 500, troubles: 21, appends: 5_000 }
  : { writerCount: 60, troubles: 3, appends: 150 }
const streamCount = 20

/** Longer than clients wait for a member. */
const stopMs = 1_500

type Message = { readonly w: number; readonly n: number }

const pathOf = (at: number): string => `/v1/stream/s${at}`

const json = { 'content-type': 'application/json' }

/** Writers and readers of all streams. A writer with a number repeats a request without an answer; any other says the next message. */
class Clients {
  readonly #servers: StreamServers
  readonly #patienceMs: number
  #isOver = false
  /** What each writer has sent, and which of it was acknowledged. */
  readonly sent = Array.from({ length: writerCount }, () => 0)
  readonly acknowledged = Array.from({ length: writerCount }, (): number[] => [])
  /** What each reader of a stream has seen. */
  readonly seen: Message[][][] = Array.from({ length: streamCount }, () => [])
  #missing = 0
  #haveCome: () => void = () => undefined
  #writing: Promise<unknown> | undefined
  #reading: Promise<unknown> | undefined

  constructor(servers: StreamServers) {
    this.#servers = servers
    this.#patienceMs = servers.count > 1 ? 1_000 : 0
  }

  static isNumbered = (w: number): boolean => w % 4 !== 0

  async begin(): Promise<void> {
    for (let at = 0; at < streamCount; at++) {
      const port = await this.#servers.port(at)
      const { status } = await askStream(port, pathOf(at), { method: 'PUT', headers: json })
      expect(status).toBe(201)
    }
    this.#writing = Promise.all(this.sent.map((_, w) => this.#write(w)))
    // Two thirds stay where nothing comes any more, as a browser does; the others go to another process.
    const readers = Array.from({ length: streamCount }, (_, at) => [
      this.#poll(at),
      this.#follow(at, 0),
      this.#follow(at, this.#patienceMs),
    ])
    this.#reading = Promise.all(readers.flat())
  }

  /** Resolves when so many further appends are acknowledged. */
  further(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#missing = count
      this.#haveCome = resolve
    })
  }

  /** Ends the writers, closes the streams, and waits until each reader has been told so. */
  async end(): Promise<void> {
    this.#isOver = true
    await this.#writing
    const headers = { 'stream-closed': 'true' }
    for (let at = 0; at < streamCount; at++) {
      const port = await this.#servers.port(at)
      const { status } = await askStream(port, pathOf(at), { method: 'POST', headers })
      expect(status).toBe(204)
    }
    await this.#reading
  }

  /** All messages of a stream. */
  async found(at: number): Promise<readonly Message[]> {
    const found: Message[] = []
    for (let offset = '-1'; ; ) {
      const port = await this.#servers.port(at)
      const { headers, text } = await askStream(port, `${pathOf(at)}?offset=${offset}`)
      const messages: Message[] = JSON.parse(text)
      if (messages.length === 0) return found
      found.push(...messages)
      offset = String(headers['stream-next-offset'])
    }
  }

  async #write(w: number): Promise<void> {
    const isNumbered = Clients.isNumbered(w)
    for (let n = 0, tries = w; !this.#isOver; n++) {
      this.sent[w] = n + 1
      const producer = { 'producer-id': `w${w}`, 'producer-epoch': '0', 'producer-seq': `${n}` }
      const post = {
        method: 'POST',
        headers: { ...json, ...(isNumbered && producer) },
        body: JSON.stringify({ w, n }),
        // Without a number a request that is given up might come after a later one.
        idleMs: isNumbered ? this.#patienceMs : 0,
      }
      for (;;) {
        const port = await this.#servers.port(tries)
        const answer = await askStream(port, pathOf(w % streamCount), post).catch(() => undefined)
        if (answer && answer.status < 300) {
          this.acknowledged[w]?.push(n)
          if (--this.#missing === 0) this.#haveCome()
          break
        }
        if (answer && answer.status !== 503) throw new Error(`${answer.status} ${answer.text}`)
        tries++
        if (!isNumbered) break
      }
    }
  }

  async #poll(at: number): Promise<void> {
    const seen: Message[] = []
    this.seen[at]?.push(seen)
    for (let offset = '-1', isClosed = false; !isClosed; ) {
      const port = await this.#servers.port(at)
      const path = `${pathOf(at)}?offset=${offset}&live=long-poll`
      const answer = await askStream(port, path).catch(() => undefined)
      if (!answer || answer.status >= 300) continue
      if (answer.status === 200) seen.push(...JSON.parse(answer.text))
      offset = String(answer.headers['stream-next-offset'])
      isClosed = answer.headers['stream-closed'] === 'true'
    }
  }

  async #follow(at: number, idleMs: number): Promise<void> {
    const reader = new EventReader<Message>(pathOf(at), idleMs)
    this.seen[at]?.push(reader.seen)
    for (let tries = at; !reader.isClosed; tries++)
      await reader.read(await this.#servers.port(tries)).catch(() => undefined)
  }
}

/** The next process is killed, stopped and let go on, or stopped and then killed, as the parent of members does. */
const trouble = async (servers: StreamServers, number: number): Promise<void> => {
  const at = number % servers.count
  const kind = number % 3
  if (kind > 0) {
    servers.signal(at, 'SIGSTOP')
    await pause(stopMs)
  }
  if (kind === 1) return servers.signal(at, 'SIGCONT')
  await servers.kill(at)
  await servers.begin(at)
}

test.each([
  ['one process', 1],
  ['four members of a folder', 4],
])(
  '%s, killed and stopped: every reader has seen all that was acknowledged, once and in one order',
  { tags: ['ST1', 'ST2', 'ST6', 'ST8', 'ST9', 'ST12'], timeout: 900_000 },
  async (_, count) => {
    const servers = new StreamServers(count)
    const all = Array.from({ length: count }, (__, at) => at)
    onTestFinished(async () => void (await Promise.all(all.map((at) => servers.kill(at)))))
    await Promise.all(all.map((at) => servers.begin(at)))
    const clients = new Clients(servers)
    await clients.begin()
    for (let number = 0; number < troubles; number++) {
      await clients.further(appends)
      await trouble(servers, number)
    }
    await clients.further(appends)
    await clients.end()

    let total = 0
    for (let at = 0; at < streamCount; at++) {
      const found = await clients.found(at)
      total += found.length
      for (const seen of clients.seen[at] ?? []) expect(seen).toEqual(found)
      for (let w = at; w < writerCount; w += streamCount) {
        const numbers = found.filter((each) => each.w === w).map(({ n }) => n)
        const there = new Set(numbers)
        expect(numbers.length, `of writer ${w}`).toBe(there.size)
        // The acknowledged ones are in the order in which they were acknowledged, and so are all of a producer.
        const acknowledged = clients.acknowledged[w] ?? []
        const ordered = new Set(acknowledged)
        expect(numbers.filter((n) => ordered.has(n))).toEqual(acknowledged)
        if (Clients.isNumbered(w)) expect(numbers).toEqual([...Array(clients.sent[w]).keys()])
      }
    }
    expect(total).toBeGreaterThan(troubles * appends)
    if (process.env.KEELSON_TALLY) console.log(`${total} messages, ${troubles} troubles`)
  },
)
