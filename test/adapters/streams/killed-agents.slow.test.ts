/**
 * The agent of `examples/agent` on four members of a folder. The member that speaks is killed or stopped in the middle of a sentence,
 * while readers follow each conversation at every member: three of the four have its stream from another one.
 */
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Line } from '../../../examples/agent/agent.ts'
import { triesAll } from '../../support/tier.ts'
import { askStream, EventReader, StreamServers } from '../../support/worlds/stream-servers.ts'

const troubles = triesAll ? 50 : 10
const memberCount = 4
const ids = Array.from({ length: 6 }, (_, at) => `c${at}`)

/** Longer than clients wait for a member. */
const stopMs = 1_500
const patienceMs = 1_000

/** What is said in a round of a conversation: a weather, or a deletion that a person allows. */
const roundOf = (id: string, round: number): { question: string; said: string } =>
  round % 2 === 1
    ? {
        question: `What is the weather in ${id}?`,
        said: `I will look at the weather for you. [weather ${id}]<it is sunny>The tool answered: it is sunny.`,
      }
    : {
        question: `please delete ${id}`,
        said: `That cannot be undone, so I will ask you first. [delete ${id}]<asks><it is gone>The tool answered: it is gone.`,
      }

const textOf = (lines: readonly Line[]): string =>
  lines
    .map((line) => {
      if (line.type === 'token') return line.text
      return 'text' in line ? `<${line.text}>` : `<${line.type}>`
    })
    .join('')

/** A conversation: a person who answers, and a reader at each member. */
class Conversation {
  readonly id: string
  readonly readers: readonly EventReader<Line>[]
  rounds = 0
  readonly #servers: StreamServers
  readonly #reading: Promise<unknown>
  #onSeen: () => void = () => undefined

  constructor(servers: StreamServers, id: string) {
    this.#servers = servers
    this.id = id
    // Half of them stay at a member that is silent, as a browser does. The others go to the next one.
    this.readers = Array.from(
      { length: memberCount },
      (_, at) => new EventReader(`/streams/${id}`, (at % 2) * patienceMs, () => this.#onSeen()),
    )
    this.#reading = Promise.all(this.readers.map((reader, at) => this.#follow(reader, at)))
  }

  /** The lines of the reader that is ahead. */
  get lines(): readonly Line[] {
    const most = Math.max(...this.readers.map(({ seen }) => seen.length))
    return this.readers.find(({ seen }) => seen.length === most)?.seen ?? []
  }

  /** How many lines of this kind there are. */
  count(type: Line['type']): number {
    return this.lines.filter((line) => line.type === type).length
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds())
      await new Promise<void>((seen) => {
        const before = this.#onSeen
        this.#onSeen = () => {
          before()
          seen()
        }
      })
  }

  /** A round, to its end. */
  async round(): Promise<void> {
    const round = ++this.rounds
    await this.say('chat', roundOf(this.id, round).question, `q${round}`)
    if (round % 2 === 0) {
      await this.until(() => this.count('asks') === round / 2)
      await this.say('approve', 'yes', `a${round}`)
    }
    await this.until(() => this.count('end') === round)
  }

  /** Says something to one member after another until it is accepted. The key makes it count once. */
  async say(act: string, body: string, key: string): Promise<void> {
    const headers = { 'idempotency-key': key }
    const request = { method: 'POST', headers, body, idleMs: patienceMs }
    for (let tries = this.rounds; ; tries++) {
      const port = await this.#servers.port(tries)
      const answer = await askStream(port, `/${act}/${this.id}`, request).catch(() => undefined)
      if (answer?.status === 202) return
      if (answer && answer.status !== 503) throw new Error(`${answer.status} ${answer.text}`)
    }
  }

  /** Ends the run, and waits until each reader has been told so. */
  async end(): Promise<void> {
    await this.say('cancel', '', 'the end')
    await this.#reading
  }

  async #follow(reader: EventReader<Line>, at: number): Promise<void> {
    for (let tries = at; !reader.isClosed; tries += at % 2)
      await reader.read(await this.#servers.port(tries)).catch(() => undefined)
  }
}

test(`agents on four members, ${troubles} times killed or stopped while they speak: each token is there once at every reader`, {
  tags: ['ST3', 'ST5', 'ST6', 'ST8', 'ST12'],
  timeout: 900_000,
}, async () => {
  const keys: string[] = []
  /** Where the last tool of each conversation was called: the model speaks there next. */
  const speaks = new Map<string, number>()
  const program = {
    path: resolve('node_modules/jiti/lib/jiti-cli.mjs'),
    words: [resolve('test/support/programs/agent-member.mjs')],
  }
  const servers = new StreamServers(memberCount, program, (message, at) => {
    const { arg, key } = message as { arg: string; key: string }
    keys.push(key)
    speaks.set(arg, at)
  })
  const members = Array.from({ length: memberCount }, (_, at) => at)
  onTestFinished(async () => void (await Promise.all(members.map((at) => servers.kill(at)))))
  await Promise.all(members.map((at) => servers.begin(at)))

  const conversations = ids.map((id) => new Conversation(servers, id))
  let isOver = false
  const talking = Promise.all(
    conversations.map(async (conversation) => {
      while (!isOver) await conversation.round()
    }),
  )
  const struck: number[] = []
  const troubling = async (): Promise<void> => {
    for (let number = 0; number < troubles; number++) {
      const conversation = conversations[number % ids.length] as Conversation
      const tools = conversation.count('tool')
      await conversation.until(() => conversation.count('tool') > tools)
      const tokens = conversation.count('token') + 1 + (number % 3)
      await conversation.until(() => conversation.count('token') >= tokens)
      const at = speaks.get(conversation.id) as number
      struck.push(at)
      const kind = number % 3
      if (kind > 0) {
        servers.signal(at, 'SIGSTOP')
        await pause(stopMs)
      }
      if (kind === 1) servers.signal(at, 'SIGCONT')
      else {
        await servers.kill(at)
        await servers.begin(at)
      }
    }
    isOver = true
  }
  await Promise.all([talking, troubling()])
  await Promise.all(conversations.map((conversation) => conversation.end()))

  let rounds = 0
  for (const { id, rounds: count, readers } of conversations) {
    rounds += count
    const told = Array.from({ length: count }, (_, at) => {
      const { question, said } = roundOf(id, at + 1)
      return `<${question}>${said} Is there anything else that I can do for you today?<end>`
    }).join('')
    for (const { seen } of readers) expect(textOf(seen)).toBe(told)
  }
  expect(new Set(keys).size).toBe(rounds)
  // Only a member that was killed leaves a call without an outcome.
  expect(keys.length - rounds).toBeLessThanOrEqual(troubles * ids.length)
  if (process.env.KEELSON_TALLY)
    console.log({ rounds, struck: struck.join(), 'repeated calls': keys.length - rounds })
})
