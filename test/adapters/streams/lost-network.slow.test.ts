/**
 * Browsers that lose their network while a stream is written: Chromium off line, whose connections are cut in the middle of an event,
 * or silent. They run the program of `docs/streams.md` with the client of the protocol, and the page of `examples/agent`, which has
 * no library.
 */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import {
  type AddressInfo,
  connect,
  createServer as createRelay,
  type Server,
  type Socket,
} from 'node:net'
import { join, resolve } from 'node:path'
import { start } from 'keelson'
import { streamHandler } from 'keelson/streams'
import type { Browser } from 'puppeteer-core'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openTab, startChromium, withoutChromium } from '../../observe/views/chromium.ts'
import { examplesOf, folderInside } from '../../support/doc-examples.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { triesAll } from '../../support/tier.ts'

const losses = triesAll ? 50 : 6

/** So many messages are written in each loss. */
const missed = 20

/**
 * The network between a browser and a server. Taken off line by its protocol, Chromium refuses new requests alone, and what was open
 * goes on.
 */
class Network {
  readonly #connections = new Set<Socket>()
  readonly #server: Server
  #left = Number.POSITIVE_INFINITY
  #isSilent = false
  #onLost: () => void = () => undefined

  constructor(target: number) {
    this.#server = createRelay((browser) => {
      const server = connect(target, '127.0.0.1')
      this.#connections.add(browser)
      browser.on('error', () => undefined).on('close', () => server.destroy())
      server.on('error', () => undefined).on('close', () => browser.destroy())
      browser.pipe(server)
      server.on('data', (piece) => this.#pass(piece, browser))
    })
  }

  async listen(): Promise<number> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  /** Passes so many bytes yet, then nothing: connections are cut, or stay open and silent. Resolves when it is lost. */
  lose(bytes: number, isSilent: boolean): Promise<void> {
    this.#left = bytes
    this.#isSilent = isSilent
    return new Promise((resolve) => (this.#onLost = resolve))
  }

  /** The network is back. It knows no connection of before. */
  come(): void {
    this.#cut()
    this.#left = Number.POSITIVE_INFINITY
  }

  close(): void {
    this.#cut()
    this.#server.close()
  }

  #cut(): void {
    for (const connection of this.#connections) connection.destroy()
    this.#connections.clear()
  }

  #pass(piece: Buffer, browser: Socket): void {
    const part = piece.subarray(0, this.#left)
    this.#left -= part.length
    const isLost = this.#left === 0
    const onPassed = isLost && !this.#isSilent ? () => this.#cut() : () => undefined
    if (part.length > 0) browser.write(part, onPassed)
    if (isLost) this.#onLost()
  }
}

/** A stream that is written without a pause, and served together with a page over a network. */
const speaking = async (html: string, script: string) => {
  const app = await start({ dir: tempFolder() })
  const serve = streamHandler(app, (_, stream) => ({ stream }), { base: '/streams' })
  const server = createServer((request, response) => {
    const { url = '/' } = request
    if (url.startsWith('/streams/')) return serve.node(request, response)
    const isScript = url === '/program.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : html)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const network = new Network((server.address() as AddressInfo).port)
  const url = `http://127.0.0.1:${await network.listen()}/#talk`

  const out = app.streams.open<unknown>('talk')
  const world = { network, url, written: 0 }
  let isOver = false
  let onWritten = (): void => undefined
  const writing = (async () => {
    for (; !isOver; onWritten()) {
      await out.append({ type: 'token', text: `${world.written} ` })
      world.written++
    }
    await out.close()
  })()
  const end = (): Promise<void> => {
    isOver = true
    return writing
  }
  onTestFinished(async () => {
    await end()
    network.close()
    server.close()
    server.closeAllConnections()
    await app.close()
  })
  const until = async (count: number): Promise<void> => {
    while (world.written < count) await new Promise<void>((resolve) => (onWritten = resolve))
  }
  return Object.assign(world, { until, end })
}

const docsProgram = async (): Promise<string> => {
  const code = examplesOf('docs/streams.md', 'ts').find((each) => each.includes('in a browser'))
  const before = [
    "const url = location.origin + '/streams/talk'",
    'const show = ({ text }) => document.querySelector("main").append(text)',
  ]
  const input = resolve(join(folderInside(), 'program.mjs'))
  writeFileSync(input, [...before, code, "document.title = 'ended'"].join('\n'))
  const bundle = await rolldown({ input, platform: 'browser', logLevel: 'silent' })
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false })
  return output[0].code
}

const pages = {
  'the program of docs/streams.md': async () => ({
    html: '<!doctype html><main></main><script type="module" src="/program.js"></script>',
    script: await docsProgram(),
  }),
  'the page of examples/agent': () => ({
    html: readFileSync('examples/agent/page.html', 'utf8').replace(
      'events.close()\n    })',
      "(events.close(), document.title = 'ended')\n    })",
    ),
    script: '',
  }),
}

describe.skipIf(lacks(withoutChromium))('a browser whose network goes away', () => {
  let browser: Browser

  beforeAll(async () => {
    browser = await startChromium()
  })

  afterAll(() => browser.close())

  test.each(Object.entries(pages))(
    'has every message once: %s',
    { tags: ['ST6', 'ST8'], timeout: 600_000 },
    async (_, sourceOf) => {
      const { html, script } = await sourceOf()
      const world = await speaking(html, script)
      const { page } = await openTab(browser, world.url)
      const shown = async (): Promise<string> =>
        (await page.evaluate('document.querySelector("main").textContent')) as string
      const shows = (text: string) =>
        page.waitForFunction(`document.querySelector("main").textContent.includes(' ${text} ')`)

      for (let loss = 1; loss <= losses; loss++) {
        await shows(`${world.written}`)
        await page.setOfflineMode(true)
        // The end is in the middle of an event, of its data or of the offset after them.
        await world.network.lose(61 * loss, loss % 2 === 0)
        const { written } = world
        await world.until(written + missed)
        expect(await shown()).not.toContain(` ${written + missed - 1} `)
        await page.setOfflineMode(false)
        world.network.come()
      }
      await world.end()
      await page.waitForFunction('document.title === "ended"')

      expect((await shown()).trim().split(/\s+/)).toEqual(
        Array.from({ length: world.written }, (__, at) => `${at}`),
      )
    },
  )
})
