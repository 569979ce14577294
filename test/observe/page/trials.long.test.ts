/** The page in a browser, beside a service that runs: the orders example, under `keelson run`. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, Page } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { fakeBank } from '../../../examples/orders/fake-bank.ts'
import { runKeelson, startKeelson } from '../../support/commands/keelson-command.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  openTab,
  showView,
  startChromium,
  waitForText,
  withoutChromium,
} from '../views/chromium.ts'

const configuration = join(import.meta.dirname, '../../../examples/orders/keelson.config.ts')

/** A bank on a free port. */
const openBank = async (): Promise<string> => {
  const { server } = fakeBank({ failing: 0, slowMs: 1 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The service in a folder; `bank` is the address of its bank. */
const startOrders = async (dir: string, bank: string) => {
  const variables = { BANK_URL: bank, PORT: '0' }
  const service = startKeelson(['run', configuration, '--dir', dir], dir, variables, 'ignore')
  await service.says('ready: ')
  return service
}

/** Places orders with the ids 1, 2, …, and waits until they are paid. */
const placeOrders = async (dir: string, count: number): Promise<void> => {
  const asked = await runKeelson(['attach', '--dir', dir], dir, "await call('http', 'port')\n")
  const port = /\b\d{4,5}\b/.exec(asked.output)?.[0]
  for (let id = 1; id <= count; id++)
    await fetch(`http://127.0.0.1:${port}/orders/${id}`, { method: 'POST', body: '{"cents":995}' })
}

/** In the page: kills a process as its dialog does, and answers the first row of the log, and when it came. */
const killAndSeeRow = (pid: number): string => `(async () => {
  const row = () => document.querySelector('.log tr')?.innerText
  const shown = new Promise((resolve) =>
    new MutationObserver(() => row() && resolve(performance.now()))
      .observe(document.body, { subtree: true, childList: true, characterData: true }))
  const post = async (path, body) => (await fetch(path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer ' + sessionStorage.getItem('keelson token'),
    },
    body: JSON.stringify({ act: 'kill', pid: ${pid}, ...body }),
  })).json()
  const { nonce } = await post('api/plan', {})
  const begun = performance.now()
  await post('api/act', { reason: 'a trial', nonce })
  return { tookMs: (await shown) - begun, text: row() }
})()`

describe.skipIf(lacks(withoutChromium))('beside the orders example, the page', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await startChromium()
  })
  afterAll(() => browser?.close())

  const observed = async (dir: string, ...words: string[]) => {
    const command = startKeelson(['observe', '--dir', dir, ...words], dir)
    await command.says(/#code=\S+\s/)
    const [url = ''] = /http:\S+/.exec(command.printed()) ?? []
    const tab = await openTab(browser, url)
    onTestFinished(() => tab.page.close())
    await showView(tab.page, 'overview')
    return tab
  }

  const pidOf = async (page: Page, name: string): Promise<string> => {
    await showView(page, 'tree')
    const links = await page.$$eval('.tree a', (found) =>
      found.map((link) => [link.textContent, link.getAttribute('href')] as const),
    )
    return (
      links
        .find(([text]) => text === name)?.[1]
        ?.split('/')
        .at(-1) ?? ''
    )
  }

  test('shows every view, without a line on the console', async () => {
    const dir = tempFolder()
    await startOrders(dir, await openBank())
    await placeOrders(dir, 5)
    const { page, console } = await observed(dir)
    const http = await pidOf(page, 'http')

    for (const address of [
      ...['overview', 'tree', 'processes', `process/${http}`, 'entities', 'kind/$flow-order'],
      ...['entity/$flow-order/3', 'flows', 'runs/order', 'run/order/3', 'store', 'storage'],
      ...['replication', 'log'],
    ])
      await showView(page, address)
    await showView(page, 'run/order/3')
    await waitForText(page, 'charge')

    expect(console).toEqual([])
  })

  test('shows a process that was killed in it as a crash with its reason', async () => {
    const dir = tempFolder()
    await startOrders(dir, await openBank())
    const { page } = await observed(dir, '--write')
    const http = await pidOf(page, 'http')
    await showView(page, `process/${http}`)

    await page.locator('button ::-p-text(Kill)').click()
    await page.locator('dialog input').fill('a trial')
    await page.locator('dialog button.primary:not(:disabled)').click()
    await page.locator('dialog button ::-p-text(Close)').click()
    await showView(page, 'log')
    await waitForText(page, 'was restarted')

    expect(await page.$eval('.main', (main) => main.textContent)).toMatch(/http.*kill/)
    await showView(page, 'tree')
    await page.waitForFunction(`!document.querySelector('.tree a[href="#/process/${http}"]')`)
    expect(await pidOf(page, 'http')).not.toBe('')
  })

  test('shows within two seconds that a process was killed and starts again', async () => {
    const dir = tempFolder()
    await startOrders(dir, await openBank())
    const { page } = await observed(dir, '--write')
    const pid = Number(await pidOf(page, 'http'))
    await showView(page, 'log?sort=restart&find=http')
    await waitForText(page, 'No line is like this')

    const { tookMs, text } = (await page.evaluate(killAndSeeRow(pid))) as {
      tookMs: number
      text: string
    }
    expect(text).toMatch(/restart.*kill/s)
    expect(tookMs).toBeLessThan(2_000)
  })

  test('reconnects by itself after kill -9 and a new start of the service', async () => {
    const dir = tempFolder()
    const bank = await openBank()
    const service = await startOrders(dir, bank)
    const { page } = await observed(dir)
    await showView(page, 'flows')
    await waitForText(page, 'order')

    service.process.kill('SIGKILL')
    await page.waitForSelector('.main[data-state="lost"] .banner')
    await waitForText(page, 'order')

    await startOrders(dir, bank)
    await page.waitForSelector('.main[data-state="live"]')
    await placeOrders(dir, 1)
    await page.waitForSelector('a[href="#/runs/order?status=completed"]')
  })
})
