/**
 * `npm run pictures [-- DIR]`: the pictures of `docs/observer.md`, in DIR or `docs/observer`, of a
 * rehearsed night of the tickets example. Orders come in all the time, the mail provider is away, and the bank was, so order 17 is
 * charged late.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { launch } from 'puppeteer-core'
import { fakeBank } from '../examples/orders/fake-bank.ts'
import { fakeMails } from '../examples/tickets/fake-mails.ts'

const pictures = process.argv[2] ?? 'docs/observer'
const dir = mkdtempSync(join(tmpdir(), 'keelson-pictures-'))
const { server: bank, chance } = fakeBank({ failing: 0, slowMs: 5 })
const { server: mails } = fakeMails({ failing: 1 })
const listening = async (server: Server): Promise<string> => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const env = {
  ...process.env,
  ...{ BANK_URL: await listening(bank), MAIL_URL: await listening(mails), PORT: '7079' },
}

const keelson = (...words: string[]) =>
  spawn(process.execPath, ['dist/inspect/cli/cli.js', ...words, '--dir', dir], {
    env,
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

const service = keelson('run', 'examples/tickets/keelson.config.ts')
await said(service.stdout, /ready: /)
const observer = keelson('observe')
const url = await said(observer.stdout, /http:\S+\s/)

/** Places an order of two seats. Each show has 60 orders. */
const place = (id: number): Promise<Response> => {
  const [show, seat] = [Math.floor(id / 60), 2 * (id % 60)]
  const body = JSON.stringify({ show: `evening-${show}`, seats: [`${seat}`, `${seat + 1}`] })
  return fetch(`http://127.0.0.1:7079/orders/${id}`, { method: 'PUT', body })
}

const browser = await launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await browser.newPage()
page.setDefaultTimeout(120_000)
await page.setViewport({ width: 1_280, height: 760 })
await page.goto(url)

/** Goes to an address, and waits for these texts. */
const show = async (address: string, ...texts: string[]): Promise<void> => {
  await page.evaluate(`location.hash = '#/${address}'`)
  const isThere = texts.map((text) => `document.body.innerText.includes('${text}')`).join(' && ')
  await page.waitForFunction(isThere)
}

for (let id = 1; id <= 600; id++) {
  if (id === 17) chance.failing = 1
  if (id === 40) chance.failing = 0
  await Promise.all([place(id), pause(100)])
}
await show('overview', 'failing')
await page.screenshot({ path: join(pictures, 'overview.png') })

await page.setViewport({ width: 1_280, height: 900 })
await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }])
await show('entity/order/17', 'Its birth.')
// The bank has refused, and has taken the money.
for (const [at, settled] of ['reject', 'resolve'].entries()) {
  await page.evaluate(
    `[...document.querySelectorAll('.turns button')]
      .find(({ innerText }) => innerText.includes('${settled} of 0.order.paying')).click()`,
  )
  await page.waitForFunction(`document.querySelectorAll('.turns .chosen').length > ${at}`)
}
await page.waitForFunction(`/from lsn/i.test(document.body.innerText)`)
await page.screenshot({ path: join(pictures, 'entity.png') })

await browser.close()
observer.kill()
service.kill()
bank.close()
mails.close()
await once(service, 'exit')
rmSync(dir, { recursive: true })
