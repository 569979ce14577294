/** The program of `docs/agents-reference.md` with the AI SDK and an MCP client, beside a local model and a local MCP server. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { examplesOf, folderInside } from './support/doc-examples.ts'

type Message = { readonly role: string; readonly content: unknown }

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  let text = ''
  for await (const piece of request) text += piece
  return text ? JSON.parse(text) : undefined
}

const listening = async (server: Server): Promise<string> => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const sentence = 'Let me look at the weather in Paris for you. '
const ending = 'It is sunny in Paris.'

/** A model as an OpenAI-compatible server: it continues the beginning of its answer, and holds after `holds` words. */
const localModel = async () => {
  const model = {
    url: '',
    /** It says so many words of an answer and then nothing, with the connection open. */
    holds: Number.POSITIVE_INFINITY,
    asked: [] as (readonly Message[])[],
    words: 0,
    /** Resolves when the client has left a request that was held. */
    left: undefined as Promise<unknown> | undefined,
  }
  const chunk = (response: ServerResponse, delta: object, finish: string | null = null): void => {
    const data = {
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'small',
      choices: [{ index: 0, delta, finish_reason: finish }],
      ...(finish && { usage: { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 } }),
    }
    response.write(`data: ${JSON.stringify(data)}\n\n`)
  }
  const server = createServer(async (request, response) => {
    const { messages } = (await bodyOf(request)) as { messages: readonly Message[] }
    model.asked.push(messages)
    const last = messages.at(-1)
    const begun = last?.role === 'assistant' ? String(last.content) : ''
    const isAfterTool = messages.some(({ role }) => role === 'tool')
    const text = isAfterTool ? ending : sentence
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    let said = 0
    for (const [content] of text.slice(begun.length).matchAll(/\S+\s*/g)) {
      if (said++ === model.holds) {
        model.left = once(response, 'close')
        return
      }
      model.words++
      chunk(response, { content })
    }
    const call = {
      index: 0,
      id: 'call_1',
      type: 'function',
      function: { name: 'weather', arguments: '{"place":"Paris"}' },
    }
    if (!isAfterTool) chunk(response, { tool_calls: [call] })
    chunk(response, {}, isAfterTool ? 'stop' : 'tool_calls')
    response.end('data: [DONE]\n\n')
  })
  model.url = await listening(server)
  return model
}

/** An MCP server with one tool. `keys` are those that its calls had; while `isHeld` a call is not answered. */
const localTools = async () => {
  const onCall = (): void => undefined
  const tools = { url: '', keys: [] as unknown[], isHeld: false, onCall }
  const server = createServer(async (request, response) => {
    const mcp = new McpServer({ name: 'tools', version: '1.0.0' })
    mcp.registerTool(
      'weather',
      { description: 'The weather of a place', inputSchema: { place: z.string() } },
      async ({ place }, { _meta }) => {
        tools.keys.push(_meta?.['example.com/key'])
        tools.onCall()
        if (tools.isHeld) await once(response, 'close')
        return { content: [{ type: 'text', text: `sunny in ${place}` }] }
      },
    )
    const transport = new StreamableHTTPServerTransport({})
    await mcp.connect(transport as Parameters<McpServer['connect']>[0])
    await transport.handleRequest(request, response, await bodyOf(request))
  })
  tools.url = await listening(server)
  return tools
}

const [code = ''] = examplesOf('docs/agents-reference.md', 'mjs')

/** The program of the page in a folder, for one conversation. */
const conversation = async () => {
  const [model, tools, cwd] = [await localModel(), await localTools(), folderInside()]
  writeFileSync(join(cwd, 'agent.mjs'), code)
  /** A life of it. `lines` are what it has printed. */
  const live = () => {
    const words = ['agent.mjs', 'data', 'ada', 'What is the weather in Paris?']
    const child: ChildProcess = spawn(process.execPath, words, {
      cwd,
      env: { ...process.env, MODEL_URL: model.url, MODEL_KEY: 'none', MCP_URL: tools.url },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const lines: string[] = []
    let onLine = (): void => undefined
    if (child.stdout)
      createInterface(child.stdout).on('line', (line) => {
        lines.push(line)
        onLine()
      })
    const ended = once(child, 'exit')
    const until = async (holds: () => boolean): Promise<void> => {
      while (!holds()) await new Promise<void>((resolve) => (onLine = resolve))
    }
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL')
      await ended
    }
    return { child, lines, ended, until, kill }
  }
  return { model, tools, live }
}

const textOf = (lines: readonly string[]): string =>
  lines
    .filter((line) => line.startsWith('{"type":"token"'))
    .map((line) => JSON.parse(line).text)
    .join('')

test('an agent of the AI SDK that is killed in mid-sentence continues it, and pays for no word twice', async () => {
  const { model, tools, live } = await conversation()
  model.holds = 4
  const first = live()
  await first.until(() => textOf(first.lines) === 'Let me look at ')
  await first.kill()
  model.holds = Number.POSITIVE_INFINITY
  tools.isHeld = true
  const second = live()
  await new Promise<void>((called) => (tools.onCall = called))
  await second.kill()
  tools.isHeld = false
  const third = live()
  await third.ended

  expect(textOf(third.lines)).toBe(`${sentence}${ending}`)
  expect(third.lines.at(-1)).toBe('completed')
  expect(model.words).toBe(`${sentence}${ending}`.split(' ').length)
  expect(model.asked.map((messages) => messages.map(({ role }) => role).join())).toEqual([
    'user',
    'user,assistant',
    'user,assistant,tool',
  ])
  expect(model.asked[1]?.at(-1)?.content).toBe('Let me look at ')
  expect(tools.keys).toHaveLength(2)
  expect(new Set(tools.keys).size).toBe(1)
  expect(String(tools.keys[0])).toContain('tool-1-call_1')
})

test('SIGINT cancels the run, and the request to the model ends in mid-sentence', async () => {
  const { model, live } = await conversation()
  model.holds = 4
  const life = live()
  await life.until(() => textOf(life.lines) === 'Let me look at ')
  life.child.kill('SIGINT')
  await life.ended

  expect(life.lines.at(-1)).toBe('cancelled')
  await model.left
  expect([model.words, model.asked.length]).toEqual([4, 1])
})
