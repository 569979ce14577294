/**
 * `npm run pictures`: the pictures of `docs/observer.md`, made of a rehearsed incident. The bank of
 * the orders example is away, comes back, and order 17 is charged late.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { launch } from 'puppeteer-core'
import { fakeBank } from '../examples/orders/fake-bank.ts'

const dir = mkdtempSync(join(tmpdir(), 'keelson-pictures-'))
const { server: bank, chance } = fakeBank({ failing: 1, slowMs: 5 })
await once(bank.listen(0, '127.0.0.1'), 'listening')
const bankUrl = `http://127.0.0.1:${(bank.address() as AddressInfo).port}`

const keelson = (...words: string[]) =>
  spawn(process.execPath, ['dist/inspect/cli/cli.js', ...words, '--dir', dir], {
    env: { ...process.env, BANK_URL: bankUrl, PORT: '7079' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })

/** The text that a stream prints and that is like this. */
const said = (stream: Readable, pattern: RegExp): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    stream.on('data', (part) => {
      text += part
      const found = pattern.exec(text)?.[0]
      if (found !== undefined) resolve(found.trim())
    })
  })

const service = keelson('run', 'examples/orders/keelson.config.ts')
await said(service.stdout, /ready: /)
const observer = keelson('observe')
const url = await said(observer.stdout, /http:\S+\s/)
for (let id = 1; id <= 17; id++)
  await fetch(`http://127.0.0.1:7079/orders/${id}`, { method: 'POST', body: '{"cents":995}' })

const browser = await launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await browser.newPage()
page.setDefaultTimeout(120_000)
await page.setViewport({ width: 1_280, height: 760 })
await page.goto(url)

const picture = async (name: string, address: string, ...texts: string[]): Promise<void> => {
  await page.evaluate(`location.hash = '#/${address}'`)
  const isThere = texts.map((text) => `document.body.innerText.includes('${text}')`).join(' && ')
  await page.waitForFunction(isThere)
  await page.screenshot({ path: `docs/observer/${name}.png` })
}

await picture('overview', 'overview', 'order/17')
chance.failing = 0
await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }])
await picture('entity', 'entity/$flow-order/17', 'completed/', 'Its birth.')

await browser.close()
observer.kill()
service.kill()
bank.close()
await once(service, 'exit')
rmSync(dir, { recursive: true })
