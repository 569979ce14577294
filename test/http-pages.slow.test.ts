/** The programs of `docs/http` as processes: what a client sees of retries, errors, streams, the observer and a close. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { examplesOf, folderInside } from './support/doc-examples.ts'

const [shop = ''] = examplesOf('docs/http.md', 'mjs')

/** A program of a page, running. `lines` are what it has printed. */
const runPage = async (page: string, folder: string) => {
  const [code = ''] = examplesOf(`docs/http/${page}.md`, 'mjs')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'shop.mjs'), shop)
  writeFileSync(join(folder, 'server.mjs'), code)
  const child: ChildProcess = spawn(process.execPath, ['server.mjs', 'data'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  const port = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`${page} ended: ${lines.join('\n')}`)))
    if (child.stdout === null) return
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line)
      if (line.startsWith('listening ')) resolve(line.slice(10))
    })
  })
  const ask = async (path: string, options: RequestInit & { key?: string } = {}) => {
    const { key, headers, ...rest } = options
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      ...rest,
      headers: { 'x-request-id': 'r1', ...(key && { 'idempotency-key': key }), ...headers },
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    return { status: response.status, body: isJson ? JSON.parse(text) : text }
  }
  const add = (cart: string, item: unknown, key: string) =>
    ask(`/carts/${cart}/items`, {
      method: 'POST',
      key,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ item }),
    })
  const order = (cart: string, key: string) => ask(`/carts/${cart}/order`, { method: 'POST', key })
  /** Reads events until there are so many, from the one after `last`. */
  const events = async (count: number, last?: string) => {
    const leave = new AbortController()
    const response = await fetch(`http://127.0.0.1:${port}/news`, {
      signal: leave.signal,
      ...(last !== undefined && { headers: { 'last-event-id': last } }),
    })
    let text = ''
    for await (const piece of response.body ?? []) {
      text += Buffer.from(piece).toString()
      if (text.split('\n\n').length > count) break
    }
    leave.abort()
    return [...text.matchAll(/id: (.+)\ndata: (.+)\n\n/g)].map(([, id, data]) => ({ id, data }))
  }
  return { child, lines, port, ask, add, order, events }
}

describe.each(['node-http', 'fastify', 'express', 'hono'])(
  'the program of docs/http/%s.md',
  (page) => {
    test('takes a repeated request once, and says why a request was refused', async () => {
      const { ask, add, order, lines } = await runPage(page, folderInside())

      expect(await add('c1', 'tea', 'k1')).toEqual({ status: 200, body: { items: ['tea'] } })
      expect(await add('c1', 'tea', 'k1')).toEqual({ status: 200, body: { items: ['tea'] } })
      expect(await ask('/carts/c1')).toEqual({ status: 200, body: { items: ['tea'] } })
      expect(lines.filter((line) => line === 'request r1: tea')).toHaveLength(1)
      expect(await order('c1', 'o1')).toEqual({ status: 202, body: { order: 'o1' } })
      expect(await order('c1', 'o1')).toEqual({ status: 202, body: { order: 'o1' } })
      expect(await order('c2', 'o1')).toMatchObject({ status: 409, body: { code: 'CONFLICT' } })
      expect(await ask('/orders/none')).toMatchObject({ status: 404 })
      expect(await add('c1', 7, 'k2')).toMatchObject({
        status: 400,
        body: { code: 'INVALID_ARGUMENT' },
      })
      const broken = { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } }
      expect((await ask('/carts/c1/items', broken)).status).toBe(400)
    })

    test('streams events from the last one that a browser has', async () => {
      const { add, order, events } = await runPage(page, folderInside())
      await add('c1', 'tea', 'k1')
      await order('c1', 'o1')
      await order('c1', 'o2')

      const [first, second] = await events(2)
      expect([first?.data, second?.data]).toEqual(['{"ordered":1}', '{"ordered":1}'])
      expect(await events(1, first?.id)).toEqual([second])
    })

    test('shows the observer to who has logged in alone', async () => {
      const { ask } = await runPage(page, folderInside())

      expect((await ask('/observe/')).status).toBe(401)
      const page1 = await ask('/observe/', { headers: { cookie: 'session=s3cr3t' } })
      expect([page1.status, String(page1.body).includes('<html')]).toEqual([200, true])
    })

    test('ends at SIGTERM with open streams of events, and has its state after the next start', async () => {
      const folder = folderInside()
      const { add, order, child, port } = await runPage(page, folder)
      await add('c1', 'tea', 'k1')
      await order('c1', 'o1')
      const stream = await fetch(`http://127.0.0.1:${port}/news`)
      const reader = stream.body?.getReader()
      await reader?.read() // the first event is here, and the stream is open

      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      expect(await ended).toEqual([0, null])
      await reader?.read().catch(() => undefined)

      const next = await runPage(page, folder)
      expect(await next.ask('/carts/c1')).toEqual({ status: 200, body: { items: ['tea'] } })
      expect(await next.add('c1', 'tea', 'k1')).toEqual({ status: 200, body: { items: ['tea'] } })
    })
  },
)
